"""What the notebooks say: sentences and tables whose numbers are those of the run."""

import dataclasses

import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.report import figures
from sparsecore.report.pages import emergent as pages
from sparsecore.report.pages.emergent import Page
from sparsecore.report.pages.parts import reference_folder
from sparsecore.report.pages.verdicts import parts_table, verdict_sentence
from sparsecore.runs.claims import format_value
from sparsecore.runs.reference import describe, tables_of
from sparsecore.training.run_folder import Run
from tests import synthetic


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    run = Run(synthetic.write_run(tmp_path_factory.mktemp("page") / "run", count=300))
    tables = tables_of([run], n_boot=20)
    return Page("emergent", lambda: ([run], tables), None, None, "quick")


@pytest.fixture(scope="module")
def beside(alone):
    return Page("emergent", alone.compute, alone.yours, describe([alone.run]), "quick")


def test_rho_is_read_from_the_table(alone):
    value, low, high = pages.rho(alone.yours, method="pearson_log")
    table = alone.yours["correlations"].query(
        "epoch == 4 and layer == 'lstm2' and signal == 'gradient' and role == 'target'"
        " and method == 'pearson_log' and value == 'chi'"
    )
    assert value == pytest.approx(table["rho"].iloc[0])
    assert low <= value <= high
    first = pages.rho(alone.yours, method="pearson_log", epoch=0)[0]
    assert first < value
    with pytest.raises(InputError, match="there is no rho for"):
        pages.rho(alone.yours, layer="lstm7")


def test_sentences_say_whose_numbers_they_are(alone, beside):
    value, *ends = pages.rho(alone.yours)
    text = pages.rho_sentence(alone, "It is").data
    assert text == f"It is: **{format_value(value, ends)}** in your run."
    assert "in the reference runs and" in pages.rho_sentence(beside, "It is").data
    assert "None in this checkout yet" in pages.about(alone).data
    assert "one seed" in pages.about(beside).data
    reason = "**is not tested at this size** in your run (1 seed; an interval needs three)"
    assert verdict_sentence(alone, 2).data == f"Finding 2 {reason}."
    both = verdict_sentence(beside, 2).data
    assert both.count("is not tested at this size") == 2
    assert "in the reference runs (1 seed; an interval needs three); in your run it **is" in both


def test_the_published_page_shows_the_reference_runs_alone(beside):
    page = dataclasses.replace(beside, executed=False)
    assert page.own is None and page.main is page.reference
    assert pages.rho_sentence(page, "It is").data.endswith("in the reference runs.")
    shown = [pages.about(page), verdict_sentence(page, 1), pages.differences_table(page),
             pages.null_sentence(page, n_permutations=20)]  # fmt: skip
    assert all("your run" not in one.data.lower() for one in shown)
    assert parts_table(page, 1) is None  # the page of verdicts has the table


def test_a_page_draws_its_sides_under_their_names(beside):
    axes = beside.beside(figures.training_curve, "epochs", same_y=False)
    assert [ax.get_title() for ax in axes] == ["reference runs", "your run"]
    published = dataclasses.replace(beside, executed=False)
    assert len(published.beside(figures.training_curve, "epochs")) == 1


def test_the_published_page_computes_no_run(beside):
    def compute():
        raise AssertionError("a run was asked for")

    page = dataclasses.replace(beside, compute=compute, executed=False)
    assert page.own is None and page.widths == ({"width": 200}, {})
    assert "reference runs" in pages.about(page).data.lower()
    assert "your run" not in pages.differences_table(page).data
    with pytest.raises(AssertionError, match="a run was asked for"):
        _ = page.yours


def test_differences_have_a_row_for_each_set_of_words_and_the_verdicts_interval(alone, beside):
    html = pages.differences_table(alone).data
    assert html.count("<tr") == len(pages.DIFFERENCES) + 1 and "<th>your run</th>" in html
    tables = dict(alone.yours)
    part = pages.DIFFERENCES["W, at equal log frequency"][0]
    tables["verdicts"] = pd.DataFrame(
        [{"finding": 7, "part": part, "method": "mean", "value": 0.0015, "low": -0.001,
          "high": 0.004}]
    )  # fmt: skip
    shown = pages.differences_table(dataclasses.replace(beside, reference=tables)).data
    assert "+1.5 [−1.0,\N{NO-BREAK SPACE}+4.0]" in shown


def test_a_sentence_has_the_interval_of_the_verdict_where_there_is_one(beside):
    part = (1, "ρ over all words at the last epoch")
    own = beside.yours["verdicts"].query("finding == 1 and part == @part[1]")
    known = own.assign(value=0.5, low=0.25, high=0.75)
    tables = {**beside.yours, "verdicts": known}
    text = pages.rho_sentence(dataclasses.replace(beside, reference=tables), "It is", part).data
    assert text.startswith("It is: **0.50 [0.25, 0.75]** in the reference runs and **")
    none = {**tables, "verdicts": known.assign(low=float("nan"))}
    text = pages.rho_sentence(dataclasses.replace(beside, reference=none), "It is", part).data
    assert format_value(*pages.rho(none)[:1], pages.rho(none)[1:]) in text


def test_null_is_told_for_both(alone, beside):
    text = pages.null_sentence(beside, n_permutations=200).data
    assert "shuffled among words 200 times" in text and "0.005 on log frequency" in text
    assert text.count("on log frequency") == 2 and "the least possible p is 0.005" in text
    assert pages.null_sentence(alone, n_permutations=200).data.count("on log frequency") == 1


def test_the_table_of_parts_has_a_row_for_each_and_a_line_for_each_method(alone, beside):
    parts = alone.yours["verdicts"].query("finding in [1, 7]")
    rows = len(parts[["finding", "part"]].drop_duplicates())
    html = parts_table(alone, 1, 7, scales=pages.SCALES).data
    assert html.count("<tr") == rows + 1 and html.count("<i>") == len(parts)
    assert html.count("raw frequency:") == (parts["method"] == "pearson").sum() > 0
    assert "dataframe" not in html
    both = parts_table(beside, 1, 7).data
    assert both.count("<tr") == rows + 1 and both.count("<i>") == 2 * len(parts)
    assert "reference runs" in both


def test_verdicts_show_the_parts_where_they_are_the_readers(beside, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    page = dataclasses.replace(beside, executed=False)
    assert pages.verdicts(page, 1).data == verdict_sentence(page, 1).data and not shown
    assert pages.verdicts(beside, 1).data == verdict_sentence(beside, 1).data
    assert [table.data for table in shown] == [parts_table(beside, 1, scales=pages.SCALES).data]


def test_matched_words_and_extremes(alone):
    tables = pages.with_matched(alone.yours)
    assert tables is not None
    sizes = tables["matched"]["word_class"].value_counts()
    assert sizes["open"] == sizes["closed"]
    assert pages.with_matched(None) is None
    html = pages.extremes(alone.yours, min_frequency=50, count=3).data
    assert html.count("<tr") == 5 and "open, least concentrated" in html


def test_an_unknown_reference_is_named(tmp_path, monkeypatch):
    (tmp_path / "book" / "results" / "emergent" / "wikitext-2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert reference_folder("emergent", "wikitext-2").is_dir()
    with pytest.raises(InputError, match=r"'wikitext2' \(did you mean 'wikitext-2'\?\)"):
        reference_folder("emergent", "wikitext2")


def test_widths_are_those_of_the_upper_layer(alone, beside):
    assert alone.widths == ({}, {"width": 200})
    assert beside.widths == ({"width": 200}, {"width": 200})
