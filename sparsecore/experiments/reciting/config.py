"""Learning to recite: how much of a text can a model of so many parameters hold by heart?

Demeester et al. 2018, §5 and Table 4. A language model is trained on one text without any
regularisation, until it predicts each next word of that text; what counts is how many it does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sparsecore.experiments.language.config import check_fields
from sparsecore.training.configuration import (
    AT_LEAST_1,
    BELOW_1,
    check_kinds,
    from_preset,
    require,
    require_range,
)
from sparsecore.training.finished import results_of

if TYPE_CHECKING:
    import pandas as pd


# The small text is about 1/155 of the Penn Treebank, for models with as small a part of the
# parameters: as many a word as in the paper. Fewer words a window give more updates an epoch; small
# models want a smaller learning rate, as clipped steps do not shrink with them.
PRESETS: dict[str, dict[str, Any]] = {
    # embedded text, 2 CPU cores; the seven rows in under a minute
    "quick": {
        "corpus": "embedded",
        "tokenised": False,
        "max_tokens": 600,
        "embedding_size": 24,
        "hidden_size": 64,
        "num_layers": 2,
        "learning_rate": 4.0,
        "sequence_length": 20,
        "batch_size": 4,
        "epochs": 100,
    },
    # a piece of the Penn Treebank, about an hour on one core for all rows, rates and seeds
    "small": {
        "max_tokens": 6000,
        "embedding_size": 30,
        "hidden_size": 84,
        "learning_rate": 3.5,
        "sequence_length": 35,
        "batch_size": 5,
    },
    "paper": {},
}
SEEDS = {"quick": 1, "small": 3, "paper": 1}
RATES: dict[str, tuple[float, ...]] = {
    "quick": (),
    "small": (1.0, 2.0, 4.0, 8.0),
    "paper": (5.0, 10.0),
}
"""Learning rates of which each model gets the one it recites most with; none: the preset's."""
TUNING_SEED = 99  # of the runs that choose the rate, and of no run of a study
PARTS = (2, 3)  # the widths of the smaller models, as parts of the original's


@dataclass(frozen=True)
class Reciting:
    """A language model that learns its training text by heart.

    The defaults are the paper's largest model (Table 4, first row).

    Attributes:
        corpus: ``ptb``, another name of ``sparsecore data list``, ``embedded``, or a path.
        tokenised: take the text as it is, words separated by spaces (as PTB and WikiText are).
        threshold: words seen less often in the training text are filtered out; 1 keeps all.
        max_tokens: learn so many words from the start of the training text; None for all of it.
        unknown_below: words that occur fewer times in what is learned are ``<unk>``; 1 keeps all.
        embedding_size: k, also the size of the last layer.
        hidden_size: h, of the other layers.
        num_layers: recurrent layers.
        stack: ``dense``, ``sparse_hidden`` or ``sparse_all``.
        reduction: f; a sparse stack has the parameters of a dense one with f times the widths.
        embedding_density: δ_E, share of the embedding that is trained.
        embedding_bins: M, bins of a sparse embedding.
        learning_rate: λ of the first epoch, for a window of ``sequence_length`` steps.
        momentum: of SGD.
        decay: factor of λ after every epoch.
        clip: largest ℓ2 norm of the whole gradient.
        sequence_length: base of the random number of steps of backpropagation through time.
        batch_size: parallel texts.
        epochs: at most so many passes over the text.
        enough: stop where the share of wrong predictions is below this.
        seed: of initial weights and window lengths.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``float32``, ``tf32`` or ``bf16``.
    """

    corpus: str = "ptb"
    tokenised: bool = True
    threshold: int = 1
    max_tokens: int | None = None
    unknown_below: int = 1
    embedding_size: int = 400
    hidden_size: int = 1150
    num_layers: int = 3
    stack: str = "dense"
    reduction: float = 1.0
    embedding_density: float = 1.0
    embedding_bins: int = 10
    learning_rate: float = 5.0
    momentum: float = 0.9
    decay: float = 0.97
    clip: float = 0.25
    sequence_length: int = 70
    batch_size: int = 20
    epochs: int = 150
    enough: float = 1e-4
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"

    name: ClassVar[str] = "reciting"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    format: ClassVar[int] = 1  # of the run folder; part of its name
    varies: ClassVar[tuple[str, ...]] = (
        "embedding_size",
        "hidden_size",
        "stack",
        "reduction",
        "embedding_density",
        "learning_rate",
    )

    preset = classmethod(from_preset)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_fields(self)
        require_range(self, BELOW_1, "momentum enough")
        require_range(self, AT_LEAST_1, "unknown_below")
        require(self, "decay", 0 < self.decay <= 1, "in (0, 1]")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Fields that are no part of the run's name: choices that were not made."""
        return ("unknown_below",) if self.unknown_below == 1 else ()


