"""The first minutes on a GPU: tests, speeds, then training for as long as is left.

    python -m tools.gpu pack --corpus wikitext-2        # here: the text as _build/gpu-inputs.tar.xz
    make gpu ARGS="--inputs gpu-inputs.tar.xz"          # there: no network is needed

Each step is a process of its own, which ends with this one. After each one, and every 20 s within
it, its tables and then a row of ``steps.csv`` are written, so that what was found so far is there
whenever the machine is taken away; the same command then goes on: finished steps are not repeated,
training continues from its checkpoint (every 20 s).

    tests.csv            the outcome of every test marked ``gpu``
    bench/SUITE/         results.parquet and environment.json, as ``sparsecore bench`` writes them
    bench/all/           the same of all suites, a folder for ``benchmarks/results`` and the page on
                         speed as it is (``-p results FOLDER``); bench/history.csv: its ratios
    replay-off/          the suite lm with steps launched one by one in place of CUDA graphs
    chunks-256/          the suite lm with 256 rows of logits at a time in place of an eighth
    emergent/            epochs, timing and settings of the run, as far as it came
    tables/emergent/     once that is finished: a folder for ``book/results/emergent``
    bench/compiled/      last, as it takes minutes to compile: the suite of that name
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import ctypes
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

from sparsecore.errors import InputError
from sparsecore.files import atomic_path, write_text

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_build" / "gpu"
INPUTS = ROOT / "_build" / "gpu-inputs.tar.xz"
MOST_BYTES = 60_000_000
GATHER = 20.0  # seconds between looks at what a step has written so far
TESTS = {"ops": 60, "layers": 40, "experiments": 30, "measure": 15, "bench": 30}  # folder: seconds
SUITES = ("lstm", "rational", "embedding", "output", "sweep", "lm")
COMPILED = "compiled"  # minutes of compiling: once all else is done
GRACE = 20.0  # seconds between SIGINT and SIGKILL: a checkpoint is written
TINY = (
    "--preset quick --max-tokens 20000 --threshold 3 --class-threshold 3 --hidden-size 8 "
    "--embedding-size 8 --epochs 1"
).split()


@dataclass(frozen=True)
class Step:
    """A process, the most seconds that it may take (None: all that are left), its variables.

    ``after``: the step without whose end there is nothing to do.
    """

    name: str
    command: list[str]
    seconds: float | None = None
    environment: dict[str, str] = field(default_factory=dict)
    after: str | None = None


def steps(out: Path, rehearse: bool, training: Sequence[str]) -> list[Step]:
    """What is run, the most decisive first."""
    python, device = sys.executable, "cpu" if rehearse else "cuda"
    rounds = ["--quick", "--seconds", "0.1"] if rehearse else ["--seconds", "3"]
    suites = SUITES[:1] if rehearse else SUITES

    def limit(seconds: float) -> float | None:
        return None if rehearse else seconds  # a CPU takes what it takes

    def measure(name: str, suite: str, environment: dict[str, str] | None = None) -> Step:
        command = [python, "-m", "sparsecore", "bench", "--suite", suite, "--device", device]
        command += [*rounds, "--no-progress", "--out", str(out / name)]
        return Step(name, command, limit(30 if environment else 40), environment or {})

    def test(folder: str, seconds: float) -> Step:
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu"]
        command += [f"--junitxml={out / 'tests' / folder}.xml", f"tests/{folder}"]
        return Step(f"tests/{folder}", command, limit(seconds))

    run = [python, "-m", "sparsecore", "run", "emergent", "--device", device, "--no-progress"]
    run += TINY if rehearse else ["--preset", "small"]
    return [
        *(test(folder, seconds) for folder, seconds in TESTS.items()),
        *(measure(f"bench/{suite}", suite) for suite in suites),
        measure(f"replay-off/{suites[-1]}", suites[-1], {"SPARSECORE_CUDA_GRAPHS": "0"}),
        measure(f"chunks-256/{suites[-1]}", suites[-1], {"SPARSECORE_CHUNK_ROWS": "256"}),
        Step("emergent", [*run, *training]),
        Step("tables", [python, "-m", "tools.gpu", "tables", str(out)], limit(60), {}, "emergent"),
        *([] if rehearse else [replace(measure(f"bench/{COMPILED}", COMPILED), seconds=None)]),
    ]


def run_steps(chosen: Sequence[Step], out: Path, minutes: float) -> list[dict[str, str]]:
    """Run the steps that ``steps.csv`` does not call finished; its rows, newest last."""
    end = time.monotonic() + 60 * minutes
    (out / "logs").mkdir(parents=True, exist_ok=True)
    rows = read_rows(out)
    for number, step in enumerate(chosen):
        finished = {row["step"] for row in rows if row["outcome"] == "finished"}
        if step.name in finished or not {step.after} <= {None, *finished}:
            continue
        left = end - time.monotonic() - GRACE
        if left <= 0:
            break
        later = sum(other.seconds or 0.0 for other in chosen[number + 1 :])
        started = time.monotonic()
        outcome = run_step(step, out, min(left, step.seconds or max(left - later, left / 2)))
        gather(step, out)
        seconds = f"{time.monotonic() - started:.1f}"
        rows.append({"step": step.name, "outcome": outcome, "seconds": seconds})
        write_rows(out, rows)
        print(f"{step.name}: {outcome} after {seconds} s", flush=True)
    return rows


def run_step(step: Step, out: Path, seconds: float) -> str:
    """``finished``, ``failed (exit code N)`` or ``cut off``; what it says goes to ``logs/``."""
    log = out / "logs" / f"{step.name.replace('/', '-')}.txt"
    variables = {"SPARSECORE_HOME": str(out / "home"), "SPARSECORE_CHECKPOINT_SECONDS": "20"}
    with open(log, "ab") as file:
        process = subprocess.Popen(
            step.command,
            cwd=ROOT,
            env={**os.environ, **variables, **step.environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_begin,
        )
        end = time.monotonic() + seconds
        try:
            while (code := _code(process, min(GATHER, end - time.monotonic()))) is None:
                gather(step, out)
                if time.monotonic() >= end:
                    _stop(process)
                    return "cut off"
        except BaseException:
            _stop(process)
            raise
    return "finished" if code == 0 else f"failed (exit code {code})"


def _code(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code, as soon as there is one; None if it still runs after so many seconds."""
    try:
        return process.wait(max(seconds, 0.0))
    except subprocess.TimeoutExpired:
        return None


