"""What the notebook of the tagging experiment shows: the study, its tables, its sentences."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from sparsecore.report.pages.parts import (
    Study,
    as_typed,
    html_table,
    markdown,
    open_study,
    parts_table,
)
from sparsecore.runs.reference import Summary
from sparsecore.runs.sweep import run_all, study_of

SHOWN = {
    "dense, 20 numbers a word": (20, 1.0, "up"),
    "sparse, 5 on average": (20, 0.25, "up"),
    "random order, 5 on average": (20, 0.25, "none"),
    "frequent words short, 5 on average": (20, 0.25, "down"),
    "dense, 5 numbers a word": (5, 1.0, "up"),
}
"""The models whose accuracy is shown by how often words were seen."""

FIG3 = {
    "x_label": "numbers stored a word, on average ($k$, or $20\\,\\delta_E$)",
    "y_label": "accuracy, % of the test words",
    "names": {"dense": "dense, shorter vectors", "sparse": "sparse, 20 dimensions"},
    "log": True,
}
"""How :func:`sparsecore.report.figures.tradeoff` draws the paper's Fig. 3."""

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


def open_page(preset: str, reference: str, **overrides: Any) -> Study:
    """The study of a preset, its tuning runs first; finished runs are found, not repeated.

    Raises:
        InputError: unknown preset, field or reference.
    """
    run_all(study_of("tagging", preset, "tune", **overrides), progress=False)
    return open_study("tagging", preset, reference, **overrides)


def about(page: Study) -> Any:
    """What was trained: here, and in the reference runs."""
    corpus = page.runs[0].environment["corpus"]
    seconds = sum(run.timing["seconds"].sum() for run in page.runs)
    settings = len(page.yours["accuracy"])
    words = corpus["tokens"]["train"]
    text = (
        f"Your study (preset *{page.preset}*): {len(page.runs)} models, {settings} settings, "
        f"trained on {words:,} words of {_name(corpus)} with {corpus['types']:,} different ones "
        f"and {corpus['tags']} tags, in {_duration(seconds)}."
    )
    if "silver" in corpus["source"]:
        text += (
            " The tags are *silver*: a machine gave them, so these models learn to imitate it. "
            "That shows how the experiment works; its results are those of the reference runs."
        )
    if page.provenance is None:
        return markdown(f"{text} There are no reference runs yet.")
    known, runs = page.provenance["corpus"], page.provenance["runs"]
    theirs = (
        f"The reference study: {len(runs)} models, trained on {known['tokens']['train']:,} words "
        f"of {_name(known)} with {known['types']:,} different ones and {known['tags']} tags, for "
        f"{page.provenance['settings']['epochs']} epochs."
    )
    return markdown(f"{theirs}\n\n{text}")


def accuracy_table(page: Study) -> Any:
    """Every setting: how many numbers, which dropouts, accuracy ± standard deviation over seeds."""
    tables = _main(page)
    rows = tables["accuracy"].sort_values(
        ["family", "order", "size"], ascending=[True, False, True]
    )
    return html_table(
        pd.DataFrame(
            {
                "embedding": rows["family"],
                "k": rows["embedding_dim"],
                "density δ": [f"{value:g}" for value in rows["density"]],
                "order": rows["order"],
                "numbers a word": [f"{value:g}" for value in rows["size"]],
                "in the embedding": [f"{value:,}" for value in rows["embedding_parameters"]],
                "in all": [f"{value:,}" for value in rows["parameters"]],
                "dropouts": [_dropouts(row) for row in rows.to_dict("records")],
                "accuracy": [_shown(row) for row in rows.to_dict("records")],
            }
        )
    )


def orders_table(page: Study) -> Any:
    """Table 3: the paper's accuracies, those of the reference runs and the reader's."""
    summaries = {"reference runs": page.reference, "your runs": page.yours}
    columns = {name: _by_order(tables) for name, tables in summaries.items() if tables is not None}
    rows = [
        {
            "order": order,
            "density δ": f"{density:g}",
            "paper": paper,
            **{name: found.get((order, density), "–") for name, found in columns.items()},
        }
        for (order, density), paper in TABLE_3.items()
    ]
    return html_table(pd.DataFrame(rows))


def _by_order(tables: Summary) -> dict[tuple[str, float], str]:
    accuracy = tables["accuracy"]
    full = accuracy[accuracy["embedding_dim"] == accuracy["embedding_dim"].max()]
    return {(row["order"], row["density"]): _shown(row) for row in full.to_dict("records")}


def _shown(row: dict[Any, Any]) -> str:
    """Mean ± standard deviation, which a single run does not have."""
    return f"{row['accuracy']:.2f}" + ("" if math.isnan(row["sd"]) else f" ± {row['sd']:.2f}")


def tuning_table(page: Study) -> Any:
    """Dev accuracy of each setting under each combination of dropouts, in percent."""
    tuning = _main(page).get("tuning")
    if tuning is None:
        return markdown("The quick preset tunes nothing: all settings have the same dropouts.")
    rows = tuning.to_dict("records")
    shown = pd.DataFrame(
        {
            "embedding": [
                f"{'dense' if row['density'] == 1 else row['order']}, {row['size']:g} a word"
                for row in rows
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


def findings_table(page: Study) -> Any:
    """The parts of the four findings."""
    whose = ("reference runs", "your runs")
    return parts_table(page.yours, page.reference, 1, 2, 3, 4, whose=whose)


def size_sentence(page: Study) -> Any:
    """What the smallest embeddings lose against the full one, dense and sparse, in numbers."""
    points = _main(page)["tradeoff"]
    full = points[points["size"] == points["size"].max()]["accuracy"].iloc[0]
    small = points[points["size"] == points["size"].min()].set_index("family")
    size = points["size"].min()
    whose = "reference" if page.reference is not None else "your"
    return markdown(
        f"In {'the ' if whose == 'reference' else ''}{whose} runs the full embedding, 20 numbers a "
        f"word, reaches {full:.1f} %. With {size:g} numbers a word the dense one reaches "
        f"{small.loc['dense', 'accuracy']:.1f} %, the sparse one "
        f"{small.loc['sparse', 'accuracy']:.1f} %, from equally many parameters."
    )


def _main(page: Study) -> Summary:
    """The reference tables, or the reader's where there are none yet."""
    return page.yours if page.reference is None else page.reference


def _dropouts(row: dict[Any, Any]) -> str:
    """``word 0.1, variational 0.2``; a dash for none."""
    names = {"word_dropout": "word", "embedding_dropout": "variational", "weight_drop": "W_hh"}
    return ", ".join(f"{name} {row[field]:g}" for field, name in names.items() if row[field]) or "–"


def _name(corpus: dict[str, Any]) -> str:
    """A name that a reader knows."""
    return {"embedded": "the documentation of installed packages"}.get(
        str(corpus["name"]), as_typed(corpus["name"])
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
