"""The part-of-speech experiment of Demeester et al. 2018 (§4.2) as a value, and its study.

Behind Fig. 3 and Table 3 stand *settings*: a setting is a geometry, (embedding_dim, density,
order). Its dropouts are the combination of a grid (Table 2) that gives the best accuracy on the dev
set, in runs with a seed of their own; the study then trains the setting with these dropouts from
several other seeds. The test set chooses nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sparsecore.errors import InputError, check_choice
from sparsecore.training.configuration import (
    ABOVE_0,
    AT_LEAST_1,
    BELOW_1,
    check_kinds,
    from_preset,
    refuse_varied,
    require,
    require_range,
)
from sparsecore.training.finished import results_of

if TYPE_CHECKING:
    import pandas as pd

PRESETS: dict[str, dict[str, Any]] = {
    # embedded text with silver tags, 2 CPU cores, seconds a model
    "quick": {
        "corpus": "embedded",
        "tags": "upos",
        "max_sentences": 1500,
        "epochs": 8,
        "learning_rate": 5e-3,
    },
    # the open treebank with the paper's model, half as many epochs
    "small": {"corpus": "ud-english-ewt", "epochs": 25},
    # the paper's training; its study tries the whole grid of Table 2
    "paper": {"corpus": "ud-english-ewt"},
}

FULL = 20  # k of the sparse embeddings and of the largest dense one
TUNING_SEED = 99  # of every tuning run, and of no run of a study
SETTING = ("embedding_dim", "density", "order")
DROPOUTS = ("word_dropout", "embedding_dropout", "weight_drop")

Setting = tuple[int, float, str]
Dropouts = dict[str, float]

SIZES: dict[str, tuple[int, ...]] = {
    "quick": (2, 5),
    "small": (2, 3, 5, 10),
    "paper": (2, 3, 4, 5, 8, 10, 15),
}
"""Numbers stored for a word on average, smaller than the full 20. At 1 the two kinds are the same:
a sparse embedding then stores the first dimension of every word and nothing else."""

ORDER_DENSITIES: dict[str, tuple[float, ...]] = {
    "quick": (0.25,),
    "small": (0.25, 0.1),
    "paper": (0.25, 0.1),
}
"""Densities at which the orders ``none`` and ``down`` are trained beside ``up`` (Table 3)."""

SEEDS = {"quick": 2, "small": 4, "paper": 4}

TABLE_2 = {
    "word_dropout": (0.0, 0.1, 0.2),
    "embedding_dropout": (0.0, 0.1, 0.2, 0.4),
    "weight_drop": (0.0, 0.2, 0.4),
}

GRID: dict[str, list[tuple[float, ...]]] = {
    "small": [(0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.1, 0.2, 0.0)],
    "paper": list(itertools.product(*TABLE_2.values())),
}
"""The combinations that are tried: all of Table 2, or a few of them that two CPU cores can do.
Tuning runs are as long as the study's: shorter ones mislead, for a model without dropout leads at
first."""

UNTUNED: Dropouts = {"word_dropout": 0.1, "embedding_dropout": 0.0, "weight_drop": 0.0}
"""Of the quick preset, which tunes nothing."""


@dataclass(frozen=True)
class Tagging:
    """A small BiLSTM tagger whose word embeddings are dense or sparse from the start.

    The defaults are the paper's (§4.2, Table 2), but for the corpus: the paper's is licensed.

    Attributes:
        corpus: ``ud-english-ewt``, ``embedded`` (silver tags), or a path to tagged files.
        tags: ``xpos`` (the treebank's own, 49 in ud-english-ewt) or ``upos`` (17 universal ones).
        max_sentences: cap on the training sentences; None for all of them.
        embedding_dim: k.
        density: δ, the part of the embedding's entries that are trained; 1 is a dense embedding.
        num_bins: M, how many different lengths the vectors have; None for k.
        order: which words have long vectors: ``up`` (the frequent ones), ``down`` (the rare ones)
            or ``none`` (an order drawn at random, the same in every run).
        hidden_size: of each direction of the LSTM.
        projection_size: of the tanh layer.
        word_dropout: probability with which a word's vector is zero for a whole batch.
        embedding_dropout: variational dropout of embedding dimensions, one mask a sentence.
        weight_drop: DropConnect on W_hh of both directions.
        learning_rate: of Adam.
        batch_size: sentences at once.
        epochs: passes over the training text; the model after the last one is tested.
        seed: of initial weights, order of sentences and dropout masks.
        device: ``auto``, ``cpu``, ``cuda``, ….
    """

    corpus: str = "ud-english-ewt"
    tags: str = "xpos"
    max_sentences: int | None = None
    embedding_dim: int = 20
    density: float = 1.0
    num_bins: int | None = None
    order: str = "up"
    hidden_size: int = 10
    projection_size: int = 10
    word_dropout: float = 0.0
    embedding_dropout: float = 0.0
    weight_drop: float = 0.0
    learning_rate: float = 1e-3
    batch_size: int = 20
    epochs: int = 50
    seed: int = 0
    device: str = "auto"

    name: ClassVar[str] = "tagging"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    format: ClassVar[int] = 1  # of the run folder; part of its name
    varies: ClassVar[tuple[str, ...]] = (*SETTING, *DROPOUTS)

    preset = classmethod(from_preset)

    def __post_init__(self) -> None:
        from sparsecore.data.tagged_files import COLUMNS
        from sparsecore.layers.embedding import ORDERS

        check_kinds(self)
        require_range(
            self,
            AT_LEAST_1,
            "embedding_dim hidden_size projection_size batch_size epochs max_sentences num_bins",
        )
        require(self, "tags", self.tags in COLUMNS, " or ".join(map(repr, COLUMNS)))
        require(self, "order", self.order in ORDERS, " or ".join(map(repr, ORDERS)))
        require_range(self, BELOW_1, "word_dropout embedding_dropout weight_drop")
        require_range(self, ABOVE_0, "learning_rate")
        bins = self.embedding_dim if self.num_bins is None else self.num_bins
        require(self, "num_bins", bins <= self.embedding_dim, "at most embedding_dim")
        legal = 1 / bins - 1e-9 <= self.density <= 1
        require(self, "density", legal, f"in [1/num_bins, 1] = [{1 / bins:.4g}, 1]")


def settings_of(preset: str) -> list[Setting]:
    """Every setting of the preset's study: dense and sparse of each size, then the other orders.

    >>> settings_of("quick")[:3]
    [(20, 1.0, 'up'), (2, 1.0, 'up'), (5, 1.0, 'up')]
    >>> settings_of("quick")[3:]
    [(20, 0.1, 'up'), (20, 0.25, 'up'), (20, 0.25, 'none'), (20, 0.25, 'down')]
    """
    check_choice("preset", preset, SIZES)
    dense = [(size, 1.0, "up") for size in (FULL, *SIZES[preset])]
    sparse = [(FULL, size / FULL, "up") for size in SIZES[preset]]
    orders = [(FULL, d, order) for d in ORDER_DENSITIES[preset] for order in ("none", "down")]
    return [*dense, *sparse, *orders]


def grid_of(preset: str) -> list[Dropouts]:
    """Every combination of dropouts that the preset tries, in the order of the grid."""
    return [dict(zip(DROPOUTS, chosen, strict=True)) for chosen in GRID[preset]]


def fields_of(setting: Setting) -> dict[str, Any]:
    """A setting as fields of the configuration."""
    return dict(zip(SETTING, setting, strict=True))


def choose(results: pd.DataFrame) -> dict[Setting, Dropouts]:
    """The dropouts with the best dev accuracy, for each setting.

    Args:
        results: a row a tuning run: the fields of :data:`SETTING` and :data:`DROPOUTS`, and
            ``dev_accuracy``, which is averaged where there are several seeds. Of equals the first
            in the table wins.
    """
    means = results.groupby([*SETTING, *DROPOUTS], sort=False)["dev_accuracy"].mean().reset_index()
    best = means.loc[means.groupby(list(SETTING), sort=False)["dev_accuracy"].idxmax()]
    return {
        (int(row["embedding_dim"]), float(row["density"]), str(row["order"])): {
            name: float(row[name]) for name in DROPOUTS
        }
        for row in best.to_dict("records")
    }


def merged(setting: Setting, dropouts: Mapping[Setting, Dropouts]) -> dict[str, Any]:
    """Fields of a setting with its dropouts; InputError if none were chosen for it."""
    if setting not in dropouts:
        raise InputError(f"no dropouts are given for the setting {setting}")
    return {**fields_of(setting), **dropouts[setting]}


def tune(preset: str, **overrides: Any) -> list[Tagging]:
    """The runs that choose the dropouts of every setting: the grid of Table 2, or a part of it.

    ``quick`` tunes nothing and has no such runs.

    Raises:
        InputError: unknown preset or field, or one that the study varies itself.
    """
    _check_overrides(preset, overrides)
    if preset == "quick":
        return []
    fixed = {**overrides, "seed": TUNING_SEED}
    return [
        Tagging.preset(preset, **fixed, **fields_of(setting), **dropouts)
        for setting in settings_of(preset)
        for dropouts in grid_of(preset)
    ]


def study(preset: str, tuning: pd.DataFrame | None = None, **overrides: Any) -> list[Tagging]:
    """All runs behind Fig. 3 and Table 3, the tuning runs (finished before) among them.

    Args:
        preset: ``quick`` tunes nothing; ``small`` tunes on a part of Table 2, ``paper`` on all.
        tuning: an earlier round's table of tuning runs; it chooses the dropouts, and no tuning runs
            are among the runs.
        overrides: other fields of every run; ``seed`` is the first of the seeds.

    Raises:
        InputError: unknown preset or field, or tuning runs that are not finished yet.
    """
    _check_overrides(preset, overrides)
    runs = tune(preset, **overrides) if tuning is None else []
    if runs:
        tuning = results_of(runs, (*SETTING, *DROPOUTS, "seed"), "dropouts")
    settings = settings_of(preset)
    chosen = dict.fromkeys(settings, UNTUNED) if tuning is None else choose(tuning)
    first = overrides.pop("seed", None) or 0
    final = [
        Tagging.preset(preset, **overrides, **merged(setting, chosen), seed=seed)
        for setting in settings
        for seed in range(first, first + SEEDS[preset])
    ]
    return [*runs, *final]


def _check_overrides(preset: str, overrides: dict[str, Any]) -> None:
    Tagging.preset(preset, **overrides)
    refuse_varied(overrides, (*SETTING, *DROPOUTS))
