"""Any sentence, read in the page by the language model itself, its weights in 8 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import traitlets
from numpy.typing import NDArray

from sparsecore.errors import InputError
from sparsecore.report.explorers.bundle import module, style
from sparsecore.report.explorers.numbers import eight_bits
from sparsecore.report.figures.style import LAYER_NAMES

Weights = Mapping[str, NDArray[Any]]


class SentenceExplorer(anywidget.AnyWidget):
    """Type a sentence; see χ of every signal at each of its words, trained against untrained.

    Activations are the network's; the gradient of the upper LSTM is the closed form
    Wᵀ(p − onehot(y)) of what comes to it from above, for each word's own loss.

    Args:
        words: by id; ``<unk>`` and ``<eos>`` among them.
        trained, untrained: the weights by PyTorch's names, a ``state_dict`` of
            :class:`sparsecore.models.language_model.LSTMLanguageModel`: ``embedding.weight``
            (V, E), ``lstm1.weight_ih_l0``, …, ``decoder.weight`` (V, H), ``decoder.bias``.
        samples: sentences to pick, the first shown at first.

    Attributes:
        text: the sentence; view: ``trained``, ``untrained`` or ``change``; word: which one's units.

    Raises:
        InputError: no ``<unk>`` or ``<eos>``, or weights that are not those of as many words.
    """

    _esm = module("sentence.js")
    _css = style("explorer.css")

    data = traitlets.Dict().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    view = traitlets.Enum(["trained", "untrained", "change"], "trained").tag(sync=True)
    word = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(
        self, words: Sequence[str], trained: Weights, untrained: Weights, samples: Sequence[str]
    ) -> None:
        for needed in ("<unk>", "<eos>"):
            if needed not in words:
                raise InputError(f"words must hold {needed!r}")
        layers = sum(name.endswith("weight_hh_l0") for name in trained)
        names = [("embedding", "activation")]
        names += [(f"lstm{n}", "activation") for n in range(1, layers + 1)]
        names += [(f"lstm{layers}", "gradient"), ("softmax", "gradient")]
        data = {
            "words": list(words),
            "unk": list(words).index("<unk>"),
            "eos": list(words).index("<eos>"),
            "signals": [
                [f"{layer}_{signal}", f"{LAYER_NAMES.get(layer, layer)}, {signal}"]
                for layer, signal in names
            ],
            "headline": f"lstm{layers}_gradient",
            "samples": list(samples),
            "trained": _network(words, trained, layers),
            "untrained": _network(words, untrained, layers),
        }
        super().__init__(data=data, text=samples[0] if samples else "")


def _network(words: Sequence[str], weights: Weights, layers: int) -> dict[str, Any]:
    V, E = weights["embedding.weight"].shape
    if len(words) != V:
        raise InputError(f"the weights must be those of {len(words)} words, got {V}")
    stored = {name: eight_bits(values) for name, values in weights.items()}
    H = weights["decoder.weight"].shape[1]
    return {"V": V, "E": E, "H": H, "layers": layers, "weights": stored}
