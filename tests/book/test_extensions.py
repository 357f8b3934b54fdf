"""The Sphinx extensions of the book: formulas, docstrings as plain text, nothing from outside."""

import doctest
import importlib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from cells import cell, over_seeds
from citation import bibtex
from claims import Claims, _judged, _ours, deciding, tally, verdict_badge
from docstrings import escape_docstring
from docutils import nodes
from figure_data import tables_of
from mathml import to_mathml
from names import run_size
from offline import drop_outside_files
from results import _run_row, decided_by, extrapolated_costs, measured_costs
from spaces import TOGETHER
from spaces import join as keep_numbers_whole
from tables import table

from sparsecore.errors import InputError
from sparsecore.runs.claims import Claim, read_claims
from sparsecore.runs.reference import write_tables
from sparsecore.stats.verdict import NOT_TESTED

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", ["claims", "names", "results"])
def test_examples_in_docstrings_are_kept(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried and not failed


@pytest.mark.parametrize(
    "tex",
    [
        r"\chi(v) = \lVert v \rVert_2 / \lVert v \rVert_1",
        r"\begin{aligned} a &= b \\ c &< d \end{aligned}",
        r"\overline{h}^2_t",
    ],
)
def test_formulas_are_well_formed_and_carry_their_source(tex):
    element = ElementTree.fromstring(to_mathml(tex, "inline"))
    assert element.get("alttext") == tex
    assert "&" not in "".join(element.itertext())
    assert "\\" not in "".join(element.itertext())


def test_norm_bars_do_not_stretch():
    element = ElementTree.fromstring(to_mathml(r"\lVert v \rVert_2", "block"))
    bars = [node for node in element.iter() if node.text == "‖"]
    assert [bar.get("stretchy") for bar in bars] == ["false", "false"]


def test_docstrings_keep_code_and_lose_accidental_markup():
    lines = ["||v||1 of ``a*b`` and w_ * x_i", "", ">>> f(2 ** 3)", "8 | 4", "", "after *this*"]
    escape_docstring(None, "function", "f", None, None, lines)
    assert lines == [
        r"\|\|v\|\|1 of ``a*b`` and w\_ \* x_i",
        "",
        ">>> f(2 ** 3)",
        "8 | 4",
        "",
        "after *this*",
    ]


def test_docstrings_keep_code_that_follows_two_colons():
    lines = ["Tables of a * b::", "", '    f(["*.mlp"])', "", "Patterns are *.mlp"]
    escape_docstring(None, "function", "f", None, None, lines)
    assert lines == [r"Tables of a \* b::", "", '    f(["*.mlp"])', "", r"Patterns are \*.mlp"]


def test_scripts_from_outside_are_dropped():
    own = SimpleNamespace(filename="_static/doctools.js", attributes={})
    outside = SimpleNamespace(filename="https://cdn.example/x.js", attributes={})
    thebe = SimpleNamespace(filename=None, attributes={"body": "let thebe_selector = 1"})
    state = {"type": "application/json", "body": '"thebe", "http://www.w3.org/2000/svg"'}
    data = SimpleNamespace(filename=None, attributes=state)
    context = {
        "script_files": [own, outside, thebe, data],
        "css_files": ["_static/sphinx-thebe.css", "_static/book.css"],
    }
    drop_outside_files(None, "p", "t", context, None)
    assert context == {"script_files": [own, data], "css_files": ["_static/book.css"]}


def test_the_rows_of_a_figure_are_found_by_its_name():
    def cell(name, **data):
        figure = {"mystnb": {"figure": {"name": name}}} if name else {}
        return {"metadata": figure, "outputs": [{"data": data}, {"name": "stdout"}]}

    rows = {"text/csv": ["a,b\n", "1,2\n"], "image/png": "…"}
    text = {"cell_type": "markdown", "metadata": {}}
    cells = [text, cell("fig-a", **rows), cell(None, **rows), cell("fig-b", **{"image/png": "…"})]
    assert tables_of({"cells": cells}) == {"fig-a": "a,b\n1,2\n"}


FIELDS = dict.fromkeys(
    ("id", "paper", "where", "claim", "statistic", "rule", "paper_value"), "x"
)  # fmt: skip


def part(name, outcome, value, kind="essential", method="pearson"):
    interval = [value - 0.01, value + 0.01]
    told = {"part": name, "kind": kind, "method": method, "outcome": outcome}
    return {**told, "value": value, "interval": interval}


def test_what_decides_is_the_part_on_which_the_verdict_turns():
    parts = [
        part("a", "yes", 0.5),
        part("b minus c", "unsure", 0.2),
        part("b minus c", "unsure", 0.3, method="pearson_log"),
        part("d", "no", 0.1),
        part("e", "yes", 0.6, kind="shown"),
    ]
    names = {
        verdict: [one["part"] for one in deciding(Claim(**FIELDS, verdict=verdict, parts=parts))]
        for verdict in ("partly", "undecided", "not tested at this size")
    }
    assert names["undecided"] == ["b minus c", "b minus c"]
    assert names["partly"] == names["not tested at this size"] == ["a"]
    failed = Claim(
        **FIELDS, parts=parts, reason="d: known to ±3", verdict="not tested at this size"
    )
    assert [one["part"] for one in deciding(failed)] == ["d"]
    unknown = [{**one, "value": None} for one in parts[:4]]
    assert deciding(Claim(**FIELDS, parts=[*unknown, parts[4]])) == [parts[4]]


def test_of_two_texts_it_is_said_where_a_part_is_true():
    def beside(*told, **more):
        return {**part(*told, **more), "corpus": "enwiki", "tables": "enwiki-7m"}

    own = {"corpus": "wikitext-2", "tables": "wikitext-2", "verdict": "holds"}
    logs = {"method": "pearson_log"}
    parts = [
        part("a", "yes", 0.5), part("a", "unsure", 0.4, **logs),
        beside("a", "yes", 0.6), beside("a", "yes", 0.7, **logs),
    ]  # fmt: skip
    claim = Claim(**FIELDS, parts=parts, **own)
    assert _judged(claim).astext() == (
        "holds its part counts as true by the rule: a, on WikiText-2 (raw frequency) and "
        "Wikipedia only"
    )
    lines = [line for line in _ours(claim).astext().split("\n") if line]
    assert lines[1:5] == [
        "0.50 [0.49, 0.51] raw frequency, WikiText-2, first round",
        "0.40 [0.39, 0.41] log frequency, WikiText-2, first round",
        "0.60 [0.59, 0.61] raw frequency, Wikipedia",
        "0.70 [0.69, 0.71] log frequency, Wikipedia",
    ]
    contradict = Claim(
        **FIELDS, parts=[part("a", "yes", 0.5), beside("a", "no", 0.1)],
        **{**own, "verdict": "partly"},
    )  # fmt: skip
    assert "the two texts contradict each other: a" in _judged(contradict).astext()
    scales = [part("a", "yes", 0.5), {**part("a", "no", 0.4), "method": "pearson_log"}]
    own["verdict"] = "partly"
    alone = Claim(**FIELDS, parts=scales, **own)
    assert "raw and log frequency contradict each other: a" in _judged(alone).astext()
    settled = Claim(**FIELDS, parts=[*scales, beside("a", "yes", 0.5)], **own)
    assert "contradict" not in _judged(settled).astext()  # what is divided here is true there
    elsewhere = {"corpus": "enwiki", "tables": "enwiki", "value": 0.1, "interval": [-0.1, 0.3]}
    found = {**own, "verdict": "holds", "parts": [part("a", "yes", 0.5)]}
    for verdict, told in (("undecided", True), ("holds", False), (NOT_TESTED, False)):
        claim = Claim(**FIELDS, **found, elsewhere=[{**elsewhere, "verdict": verdict}])
        assert (f"Wikipedia, first round: {verdict}" in _judged(claim).astext()) == told


def test_the_deciding_part_stands_with_its_values_the_paper_and_other_texts():
    other = {"tables": "t-first", "corpus": "t", "value": -0.011, "interval": [-0.02, 0.0]}
    parts = [part("b minus c", "yes", 0.42)]
    own = {"corpus": "wikitext-2", "tables": "wikitext-2-2"}
    claim = Claim(**FIELDS, parts=parts, **own, elsewhere=[other])
    lines = [line for line in _ours(claim).astext().split("\n") if line]
    assert lines == [
        "b minus c",
        "0.42 [0.41, 0.43] WikiText-2, round 2",
        "−0.011 [−0.020, 0.000] t, first",
        "paper: x",
    ]
    assert _ours(Claim(**{**FIELDS, "paper": "this book"})).astext() == "–"


def test_verdicts_are_counted_and_what_was_not_tested_stands_apart():
    told = nodes.paragraph(
        "", "", *tally(["undecided", "holds", "not tested at this size", "holds", "fails"])
    )
    assert told.astext() == "2 hold 1 fails 1 undecided 1 not tested at this size"


def test_a_finding_that_no_tables_decide_yet_has_no_size():
    page = SimpleNamespace(srcdir=str(ROOT), note_dependency=lambda path: None)
    sizes = Claims._sizes(SimpleNamespace(env=page), [Claim(**FIELDS)], "emergent")
    assert sizes is None


def test_the_size_of_a_run_is_told():
    corpus = {"name": "enwiki", "tokens": {"train": 6_298_422}}
    known = {"corpus": corpus, "settings": {"epochs": 5}, "seeds": [0]}
    assert run_size(known, 1) == "Wikipedia, 6.3 million words, 5 passes, one seed"
    short = {**known, "settings": {"max_tokens": 6000, "epochs": 1}, "seeds": [0, 1]}
    assert run_size(short, 2) == "Wikipedia, 6,000 words, 2 seeds"


def test_the_project_is_cited_as_its_citation_file_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    entry = bibtex(citation, "2026")
    assert entry.startswith("@software{sparsecore,") and citation["title"] in entry
    assert f"version = {{{citation['version']}}}" in entry


def test_a_verdict_says_in_words_what_its_colour_says():
    badge = verdict_badge("fails")
    assert badge.astext() == "fails"
    assert 'classes="verdict verdict-fails"' in str(badge)


def test_a_reference_run_is_told_with_the_command_that_makes_it():
    from sparsecore.experiments.emergent.config import Emergent

    settings = dict(vars(Emergent.preset("small", epochs=7)))
    for own in ("seed", "device", "corpus"):
        del settings[own]
    provenance = {
        "experiment": "emergent",
        "varied": {},
        "runs": ["1a", "2b"],
        "corpus": {"name": "wikitext-2"},
        "settings": settings,
        "seeds": [0, 1],
        "devices": ["some CPU"],
        "minutes": [61.2, 58.0],
    }
    row = [cell.astext() for cell in _run_row(Path("emergent/mine/provenance.json"), provenance)]
    command = "sparsecore sweep emergent --preset small --corpus wikitext-2 --epochs 7 --seeds 2"
    assert row == ["emergent/mine", "–", command, "2", "0, 1", "some CPU", "58–61"]
    listed = _run_row(Path("emergent/wikitext-2/provenance.json"), provenance)[2].astext()
    assert listed == "emergent-wikitext-2"  # a study of studies.toml


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("causes/enwiki-2", "1, 2, 3, 4, 5, 8, 9"),
        ("causes/enwiki-2-shuffled", "6"),
        ("causes/enwiki-2-networks", "7"),
        ("causes/enwiki-3", "10, 11, 12"),
        ("tagging/ud-english-ewt", "1, 3, 4"),  # four of the twelve seeds of 1
        ("tagging/ud-english-ewt-2", "1, 2"),  # 30 seeds decide 2, without those of other rounds
        ("tagging/ud-english-ewt-3", "1"),
        ("reciting/ptb-3500", "1, 2, 3"),
        ("emergent/enwiki-7m-lr20", "1, 3, 4, 6, 7, 8"),  # of equal standing
        ("reciting/ptb", ""),
    ],
)
def test_the_findings_that_rest_on_the_tables_of_a_folder_are_numbered(folder, expected):
    path = ROOT / "book" / "results" / folder / "provenance.json"
    claims = read_claims(ROOT / "book" / "results" / "claims.toml")
    assert decided_by(path, claims) == expected


