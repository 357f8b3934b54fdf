"""What the notebook of the tagging experiment shows: the study, its tables, its sentences."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from sparsecore.report.pages.parts import (
    Study,
    about_study,
    corpus_name,
    html_table,
    markdown,
    mean_and_sd,
    open_study,
)
from sparsecore.runs.reference import Summary

SHOWN = {
    "dense, 20 values": (20, 1.0, "up"),
    "frequent words long, 5 on average": (20, 0.25, "up"),
    "random order, 5 on average": (20, 0.25, "none"),
    "rare words long, 5 on average": (20, 0.25, "down"),
    "dense, 5 values": (5, 1.0, "up"),
}
"""The models whose accuracy is shown by how often words were seen."""

FIG3 = {
    "x_label": "values stored per word, on average ($k$, or $20\\,\\delta_E$)",
    "y_label": "accuracy, % of the test words",
    "names": {"dense": "dense, shorter vectors", "sparse": "sparse, 20 dimensions"},
    "log": True,
}
"""How :func:`sparsecore.report.figures.tradeoff` draws the paper's Fig. 3."""

ORDERS = {"up": "frequent words long", "none": "random order", "down": "rare words long"}
"""The orders of the vocabulary in words: which words have the long vectors."""

ORDER_NOTE = (
    "Accuracy in percent, ± one standard deviation over seeds. The order says which words have the "
    "long vectors (in the paper: <i>up</i>, <i>none</i>, <i>down</i>)."
)

TABLE_3 = {
    ("up", 1.0): "96.0 ± 0.3",
    ("up", 0.25): "96.1 ± 0.1",
    ("none", 0.25): "94.3 ± 0.4",
    ("down", 0.25): "89.8 ± 2.2",
    ("up", 0.1): "95.6 ± 0.1",
    ("none", 0.1): "93.0 ± 0.3",
    ("down", 0.1): "90.6 ± 0.5",
}
"""The paper's accuracies by order and density, on the Wall Street Journal."""


SILVER = (
    " The tags are *silver*: a machine gave them, so these models learn to imitate it. That shows "
    "how the experiment works; its results are those of the reference runs."
)

open_page = partial(open_study, "tagging", tune=True)
"""The study of a preset, its tuning runs first; finished runs are found, not repeated."""


def about(page: Study) -> Any:
    """What was trained: here, and in the reference runs."""

    def told(_: Summary, corpus: Mapping[str, Any], settings: Mapping[str, Any], runs: int) -> str:
        return (
            f"{runs} models, trained on {corpus['tokens']['train']:,} words of "
            f"{corpus_name(corpus)} with {corpus['types']:,} different ones and {corpus['tags']} "
            f"tags, for {settings['epochs']} epochs"
        )

    silver = page.own is not None and "silver" in page.runs[0].environment["corpus"]["source"]
    return about_study(page, told, SILVER if silver else "")


def accuracy_table(page: Study) -> Any:
    """Every setting: how many values, which dropouts, accuracy ± standard deviation over seeds."""
    tables = page.main
    rows = tables["accuracy"].sort_values(
        ["family", "order", "size"], ascending=[True, False, True]
    )
    return html_table(
        pd.DataFrame(
            {
                "embedding": rows["family"],
                "k": rows["embedding_dim"],
                "density δ": [f"{value:g}" for value in rows["density"]],
                "order": [
                    "–" if density == 1 else ORDERS[order]
                    for density, order in zip(rows["density"], rows["order"], strict=True)
                ],
                "values per word": [f"{value:g}" for value in rows["size"]],
                "its parameters": [f"{value:,}" for value in rows["embedding_parameters"]],
                "parameters of the model": [f"{value:,}" for value in rows["parameters"]],
                "dropouts": [_dropouts(row) for row in rows.to_dict("records")],
                "accuracy": [mean_and_sd(row) for row in rows.to_dict("records")],
            }
        ),
        note="k: width of the embedding; δ: share of its entries that are trained. "
        "Accuracy on the test set in percent; ±: standard deviation.",
    )


def orders_table(page: Study) -> Any:
    """Table 3: the paper's accuracies, those of the reference runs and the reader's."""
    columns = {name: _by_order(tables) for name, tables in page.shown().items()}
    rows = [
        {
            "order": "dense" if density == 1 else ORDERS[order],
            "density δ": f"{density:g}",
            "paper": paper,
            **{name: found.get((order, density), "–") for name, found in columns.items()},
        }
        for (order, density), paper in TABLE_3.items()
    ]
    return html_table(pd.DataFrame(rows), note=ORDER_NOTE)


def _by_order(tables: Summary) -> dict[tuple[str, float], str]:
    accuracy = tables["accuracy"]
    full = accuracy[accuracy["embedding_dim"] == accuracy["embedding_dim"].max()]
    return {(row["order"], row["density"]): mean_and_sd(row) for row in full.to_dict("records")}


def tuning_table(page: Study) -> Any:
    """Dev accuracy of each setting under each combination of dropouts, in percent."""
    tuning = page.main.get("tuning")
    if tuning is None:
        return markdown("The quick preset tunes nothing: all settings have the same dropouts.")
    rows = tuning.to_dict("records")
    shown = pd.DataFrame(
        {
            "embedding": [
                f"{name if row['density'] < 1 else 'dense'}, {row['size']:g} values"
                for row, name in zip(rows, tuning["order"].map(ORDERS), strict=True)
            ],
            "dropouts": [_dropouts(row) for row in rows],
            "accuracy": [100 * row["dev_accuracy"] for row in rows],
        }
    )
    wide = shown.pivot(index="embedding", columns="dropouts", values="accuracy")
    wide = wide.loc[shown["embedding"].unique(), shown["dropouts"].unique()]
    best = wide.T.max()
    marked = wide.apply(
        lambda column: [
            f"{value:.2f}{' ★' if value == top else ''}"
            for value, top in zip(column, best, strict=True)
        ]
    )
    marked.columns.name = None
    return html_table(marked.reset_index())


def size_sentence(page: Study) -> Any:
    """What the smallest embeddings lose against the full one, dense and sparse, in numbers."""
    points = page.main["tradeoff"]
    full = points[points["size"] == points["size"].max()]["accuracy"].iloc[0]
    small = points[points["size"] == points["size"].min()].set_index("family")
    size = points["size"].min()
    return markdown(
        f"In {page.whose} the full embedding, 20 values per word, reaches {full:.1f} %. With "
        f"{size:g} values per word the dense one reaches {small.loc['dense', 'accuracy']:.1f} %, "
        f"the sparse one {small.loc['sparse', 'accuracy']:.1f} %, from equally many parameters."
    )


def _dropouts(row: dict[Any, Any]) -> str:
    """``word 0.1, variational 0.2``; ``none`` for none."""
    names = {"word_dropout": "word", "embedding_dropout": "variational", "weight_drop": "W_hh"}
    told = [f"{name} {row[field]:g}" for field, name in names.items() if row[field]]
    return ", ".join(told) or "none"
