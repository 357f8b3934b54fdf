"""Kill runs at random moments, over and over, and see that their tables do not notice.

    python -m tools.torture --kills 200

Each experiment runs once undisturbed. Then its command line runs again, and is killed: at a random
time, or just when it writes a file; mostly by SIGKILL, at times by SIGTERM or SIGINT, once or
twice. Now and then the last checkpoint is damaged as a failing disk would. The same command goes
on, and is killed again, until a run gets through; its tables and weights (all but the timing) must
then equal the undisturbed run's byte for byte, with nothing left beside them. Some runs begin
without prepared data, so that its preparation is killed as well.

Loading PyTorch takes longer than most of these lives: nine processes in ten are forked from one
that has loaded it, the others and the undisturbed ones are started as a user does.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
LAST, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
PHASES = ("preparing", "starting", "training", "writing", "ending")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
INTERVALS = ("0.05", "0.5", "3")  # seconds between checkpoints, one for each start
FRESH = 0.2  # the share of runs without prepared data
DAMAGED = 0.15  # of the kills that leave two checkpoints
COLD = 0.1  # the share of processes that are started as a user does
IN_A_RUN = 14  # kills; then it may finish
IN_A_FRESH_RUN = 4  # of which each costs the preparation
SHARED = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # by all processes
PATIENCE = 20.0  # times the undisturbed run's seconds, and a process that is still there hangs

QUICK = {
    "emergent": (),
    "tagging": (),
    "language": (),
    "reciting": (),
    "sentiment": ("--goal", "16", "--strength", "1.4e-3", "--finetune-from", "both"),
    "causes": ("--num-updates", "60", "--report-every", "20", "--probe-tokens", "2000"),
}
WARM = [
    "torch._dynamo",
    "pandas",
    "pyarrow.parquet",
    "spacy",
    "tyro",
    "sparsecore.runs.execute",
    *(f"sparsecore.experiments.{name}.task" for name in QUICK),
]


class Finding(Exception):
    """Something that must not happen; the message says what, and where its files are."""


@dataclass
class Case:
    """An experiment under torture: its command, its undisturbed run, what was done to it."""

    name: str
    arguments: Sequence[str]
    expected: dict[str, bytes] = field(default_factory=dict)
    hash: str = ""
    seconds: float = 0.0  # of the undisturbed run
    start: float = 0.0  # of the command when there is nothing to do
    runs: int = 0
    equal: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def kills(self) -> int:
        """Processes that were alive when the signal came."""
        return sum(self.seen[name] for name in SIGNALS)


def campaign(
    cases: Sequence[Case], kills: int, seed: int, work: Path, cold: float = COLD
) -> list[str]:
    """Kill ``kills`` processes; what was found, a line each.

    Args:
        work: an empty folder.
        cold: the share of processes that are not forked from one that has loaded PyTorch.
    """
    random_ = random.Random(seed)
    findings = []
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background: ours shall hear it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    first = _forks().Process(target=int)  # loads PyTorch, which is no part of a run's time
    first.start()
    first.join()
    for case in tqdm(cases, desc="undisturbed", unit="run", leave=False):
        undisturbed(case, work, cold > 0)
    with tqdm(total=kills, desc="kills", unit="kill") as bar:
        while bar.n < kills:
            case = min(cases, key=lambda one: (one.kills, random_.random()))
            home = work / f"{case.name}-{case.runs:03d}"
            try:
                for _ in torment(case, home, kills - bar.n, cold, random_):
                    bar.update()
                shutil.rmtree(home)
            except Finding as finding:
                findings.append(f"{finding} (seed {seed}, {home})")
                bar.write(f"FOUND {findings[-1]}")
                if len(findings) >= 10:
                    break
    return findings


def undisturbed(case: Case, work: Path, cold: bool) -> None:
    """Make the data and the run that the others are compared with."""
    home = _home(work / f"{case.name}-undisturbed", work / "cache")
    for as_a_user in (cold, False):  # the second finds the run
        started = time.monotonic()
        if (code := _start(case, home, "120", as_a_user).wait(3600)) != 0:
            raise Finding(f"{case.name} ends undisturbed with {code}: {_heard(home)}")
        case.seconds, case.start = case.seconds or case.start, time.monotonic() - started
    (run,) = (home / "runs").glob("*/*/")
    case.hash, case.expected = f"{run.parent.name}/{run.name}", contents(run)


def contents(run: Path) -> dict[str, bytes]:
    """Every table and every weight of a run by name, but for the timing."""
    files = [*run.rglob("*.parquet"), *run.rglob("*.safetensors")]
    named = {str(path.relative_to(run)): path for path in files}
    named.pop("timing.parquet", None)
    return {name: path.read_bytes() for name, path in sorted(named.items())}


def torment(
    case: Case, home: Path, most: int, cold: float, random_: random.Random
) -> Iterator[None]:
    """One run, killed again and again, then compared; yields at each kill.

    Raises:
        Finding: a wrong exit code, a hang, a difference, or files left behind.
    """
    fresh = random_.random() < FRESH
    cache = home / "own-cache" if fresh else home.parent / "cache"
    _home(home, cache)
    run = home / "runs" / case.hash
    case.runs += 1
    most = min(most, IN_A_FRESH_RUN if fresh else IN_A_RUN)
    for number in range(most + 1):
        begun = (run / LAST).exists() or (run / PREVIOUS).exists()
        process = _start(case, home, random_.choice(INTERVALS), random_.random() < cold)
        case.seen["resumed"] += begun
        if number == most or not _await(process, case, run, random_):
            if (code := process.wait(PATIENCE * case.seconds)) != 0:
                raise Finding(f"{case.name} ended with {code}: {_heard(home)}")
            break
        phase = _phase(run)
        name = random_.choices(SIGNALS, (70, 15, 15))[0]
        _kill(process, case, name, home, random_)
        case.seen[name] += 1
        case.seen[phase] += 1
        if name == "SIGKILL" and random_.random() < DAMAGED:
            case.seen["damaged"] += _damage(run, random_)
        yield
    _compare(case, run, home)
    case.equal += 1


def _home(home: Path, cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    home.mkdir(exist_ok=True)
    (home / "cache").symlink_to(cache)
    return home


@dataclass(frozen=True)
class Life:
    """A process: one that was started, or one that was forked from a warm one."""

    process: subprocess.Popen[bytes] | BaseProcess

    def alive(self) -> bool:
        """Whether it has not ended yet."""
        if isinstance(self.process, subprocess.Popen):
            return self.process.poll() is None
        return self.process.exitcode is None

    def send(self, number: int) -> None:
        """A signal."""
        if self.process.pid is not None and self.alive():
            os.kill(self.process.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit code, -n after signal n; a :class:`Finding` if it does not end in time."""
        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                self.process.kill()
                raise Finding(f"a process did not end within {seconds:.0f} s")
            time.sleep(0.002)
        if isinstance(self.process, subprocess.Popen):
            return self.process.returncode
        return self.process.exitcode or 0


