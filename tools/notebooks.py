"""Run the notebooks: percent script → jupytext → papermill → `notebooks/executed/NAME.ipynb`.

Only what changed runs again: an executed copy carries the fingerprint of its script, the library,
the reference tables, the lock file and its parameters. A copy is replaced whole or not at all, so
an interrupted or failing run leaves the last good one. `python -m tools.notebooks --help`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sparsecore.errors import InputError, check_choice
from sparsecore.files import write_text
from sparsecore.runs import notebook as copies
from sparsecore.runs.notebook import compare_parameters, declared_parameters, parse_value
from tools.tidy import NotebookFailure, failure_of, tidy

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "notebooks"
EXECUTED = SCRIPTS / "executed"
WORK = ROOT / "_build" / "notebooks"  # copies under way, and the ones that failed
LONGEST = ("causes_frequency", "explore_live")  # train; they begin first


def scripts(names: Sequence[str] = ()) -> list[Path]:
    """The percent scripts, or those named; an unknown name is an :class:`InputError`."""
    known = {path.stem: path for path in sorted(SCRIPTS.glob("*.py"))}
    for name in names:
        check_choice("notebook", name, known)
    return [known[name] for name in names] if names else list(known.values())


def assign_parameters(
    chosen: Iterable[Path], given: Mapping[str, Any]
) -> dict[Path, dict[str, Any]]:
    """What each script is run with: those of the ``given`` values that it declares.

    A name that no script declares, or a value of the wrong kind, is an :class:`InputError`.
    Values equal to the default are left out, so that they do not clutter the page.
    """
    declared = {script: declared_parameters(script) for script in chosen}
    every = {name: value for defaults in declared.values() for name, value in defaults.items()}
    compare_parameters(given, every)
    return {
        script: {k: v for k, v in given.items() if k in defaults and v != defaults[k]}
        for script, defaults in declared.items()
    }


def fingerprint(script: Path, parameters: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides what an executed copy shows."""
    digest = hashlib.sha256(json.dumps(dict(parameters), sort_keys=True).encode())
    results = files(ROOT / "book" / "results")
    for path in [script, ROOT / "requirements.lock", *files(ROOT / "sparsecore"), *results]:
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def files(folder: Path) -> list[Path]:
    """Every file below ``folder``, sorted, without what Python and editors leave behind."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    )


def is_fresh(script: Path, mark: str) -> bool:
    """Whether the executed copy of ``script`` carries the fingerprint ``mark``."""
    return copies.is_fresh(executed_path(script), mark)


def executed_path(script: Path) -> Path:
    """Where the executed copy of ``script`` lies."""
    return EXECUTED / f"{script.stem}.ipynb"


def run_notebook(script: Path, parameters: Mapping[str, Any], mark: str) -> float:
    """Run one script, put its executed copy in place, return the seconds it took.

    Raises :class:`NotebookFailure`, with what went wrong in which cell; the copy run so far is
    then left under ``_build/notebooks``.
    """
    started = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    draft = WORK / f"{script.stem}.ipynb"
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        source = script.read_text(encoding="utf-8")
        notebook = copies.executed(source, parameters, draft, str(ROOT))
    except Exception as error:
        raise failure_of(error, script.relative_to(ROOT), draft.relative_to(ROOT)) from None
    write_text(executed_path(script), copies.copy_text(tidy(notebook), mark, parameters))
    draft.unlink()
    return time.monotonic() - started


def run_notebooks(
    given: Mapping[str, Any], names: Sequence[str] = (), *, jobs: int | None = None
) -> list[Path]:
    """Bring the executed copies up to date; return the paths of all of them.

    They run side by side, ``jobs`` at a time (default: one a core, at most four), the longest
    first.
    """
    chosen = scripts(names)
    if not chosen:
        return []
    parameters = assign_parameters(chosen, given)
    with one_at_a_time():
        marks = {script: fingerprint(script, parameters[script]) for script in chosen}
        stale = [script for script in chosen if not is_fresh(script, marks[script])]
        work = [(script, parameters[script], marks[script]) for script in stale]
        if work:
            _run_all(work, jobs or min(os.cpu_count() or 1, 4))
    return [executed_path(script) for script in chosen]


def _run_all(work: list[tuple[Path, dict[str, Any], str]], jobs: int) -> None:
    work = sorted(work, key=lambda item: item[0].stem not in LONGEST)
    jobs = min(jobs, len(work))
    options = {"initializer": _set_up, "initargs": (jobs, len(work))}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), **options) as pool:
        running = {
            script.stem: pool.submit(run_notebook, script, parameters, mark)
            for script, parameters, mark in work
        }
        failures = []
        for name, future in running.items():
            try:
                print(f"  {name}  {future.result():.0f} s", flush=True)
            except NotebookFailure as failure:
                failures.append(str(failure))
    if failures:
        raise NotebookFailure("\n\n".join(failures))


def _set_up(jobs: int, notebooks: int) -> None:
    """Notebooks side by side get threads for their share of the cores; many share their imports."""
    from tools.kernels import share_imports

    if jobs > 1:
        share = max(1, (os.cpu_count() or 1) // jobs)
        os.environ.setdefault("OMP_NUM_THREADS", str(share))
    if notebooks > 2 * jobs:
        share_imports()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two builds at once would run the same notebooks twice: the second waits for the first."""
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("  waiting for another build to finish …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def argument_parser(description: str) -> argparse.ArgumentParser:
    """The options that running notebooks and building the book share."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter of the notebooks, as with papermill: -p preset small -p seed 1",
    )
    parser.add_argument("--jobs", type=int, help="notebooks side by side (default: one a core)")
    return parser


def given_parameters(pairs: Iterable[Sequence[str]]) -> dict[str, Any]:
    """The ``-p NAME VALUE`` pairs of a command line."""
    return {name: parse_value(value) for name, value in pairs}


def report(action: Any) -> int:
    """Call ``action``; turn what a person can mend into a line or two and an exit code."""
    try:
        action()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except NotebookFailure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: run the named notebooks (all by default) where they changed."""
    parser = argument_parser("Run the notebooks that changed.")
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="emergent_targets, …")
    options = parser.parse_args(arguments)
    given = given_parameters(options.parameters)
    return report(lambda: run_notebooks(given, options.names, jobs=options.jobs))


if __name__ == "__main__":
    sys.exit(main())
