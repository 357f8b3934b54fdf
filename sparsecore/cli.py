"""The command line: ``sparsecore run|sweep|track|runs|data|reference|reproduce|claims|bench``.

Every error a user can cause is one line, ``error: …``, with exit code 2; a run that fails on its
own (divergence) exits with 1, one that is stopped by Ctrl-C with 130, by SIGTERM with 143.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sparsecore import __version__
from sparsecore.errors import (
    InputError,
    Stopped,
    TrainingError,
    check_choice,
    failed_import,
    first_line,
    is_out_of_memory,
    near_match,
    one_line,
    whole_number,
)
from sparsecore.home import check_current_folder, unusable_variable
from sparsecore.runs.parser import Parser
from sparsecore.runs.streams import drop_output, open_closed_streams, tell
from sparsecore.training.stopping import signals_stop

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)  # of standard output

Command = Callable[[list[str]], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a word that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        with _processes(), signals_stop():
            try:
                _dispatch(arguments)
            except SystemExit as stop:  # of --help, when it was printed
                if stop.code:
                    raise
        sys.stdout.flush()
    except InputError as error:
        tell(f"error: {error}")
        return 2
    except TrainingError as error:
        tell(f"error: {error}")
        return 1
    except (MemoryError, RuntimeError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # `| head` has seen enough
            drop_output(sys.stdout)
            return 0
        if isinstance(error, OSError) and error.errno in UNWRITABLE and not error.filename:
            drop_output(sys.stdout)
            tell(f"error: cannot write the output: {error.strerror}")
            return 1
        if (reason := unusable_variable(error)) is not None:
            tell(f"error: {one_line(reason)}")
            return 2
        if not is_out_of_memory(error):
            raise
        tell(f"error: out of memory: {one_line(str(error))}")
        return 1
    except ValueError as error:
        if (reason := failed_import(error)) is None:
            raise
        tell(f"error: {reason}")
        return 2
    except KeyboardInterrupt as stop:
        stopped = stop if isinstance(stop, Stopped) else Stopped(signal.SIGINT)
        tell(str(stopped))
        return 128 + stopped.signal
    return 0


def _processes() -> contextlib.AbstractContextManager[object]:
    """The group of processes where torchrun started this one, else nothing."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return contextlib.nullcontext()
    from sparsecore.training.distributed import joined

    return joined()


def _dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
    elif arguments[0] == "--version":
        print(f"sparsecore {__version__}")
    elif arguments[0] != "run" and "TORCHELASTIC_RUN_ID" in os.environ:
        raise InputError(f"torchrun is for sparsecore run, not for {arguments[0]!r}")
    elif arguments[0] in COMMANDS:
        check_current_folder()
        COMMANDS[arguments[0]](arguments[1:])
    else:
        raise InputError(f"unknown command {arguments[0]!r}{near_match(arguments[0], COMMANDS)}")


def _usage() -> str:
    lines = ["Sparsity in recurrent language models: run experiments, read their results.", ""]
    lines += ["usage: sparsecore COMMAND [--help] …", "", "commands:"]
    for name, command in COMMANDS.items():
        lines.append(f"  {name:<10} {first_line(command.__doc__)}")
    lines += ["", "start with:  sparsecore run emergent --preset quick"]
    return "\n".join(lines)


def run(arguments: list[str]) -> None:
    """Run an experiment, or return at once if it is finished already."""
    from sparsecore.experiments.registry import EXPERIMENTS
    from sparsecore.runs.options import parse_experiment

    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: sparsecore run EXPERIMENT [--preset quick|small|paper] [--field value …]")
        print("       torchrun --nproc-per-node N -m sparsecore run EXPERIMENT …\n")
        print("experiments:")
        for name, summary in EXPERIMENTS.items():
            print(f"  {name:<10} {summary}")
        print("\nfields of one: sparsecore run emergent --help")
        return
    config, progress = parse_experiment(arguments)

    from sparsecore.runs.execute import execute

    finished = execute(config, progress=progress, choose_threads=True)
    print(finished.epochs.round(4).to_string(index=False))
    if finished.has_results:
        print()
        print(finished.results.T.to_string(header=False))
    print(f"\nrun folder: {finished.path}")


