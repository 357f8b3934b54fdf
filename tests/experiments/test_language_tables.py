"""The findings of a language-modelling study follow from made-up results as the rules say."""

import numpy as np
import pandas as pd
import pytest

from sparsecore.experiments.language.findings import verdict_parts
from sparsecore.experiments.language.tables import tables_of

SEEDS = 4


def results(sparse_before, sparse_after, sparse_train):
    """Runs of a dense model at 60 (58 fine-tuned, train 40) and of a sparse one as told."""
    rows = []
    for stack, before, after, train in (
        ("dense", 60.0, 58.0, 40.0),
        ("sparse_hidden", sparse_before, sparse_after, sparse_train),
    ):
        for seed in range(SEEDS):
            wobble = 0.1 * seed
            rows.append(
                {
                    "seed": seed,
                    "stack": stack,
                    "hidden_size": 1150,
                    "reduction": 1.0,
                    "run": f"{stack}{seed}",
                    "test_perplexity": before + wobble,
                    "valid_perplexity": before + 2 + wobble,
                    "train_perplexity": train,
                    "test_perplexity_finetuned": after + wobble,
                    "valid_perplexity_finetuned": after + 2 + wobble,
                    "train_perplexity_finetuned": train - 2,
                    "parameters": 24_221_600,
                    "train_tokens": 929_589,
                }
            )
    return pd.DataFrame(rows)


def made(*args):
    table = results(*args)
    epochs = pd.concat(
        [
            table[["seed", "stack", "hidden_size", "reduction", "run"]].assign(
                epoch=epoch, phase="train", train_loss=5.0, valid_loss=5.0, averaged=False
            )
            for epoch in (1, 2)
        ]
    )
    return tables_of({"results": table, "epochs": epochs})


def test_table_1():
    table = made(59.0, 58.5, 35.0)["perplexity"].set_index(["model", "finetuned"])
    assert table.loc[("dense", "no"), "test_perplexity"] == pytest.approx(60.15)
    assert table.loc[("sparse", "yes"), "test_perplexity"] == pytest.approx(58.65)
    assert table.loc[("sparse", "yes"), "sd"] == pytest.approx(np.std([0, 0.1, 0.2, 0.3], ddof=1))
    expected = np.mean(np.log((60 + np.array([2, 2.1, 2.2, 2.3])) / 40))
    assert table.loc[("dense", "no"), "gap"] == pytest.approx(expected)
    assert (table["low"] < table["test_perplexity"]).all() and (table["seeds"] == SEEDS).all()


@pytest.mark.parametrize(
    ("sparse", "outcomes"),
    [
        ((59.0, 58.5, 35.0), ["yes", "yes", "yes", "yes", "yes"]),  # as in the paper
        ((61.0, 57.0, 45.0), ["no", "no", "no", "no", "no"]),
        ((60.0, 58.0, 40.0), ["unsure"] * 5),
    ],
)
def test_outcomes(sparse, outcomes):
    found = verdict_parts(made(*sparse))
    assert list(found["finding"]) == [1, 2, 3, 3, 3]
    assert list(found["outcome"]) == outcomes
    assert (found["seeds"] == SEEDS).all()


def test_one_seed_decides_nothing():
    runs = made(59.0, 58.5, 35.0)["runs"]
    assert set(verdict_parts({"runs": runs[runs["seed"] == 0]})["outcome"]) == {"unsure"}
