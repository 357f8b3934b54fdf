"""Claims as data: the committed file, one line for each mistake, verdicts that come from runs."""

import json
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest

from sparsecore import cli
from sparsecore.errors import InputError
from sparsecore.runs.claims import (
    Claim,
    claims_text,
    format_value,
    parse_claims,
    preset_name,
    read_claims,
)
from sparsecore.runs.decide import COMPUTED, decide_claims
from sparsecore.runs.reference import read_summary, summarise
from sparsecore.stats.judgement import MET, NOT_TESTED, judge
from sparsecore.training.run_folder import Run
from tests import synthetic

COMMITTED = Path(__file__).parents[2] / "book" / "results" / "claims.toml"

ROW = """
[[claim]]
id = "emergent-1"
paper = "saphra2019"
where = "Fig. 2"
claim = "It grows."
statistic = "rho"
rule = "above 0"  # a human's comment
paper_value = "positive"
"""
OURS = 'value = 0.4\ninterval = [0.3, 0.5]\ncorpus = "c"\npreset = "small"\nseeds = [0, 1]\n'


def test_the_committed_claims_are_the_eight_findings():
    claims = read_claims(COMMITTED)
    emergent = [claim for claim in claims if claim.id.startswith("emergent-")]
    assert [claim.id for claim in emergent] == [f"emergent-{n}" for n in range(1, 9)]
    assert {claim.paper for claim in emergent} == {"saphra2019"}
    for claim in emergent:
        assert claim.verdict == judged(claim)


def judged(claim):
    """The verdict that the parts in the file give by the second rule."""
    table = pd.DataFrame(claim.parts)
    unsaid = {"condition": MET, "effect": math.nan, "interval": None, "corpus": claim.corpus}
    for column, missing in unsaid.items():
        table[column] = (
            table[column].where(table[column].notna(), missing) if column in table else (missing)
        )
    ends = [pair if isinstance(pair, list) else (math.nan, math.nan) for pair in table["interval"]]
    table[["low", "high"]] = pd.DataFrame(ends, index=table.index)
    return judge(table)[0]


def first_rule(outcomes):
    """The verdict by the rule that stood before parts were essential or side ones."""
    if outcomes == {"yes"}:
        return "holds"
    if "yes" in outcomes:
        return "partly"
    return "fails" if "no" in outcomes else "undecided"