def test_costs_are_told_as_measured_and_as_extrapolated():
    speed = {"source": "run", "name": "mine", "device_name": "CPU", "threads": 1, "runs": 3}
    speeds = [{**speed, "tokens_per_second": 227e6 / 3600}]
    assert "63,056" in measured_costs(speeds).astext()
    told = extrapolated_costs(speeds, passes=51).astext().split("\n\n")
    assert [cell for cell in told if cell][5:] == [
        "mine; CPU",
        "1 hour",
        "2.1 days",
        "8.8 hours",
        "19 days",
    ]


def test_tables_have_a_header_and_scroll_by_themselves():
    drawn = table(["A"], [[verdict_badge("holds")]], "claims")
    assert drawn["classes"] == ["table-scroll"]
    assert drawn.astext().split() == ["A", "holds"]


def test_a_number_in_a_sentence_is_that_of_the_one_row_that_fits(tmp_path):
    table = pd.DataFrame(
        {
            "arm": ["a", "a", "b"],
            "measure": ["held out", "training", "held out"],
            "value": [0.0012, 0.5, 2.0],
            "low": [0.001, float("nan"), 1.0],
            "high": [0.0014, float("nan"), 3.0],
        }
    )
    correlations = pd.DataFrame({"value": ["chi"], "rho": [0.5], "low": [0.4], "high": [0.6]})
    tables = {"slopes": table, "rho": correlations, "words": pd.DataFrame({"words": [1]})}
    write_tables(tables, {}, tmp_path / "causes" / "text")
    folder = "causes/text slopes"
    assert cell(tmp_path, f'{folder} arm=a measure="held out" * 1000') == "1.20 [1.00, 1.40]"
    assert cell(tmp_path, f"{folder} arm=a measure=training") == "0.50"
    assert cell(tmp_path, f"{folder}.value arm=a * -100 %.1f") == "−25.1"
    assert cell(tmp_path, f"{folder} value=last") == "2.00 [1.00, 3.00]"
    assert cell(tmp_path, "causes/text rho value=chi") == "0.50 [0.40, 0.60]"
    for wrong, message in {
        f"{folder} arm=a": "2 rows of causes/text fit",
        f"{folder} arm=c": "0 rows of causes/text fit",
        f"{folder} arms=a": "has no column 'arms'",
        "causes/text words": "no column 'value': name one",
        "causes/text slope arm=a": "there is no table 'slope'",
        "causes/other slopes arm=a": "there is no table 'slopes' in causes/other",
    }.items():
        with pytest.raises(InputError, match=message):
            cell(tmp_path, wrong)