def rows(original: Reciting) -> list[Reciting]:
    """The seven models of Table 4, ``original`` being the first.

    Then for a half and for a third of its widths: the dense model of that size, and the models with
    as many parameters of which the recurrent layers, or these and the embedding, are sparse.

    >>> [(r.embedding_size, r.hidden_size, r.stack) for r in rows(Reciting())][:4]
    [(400, 1150, 'dense'), (200, 575, 'dense'),
     (200, 1150, 'sparse_hidden'), (400, 1150, 'sparse_all')]
    """
    k, h = original.embedding_size, original.hidden_size
    models = [original]
    for part in PARTS:
        f = 1 / part
        models += [
            dataclasses.replace(original, embedding_size=k // part, hidden_size=h // part),
            dataclasses.replace(
                original, embedding_size=k // part, stack="sparse_hidden", reduction=f
            ),
            dataclasses.replace(original, stack="sparse_all", reduction=f, embedding_density=f),
        ]
    return models


def tune(preset: str, **overrides: Any) -> list[Reciting]:
    """The runs that choose each model's learning rate (the paper takes the better of two).

    ``quick`` tunes nothing and has no such runs.
    """
    if overrides.get("learning_rate") is not None:
        return []
    original = Reciting.preset(preset, **{**overrides, "seed": TUNING_SEED})
    return [
        dataclasses.replace(row, learning_rate=rate)
        for row in rows(original)
        for rate in RATES[preset]
    ]


def study(preset: str, **overrides: Any) -> list[Reciting]:
    """The seven rows of Table 4, each with its learning rate and every seed of the preset.

    The tuning runs, finished before, are among them. ``overrides``: fields of every run; ``seed``
    is the first of the seeds, and with ``learning_rate`` all models have that one.

    Raises:
        InputError: unknown preset or field, or tuning runs that are not finished yet.
    """
    first = overrides.pop("seed", None) or 0
    tuning = tune(preset, **overrides)
    models = rows(Reciting.preset(preset, **overrides))
    if tuning:
        models = choose(results_of(tuning, Reciting.varies, "learning rates"), models)
    seeds = range(first, first + SEEDS[preset])
    final = [dataclasses.replace(model, seed=seed) for seed in seeds for model in models]
    return [*tuning, *final]


def choose(results: pd.DataFrame, models: Sequence[Reciting]) -> list[Reciting]:
    """The models with the learning rate of their most accurate tuning run; of equals the first.

    Args:
        results: a row a tuning run, in the order of :func:`tune`: the fields that vary, and
            ``accuracy``, that of the training pass (there is no other text to look at).
        models: in the order of :func:`rows`.
    """
    fields = [name for name in Reciting.varies if name != "learning_rate"]
    groups = [group for _, group in results.groupby(fields, sort=False)]
    best = [
        group["learning_rate"].iloc[int(group["accuracy"].to_numpy().argmax())] for group in groups
    ]
    return [
        dataclasses.replace(model, learning_rate=float(rate))
        for model, rate in zip(models, best, strict=True)
    ]
