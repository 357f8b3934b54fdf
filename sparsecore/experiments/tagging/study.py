"""Which models stand behind Fig. 3 and Table 3, and how their dropouts are chosen (Table 2).

A *setting* is a geometry: (embedding_dim, density, order). Its dropouts are the combination of a
grid that gives the best accuracy on the dev set, in runs with a seed of their own; the study then
trains the setting with these dropouts from several other seeds. The test set chooses nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparsecore.errors import InputError, near_match

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


def settings_of(preset: str) -> list[Setting]:
    """Every setting of the preset's study: dense and sparse of each size, then the other orders.

    >>> settings_of("quick")[:3]
    [(20, 1.0, 'up'), (2, 1.0, 'up'), (5, 1.0, 'up')]
    >>> settings_of("quick")[3:]
    [(20, 0.1, 'up'), (20, 0.25, 'up'), (20, 0.25, 'none'), (20, 0.25, 'down')]
    """
    if preset not in SIZES:
        raise InputError(f"unknown preset {preset!r}{near_match(preset, SIZES)}")
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