def _begin() -> None:
    """In a new process: hear SIGINT; get SIGTERM when the one that started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started: first by SIGINT, so that it saves what there is."""
    os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def gather(step: Step, out: Path) -> None:
    """The small tables of a step, out of what it has written so far."""
    if step.name.startswith("tests/"):
        reports = [path for name in TESTS if (path := out / "tests" / f"{name}.xml").is_file()]
        with contextlib.suppress(ElementTree.ParseError):  # half written: it is read again later
            told = [path.read_text(encoding="utf-8") for path in reports]
            write_text(out / "tests.csv", outcomes(told))
    if step.name.startswith("bench/"):
        combine(out / "bench")
    if step.name == "emergent":
        for run in (out / "home" / "runs" / "emergent").glob("*"):
            (out / "emergent").mkdir(exist_ok=True)
            for name in ("config.json", "environment.json", "epochs.parquet", "timing.parquet"):
                if (run / name).is_file():
                    shutil.copy(run / name, out / "emergent" / name)


def combine(folder: Path) -> None:
    """One table of all suites that were measured, with the machine of the last: ``all``."""
    import pandas as pd

    suites = [
        path
        for name in (*SUITES, COMPILED)
        if (path := folder / name / "results.parquet").is_file()
    ]
    if suites:
        table = pd.concat([pd.read_parquet(path) for path in suites], ignore_index=True)
        (folder / "all").mkdir(exist_ok=True)
        shutil.copy(suites[-1].with_name("environment.json"), folder / "all" / "environment.json")
        with atomic_path(folder / "all" / "results.parquet") as temporary:
            table.to_parquet(temporary, index=False)


def write_tables(out: Path) -> None:
    """The tables of the last run that is finished, as the book has them."""
    os.environ["SPARSECORE_HOME"] = str(out / "home")
    from sparsecore.runs.reference import summarise
    from sparsecore.runs.store import list_runs

    finished = [run for run in list_runs("emergent") if run.done]
    summarise(finished[-1:], out / "tables" / "emergent")


def outcomes(reports: Sequence[str]) -> str:
    """JUnit's XML as CSV: test, outcome, seconds, and the first line of what went wrong.

    >>> print(outcomes(['<s><testcase classname="a" name="b" time="0.1"><failure message="x"/>'
    ...                 '</testcase></s>']), end="")
    test,outcome,seconds,message
    a::b,failure,0.1,x
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["test", "outcome", "seconds", "message"])
    cases = [case for one in reports for case in ElementTree.fromstring(one).iter("testcase")]
    for case in cases:
        others = [child for child in case if child.tag in ("failure", "error", "skipped")]
        outcome = others[0].tag if others else "passed"
        message = others[0].get("message", "").partition("\n")[0] if others else ""
        name = f"{case.get('classname')}::{case.get('name')}"
        writer.writerow([name, outcome, case.get("time"), message])
    return table.getvalue()


def read_rows(out: Path) -> list[dict[str, str]]:
    """The rows of ``steps.csv``, none where there is no such file."""
    path = out / "steps.csv"
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(out: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write ``steps.csv``, all of it or not at all."""
    lines = ["step,outcome,seconds", *(",".join(row.values()) for row in rows)]
    write_text(out / "steps.csv", "\n".join(lines) + "\n")


def pack(corpus: Sequence[str], archive: Path) -> None:
    """Prepare the text of the emergent experiment, and archive all that a run of it reads.

    Raises:
        InputError: the archive is larger than 60 MB.
    """
    from sparsecore.experiments import registry
    from sparsecore.runs.options import parse_experiment

    home = archive.parent / "gpu-home"
    os.environ["SPARSECORE_HOME"] = str(home)
    config, progress = parse_experiment(["emergent", "--preset", "small", *corpus])
    registry.prepare(config, progress)
    shutil.rmtree(home / "cache" / "tokens", ignore_errors=True)  # the corpus is made of them
    with atomic_path(archive) as temporary, tarfile.open(temporary, "w:xz") as file:
        file.add(home, "home")
    if (size := archive.stat().st_size) > MOST_BYTES:
        raise InputError(f"{archive} has {size / 1e6:.0f} MB, more than 60: pass --max-tokens N")
    print(f"{archive}: {size / 1e6:.1f} MB")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps, pack the text, or write a run's tables; 1 if a step failed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["pack"]:
        pack(given[1:], INPUTS)
        return 0
    if given[:1] == ["tables"]:
        write_tables(Path(given[1]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m tools.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--inputs", type=Path, help="archive that `pack` has made")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, on the CPU")
    chosen, training = parser.parse_known_args(given)  # the rest: options of the run
    if chosen.inputs and not (chosen.out / "home").exists():
        with tarfile.open(chosen.inputs) as file:
            file.extractall(chosen.out, filter="data")
    out = chosen.out.resolve()
    rows = run_steps(steps(out, chosen.rehearse, training), out, chosen.minutes)
    print(f"tables: {out}")
    return int(any(row["outcome"].startswith("failed") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
