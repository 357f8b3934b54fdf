"""Language modelling with an AWD-LSTM, dense or predefined-sparse (Demeester et al. 2018, §3.2)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from sparsecore.layers.geometry import bin_rows
from sparsecore.models.stacks import stack_geometry
from sparsecore.training.configuration import (
    ABOVE_0,
    AT_LEAST_0,
    AT_LEAST_1,
    BELOW_1,
    check_kinds,
    from_preset,
    require,
    require_range,
    require_whole,
)

# The small models are an eighth as wide as the paper's and see the text a few times, not hundreds
# of times, so dropout is about half of the paper's. Averaging starts by the clock, as the trigger
# needs a loss that has stopped falling.
_LIGHT = {
    "dropout": 0.2,
    "dropouth": 0.1,
    "dropouti": 0.2,
    "dropoute": 0.05,
    "weight_drop": 0.25,
}
PRESETS: dict[str, dict[str, Any]] = {
    # embedded text, 2 CPU cores, under 20 seconds
    "quick": {
        **_LIGHT,
        "corpus": "embedded",
        "tokenised": False,
        "threshold": 8,
        "max_tokens": 150_000,
        "embedding_size": 32,
        "hidden_size": 96,
        "num_layers": 2,
        "learning_rate": 10.0,
        "sequence_length": 20,
        "batch_size": 10,
        "epochs": 4,
        "average_by": 3,
        "finetune_epochs": 1,
    },
    # the Penn Treebank, a quarter of an hour on one core
    "small": {
        **_LIGHT,
        "embedding_size": 50,
        "hidden_size": 144,
        "epochs": 6,
        "average_by": 4,
        "finetune_epochs": 2,
    },
    "paper": {},
}
SEEDS = {"quick": 1, "small": 3, "paper": 5}
WIDER = 1.5  # hidden sizes of the sparse model over the dense one's (the paper's 1725 / 1150)
REDUCTION = 0.66666  # its inverse, as the paper's models were made


@dataclass(frozen=True)
class Language:
    """An AWD-LSTM language model trained on a text, with and without the fine-tune step.

    The defaults are the paper's dense model.

    Attributes:
        corpus: ``ptb``, another name of ``sparsecore data list``, ``embedded``, or a path.
        tokenised: take the text as it is, words separated by spaces (as PTB and WikiText are).
        threshold: words seen less often in the training text are filtered out; 1 keeps all.
        max_types: in place of it (``threshold`` 1), keep the commonest words only, so many, and
            leave no sentence out: the other words are ``<unk>``.
        max_tokens: cap on the training text before filtering, validation and test texts at 1/7 and
            2/7 of it; None for all of them.
        embedding_size: k, also the size of the last layer.
        hidden_size: h, of the other layers.
        num_layers: recurrent layers.
        stack: ``dense``, ``sparse_hidden`` or ``sparse_all``.
        reduction: f; a sparse stack has the parameters of a dense one with f times the widths.
        embedding_density: δ_E, share of the embedding that is trained.
        embedding_bins: M, bins of a sparse embedding.
        dropout, dropouth, dropouti: locked dropout of output, between layers, of input.
        dropoute: share of words dropped from a batch.
        weight_drop: share of recurrent weights dropped from a batch.
        alpha, beta: weights of the penalties on activations (AR) and on their changes (TAR).
        learning_rate: λ of a window of ``sequence_length`` steps.
        sequence_length: base of the random number of steps of backpropagation through time.
        batch_size: parallel texts in training; ``valid_batch_size`` and ``test_batch_size``
            in evaluation.
        weight_decay: coupled, of SGD.
        clip: largest ℓ2 norm of the whole gradient.
        nonmono: n of the trigger of averaging, and of the end of fine-tuning.
        average_by: begin to average after this many epochs at the latest; None: the trigger alone.
        epochs: passes over the training text.
        finetune_epochs: at most so many more, averaging anew from the best weights.
        seed: of initial weights, masks and window lengths.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``float32``, ``tf32`` or ``bf16``.
    """

    corpus: str = "ptb"
    tokenised: bool = True
    threshold: int = 1
    max_types: int | None = None
    max_tokens: int | None = None
    embedding_size: int = 400
    hidden_size: int = 1150
    num_layers: int = 3
    stack: str = "dense"
    reduction: float = 1.0
    embedding_density: float = 1.0
    embedding_bins: int = 10
    dropout: float = 0.4
    dropouth: float = 0.25
    dropouti: float = 0.4
    dropoute: float = 0.1
    weight_drop: float = 0.5
    alpha: float = 2.0
    beta: float = 1.0
    learning_rate: float = 30.0
    sequence_length: int = 70
    batch_size: int = 20
    valid_batch_size: int = 10
    test_batch_size: int = 1
    weight_decay: float = 1.2e-6
    clip: float = 0.25
    nonmono: int = 5
    average_by: int | None = None
    epochs: int = 500
    finetune_epochs: int = 500
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"

    name: ClassVar[str] = "language"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    format: ClassVar[int] = 1  # of the run folder; part of its name
    varies: ClassVar[tuple[str, ...]] = ("stack", "hidden_size", "reduction")

    preset = classmethod(from_preset)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_fields(self)
        names = "valid_batch_size test_batch_size nonmono average_by max_types"
        require_range(self, AT_LEAST_1, names)
        require_whole(self)
        require_range(self, BELOW_1, "dropout dropouth dropouti dropoute weight_drop")
        require_range(self, AT_LEAST_0, "finetune_epochs alpha beta weight_decay")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Fields that are no part of the run's name: those of choices that were not made."""
        return ("max_types",) if self.max_types is None else ()


def check_fields(config: Any) -> None:
    """The fields that language modelling and reciting share: sizes, geometry, optimisation.

    Raises:
        InputError: a field out of range, or layers that cannot be as small as asked.
    """
    names = "threshold embedding_size hidden_size num_layers embedding_bins max_tokens"
    require_range(config, AT_LEAST_1, names)
    require(config, "reduction", 0 < config.reduction <= 1, "in (0, 1]")
    stack_geometry(config)
    if config.embedding_density != 1:
        bin_rows(1000, config.embedding_size, config.embedding_density, config.embedding_bins)
    require_range(config, AT_LEAST_1, "sequence_length batch_size epochs")
    require_range(config, ABOVE_0, "learning_rate clip")


def sparse_match(dense: Language) -> Language:
    """The sparse model beside a dense one: hidden layers 1.5 times as wide, as many parameters."""
    return dataclasses.replace(
        dense,
        hidden_size=round(WIDER * dense.hidden_size),
        stack="sparse_hidden",
        reduction=REDUCTION,
    )


def study(preset: str, **overrides: Any) -> list[Language]:
    """Dense and sparse, each with every seed of the preset (Table 1); ``seed`` is the first."""
    first = overrides.pop("seed", None) or 0
    dense = Language.preset(preset, **overrides)
    return [
        dataclasses.replace(model, seed=seed)
        for seed in range(first, first + SEEDS[preset])
        for model in (dense, sparse_match(dense))
    ]
