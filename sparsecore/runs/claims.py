"""The papers' claims as data: ``book/results/claims.toml``, read, checked, and decided from runs.

People write what is claimed and the rule that decides it; :func:`decide_claims` fills in
``value``, ``interval``, ``verdict`` and where they come from, and leaves every other line as it is.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsecore.errors import InputError, near_match
from sparsecore.experiments.registry import experiment_class
from sparsecore.files import reading, write_text
from sparsecore.runs.notebook import PRESETS
from sparsecore.stats.verdict import MET, VERDICTS

if TYPE_CHECKING:
    import pandas as pd

DECIDED = ("value", "interval", "corpus", "preset", "seeds")
RESULT = ("tables", *DECIDED, "verdict", "reason", "parts")
COMPUTED = (*RESULT, "elsewhere", "earlier")
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
    return parse_claims(_text(path), str(path))


def _text(path: Path) -> str:
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

    >>> format_value(0.4321, [0.39, 0.4712]), format_value(-0.0123, [-0.02, -0.004])
    ('0.43 [0.39, 0.47]', '−0.012 [−0.020, −0.004]')
    >>> format_value(-0.00001, None)
    '0.0000'
    """
    if value is None:
        return "–"
    ends = [value, *(interval or [])]
    digits = (
        2 if max(abs(x) for x in ends) >= 0.1 else 3 if max(abs(x) for x in ends) >= 0.01 else 4
    )
    shown = [f"{round(x, digits) + 0.0:.{digits}f}".replace("-", "−") for x in ends]  # no −0
    return shown[0] + (f" [{', '.join(shown[1:])}]" if interval else "")


def decide_claims(
    folders: Sequence[Path],
    path: Path = DEFAULT_PATH,
    because: str = "",
    findings: Sequence[int] | None = None,
    equal: Sequence[Path] = (),
) -> list[Claim]:
    """Decide the claims ``EXPERIMENT-1`` … from reference folders, and write the file anew.

    ``folders`` hold summaries (``sparsecore reference``); the first gives each claim's value and
    verdict, the others, of the same experiment, its ``elsewhere``, if they ran it. Those of
    ``equal``, of other texts, decide with the first: a part is judged on each text, then on all
    (:func:`~sparsecore.stats.judgement.on_several_texts`). Only the computed fields are replaced.
    What a claim said before, if that is something else, goes to its ``earlier`` with the reason,
    ``because``. With ``findings`` only these are decided: runs that suggested a finding cannot
    decide it. Returns the claims. Raises InputError, with nothing written, where a folder, a claim
    or a finding is missing, or a verdict would change without a reason.
    """
    if not folders:
        raise InputError("name at least one folder of reference tables")
    main_folder, *rest = folders
    found = [_Results(folder) for folder in (main_folder, *equal, *rest)]
    names = {one.experiment for one in found}
    if len(names) > 1:
        raise InputError(f"the folders are of several experiments: {', '.join(sorted(names))}")
    texts = [one.corpus for one in found[: 1 + len(equal)]]
    if len(set(texts)) < len(texts):
        raise InputError(f"texts of equal standing must differ, not {', '.join(texts)}")
    results = [one.decided() for one in found]
    chosen = list(results[0]) if findings is None else findings
    if missing := sorted(set(chosen) - set(results[0])):
        raise InputError(f"{folders[0]} has findings {list(results[0])}, not {missing[0]}")
    text = _text(path)
    before = parse_claims(text, str(path))
    known = {claim.id: claim for claim in before}
    for finding in chosen:
        main, joined = _together(found[: 1 + len(equal)], finding)
        name = f"{min(names)}-{finding}"
        if name not in known:
            raise InputError(f"{path} has no claim {name!r}{near_match(name, known)}")
        others = [
            {k: v for k, v in other[finding].items() if k != "parts"}
            for one, other in zip(found, results, strict=True)
            if one not in joined
            and finding in other
            and any(part["seeds"] for part in other[finding]["parts"])
        ]
        earlier = _earlier(known[name], main, because)
        text = _replace_fields(text, name, {**main, "elsewhere": others, "earlier": earlier})
    after = parse_claims(text, str(path))
    for old, new in zip(before, after, strict=True):
        changed = [f.name for f in fields(Claim) if getattr(old, f.name) != getattr(new, f.name)]
        assert set(changed) <= set(COMPUTED), f"{old.id}: {changed}"
    write_text(path, text)
    return after


def _earlier(claim: Claim, main: dict[str, Any], because: str) -> list[dict[str, Any]]:
    """What the claim said before, where that is not what it says now."""
    was = {key: getattr(claim, key) for key in RESULT if getattr(claim, key) not in (None, "", [])}
    now = {key: value for key, value in main.items() if not _unknown(value) and value != ""}
    if not claim.parts or _toml(was) == _toml({key: now[key] for key in was if key in now}):
        return claim.earlier
    if not because:
        raise InputError(
            f"claim {claim.id!r} would change from {claim.verdict!r} to {main['verdict']!r}; "
            "give the reason with --because TEXT: what it says now is kept beside"
        )
    elsewhere = [{k: v for k, v in one.items() if k != "parts"} for one in claim.elsewhere]
    told = {"because": because, "statistic": claim.statistic, "rule": claim.rule}
    return [*claim.earlier, {**told, **was, "elsewhere": elsewhere}]