def test_a_mean_over_the_seeds_of_several_folders_has_students_interval(tmp_path):
    for folder, seeds in (("one", [1, 2]), ("two", [3, 4])):
        rows = pd.DataFrame({"seed": seeds * 2, "measure": ["a", "a", "b", "b"]})
        rows["value"] = [*seeds, *(2 * seed for seed in seeds)]
        write_tables({"replicates": rows}, {}, tmp_path / "causes" / folder)
    folders = "causes/one causes/two replicates"
    assert over_seeds(tmp_path, f"{folders} measure=a") == "2.50 [0.45, 4.55]"
    assert over_seeds(tmp_path, f"{folders}.value measure=a") == "2.50 [0.45, 4.55]"
    assert over_seeds(tmp_path, f"{folders} measure=a %.1f") == "2.5"
    less = over_seeds(tmp_path, f"{folders} measure=a minus measure=b * 10")
    assert less == "−25.00 [−45.54, −4.46]"
    for wrong, message in {
        folders: "not a row a seed",
        f"{folders} measure=c": "not a row a seed",
        f"{folders} measure=a minus measure=b seed=1": "have different seeds",
        "causes/three replicates": "there is no table",
    }.items():
        with pytest.raises(InputError, match=message):
            over_seeds(tmp_path, wrong)


def test_a_number_stays_with_its_percent_or_unit_and_an_interval_whole():
    told = TOGETHER.sub(
        "_", "95 % of 0.1 [−0.2, 0.34]; f(1, 2) % 3, 12 %; 0.9\nmillion, 5 s of 3 ± 1"
    )
    assert told == "95_% of 0.1 [−0.2,_0.34]; f(1, 2) % 3, 12_%; 0.9_million, 5_s of 3_±_1"
    number = nodes.strong("", "15")
    line = nodes.paragraph("", "", nodes.Text("of "), number, nodes.Text(" % or 3"))
    block = nodes.paragraph("", "", nodes.Text(" percent of 3"), nodes.literal("", "4 %"))
    document = nodes.document(None, None)
    document += [line, block]
    keep_numbers_whole(None, document, "")
    assert line.astext() == "of 15\u00a0% or 3" and block.astext() == " percent of 34 %"
