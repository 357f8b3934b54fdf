"""The pages of the learned part on a small study of generated reviews."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from sparsecore.errors import InputError
from sparsecore.experiments.sentiment import config as experiment
from sparsecore.experiments.sentiment.config import Points
from sparsecore.experiments.sentiment.tables import load_trained
from sparsecore.report.explorers import AutomataReader
from sparsecore.report.explorers.bundle import STATIC
from sparsecore.report.explorers.numbers import from_eight_bits
from sparsecore.report.pages import parts, patterns
from sparsecore.report.pages import sentiment as pages
from sparsecore.report.pages.automata import readable
from sparsecore.report.pages.verdicts import parts_table
from tests.browser import run_node
from tests.pruning.planted import write_planted

SMALL = Points((None,), ("2,0,0,0", "0,2,0,0"), {8: (3, 1e-4), 3: (2, 1e-3)}, 1)


def text_of(shown):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown.data))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture
def given(home, monkeypatch):
    """A study of four short runs, computed once for all tests of this file."""
    monkeypatch.setenv("SPARSECORE_HOME", str(home))
    monkeypatch.setattr(parts, "reference_folder", lambda *_: home / "none")  # no references
    monkeypatch.setitem(experiment.STUDIES, "quick", SMALL)
    quick = {**experiment.PRESETS["quick"], "structure": "0,0,4", "max_epochs": 12, "batch_size": 8}
    monkeypatch.setitem(experiment.PRESETS, "quick", quick)
    if not (home / "reviews.tsv").exists():
        write_planted(home, count=200)
    return {"corpus": str(home / "reviews.tsv"), "vectors": str(home / "vectors.txt")}


def test_the_study_and_its_tables(given):
    page = pages.open_page("quick", "none", **given)
    assert len(page.runs) == 4 and page.reference is None
    about = text_of(pages.about(page))
    assert "4 models on 128 training documents" in about and "no reference runs" in about
    table = text_of(pages.accuracy_table(page.main))
    assert "fixed: 2 WFSAs of 1 transition" in table and "learned, goal: 8 transitions" in table
    assert (
        "A goal is the number of transitions" in table and "[" not in table.split("In brackets")[0]
    )
    assert "fine-tuned" in text_of(pages.ablation_table(page.yours))
    assert "2 points" in text_of(pages.ablation_sentence(page))
    assert "points" in text_of(pages.gain_sentence(page)) and "your runs" in text_of(
        pages.gain_sentence(page)
    )
    tried = pd.concat([run.table("trials") for run in page.runs])
    tried = tried[tried["strength"] > 0]
    assert tried["strength"].nunique() > 2  # more values of λ than searches
    assert sorted(page.yours["trials"]["log10_strength"]) == pytest.approx(
        sorted(np.log10(tried["strength"])), abs=1e-6
    )
    shown = text_of(parts_table(page, 1, 2, 3))
    assert "not counted:" in shown and "your runs" in shown


def shown_of(reader):
    """All that the page of the patterns says of a model."""
    states, names = patterns.kept_automata(reader)
    assert list(names.values()) == [f"pattern {n + 1}" for n in range(len(names))]
    assert states.groupby("wfsa")["kept"].any().all()
    assert len(names) == reader.patterns["wfsa"].nunique()
    phrases = text_of(patterns.phrase_rows(reader.patterns))
    assert "pattern 1" in phrases and "top" in phrases and "bottom" in phrases
    return text_of(patterns.about_reader(reader))


def test_a_model_of_ones_own_is_read(given):
    about = shown_of(patterns.open_reader("quick", "reviews", **given))
    assert "of 12 transitions" in about.lower()


def test_the_published_page_trains_nothing(monkeypatch):
    monkeypatch.setattr(pages, "execute", lambda *_, **__: pytest.fail("a run was started"))
    about = shown_of(patterns.open_reader("quick", "reviews", corpus=None, seed=0))
    assert "reviews of books" in about and "of 96 transitions" in about.lower()
    with pytest.raises(InputError, match="no reference tables 'review'"):
        patterns.open_reader("quick", "review")


def test_bad_parameters(given):
    with pytest.raises(InputError, match="unknown preset 'quik'"):
        patterns.open_reader("quik", "reviews", **given)


def trained_of(given):
    run = pages.smallest_run("quick", **given)
    return load_trained(run.path, run.config)


def test_the_automata_reader_decides_as_the_model_does(given):
    """For a sample: JavaScript's scores of all states, from scores in 8 bits, against PyTorch's."""
    trained = trained_of(given)
    arguments = readable(trained)
    sample = arguments["samples"][0]
    data = AutomataReader(**arguments).data
    read = ["<s>", *sample["text"].split(), "</s>"]
    layer = {"lengths": data["lengths"]}
    layer |= {name: from_eight_bits(arguments[name]).tolist() for name in ("main", "loop")}
    ids = [arguments["words"].index(word) for word in read]
    start = f"import * as r from {json.dumps((STATIC / 'rational.js').as_uri())};"
    found = run_node(
        f"{start} const layer = {json.dumps(layer)};"
        f"print(r.scores(layer, layer.lengths, r.arcs(layer, {ids})));"
    )
    model = trained.regularised
    assert model is not None
    rows = {word: n for n, word in enumerate(trained.inputs.corpus.words, 1)}
    rows |= {"<s>": len(rows) + 1, "</s>": len(rows) + 2}
    vectors = torch.from_numpy(trained.inputs.table)[[rows[word] for word in read]]
    logits = model(vectors[:, None])[0]
    logit = np.dot(found, data["weight"]) + data["offset"]
    assert logit == pytest.approx(float(logits[1] - logits[0]), rel=0.05, abs=0.05)  # 8 bits


def test_samples_are_of_both_labels_and_all_their_words_can_be_read(given):
    trained = trained_of(given)
    arguments = readable(trained)
    labels = {sample["label"] for sample in arguments["samples"]}
    assert labels == set(trained.inputs.corpus.labels)
    for sample in arguments["samples"]:
        assert set(sample["text"].split()) <= set(arguments["words"])


def test_a_baseline_has_nothing_to_prune(given):
    bare = dataclasses.replace(trained_of(given), regularised=None)
    with pytest.raises(InputError, match="needs a run with a penalty"):
        readable(bare)
