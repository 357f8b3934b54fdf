"""The figure of the front page, from tables and from the committed runs."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.report import figures
from sparsecore.report.figures.figure_data import points_of, rows_of
from sparsecore.report.pages.front import by_optimiser, over_training

mpl.use("agg")
RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"


def test_words_read_are_epochs_times_the_words_of_the_text():
    table = over_training(RESULTS)
    assert table.groupby(["words", "text"])["seed"].nunique().to_dict() == {
        (words, text): 3
        for words in ("all", "without")
        for text in ("enwiki-7m-lr20", "wikitext-2-lr20")
    }
    assert table.groupby("text")["millions"].max().to_dict() == pytest.approx(
        {"wikitext-2-lr20": 20 * 0.734761, "enwiki-7m-lr20": 3 * 6.999997}, rel=1e-3
    )
    log = table[(table["words"] == "all") & (table["method"] == "pearson_log")]
    for _, rows in log.groupby("text"):  # up, down, and up again
        rho = rows.groupby("millions")["rho"].mean()
        assert rho.iloc[1] > 0.3 and rho.min() < 0 < rho.iloc[-1]
    arms = by_optimiser(RESULTS)  # 3,000 updates of 10 texts by 35 words
    assert arms["millions"].max() == pytest.approx(1.05) and set(arms["seeds"]) == {3}


def test_every_line_of_all_panels_has_points_that_say_what_they_are():
    axes = figures.headline(over_training(RESULTS), by_optimiser(RESULTS))
    figure = axes[0].get_figure()
    told = points_of(figure)["text"]
    for name in ("Wikipedia, log", "Wikipedia, raw", "WikiText-2, log", "Adam", "SGD at 20"):
        assert told.str.startswith(f"{name}, ").any(), name
    rows = rows_of(figure)
    assert rows is not None and set(rows["panel"]) == {"all", "without", "optimisers"}
    plt.close("all")


def test_missing_columns_are_named():
    with pytest.raises(InputError, match="no column 'words'"):
        figures.headline(pd.DataFrame({"text": []}), pd.DataFrame({"arm": []}))
