"""The mask explorer: the geometry of predefined sparseness, drawn as one changes it."""

from __future__ import annotations

import anywidget
import traitlets

from sparsecore.report.explorers.bundle import module, style


class MaskExplorer(anywidget.AnyWidget):
    """Choose sizes, blocks, windows and bins; see where the weights are and how many there are.

    The same widget works in a live notebook, where every field is a trait that can be read and set,
    and on a page without a kernel. All arithmetic is done in the browser.

    Attributes:
        cell: ``LSTM``, ``GRU`` or ``RNN``.
        i, h, N, gamma: inputs, hidden units, blocks and window of the recurrent layer.
        V, k, density, M: words, dimensions, density and bins of the embedding.
        order: which words have long vectors: ``up`` (the frequent ones), ``down`` or ``none``.

    Source: Demeester et al. 2018, Figs. 1 and 2.
    """

    _esm = module("masks.js")
    _css = style("explorer.css")

    cell = traitlets.Enum(["LSTM", "GRU", "RNN"], "LSTM").tag(sync=True)
    i = traitlets.Int(1725).tag(sync=True)
    h = traitlets.Int(1725).tag(sync=True)
    N = traitlets.Int(3).tag(sync=True)
    gamma = traitlets.Float(0.555).tag(sync=True)
    V = traitlets.Int(43815).tag(sync=True)
    k = traitlets.Int(20).tag(sync=True)
    density = traitlets.Float(0.2).tag(sync=True)
    M = traitlets.Int(20).tag(sync=True)
    order = traitlets.Enum(["up", "down", "none"], "up").tag(sync=True)