class _Results:
    """The parts of the findings from a reference folder, and what the runs were."""

    def __init__(self, folder: Path) -> None:
        from sparsecore.runs.judged import parts_of, studies_of, study_seeds
        from sparsecore.runs.reference import REWRITE, read_reference

        tables, provenance = read_reference(folder)
        with reading(folder, REWRITE):
            self.folder = folder
            self.experiment = str(provenance["experiment"])
            parts = parts_of(self.experiment, tables)
            if parts is None:
                raise InputError(f"there is no rule for {self.experiment}")
            self.parts = {int(str(n)): rows for n, rows in parts.groupby("finding", sort=True)}
            studies = studies_of(provenance)
            corpora = (str(one["corpus"].get("name", folder.name)) for one in studies)
            self.corpus = " and ".join(dict.fromkeys(corpora))
            self.preset = " and ".join(dict.fromkeys(preset_name(one) for one in studies))
            self.seeds = study_seeds(provenance)

    def decided(self) -> dict[int, dict[str, Any]]:
        """The computed fields of each finding, from these runs alone."""
        return {finding: self.result(rows) for finding, rows in self.parts.items()}

    def result(self, rows: pd.DataFrame) -> dict[str, Any]:
        """The computed fields of one finding from its parts, which may be of more texts."""
        from sparsecore.runs.reference import REWRITE
        from sparsecore.stats.judgement import headline, judge

        with reading(self.folder, REWRITE):
            found, reason = judge(rows)
            first = headline(rows, found)
            return {
                "tables": self.folder.name,
                "verdict": found,
                "reason": reason,
                "value": _number(first["value"]),
                "interval": [_number(first["low"]), _number(first["high"])],
                "corpus": self.corpus,
                "preset": self.preset,
                "seeds": self.seeds,
                "parts": [_part(row, self.corpus) for row in rows.to_dict("records")],
            }


def _together(texts: Sequence[_Results], finding: int) -> tuple[dict[str, Any], list[_Results]]:
    """One finding decided on texts of equal standing, and those that were able to.

    The first of them gives value, corpus and seeds; a part of another names its tables.
    """
    from sparsecore.stats.judgement import on_several_texts

    if len(texts) == 1:
        return texts[0].result(texts[0].parts[finding]), [texts[0]]
    known = {one.corpus: one for one in texts if finding in one.parts}
    rows = on_several_texts({name: one.parts[finding] for name, one in known.items()})
    rows["tables"] = rows["corpus"].map({name: one.folder.name for name, one in known.items()})
    able = [known[name] for name in dict.fromkeys(rows["corpus"])]
    return able[0].result(rows), able


def _part(row: dict[Any, Any], corpus: str) -> dict[str, Any]:
    """One part as the file has it; a condition that is met and the main text go without saying."""
    told = {
        "part": row["part"],
        "kind": row["kind"],
        "method": row["method"],
        "value": _number(row["value"]),
        "interval": [_number(row["low"]), _number(row["high"])],
        "outcome": row["outcome"],
        "seeds": int(row["seeds"]),
        "effect": float(row["effect"]),
    }
    if row.get("corpus", corpus) != corpus:
        told |= {"corpus": row["corpus"], "tables": row["tables"]}
    return told if row["condition"] == MET else {**told, "condition": row["condition"]}


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


def _number(value: Any) -> float:
    return round(float(value), 4)


def _replace_fields(text: str, claim_id: str, computed: dict[str, Any]) -> str:
    """The text with the computed fields of one claim replaced, one line each, at its end."""
    blocks = re.split(r"(?m)^(?=\[\[claim\]\])", text)
    names = "|".join(COMPUTED)
    for index, block in enumerate(blocks):
        if not re.search(rf'(?m)^id\s*=\s*"{re.escape(claim_id)}"\s*$', block):
            continue
        kept = re.sub(rf"(?m)^({names})\s*=.*\n?", "", block).rstrip("\n")
        heading = re.search(r"(\n[ \t]*(#.*)?)*\Z", kept)  # of what follows
        assert heading is not None
        kept, comments = kept[: heading.start()], heading.group().lstrip("\n")
        lines = [
            f"{key} = {_toml(computed[key])}"
            for key in COMPUTED
            if key in computed and computed[key] != "" and not _unknown(computed[key])
        ]
        blocks[index] = "\n".join([kept, *lines]) + "\n" + ("\n" if index < len(blocks) - 1 else "")
        blocks[index] += f"{comments}\n\n" if comments else ""
    return "".join(blocks)


def _unknown(value: Any) -> bool:
    """NaN, or an interval of NaN: the file says nothing rather than nan."""
    if isinstance(value, list) and value and all(isinstance(x, float) for x in value):
        return any(math.isnan(x) for x in value)
    return isinstance(value, float) and math.isnan(value)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not _unknown(v)}
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in kept.items()) + "}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
