"""The pages of the learned part on a small study of generated reviews."""

import re

import pytest

from sparsecore.errors import InputError
from sparsecore.learned.sentiment import experiment
from sparsecore.learned.sentiment.experiment import Points
from sparsecore.runs.pages import sentiment as pages
from sparsecore.runs.pages.parts import parts_table
from tests.learned.planted import write_planted

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
    table = text_of(pages.accuracy_table(pages.main(page)))
    assert "fixed, 2,0,0,0" in table and "learned, goal 8" in table
    assert "fine-tuned" in text_of(pages.ablation_table(page.yours))
    assert "2 points" in text_of(pages.ablation_sentence(page))
    assert "points" in text_of(pages.gain_sentence(page)) and "your runs" in text_of(
        pages.gain_sentence(page)
    )
    shown = text_of(
        parts_table(page.yours, None, 1, 2, 3, scales=pages.METHODS, scale_name="interval")
    )
    assert "over seeds" in shown and "over documents" in shown and "frequency" not in shown


def test_a_model_is_read(given):
    reader = pages.open_reader("quick", **given)
    assert "of 12 transitions" in text_of(pages.about_reader(reader)).lower()
    states, names = pages.kept_automata(reader)
    assert list(names.values()) == [f"pattern {n + 1}" for n in range(len(names))]
    assert (
        states.groupby("wfsa")["kept"].any().all()
        and len(names) == reader.patterns["wfsa"].nunique()
    )
    phrases = text_of(pages.phrase_rows(reader.patterns))
    assert "pattern 1" in phrases and "top" in phrases and "bottom" in phrases
    shown = text_of(pages.decision(reader, "It was not really worth <b> the unheard-of time."))
    assert "&lt;" in shown and "Together:" in shown and "bias" in shown
    shares = [int(share) for share in re.findall(r"(\d+) %", shown)]
    assert sum(shares) == pytest.approx(100, abs=3)
    assert pages.reference_phrases("none").data == ""


def test_bad_parameters(given):
    with pytest.raises(InputError, match="sentence must hold at least one word"):
        pages.check_sentence("  ")
    with pytest.raises(InputError, match="unknown preset 'quik'"):
        pages.open_reader("quik", **given)
    reader = pages.open_reader("quick", **given)
    with pytest.raises(InputError, match="no words"):
        pages.decision(reader, " ")
