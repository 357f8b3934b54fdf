"""What the page of the tagger says: tables and sentences whose numbers are those of the runs."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from sparsecore.experiments.tagging.config import Tagging
from sparsecore.experiments.tagging.findings import verdict_parts
from sparsecore.experiments.tagging.tables import tables_of
from sparsecore.report.pages import parts
from sparsecore.report.pages import tagging as pages
from sparsecore.report.pages.parts import Study
from sparsecore.report.pages.verdicts import VERDICTS, parts_table, verdict_sentence
from sparsecore.runs.claims import read_claims
from sparsecore.training.run_folder import Run
from tests.experiments.test_tagging_tables import made_up

CLAIMS = Path(__file__).parents[2] / "book" / "results" / "claims.toml"
CORPUS = {
    "name": "embedded",
    "source": "documentation; silver tags",
    "tokens": {"train": 12_345},
    "types": 678,
    "tags": 17,
}
PROVENANCE = {
    "corpus": {**CORPUS, "name": "ewt", "source": "a treebank"},
    "runs": ["a", "b"],
    "settings": {"epochs": 25},
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "environment.json").write_text(json.dumps({"corpus": CORPUS}))
    (folder / "config.json").write_text(json.dumps({"epochs": 8}))
    pd.DataFrame({"epoch": [1, 2], "seconds": [40.0, 50.0]}).to_parquet(folder / "timing.parquet")
    tables = tables_of(made_up(preset="quick", tuning=False))
    return Study("tagging", lambda: ([Run(folder)] * 2, tables), None, None, "quick")


@pytest.fixture(scope="module")
def beside(alone):
    return Study("tagging", alone.compute, tables_of(made_up()), PROVENANCE, "quick")


def cells(table):
    rows = re.findall(r"<tr.*?</tr>", table.data.replace("\u00a0", " "), re.DOTALL)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]


def test_about_says_what_was_trained(alone, beside):
    own = "2 models, trained on 12,345 words of the documentation of installed packages"
    assert own in pages.about(alone).data and "3 minutes" in pages.about(alone).data
    assert "*silver*" in pages.about(alone).data
    assert "There are no reference runs yet" in pages.about(alone).data
    assert "2 models, trained on 12,345 words of ewt" in pages.about(beside).data
    assert "for 25 epochs" in pages.about(beside).data


def test_every_setting_has_a_row(alone, beside):
    rows = cells(pages.accuracy_table(beside))
    assert len(rows) - 1 == len(beside.reference["accuracy"])
    head, full = rows[0], next(row for row in rows if row[0] == "dense" and row[1] == "20")
    assert full[head.index("accuracy")] == "96.01 ± 0.09"
    assert full[head.index("parameters of the model")] == "23,309"
    assert full[head.index("dropouts")] == "word 0.2, variational 0.2, W_hh 0.2"
    assert len(cells(pages.accuracy_table(alone))) - 1 == 7


def test_table_3_stands_beside_the_paper(alone, beside):
    rows = cells(pages.orders_table(beside))
    assert rows[0] == ["order", "density δ", "paper", "reference runs", "your runs"]
    assert rows[1] == ["dense", "1", "96.0 ± 0.3", "96.01 ± 0.09", "96.01 ± 0.09"]
    assert rows[-1] == [
        "rare words long",
        "0.1",
        "90.6 ± 0.5",
        "90.01 ± 0.09",
        "–",
    ]  # quick has no 0.1
    assert cells(pages.orders_table(alone))[0][-1] == "your runs"


def test_the_best_dropouts_have_a_star(alone, beside):
    assert "tunes nothing" in pages.tuning_table(alone).data
    tuning = pd.DataFrame(
        [(20, 1.0, "up", 20.0, word, 0.0, 0.0, dev) for word, dev in ((0.0, 0.91), (0.1, 0.93))],
        columns=["embedding_dim", "density", "order", "size", "word_dropout", "embedding_dropout",
                 "weight_drop", "dev_accuracy"],
    )  # fmt: skip
    page = replace(beside, reference={**beside.reference, "tuning": tuning})
    assert cells(pages.tuning_table(page)) == [
        ["embedding", "none", "word 0.1"],
        ["dense, 20 values", "91.00", "93.00 ★"],
    ]


def test_sentences(alone, beside):
    text = pages.size_sentence(beside).data
    assert "In the reference runs the full embedding, 20 values per word, reaches 96.0 %" in text
    assert "With 2 values per word the dense one reaches 93.7 %, the sparse one 95.8 %" in text
    assert pages.size_sentence(alone).data.startswith("In your runs")
    verdicts = verdict_sentence(beside, 1, 3).data
    published = replace(beside, executed=False)
    claims = {claim.id: claim for claim in read_claims(CLAIMS)}
    told = verdict_sentence(published, 2).data  # the book's, whatever tables are shown
    assert told == f"Finding 2 **{VERDICTS[claims['tagging-2'].verdict]}** in the reference runs."
    assert "Finding 1 **holds** in the reference runs; in your runs it **holds**." in verdicts


def test_many_verdicts_are_told_in_a_sentence_a_verdict(beside, monkeypatch):
    wide = ("not tested at this size", "split slope, sgd-5, training: known to ±1")
    decided = {1: ("holds", ""), 2: ("fails", ""), 3: ("holds", ""), 4: wide}
    monkeypatch.setattr("sparsecore.report.pages.verdicts._decided", lambda _: decided)
    assert verdict_sentence(replace(beside, executed=False), 1, 2, 3, 4).data == (
        "Findings 1 and 3 **hold** in the reference runs. Finding 2 **fails**. Finding 4 **is not "
        "tested at this size** (split slope, SGD at 5, training: known to ±1)."
    )


def test_parts_are_matched_by_name(alone, beside):
    rows = cells(parts_table(beside, 1, 2, 3, 4))
    assert rows[0] == ["finding", "part of its rule", "reference runs", "your runs"]
    assert [row[1] for row in rows[1:5]] == [f"sparse minus dense, size {n}" for n in (2, 3, 4, 5)]
    assert rows[2][3] == "–" and rows[4][3] == rows[4][2]  # quick has 2 and 5 only
    assert rows[6] == ["2", "density 0.1 minus 1", "–", rows[6][3]]
    assert len(cells(parts_table(alone, 1, 2, 3, 4))) == 1 + len(verdict_parts(alone.yours))
    assert parts_table(replace(beside, executed=False), 1) is None


def test_the_page_tunes_before_it_studies_and_only_where_it_shows_the_reader_s_runs(monkeypatch):
    asked = []
    monkeypatch.setattr(parts, "run_all", lambda configs, progress: asked.append(configs) or [])
    monkeypatch.setattr(parts, "summary_of", lambda runs: {})
    monkeypatch.setattr(
        parts,
        "study_of",
        lambda experiment, preset, stage, **given: [stage, Tagging.preset(preset, **given).seed],
    )
    pages.open_page("quick", "ud-english-ewt")
    assert asked == []
    pages.open_page("quick", "ud-english-ewt", seed=3)
    assert asked == [["tune", 3], ["study", 3]]
