"""What the pages of language modelling and of reciting say: numbers of the tables in sentences."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from sparsecore.experiments.language import tables as language_tables
from sparsecore.experiments.reciting import tables as reciting_tables
from sparsecore.report.pages import language, reciting
from sparsecore.report.pages.parts import Study
from sparsecore.report.pages.verdicts import parts_table, verdict_sentence
from sparsecore.training.run_folder import Run
from tests.experiments.test_language_tables import made as language_made
from tests.experiments.test_reciting_tables import AS_PRINTED
from tests.experiments.test_reciting_tables import made as reciting_made

CORPUS = {"name": "embedded", "tokens": {"train": 12_345}, "types": 678}
PROVENANCE = {
    "corpus": {**CORPUS, "name": "ptb"},
    "runs": ["a", "b"],
    "settings": {"epochs": 25, "finetune_epochs": 3},
}


@pytest.fixture
def run(tmp_path):
    """A finished run, as far as the pages look at it."""
    (tmp_path / "environment.json").write_text(json.dumps({"corpus": CORPUS}))
    (tmp_path / "config.json").write_text(json.dumps({"epochs": 6, "finetune_epochs": 2}))
    pd.DataFrame({"epoch": [1, 2], "seconds": [40.0, 50.0]}).to_parquet(tmp_path / "timing.parquet")
    return Run(tmp_path)


def cells(table):
    rows = re.findall(r"<tr.*?</tr>", table.data.replace("\u00a0", " "), re.DOTALL)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]


def test_language_page(run):
    yours, reference = (
        {**tables, "runs": tables["runs"].assign(train_tokens=900_000)}
        for tables in (language_made(61.0, 57.0, 45.0), language_made(59.0, 58.5, 35.0))
    )
    alone = Study("language", lambda: ([run] * 2, yours), None, None, "quick")
    beside = replace(alone, reference=reference, provenance=PROVENANCE)
    said = language.about(alone).data
    assert "12,345 words of the documentation of installed packages with 678" in said
    assert "for 6 epochs and at most 2" in said and "3 minutes" in said and "no reference" in said
    assert (
        "of the Penn Treebank with 678 different ones for 25 epochs" in language.about(beside).data
    )
    assert "4 dense models (hidden size 1,150, 24,221,600 parameters)" in said
    rows = cells(language.perplexity_table(beside))
    assert rows[0] == ["model", "step", "paper", "reference runs", "your runs"]
    assert rows[2] == ["sparse", "without fine-tuning", "57.9 ± 0.3", "59.2 ± 0.1", "61.2 ± 0.1"]
    assert len(rows) == 5 and len(cells(language.perplexity_table(alone))[0]) == 4
    assert len(cells(language.gap_table(alone))) == 5
    said = language.perplexity_sentence(alone).data
    dense, sparse = (float(x) for x in re.findall(r"of (\d+\.\d)", said)[:2])
    assert dense == pytest.approx(60.15, abs=0.06) and sparse == pytest.approx(61.15, abs=0.06)
    assert "so the dense one is ahead by 1.0; after fine-tuning" in said
    assert "the sparse one is ahead by 1.0; after" in language.perplexity_sentence(beside).data
    said = verdict_sentence(beside, 1, 3).data
    assert said.startswith("Finding 1 **") and said.count("in your runs it **") == 2
    assert len(cells(parts_table(beside, 1, 2, 3))) == 6


def test_reciting_page(run):
    yours, reference = reciting_made([100, 90, 80, 70, 60, 50, 40]), reciting_made(AS_PRINTED)
    alone = Study("reciting", lambda: ([run] * 2, yours), None, None, "quick")
    beside = replace(alone, reference=reference, provenance=PROVENANCE)
    said = reciting.about(alone).data
    assert "21 models, each with 100 words of the documentation" in said and "3 minutes" in said
    assert "100 words of the Penn Treebank" in reciting.about(beside).data
    rows = cells(reciting.accuracy_table(beside))
    assert len(rows) == 8
    assert rows[5][0] == "dense" and rows[5][7:10] == ["81.48", "81.48 ± 0.02", "60.00 ± 0.02"]
    assert "at a half the order is sparse RNN 100.0 %, sparse RNN + sparse embedding 99.7 %" in (
        reciting.accuracy_sentence(beside).data
    )
    assert "at a third the order is dense 60.0 %" in reciting.accuracy_sentence(alone).data


def test_a_page_shows_the_seeds_of_every_round():
    page = reciting.open_page("quick", "ptb-3500-2")
    assert set(page.main["accuracy"]["seeds"]) == {4}
    assert set(page.main["curves"]["seed"]) == set(page.main["runs"]["seed"]) == {10, 11, 12, 13}
    assert "28 models" in reciting.about(page).data
    alone = reciting.open_page("quick", "ptb-3500")
    assert set(alone.main["accuracy"]["seeds"]) == {3}


def test_pages_know_every_row_of_the_paper_s_tables():
    models = {(model, step) for model in ("dense", "sparse") for step in language_tables.STEPS}
    assert set(language.TABLE_1) == models and set(language.STEPS) == set(language_tables.STEPS)
    assert {part for part, _ in reciting_tables.PAPER} == set(reciting.SIZES)
