"""Claims decided from tables: ``sparsecore claims --decide FOLDER`` writes their computed fields.

Everything else in ``book/results/claims.toml`` is written by people, and left as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsecore.errors import InputError, near_match
from sparsecore.files import reading, write_text
from sparsecore.runs.claims import (
    DECIDED,
    DEFAULT_PATH,
    Claim,
    claims_file,
    parse_claims,
    preset_name,
)
from sparsecore.stats.verdict import MET

if TYPE_CHECKING:
    import pandas as pd

RESULT = ("tables", *DECIDED, "verdict", "reason", "parts")
COMPUTED = (*RESULT, "elsewhere", "earlier")
DIGITS = 6  # of a number in the file
LESS = 4  # of a number in older ones: to have more now is no change


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
    text = claims_file(path)
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
    if not claim.parts or _coarse(was) == _coarse({key: now[key] for key in was if key in now}):
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

    Corpus and seeds are of the text whose value stands for the finding; a part of another names
    its tables.
    """
    from sparsecore.stats.judgement import headline, judge, on_several_texts

    if len(texts) == 1:
        return texts[0].result(texts[0].parts[finding]), [texts[0]]
    known = {one.corpus: one for one in texts if finding in one.parts}
    rows = on_several_texts({name: one.parts[finding] for name, one in known.items()})
    rows["tables"] = rows["corpus"].map({name: one.folder.name for name, one in known.items()})
    able = [known[name] for name in dict.fromkeys(rows["corpus"])]
    main = known[str(headline(rows, judge(rows)[0])["corpus"])]
    return main.result(rows), able


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


def _number(value: Any) -> float:
    return round(float(value), DIGITS)


def _coarse(value: Any) -> Any:
    """The same with numbers as older files have them."""
    if isinstance(value, float):
        return round(value, LESS) + 0.0
    if isinstance(value, list):
        return [_coarse(item) for item in value]
    if isinstance(value, dict):
        return {key: _coarse(item) for key, item in value.items() if not _unknown(item)}
    return value


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
