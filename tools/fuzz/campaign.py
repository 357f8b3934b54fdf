"""Many damaged inputs for every reader, from one seed; findings are kept as folders."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsecore.files import write_text
from tools.fuzz.attempt import Limits, Verdict, attempt, write
from tools.fuzz.mutate import Draw, Files, damage


@dataclass(frozen=True)
class Reader:
    """Something that reads what others made.

    Attributes:
        name: as in the reports.
        sample: makes a valid sample, a small one: files by name.
        read: reads the folder of such files. Their ``home/`` is the home of caches and runs.
        mutate: a damaged sample from a valid one.
        refusals: exceptions that are a proper refusal here, beside InputError.
        share: of the inputs asked for; less than 1 where a reader is slow.
    """

    name: str
    sample: Callable[[], Files]
    read: Callable[[Path], object]
    mutate: Callable[[Files, Draw], Files] = damage
    refusals: tuple[type[BaseException], ...] = ()
    share: float = 1.0


@dataclass
class Report:
    """What became of a reader's inputs."""

    reader: str
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[Files, Verdict]] = field(default_factory=list)
    slowest: float = 0.0
    largest: float = 0.0

    @property
    def inputs(self) -> int:
        """How many there were."""
        return self.outcomes.total()


def campaign(
    readers: Sequence[Reader],
    seed: int,
    inputs: int,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    advance: Callable[[int], object] = lambda _: None,
) -> list[Report]:
    """``inputs`` damaged samples for each reader; the first input is the sample as it is.

    The sample itself must be read, else the campaign would test nothing: a refusal of it counts as
    a finding. A reader stops after 20 findings.
    """
    reports = []
    for reader in readers:
        draw = random.Random(f"{seed} {reader.name}")
        report = Report(reader.name)
        sample = reader.sample()
        count = max(2, round(inputs * reader.share))
        for number in range(count):
            files = sample if number == 0 else reader.mutate(sample, draw)
            verdict = attempt(reader.read, files, limits, reader.refusals)
            if number == 0 and verdict.outcome == "refused":
                verdict = Verdict("the sample was refused", verdict.told, 0, 0)
            note(report, files, verdict)
            advance(1)
            if len(report.findings) >= 20:
                advance(count - number - 1)
                break
        reports.append(report)
    return reports


def giants(
    chosen: Mapping[str, tuple[Reader, Callable[[], Files]]],
    limits: Limits,
    advance: Callable[[int], object] = lambda _: None,
) -> list[Report]:
    """A report for each of the few inputs that are made to be too large."""
    reports = []
    for name, (reader, make) in chosen.items():
        report = Report(name)
        files = make()
        verdict = attempt(reader.read, files, limits, reader.refusals)
        note(report, {} if verdict.is_finding else files, verdict)  # too large to keep
        reports.append(report)
        advance(1)
    return reports


def note(report: Report, files: Files, verdict: Verdict) -> None:
    """Count an outcome; keep the input if it is a finding."""
    known = verdict.outcome in ("read", "refused")
    report.outcomes[verdict.outcome if known else "finding"] += 1
    report.slowest = max(report.slowest, verdict.seconds)
    report.largest = max(report.largest, verdict.mib)
    if not known:
        report.findings.append((files, verdict))


def keep_findings(reports: Iterable[Report], out: Path) -> list[Path]:
    """A folder for each finding: ``input/`` as it was, and ``finding.txt``."""
    folders = []
    for report in reports:
        for number, (files, verdict) in enumerate(report.findings, 1):
            folder = out / f"{report.reader}-{number}"
            write(files, folder / "input")
            write_text(folder / "finding.txt", f"{verdict.outcome}\n\n{verdict.told}\n")
            folders.append(folder)
    return folders


def replay(reader: Reader, folder: Path, limits: Limits) -> Verdict:
    """The verdict on the files of a finding, as they lie in its ``input/``."""
    root = folder / "input"
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    return attempt(reader.read, files, limits, reader.refusals)


def as_text(reports: Sequence[Report]) -> str:
    """A table for the terminal."""
    width = max(len(report.reader) for report in reports)
    head = f"{'reader':<{width}}  inputs    read  refused  findings  slowest s  most MiB"
    rows = [head]
    for one in reports:
        rows.append(
            f"{one.reader:<{width}}  {one.inputs:>6}  {one.outcomes['read']:>6}"
            f"  {one.outcomes['refused']:>7}  {len(one.findings):>8}"
            f"  {one.slowest:>9.2f}  {one.largest:>8.0f}"
        )
    sums: list[Any] = [sum(r.inputs for r in reports)]
    sums += [sum(r.outcomes[kind] for r in reports) for kind in ("read", "refused")]
    sums.append(sum(len(r.findings) for r in reports))
    rows.append(f"{'all':<{width}}  {sums[0]:>6}  {sums[1]:>6}  {sums[2]:>7}  {sums[3]:>8}")
    return "\n".join(rows)