def _forks() -> ForkServerContext:
    """Processes forked from one that has loaded PyTorch."""
    os.environ.update(SHARED)
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    return context


def _start(case: Case, home: Path, interval: str, cold: bool) -> Life:
    changes = {
        **SHARED,
        "SPARSECORE_HOME": str(home),
        "SPARSECORE_CHECKPOINT_SECONDS": interval,
    }
    line = ["run", *case.arguments, "--no-progress"]
    errors = home / "stderr.txt"
    errors.write_bytes(b"")
    if cold:
        command = [sys.executable, "-m", "sparsecore.cli", *line]
        environment = {**os.environ, **changes}
        with open(errors, "wb") as file:
            return Life(
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=file)
            )
    process = _forks().Process(target=_command, args=(line, changes, str(errors)))
    process.start()
    return Life(process)


def _command(line: list[str], changes: dict[str, str], errors: str) -> None:
    """What a forked process does: the command line, with its output where a shell would send it."""
    os.environ.update(changes)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(errors, os.O_WRONLY), 2)
    from sparsecore.cli import main

    code = main(line)
    sys.stderr.flush()
    os._exit(code)


def _await(process: Life, case: Case, run: Path, random_: random.Random) -> bool:
    """Wait for the moment to kill; False if the process ended by itself before it."""
    span = case.start + (case.seconds - case.start) / 4
    end = time.monotonic() + random_.uniform(0, span)
    writes = random_.randint(1, 8) if random_.random() < 0.5 else 0  # 0: by the clock alone
    if writes:
        end = time.monotonic() + 2 * span
    before = _names(run)
    while time.monotonic() < end and process.alive():
        time.sleep(0.001 if writes else 0.01)
        if writes and (now := _names(run)) != before:
            before, writes = now, writes - 1
            if not writes:
                time.sleep(random_.choice((0, random_.uniform(0, 0.02))))
                break
    return process.alive()