def sweep(arguments: list[str]) -> None:
    """Run an experiment's whole study, or a grid of values, on one machine or many."""
    from sparsecore.experiments.registry import EXPERIMENTS
    from sparsecore.runs.options import SWEEP_USAGE, parse_sweep

    if not arguments or arguments[0] in ("-h", "--help"):
        print(SWEEP_USAGE)
        for name, summary in EXPERIMENTS.items():
            print(f"  {name:<10} {summary}")
        return
    if arguments[0].endswith(".py"):
        from sparsecore.runs.notebook_sweep import parse_notebook_sweep, sweep_notebook

        for path in sweep_notebook(parse_notebook_sweep(arguments)):
            print(path)
        return
    chosen = parse_sweep(arguments)

    from sparsecore.files import write_text
    from sparsecore.home import runs_dir
    from sparsecore.runs import sweep as sweeps
    from sparsecore.runs.reference import summarise

    finished, failures = sweeps.sweep(chosen.configs, chosen.workers, chosen.progress)
    if finished:
        table = sweeps.runs_table(finished)
        print(table.to_string(index=False))
        print(f"\nruns: {runs_dir(finished[0].experiment)}")
        if chosen.table:
            write_text(chosen.table, table.to_csv(index=False, lineterminator="\n"))
            print(f"table: {chosen.table}")
    for label, failure in failures.items():
        print(f"failed: {label}: {failure}", file=sys.stderr)
    sweeps.raise_first(failures, len(chosen.configs))
    if chosen.out:
        summarise(finished, Path(chosen.out))
        print(f"tables: {chosen.out}")


def track(arguments: list[str]) -> None:
    """Track a language model of Hugging Face on a text: chi by word, layer and checkpoint."""
    from sparsecore.runs.track_options import add_options, configs_of

    parser = Parser(prog="sparsecore track", formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser)
    chosen = parser.parse_args(arguments)
    configs, progress = configs_of(chosen), not chosen.no_progress

    from sparsecore.runs.track import track_run, track_sweep

    run = track_sweep(configs, progress) if configs[1:] else track_run(configs[0], progress)
    print(run.results.round(4).to_string(index=False))
    print(f"\ntable: {run.path / 'table.parquet'}")


def runs(arguments: list[str]) -> None:
    """List the runs on this machine."""
    parser = Parser(prog="sparsecore runs", description=runs.__doc__)
    parser.add_argument("experiment", nargs="?", help="only this experiment's")
    experiment = parser.parse_args(arguments).experiment

    from sparsecore.runs.store import list_runs
    from sparsecore.training.run_folder import run_name

    found = list_runs(experiment)
    if not found:
        print("no runs yet; start with: sparsecore run emergent --preset quick")
    for one in found:
        state = "done" if one.done else "unfinished"
        name = run_name(one.path)
        try:
            corpus, seed = one.config.get("corpus"), one.config.get("seed")
        except InputError:
            print(f"{name}  damaged     its config.json cannot be read; delete the folder")
            continue
        print(one_line(f"{name}  {state:<10}  {corpus}  seed {seed}"))


