"""The table on pruning in "Use it on your model": its script runs, and made what is committed."""

import json

import pandas as pd

from sparsecore.data.language import prepare_corpus
from tests.conftest import small_text
from tools import prune_example


def test_each_row_is_a_smaller_model(text_file, monkeypatch):
    for name, value in {"SIZE": 8, "B": 4, "T": 10, "RATE": 0.02}.items():
        monkeypatch.setattr(prune_example, name, value)
    text_file.write_text(small_text(400))
    corpus = prepare_corpus(str(text_file), threshold=1, progress=False)
    table = prune_example.measured(corpus, {"seed": 0, "epochs": 1, "strength": 0.1})
    assert table["units"][0] == "8 + 8" and (table["perplexity"] > 1).all()
    for units, parameters in zip(table["units"], table["LSTM parameters"], strict=True):
        first, second = (int(n) for n in units.split(" + "))
        assert parameters == 4 * (first * (8 + first + 2) + second * (first + second + 2))
    assert (table["LSTM parameters"].diff()[1:] < 0).all()


def test_committed_table_is_of_the_scripts_settings():
    table = pd.read_csv(prune_example.OUT / "language.csv")
    said = json.loads((prune_example.OUT / "provenance.json").read_text(encoding="utf-8"))
    assert len(table) == len(prune_example.SHARES)
    assert said["settings"].items() >= prune_example.SETTINGS.items()
    assert (table["LSTM parameters"].diff()[1:] < 0).all()