def _names(run: Path) -> set[tuple[str, int]]:
    """What is in a run folder: it changes with every file that is begun or put in its place."""
    try:
        return {(entry.name, entry.inode()) for entry in os.scandir(run)}
    except FileNotFoundError:
        return set()


def _phase(run: Path) -> str:
    names = {name for name, _ in _names(run)}
    if "config.json" not in names:
        return "preparing"
    if any(name.endswith(".tmp") for name in names):
        return "writing"
    if "weights.safetensors" in names:
        return "ending"
    return "training" if names & {LAST, PREVIOUS} else "starting"


def _kill(process: Life, case: Case, name: str, home: Path, random_: random.Random) -> None:
    """Send the signal, in one case of four twice, and look how the process ends."""
    number = signal.Signals[name]
    began = bool((home / "runs" / case.hash / "config.json").exists())
    process.send(number)
    twice = name != "SIGKILL" and random_.random() < 0.25
    if twice:
        time.sleep(random_.uniform(0, 0.05))
        process.send(number)
    code = process.wait(PATIENCE * case.seconds)
    if name == "SIGKILL":
        return
    heard = _heard(home)
    if code == 128 + number:
        if not heard.rpartition("\n")[2].startswith(f"stopped by {name}; the same command "):
            raise Finding(f"{case.name} stopped by {name} says: {heard}")
    elif code == -number and (twice or not began):  # at once; or before Python took the signal over
        pass
    elif code != 0:  # it may have come to its end
        raise Finding(f"{case.name} ended with {code} after {name}: {heard}")


def _heard(home: Path) -> str:
    return (home / "stderr.txt").read_text(encoding="utf-8", errors="replace").strip()


def _damage(run: Path, random_: random.Random) -> bool:
    """Empty, cut or flip a bit of the last checkpoint, if the one before is there."""
    path = run / LAST
    if not path.exists() or not (run / PREVIOUS).exists():
        return False
    content = bytearray(path.read_bytes())
    how = random_.randrange(3)
    if how == 0 or not content:
        content = bytearray()
    elif how == 1:
        del content[random_.randrange(len(content)) :]
    else:
        content[random_.randrange(len(content))] ^= 1 << random_.randrange(8)
    path.write_bytes(content)
    return True


def _compare(case: Case, run: Path, home: Path) -> None:
    found = contents(run)
    if not (run / "DONE").exists():
        raise Finding(f"{case.name} ended well, but {run} has no DONE")
    names = sorted(found.keys() | case.expected.keys())
    different = [name for name in names if found.get(name) != case.expected.get(name)]
    if different:
        raise Finding(f"{case.name} differs in {', '.join(different)}")
    left = [path.name for path in home.rglob("*.tmp")]
    if left:
        raise Finding(f"{case.name} left {', '.join(left)}")


def summary(cases: Sequence[Case]) -> str:
    """A line an experiment: kills by signal and by phase, damaged checkpoints, equal runs."""
    columns = ["kills", *SIGNALS, *PHASES, "resumed", "damaged", "runs", "equal"]
    lines = [["experiment", *columns]]
    for case in cases:
        shown = {**case.seen, "kills": case.kills, "runs": case.runs, "equal": case.equal}
        lines.append([case.name, *(str(shown.get(column, 0)) for column in columns)])
    total = (str(sum(int(line[i]) for line in lines[1:])) for i in range(1, len(columns) + 1))
    lines.append(["all", *total])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The campaign; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make torture", description=str(__doc__).splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--seed", type=int, help="default: drawn, and printed")
    parser.add_argument("--only", nargs="+", choices=[*QUICK], default=[*QUICK])
    chosen = parser.parse_args(arguments)
    seed = random.randrange(10**6) if chosen.seed is None else chosen.seed
    work = Path(tempfile.mkdtemp(prefix="torture-", dir=os.environ.get("TMPDIR")))
    # what is killed gives no semaphore back: it is no news
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    cases = [Case(name, (name, "--device", "cpu", *QUICK[name])) for name in chosen.only]
    print(f"seed {seed}, files in {work}", flush=True)
    findings = campaign(cases, chosen.kills, seed, work)
    print(summary(cases))
    print("\n".join(findings) or "nothing found: every run equals the undisturbed one")
    if not findings:
        shutil.rmtree(work)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
