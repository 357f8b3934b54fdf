"""Sparse by nature, by design, by learning: sparsity in recurrent language models.

The public names below are loaded on first use, so that ``import sparsecore`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "InputError": "sparsecore.errors",
    "TrackingWarning": "sparsecore.measure.unseen",
    "chi": "sparsecore.measure.chi",
    "effective_units": "sparsecore.measure.chi",
    "hoyer": "sparsecore.measure.chi",
    "chi_softmax_gradient": "sparsecore.measure.chi",
    "track": "sparsecore.measure.tracker",
    "track_lm": "sparsecore.measure.track_lm",
    "load_lm": "sparsecore.data.causal_lm",
    "frequency_correlation": "sparsecore.stats.correlation",
    "SparseEmbedding": "sparsecore.layers.embedding",
    "frequency_order": "sparsecore.layers.embedding",
    "SparseLSTM": "sparsecore.layers.sparse_rnn",
    "SparseGRU": "sparsecore.layers.sparse_rnn",
    "SparseRNN": "sparsecore.layers.sparse_rnn",
    "block_sizes": "sparsecore.layers.geometry",
    "input_windows": "sparsecore.layers.geometry",
    "matching_geometry": "sparsecore.layers.geometry",
    "bin_rows": "sparsecore.layers.geometry",
    "RationalRNN": "sparsecore.layers.rational",
    "group_norms": "sparsecore.pruning.groups",
    "group_lasso": "sparsecore.pruning.groups",
    "compact": "sparsecore.pruning.compact",
    "prune": "sparsecore.pruning.model",
    "best_paths": "sparsecore.pruning.paths",
}

_CALLBACKS = {  # need more than the library does, so that ``import *`` leaves them out
    "TrainerTracker": "sparsecore.measure.callbacks.trainer",
    "LightningTracker": "sparsecore.measure.callbacks.lightning",
}

__all__ = ["__version__", *_PUBLIC]  # pyrefly: ignore[unresolvable-dunder-all]

if TYPE_CHECKING:
    from sparsecore.data.causal_lm import load_lm as load_lm
    from sparsecore.errors import InputError as InputError
    from sparsecore.layers.embedding import SparseEmbedding as SparseEmbedding
    from sparsecore.layers.embedding import frequency_order as frequency_order
    from sparsecore.layers.geometry import bin_rows as bin_rows
    from sparsecore.layers.geometry import block_sizes as block_sizes
    from sparsecore.layers.geometry import input_windows as input_windows
    from sparsecore.layers.geometry import matching_geometry as matching_geometry
    from sparsecore.layers.rational import RationalRNN as RationalRNN
    from sparsecore.layers.sparse_rnn import SparseGRU as SparseGRU
    from sparsecore.layers.sparse_rnn import SparseLSTM as SparseLSTM
    from sparsecore.layers.sparse_rnn import SparseRNN as SparseRNN
    from sparsecore.measure.callbacks.lightning import LightningTracker as LightningTracker
    from sparsecore.measure.callbacks.trainer import TrainerTracker as TrainerTracker
    from sparsecore.measure.chi import chi as chi
    from sparsecore.measure.chi import chi_softmax_gradient as chi_softmax_gradient
    from sparsecore.measure.chi import effective_units as effective_units
    from sparsecore.measure.chi import hoyer as hoyer
    from sparsecore.measure.track_lm import track_lm as track_lm
    from sparsecore.measure.tracker import track as track
    from sparsecore.measure.unseen import TrackingWarning as TrackingWarning
    from sparsecore.pruning.compact import compact as compact
    from sparsecore.pruning.groups import group_lasso as group_lasso
    from sparsecore.pruning.groups import group_norms as group_norms
    from sparsecore.pruning.model import prune as prune
    from sparsecore.pruning.paths import best_paths as best_paths
    from sparsecore.stats.correlation import frequency_correlation as frequency_correlation


def __getattr__(name: str) -> Any:
    if (module := _PUBLIC.get(name) or _CALLBACKS.get(name)) is not None:
        value = getattr(importlib.import_module(module), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sparsecore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_CALLBACKS})
