"""Any sentence, read in the page by the language model itself, its weights in 8 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
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
    """Type a sentence; see χ of every signal at each of its words, in one network or another.

    Activations are the network's; the gradient of the upper LSTM is the closed form
    Wᵀ(p − onehot(y)) of what comes to it from above, for each word's own loss.

    Args:
        words: by id; ``<unk>`` and ``<eos>`` among them.
        counts: how often each stands in the training text.
        networks: by name, the first shown at first (the book's pages fetch the others when they
            are asked for): the ``state_dict`` of a
            :class:`sparsecore.models.language_model.LSTMLanguageModel`, that is
            ``embedding.weight`` (V, E), ``lstm1.weight_ih_l0``, …, ``decoder.weight`` (V, H) and
            ``decoder.bias``. All are of the same sizes; the page makes an untrained one beside
            them, with random weights of its own.
        samples: sentences to pick, the first shown at first.

    Attributes:
        text: the sentence; network: the name of the one shown; difference: minus the untrained one;
        word: which one's units.

    Raises:
        InputError: no ``<unk>`` or ``<eos>``, no network, or weights that are not those of as many
            words.
    """

    _esm = module("sentence.js")
    _css = style("explorer.css")

    data = traitlets.Dict().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    network = traitlets.Unicode().tag(sync=True)
    difference = traitlets.Bool(False).tag(sync=True)
    word = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(
        self,
        words: Sequence[str],
        counts: Sequence[int],
        networks: Mapping[str, Weights],
        samples: Sequence[str],
    ) -> None:
        if len(counts) != len(words):
            raise InputError(f"counts must be those of {len(words)} words, got {len(counts)}")
        if not all(isinstance(count, Real) and float(count).is_integer() for count in counts):
            raise InputError("counts must be whole numbers: how often each word occurs")
        for needed in ("<unk>", "<eos>"):
            if needed not in words:
                raise InputError(f"words must hold {needed!r}")
        if not networks:
            raise InputError("networks must hold at least one network")
        first = next(iter(networks))
        layers = sum(name.endswith("weight_hh_l0") for name in networks[first])
        names = [("embedding", "activation")]
        names += [(f"lstm{n}", "activation") for n in range(1, layers + 1)]
        names += [(f"lstm{layers}", "gradient"), ("softmax", "gradient")]
        stored = {name: _stored(words, weights) for name, weights in networks.items()}
        data = {
            "words": list(words),
            "counts": [int(count) for count in counts],
            "unk": list(words).index("<unk>"),
            "eos": list(words).index("<eos>"),
            "signals": [
                [f"{layer}_{signal}", f"{LAYER_NAMES.get(layer, layer)}, {signal}"]
                for layer, signal in names
            ],
            "headline": f"lstm{layers}_gradient",
            "samples": list(samples),
            "networks": {first: stored.pop(first)},
            "later": stored,
            "sizes": {
                "V": len(words),
                "E": networks[first]["embedding.weight"].shape[1],
                "H": networks[first]["decoder.weight"].shape[1],
                "layers": layers,
            },
        }
        text = samples[0] if samples else ""
        super().__init__(data=data, text=text, network=first)


def _stored(words: Sequence[str], weights: Weights) -> dict[str, Any]:
    if len(weights["embedding.weight"]) != len(words):
        raise InputError(
            f"the weights must be those of {len(words)} words, got "
            f"{len(weights['embedding.weight'])}"
        )
    return {name: eight_bits(values) for name, values in weights.items()}