def data(arguments: list[str]) -> None:
    """List, describe and fetch corpora."""
    from sparsecore.data import commands

    parser = Parser(prog="sparsecore data", description=data.__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|info|fetch")
    actions.add_parser("list", help="the corpora that can be named")
    for action, text in (("info", "describe one corpus"), ("fetch", "download one corpus")):
        added = actions.add_parser(action, help=text)
        added.add_argument("name")
    added.add_argument(
        "--from",
        dest="copies",
        metavar="FOLDER",
        help="use copies of its files in this folder, plain or packed, in place of a download",
    )
    chosen = parser.parse_args(arguments)
    if chosen.action == "list":
        commands.list_sources()
    elif chosen.action == "info":
        commands.info(chosen.name)
    else:
        commands.fetch(chosen.name, chosen.copies)


def reference(arguments: list[str]) -> None:
    """Summarise finished runs (seeds of one configuration, or a study) into small tables."""
    parser = Parser(prog="sparsecore reference", description=reference.__doc__)
    parser.add_argument("runs", nargs="+", help="run folders or hashes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument(
        "--with",
        dest="earlier",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="tables of earlier rounds, on which the verdicts rest too; they stay as they are",
    )
    chosen = parser.parse_args(arguments)

    from sparsecore.runs.reference import summarise
    from sparsecore.runs.store import open_run

    summarise([open_run(one) for one in chosen.runs], chosen.out, chosen.earlier)
    print(f"tables: {chosen.out}")


def reproduce(arguments: list[str]) -> None:
    """Make every committed table anew, from data; without --yes, say what that costs."""
    parser = Parser(prog="sparsecore reproduce", description=reproduce.__doc__)
    parser.add_argument("studies", nargs="*", help="of book/results/studies.toml; default: all")
    parser.add_argument("--yes", action="store_true", help="do it")
    parser.add_argument("--jobs", type=int, help="runs at a time; default: one")
    parser.add_argument("--out", type=Path, default="_build/reference", help="default: %(default)s")
    parser.add_argument("--no-progress", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.jobs is not None:
        whole_number(chosen.jobs, "--jobs", 1)

    from sparsecore.runs.studies import choose_studies, plan, read_studies, reproduce_all

    selected = choose_studies(chosen.studies, read_studies())
    print(plan(selected))
    if chosen.yes:
        progress = not chosen.no_progress
        for line in reproduce_all(selected, chosen.out, chosen.jobs, progress):
            print(line)
    else:
        print("\nNothing was started; add --yes (make reference ARGS=--yes) to do it.")


def claims(arguments: list[str]) -> None:
    """Show what the papers claim and what our runs say of it; decide it anew."""
    parser = Parser(prog="sparsecore claims", description=claims.__doc__)
    parser.add_argument(
        "--decide",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="write the verdicts from these folders of `sparsecore reference`, the main one first",
    )
    parser.add_argument(
        "--equal",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="folders of other texts that decide with the main one: a part is judged on each",
    )
    parser.add_argument(
        "--findings",
        nargs="+",
        type=int,
        metavar="N",
        help="decide only these, which the main folder was made for",
    )
    from sparsecore.runs.claims import DEFAULT_PATH, claims_text, read_claims

    parser.add_argument("--file", type=Path, default=DEFAULT_PATH, help="default: %(default)s")
    parser.add_argument(
        "--because",
        default="",
        metavar="TEXT",
        help="why a verdict changes; the one before is kept beside it with this reason",
    )
    parser.add_argument("--earlier", action="store_true", help="also what was said before, and why")
    chosen = parser.parse_args(arguments)
    if not chosen.decide and (chosen.equal or chosen.findings or chosen.because):
        raise InputError("--equal, --findings and --because go with --decide FOLDER")
    if chosen.decide:
        from sparsecore.runs.decide import decide_claims

        decide_claims(chosen.decide, chosen.file, chosen.because, chosen.findings, chosen.equal)
    print(claims_text(read_claims(chosen.file), chosen.earlier))


def bench(arguments: list[str]) -> None:
    """Measure the hot paths beside what a user would pick instead."""
    from sparsecore.bench import DEFAULT, SUITES

    parser = Parser(
        prog="sparsecore bench",
        description="Time and memory of each hot path beside what a user would pick instead: "
        "contestants take turns in one process, with the same threads and allocator; who does not "
        "compute the right result is refused. '× ours' above 1 is slower than this library.",
        epilog="suites: " + "; ".join(f"{name}: {what}" for name, what in SUITES.items()),
    )
    parser.add_argument(
        "--suite", nargs="+", default=[*DEFAULT], metavar="NAME", help=f"of {', '.join(SUITES)}"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="default: by a probe, or OMP_NUM_THREADS")
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="of rounds a case (default: %(default)s)"
    )
    parser.add_argument("--processes", type=int, default=1, help="fresh ones to run it in, in turn")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does everything work?")
    parser.add_argument("--out", help="folder of results.parquet and environment.json")
    parser.add_argument("--no-progress", action="store_true")
    chosen = parser.parse_args(arguments)
    for name in chosen.suite:
        check_choice("suite", name, SUITES)

    from sparsecore.bench.run import run_and_save

    text, folder, refused = run_and_save(
        chosen.suite,
        device=chosen.device,
        threads=chosen.threads,
        seconds=chosen.seconds,
        quick=chosen.quick,
        out=chosen.out,
        progress=not chosen.no_progress,
        processes=chosen.processes,
    )
    print(f"{text}\n\nresults: {folder}")
    if refused:
        raise TrainingError(f"not timed, for the result is wrong: {', '.join(refused)}")


COMMANDS: dict[str, Command] = {
    "run": run,
    "sweep": sweep,
    "track": track,
    "runs": runs,
    "data": data,
    "reference": reference,
    "claims": claims,
    "reproduce": reproduce,
    "bench": bench,
}

if __name__ == "__main__":
    sys.exit(main())
