"""Sparse by nature, by design, by learning: sparsity in recurrent language models.

The public names below are loaded on first use, so that ``import sparsecore`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "InputError": "sparsecore.errors",
    "chi": "sparsecore.emergent.chi",
    "effective_units": "sparsecore.emergent.chi",
    "hoyer": "sparsecore.emergent.chi",
    "chi_softmax_gradient": "sparsecore.emergent.chi",
    "track": "sparsecore.emergent.tracker",
    "frequency_correlation": "sparsecore.stats.correlation",
    "SparseEmbedding": "sparsecore.predefined.embedding",
    "frequency_order": "sparsecore.predefined.embedding",
    "SparseLSTM": "sparsecore.predefined.recurrent",
    "SparseGRU": "sparsecore.predefined.recurrent",
    "SparseRNN": "sparsecore.predefined.recurrent",
    "block_sizes": "sparsecore.predefined.geometry",
    "input_windows": "sparsecore.predefined.geometry",
    "matching_geometry": "sparsecore.predefined.geometry",
    "bin_rows": "sparsecore.predefined.geometry",
    "RationalRNN": "sparsecore.learned.rational",
    "group_norms": "sparsecore.learned.group_lasso",
    "group_lasso": "sparsecore.learned.group_lasso",
    "compact": "sparsecore.learned.compact",
    "best_paths": "sparsecore.learned.paths",
}

__all__ = ["__version__", *_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from sparsecore.emergent.chi import chi as chi
    from sparsecore.emergent.chi import chi_softmax_gradient as chi_softmax_gradient
    from sparsecore.emergent.chi import effective_units as effective_units
    from sparsecore.emergent.chi import hoyer as hoyer
    from sparsecore.emergent.tracker import track as track
    from sparsecore.errors import InputError as InputError
    from sparsecore.learned.compact import compact as compact
    from sparsecore.learned.group_lasso import group_lasso as group_lasso
    from sparsecore.learned.group_lasso import group_norms as group_norms
    from sparsecore.learned.paths import best_paths as best_paths
    from sparsecore.learned.rational import RationalRNN as RationalRNN
    from sparsecore.predefined.embedding import SparseEmbedding as SparseEmbedding
    from sparsecore.predefined.embedding import frequency_order as frequency_order
    from sparsecore.predefined.geometry import bin_rows as bin_rows
    from sparsecore.predefined.geometry import block_sizes as block_sizes
    from sparsecore.predefined.geometry import input_windows as input_windows
    from sparsecore.predefined.geometry import matching_geometry as matching_geometry
    from sparsecore.predefined.recurrent import SparseGRU as SparseGRU
    from sparsecore.predefined.recurrent import SparseLSTM as SparseLSTM
    from sparsecore.predefined.recurrent import SparseRNN as SparseRNN
    from sparsecore.stats.correlation import frequency_correlation as frequency_correlation


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sparsecore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
