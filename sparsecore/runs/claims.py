"""The papers' claims as data: ``book/results/claims.toml``, read, checked and told.

People write what is claimed and the rule that decides it;
:func:`sparsecore.runs.decide.decide_claims` fills in value, interval, verdict and where they come
from.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sparsecore.errors import InputError, near_match
from sparsecore.experiments.registry import experiment_class
from sparsecore.runs.notebook import PRESETS
from sparsecore.stats.verdict import VERDICTS

DECIDED = ("value", "interval", "corpus", "preset", "seeds")
LARGEST = 16 << 20  # bytes
DEFAULT_PATH = Path("book/results/claims.toml")


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, and what our runs say of it."""

    id: str
    paper: str  # key of the bibliography
    where: str  # table or figure
    claim: str
    statistic: str  # what decides it, in words
    rule: str  # when it holds
    paper_value: str  # as the paper gives it
    verdict: str = "undecided"
    value: float | None = None
    interval: list[float] | None = None
    tables: str = ""  # the folder of the experiment's tables that decide it
    corpus: str = ""
    preset: str = ""
    seeds: list[int] = field(default_factory=list)
    note: str = ""
    reason: str = ""  # why the verdict is not a plain one, such as too small a design
    parts: list[dict[str, Any]] = field(default_factory=list)  # every part of the rule
    elsewhere: list[dict[str, Any]] = field(default_factory=list)  # on other corpora
    earlier: list[dict[str, Any]] = field(default_factory=list)  # verdicts before, with the reason


_TYPES: dict[str, tuple[type, ...]] = {
    "value": (float, int),
    "interval": (list,),
    "seeds": (list,),
    "parts": (list,),
    "elsewhere": (list,),
    "earlier": (list,),
}
_REQUIRED = ("id", "paper", "where", "claim", "statistic", "rule", "paper_value")


def read_claims(path: Path = DEFAULT_PATH) -> list[Claim]:
    """The claims in a file, in its order. InputError with one line for the first thing wrong."""
    return parse_claims(claims_file(path), str(path))


def claims_file(path: Path) -> str:
    """The text of a file of claims; InputError if there is none that can be read."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} has more than {LARGEST >> 20} MB: not a file of claims")
        return path.read_text(encoding="utf-8")
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}") from error


def parse_claims(text: str, name: str = "claims.toml") -> list[Claim]:
    """The claims in TOML text: unknown fields, missing ones and wrong values are one clear line."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # endless numbers and nests, too
        raise InputError(f"{name} is not valid TOML: {error}") from None
    for key in data:
        if key != "claim":
            raise InputError(f"{name}: unknown table {key!r}{near_match(key, ['claim'])}")
    rows = data.get("claim", [])
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{name} has no [[claim]]")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(f"{name}: claim {number} must be a [[claim]] table, not {row!r}")
    claims = [_claim(row, f"{name}: claim {row.get('id', n + 1)!r}") for n, row in enumerate(rows)]
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise InputError(f"{name}: claim {claim.id!r} is there more than once")
        seen.add(claim.id)
    return claims


def _claim(row: dict[str, Any], where: str) -> Claim:
    known = [f.name for f in fields(Claim)]
    for key, value in row.items():
        if key not in known:
            raise InputError(f"{where}: unknown field {key!r}{near_match(key, known)}")
        expected = _TYPES.get(key, (str,))
        numbers_only = key != "value" or _is_number(value)
        if not isinstance(value, expected) or isinstance(value, bool) or not numbers_only:
            names = " or ".join(t.__name__ for t in expected)
            raise InputError(f"{where}: {key} must be a {names}, not {value!r}")
    for key in ("parts", "elsewhere", "earlier"):
        if not all(isinstance(item, dict) for item in row.get(key, [])):
            raise InputError(f"{where}: {key} must be a list of tables, not {row[key]!r}")
    for key in _REQUIRED:
        if not str(row.get(key, "")).strip():
            raise InputError(f"{where}: {key} is missing")
    found = row.get("verdict", "undecided")
    if found not in VERDICTS:
        raise InputError(f"{where}: unknown verdict {found!r}{near_match(found, VERDICTS)}")
    if found in ("holds", "partly", "fails"):
        for key in DECIDED:
            if key not in row:
                raise InputError(f"{where}: verdict {found!r} without {key}")
    interval = row.get("interval")
    if interval is not None:
        numbers = len(interval) == 2 and all(_is_number(x) for x in interval)
        if not numbers or interval[0] > interval[1]:
            raise InputError(f"{where}: interval must be [low, high], not {interval!r}")
    return Claim(**row)


def _is_number(value: Any) -> bool:
    """A finite number that a table can show."""
    return (
        isinstance(value, float | int)
        and not isinstance(value, bool)
        and abs(value) < 1e100  # of a whole number too, which has no largest
        and math.isfinite(value)
    )


def claims_text(claims: Sequence[Claim], earlier: bool = False) -> str:
    """The claims to read: verdict, value and claim; why; with ``earlier`` what was said before."""
    lines = []
    for claim in claims:
        ours = format_value(claim.value, claim.interval)
        lines += [f"{claim.id}  {claim.where}  {claim.verdict}  {ours}", f"  {claim.claim}"]
        lines += [f"  {claim.verdict}: {claim.reason}"] if claim.reason else []
        lines += [f"  before: {_told(entry)}" for entry in claim.earlier if earlier]
        lines += [""]
    return "\n".join(lines)


def _told(entry: dict[str, Any]) -> str:
    value = format_value(entry.get("value"), entry.get("interval"))
    return f"{entry.get('verdict')}  {value}; changed because: {entry.get('because')}"


def format_value(value: float | None, interval: Sequence[float] | None) -> str:
    """``0.43 [0.39, 0.47]``, three decimals where the number is small; a dash for none.

    An end that lies near 0 has the decimals that show on which side, or its sign alone.

    >>> format_value(0.4321, [0.39, 0.4712]), format_value(-0.0123, [-0.02, -0.004])
    ('0.43 [0.39, 0.47]', '−0.012 [−0.020, −0.004]')
    >>> format_value(0.09, [-0.0033, 0.188]), format_value(-0.6, [-1.1, -0.0])
    ('0.090 [−0.003, 0.188]', '−0.60 [−1.10, −0.00]')
    >>> format_value(-0.00001, None)
    '0.0000'
    """
    if value is None:
        return "–"
    ends = [value, *(interval or [])]
    largest = max(map(abs, ends))
    digits = 2 if largest >= 0.1 else 3 if largest >= 0.01 else 4
    hidden = [end for end in ends[1:] if end and not round(end, digits)]
    digits += bool(hidden and all(round(end, digits + 1) for end in hidden))
    first, *others = (f"{x:.{digits}f}" for x in [round(value, digits) + 0.0, *ends[1:]])
    return (first + (f" [{', '.join(others)}]" if others else "")).replace("-", "−")


def preset_name(provenance: dict[str, Any]) -> str:
    """The preset whose settings these are, with the fields that differ: ``small, threshold=12``."""
    experiment = experiment_class(provenance["experiment"])
    known = {field.name for field in fields(experiment)}
    settings = {k: v for k, v in provenance["settings"].items() if k in known}
    named = []
    for preset in PRESETS:
        own = experiment.preset(preset)
        differ = [f"{key}={value}" for key, value in settings.items() if getattr(own, key) != value]
        named.append([preset, *differ])
    return ", ".join(min(named, key=len))
