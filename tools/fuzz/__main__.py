"""Fuzz every reader of the project: damaged files and wild values, from a seed that is printed.

    python -m tools.fuzz [--seed N] [--inputs N] [--reader NAME …]
    python -m tools.fuzz --reader NAME --replay FOLDER

Each finding is kept as a folder of its own: the files as they were, and what happened.
"""

from __future__ import annotations

import argparse
import resource
import secrets
import sys
from pathlib import Path

from tqdm import tqdm

from sparsecore.errors import InputError, check_choice
from tools.fuzz.attempt import Limits
from tools.fuzz.campaign import Reader, as_text, campaign, giants, keep_findings, replay
from tools.fuzz.giants import GIANTS, LIMITS
from tools.fuzz.readers import READERS

OUT = Path("_build/fuzz")
ROOM = 6 << 30  # bytes that this process may ask for beyond what it has: a bomb is an error


def main() -> int:
    """0: nothing found; 1: findings; 2: bad arguments."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and printed")
    parser.add_argument("--inputs", type=int, default=400, help="a reader (default: %(default)s)")
    parser.add_argument("--reader", nargs="+", default=[], metavar="NAME", help=", ".join(READERS))
    parser.add_argument("--giants", action="store_true", help="the few inputs of hundreds of MB")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="an input may take")
    parser.add_argument("--replay", type=Path, help="the folder of a finding")
    parser.add_argument("--out", type=Path, default=OUT, help="default: %(default)s")
    chosen = parser.parse_args()
    seed = secrets.randbelow(10**6) if chosen.seed is None else chosen.seed
    try:
        readers = _readers(chosen.reader)
        if chosen.replay and len(readers) != 1:
            raise InputError("--replay needs the one --reader that it is of")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    limits = Limits(chosen.seconds)
    if chosen.replay:
        verdict = replay(readers[0], chosen.replay, limits)
        print(f"{verdict.outcome}\n{verdict.told}")
        return int(verdict.is_finding)
    _bound_memory()
    if chosen.giants:
        large = {name: (READERS[reader], make) for name, (reader, make) in GIANTS.items()}
        with tqdm(total=len(large), unit="input") as bar:
            reports = giants(large, LIMITS, bar.update)
        print(as_text(reports))
        for report in reports:
            for _, verdict in report.findings:
                print(f"{report.reader}: {verdict.outcome}\n{verdict.told}")
        return int(any(report.findings for report in reports))
    print(f"seed {seed}")
    total = sum(max(2, round(chosen.inputs * reader.share)) for reader in readers)
    with tqdm(total=total, unit="input") as bar:
        reports = campaign(readers, seed, chosen.inputs, limits, bar.update)
    print(as_text(reports))
    folders = keep_findings(reports, chosen.out / f"seed-{seed}")
    for folder in folders:
        first = (folder / "finding.txt").read_text(encoding="utf-8").partition("\n")[0]
        print(f"{folder}: {first}")
    return int(bool(folders))


def _readers(names: list[str]) -> list[Reader]:
    for name in names:
        check_choice("reader", name, READERS)
    return [READERS[name] for name in names or READERS]


def _bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