def test_every_committed_verdict_follows_from_its_parts_and_keeps_the_one_before():
    for claim in read_claims(COMMITTED):
        assert claim.verdict == judged(claim), claim.id
        assert not {99, 100} & set(claim.seeds)  # seeds that chose settings
        if claim.paper == "this book":  # decided by the second rule from the first
            continue
        first = claim.earlier[0]
        assert first["because"].startswith("second rule") and first["parts"]
        assert first["verdict"] == first_rule({part["outcome"] for part in first["parts"]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no .*claim"),
        ("[[claim]\n", "not valid TOML"),
        ("[[claims]]\nid = 'a'\n", r"unknown table 'claims' \(did you mean 'claim'\?\)"),
        (ROW.replace("rule", "rules"), r"unknown field 'rules' \(did you mean 'rule'\?\)"),
        (ROW.replace('statistic = "rho"', ""), "'emergent-1': statistic is missing"),
        (ROW.replace('"rho"', '" "'), "statistic is missing"),
        (ROW + 'verdict = "hold"\n', r"unknown verdict 'hold' \(did you mean 'holds'\?\)"),
        (ROW + 'verdict = "holds"\n', "verdict 'holds' without value"),
        (ROW + 'value = "0.4"\n', "value must be a float or int, not '0.4'"),
        (ROW + "interval = [0.5, 0.3]\n", r"interval must be \[low, high\], not \[0.5, 0.3\]"),
        (ROW + "interval = [0.5]\n", r"interval must be \[low, high\]"),
        (ROW + ROW, "'emergent-1' is there more than once"),
    ],
)
def test_each_mistake_is_one_line(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_claims(text)
    assert "\n" not in str(caught.value)


def test_a_decided_row_is_read():
    (claim,) = parse_claims(ROW + OURS + 'verdict = "holds"\n')
    assert (claim.value, claim.interval, claim.seeds) == (0.4, [0.3, 0.5], [0, 1])
    assert "holds  0.40 [0.30, 0.50]" in claims_text([claim])
    assert format_value(None, None) == "–"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    run = Run(synthetic.write_run(folder / "run", count=300, epochs=3))
    summarise([run], folder / "out", n_boot=40)
    return folder / "out"


def test_deciding_fills_in_the_computed_fields_and_nothing_else(reference, tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(COMMITTED.read_text(encoding="utf-8"), encoding="utf-8")
    before = read_claims(path)
    with pytest.raises(InputError, match=r"'emergent-1' would change .* --because"):
        decide_claims([reference], path)
    after = decide_claims([reference, reference], path, "another run")
    tables = read_summary(reference)
    assert tables is not None
    for old, new in zip(before, after, strict=True):
        for name in Claim.__dataclass_fields__:
            if name not in COMPUTED:
                assert getattr(old, name) == getattr(new, name)
        if not new.id.startswith("emergent-"):
            assert new == old
            continue
        parts = tables["verdicts"].query(f"finding == {new.id.removeprefix('emergent-')}")
        assert new.verdict == judged(new) == judge(parts)[0]
        assert len(new.parts) == len(parts)
        ran = bool(parts["seeds"].any())  # not finding 5, for which no seed has a cut to look at
        assert [one["verdict"] for one in new.elsewhere] == [new.verdict] * ran
        assert new.earlier[-1]["because"] == "another run"
        assert new.earlier[-1]["verdict"] == old.verdict and new.earlier[-1]["parts"] == old.parts
        assert new.earlier[:-1] == old.earlier
        assert "before:" not in claims_text([new])
        assert "changed because: another run" in claims_text([new], earlier=True)
    again = path.read_text(encoding="utf-8")
    assert again.startswith("# What the papers claim")
    decide_claims([reference, reference], path)  # nothing changes: no reason is asked for
    assert path.read_text(encoding="utf-8") == again


def test_texts_of_equal_standing_decide_together(tmp_path):
    """What is false on one and true on another is divided; what one cannot ask, the other says."""
    path = tmp_path / "claims.toml"
    path.write_text(COMMITTED.read_text(encoding="utf-8"), encoding="utf-8")
    folders = [COMMITTED.parent / "emergent" / "wikitext-2-lr20", tmp_path / "other-lr20"]
    shutil.copytree(*folders)
    with pytest.raises(InputError, match="texts of equal standing must differ"):
        decide_claims(folders[:1], path, "another text", [3], equal=folders[1:])
    written = json.loads((folders[1] / "provenance.json").read_text(encoding="utf-8"))
    written["corpus"]["name"] = "other"
    (folders[1] / "provenance.json").write_text(json.dumps(written), encoding="utf-8")
    verdicts = pd.read_csv(folders[1] / "verdicts.csv")
    verdicts.loc[verdicts["finding"] == 3, "outcome"] = "yes"
    verdicts.loc[verdicts["finding"] == 2, "condition"] = "met"
    verdicts.to_csv(folders[1] / "verdicts.csv", index=False)
    claims = {c.id: c for c in decide_claims(folders[:1], path, "another text", equal=folders[1:])}
    third = claims["emergent-3"]
    assert (third.verdict, third.corpus) == ("partly", "wikitext-2")
    alone = [part for part in third.parts if "corpus" not in part]
    beside = [part for part in third.parts if "corpus" in part]
    assert [part["part"] for part in alone] == [part["part"] for part in beside]
    assert {(part["corpus"], part["tables"]) for part in beside} == {("other", "other-lr20")}
    assert third.elsewhere == []
    second = claims["emergent-2"]  # WikiText-2 lacks what it presupposes
    assert (second.corpus, second.verdict) == ("other", "holds")
    assert [one["tables"] for one in second.elsewhere] == ["wikitext-2-lr20"]


def test_only_the_findings_that_are_asked_for_are_decided(reference, tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(COMMITTED.read_text(encoding="utf-8"), encoding="utf-8")
    before = {claim.id: claim for claim in read_claims(path)}
    after = decide_claims([reference], path, "another run", findings=[2])
    changed = [claim.id for claim in after if claim != before[claim.id]]
    assert changed == ["emergent-2"]
    with pytest.raises(InputError, match=r"has findings \[1, 2, .*\], not 11"):
        decide_claims([reference], path, "another run", findings=[2, 11])


def test_headings_stay_before_what_they_head(reference, tmp_path):
    """A comment below the last field of a claim belongs to the next one."""
    path = tmp_path / "claims.toml"
    path.write_text(COMMITTED.read_text(encoding="utf-8"), encoding="utf-8")
    last = max(read_claims(path), key=lambda c: (c.id.startswith("emergent-"), c.id)).id
    decide_claims([reference], path, "another run")
    block = path.read_text(encoding="utf-8").split(f'id = "{last}"')[1].split("[[claim]]")[0]
    fields, _, heading = block.partition("\n# ")
    assert heading.startswith("Parts of speech") and "\nverdict = " in fields
    assert "\nverdict = " not in heading and "\nvalue = " not in heading


def test_a_statistic_that_a_run_cannot_give_is_left_out(reference, tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(COMMITTED.read_text(encoding="utf-8"), encoding="utf-8")
    fifth = decide_claims([reference], path, "another run")[4]  # its cut comes after one epoch
    assert fifth.verdict == NOT_TESTED and fifth.reason.startswith("0 of 1 seeds have a cut")
    assert fifth.value is None
    assert "nan" not in path.read_text(encoding="utf-8")


def test_deciding_needs_tables_and_the_claim(reference, tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(ROW.replace("emergent-1", "emergent-9"), encoding="utf-8")
    with pytest.raises(InputError, match="no claim 'emergent-1'"):
        decide_claims([reference], path)
    with pytest.raises(InputError, match="has no reference tables"):
        decide_claims([tmp_path / "nothing"], path)
    with pytest.raises(InputError, match="at least one folder"):
        decide_claims([], path)
    assert path.read_text(encoding="utf-8") == ROW.replace("emergent-1", "emergent-9")


def test_the_preset_is_named_with_what_differs():
    settings = {"threshold": 12, "epochs": 12, "hidden_size": 200}
    assert preset_name({"experiment": "emergent", "settings": settings}) == "small, threshold=12"


@pytest.mark.parametrize("option", [["--equal", "a"], ["--findings", "1"], ["--because", "new"]])
def test_what_goes_with_deciding_is_not_passed_over_in_silence(option, capsys):
    assert cli.main(["claims", *option]) == 2
    assert capsys.readouterr().err == (
        "error: --equal, --findings and --because go with --decide FOLDER\n"
    )
