"""The tables of a reciting study, on made-up results."""

import pandas as pd
import pytest

from sparsecore.experiments.reciting.config import TUNING_SEED, Reciting, rows
from sparsecore.experiments.reciting.tables import BOTH, DENSE, PAPER, RNN, tables_of

FIELDS = Reciting.varies
AS_PRINTED = [100.0, 99.33, 99.95, 99.74, 81.48, 76.37, 89.98]  # Table 4, row by row


def made(percents, seeds=3):
    """Runs of the seven rows with these accuracies, give or take 0.02."""
    results = []
    for seed in range(seeds):
        for number, row in enumerate(rows(Reciting.preset("paper", seed=seed, corpus="x"))):
            fields = {name: getattr(row, name) for name in FIELDS}
            share = (percents[number] + 0.02 * (seed - 1)) / 100
            own = {"accuracy": share, "evaluated_accuracy": share, "parameters": 1, "epochs": 9}
            run = f"{seed}{number}"
            results.append({"seed": seed, **fields, "run": run, **own, "tokens": 100})
    table = pd.DataFrame(results)
    return tables_of({"results": table, "epochs": table.assign(epoch=1, train_loss=1.0)})


def test_table_4_row_by_row():
    table = made(AS_PRINTED)["accuracy"]
    assert list(table["accuracy"]) == pytest.approx(AS_PRINTED)
    assert list(table["paper_accuracy"]) == AS_PRINTED  # each row found its place in the paper
    assert list(table["part"]) == [1, 2, 2, 2, 3, 3, 3]
    assert list(table["family"]) == [DENSE, *(DENSE, RNN, BOTH) * 2]
    assert len(PAPER) == 7 and (table["seeds"] == 3).all()


def test_the_runs_that_chose_the_rate_stand_apart():
    results = pd.DataFrame(
        [
            {**{name: getattr(row, name) for name in FIELDS}, "seed": seed, "run": "r"}
            | {"accuracy": 0.5, "evaluated_accuracy": 0.5, "parameters": 1, "epochs": 9}
            | {"tokens": 100, "best_epoch": 3}
            for seed in (0, TUNING_SEED)
            for row in rows(Reciting())
        ]
    )
    made = tables_of({"results": results, "epochs": results.assign(epoch=1, train_loss=1.0)})
    assert len(made["tuning"]) == len(made["runs"]) == len(made["curves"]) == 7
    assert (made["accuracy"]["seeds"] == 1).all()


def test_long_curves_keep_both_ends_and_every_so_many_epochs():
    row = {name: getattr(Reciting(), name) for name in FIELDS} | {"tokens": 100, "parameters": 1}
    own = row | {"accuracy": 0.5, "evaluated_accuracy": 0.5, "epochs": 9, "train_loss": 1.0}
    runs = pd.DataFrame([{"seed": seed, "run": f"r{seed}", **own} for seed in (0, 1)])
    epochs = runs.merge(pd.DataFrame({"epoch": range(1, 1201)}), how="cross")
    epochs = epochs[(epochs["seed"] == 0) | (epochs["epoch"] <= 1003)]  # one knew the text earlier
    curves = tables_of({"results": runs, "epochs": epochs})["curves"]
    assert list(curves.loc[curves["seed"] == 0, "epoch"]) == [1, *range(10, 1201, 10)]
    assert list(curves.loc[curves["seed"] == 1, "epoch"]) == [1, *range(10, 1001, 10), 1003]
