"""The experiment of Saphra & Lopez 2019 as a value: train the LM, record chi word by word."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from sparsecore.layers.geometry import block_sizes, input_windows
from sparsecore.training.configuration import (
    ABOVE_0,
    AT_LEAST_1,
    BELOW_1,
    check_kinds,
    from_preset,
    require,
    require_range,
    require_whole,
)

TURN = 20  # steps that a recorded graph makes before anybody looks
PRESETS: dict[str, dict[str, Any]] = {
    # embedded text, 2 CPU cores, under a minute
    "quick": {
        "corpus": "embedded",
        "max_tokens": 300_000,
        "threshold": 8,
        "class_threshold": 8,
        "embedding_size": 100,
        "hidden_size": 100,
        "batch_size": 20,
        "epochs": 5,
    },
    # real open text, about an hour on 2 cores
    "small": {"corpus": "wikitext-2", "threshold": 10, "class_threshold": 10, "epochs": 12},
    # the paper's scale, on the largest open corpus of the registry
    "paper": {"corpus": "wikitext-103"},
}


@dataclass(frozen=True)
class Emergent:
    """A language model trained while chi of its activations and gradients is recorded.

    The defaults are the paper's.

    Attributes:
        corpus: ``embedded``, a name of ``sparsecore data list``, or a path.
        threshold: words seen less often in the training text are filtered out, with their
            sentences (the paper's 100).
        max_types: in place of it (``threshold`` 1), keep the commonest words only, so many, and
            every sentence; the other words are ``<unk>``.
        max_tokens: cap on the training text before filtering; None for all of it.
        tagger: ``sparsecore`` (the one shipped) or an installed spaCy pipeline.
        tag_tokens: how much of the training text to tag; None for all of it.
        class_threshold: a word has a part of speech only if the majority, and at least this many,
            of its occurrences are so tagged (the paper's 100).
        embedding_size, hidden_size, num_layers, dropout: of the model.
        num_blocks: above 1, recurrent layers are predefined-sparse: so many LSTMs side by side.
        gamma: the share of a layer's inputs that each of them sees, 1/num_blocks to 1.
        batch_size, sequence_length: B parallel texts, T steps of backpropagation through time.
        learning_rate: of plain SGD, quartered when the validation loss fails to improve.
        clip: largest ℓ2 norm of the whole gradient.
        epochs: passes over the training text, after the untrained epoch 0.
        cuts: in place of quartering by validation loss, after these epochs, such as ``8,14``.
        statistics_every: also write statistics of parts of epochs, each of so many updates (a
            multiple of 20; the last part of an epoch has up to twice as many).
        gradient: ``upward`` (from the layers above, the paper's) or ``total`` (with the recurrent
            path).
        dropout_side: tap each layer ``before`` (the paper's) or ``after`` its dropout.
        seed: of initial weights and dropout masks.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``float32``, ``tf32`` or ``bf16``.
    """

    corpus: str = "embedded"
    threshold: int = 100
    max_types: int | None = None
    max_tokens: int | None = None
    tagger: str = "sparsecore"
    tag_tokens: int | None = None
    class_threshold: int = 100
    embedding_size: int = 200
    hidden_size: int = 200
    num_layers: int = 2
    dropout: float = 0.2
    num_blocks: int = 1
    gamma: float = 1.0
    batch_size: int = 40
    sequence_length: int = 35
    learning_rate: float = 20.0
    clip: float = 0.25
    epochs: int = 50
    cuts: str = ""
    statistics_every: int | None = None
    gradient: str = "upward"
    dropout_side: str = "before"
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"

    name: ClassVar[str] = "emergent"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    format: ClassVar[int] = 1  # of the run folder; part of its name
    varies: ClassVar[tuple[str, ...]] = ()

    preset = classmethod(from_preset)

    def __post_init__(self) -> None:
        check_kinds(self)
        require_range(
            self,
            AT_LEAST_1,
            "threshold class_threshold embedding_size hidden_size num_layers num_blocks "
            "batch_size sequence_length epochs max_tokens tag_tokens max_types statistics_every",
        )
        require_range(self, BELOW_1, "dropout")
        require_range(self, ABOVE_0, "learning_rate clip")
        require(self, "gradient", self.gradient in ("upward", "total"), "'upward' or 'total'")
        require(
            self, "dropout_side", self.dropout_side in ("before", "after"), "'before' or 'after'"
        )
        reachable = self.gradient == "upward" or self.dropout_side == "before"
        right = "'before' with gradient='total' (the recurrent path does not pass the dropout)"
        require(self, "dropout_side", reachable, right)
        fused = self.gradient == "upward" or self.num_blocks == 1
        require(self, "gradient", fused, "'upward' with num_blocks above 1")
        require_whole(self)
        whole = self.statistics_every is None or self.statistics_every % TURN == 0
        require(self, "statistics_every", whole, f"a multiple of {TURN}")
        require(
            self, "cuts", self._cuts_fit(), f"rising epochs of 1 to {self.epochs}, as in '8,14'"
        )
        block_sizes(self.hidden_size, self.num_blocks)
        input_windows(self.embedding_size, self.num_blocks, self.gamma)
        if self.num_layers > 1:
            input_windows(self.hidden_size, self.num_blocks, self.gamma)

    def _cuts_fit(self) -> bool:
        known = [str(epoch) for epoch in range(1, self.epochs + 1)]
        given = self.cuts.split(",") if self.cuts else []
        return set(given) <= set(known) and sorted(set(given), key=known.index) == given

    @property
    def cut_epochs(self) -> tuple[int, ...]:
        """``cuts`` as numbers; empty where the validation loss decides."""
        return tuple(int(epoch) for epoch in self.cuts.split(",")) if self.cuts else ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Fields that are no part of the run's name: those of choices that were not made.

        Such runs keep the names from before there was a choice.
        """
        choices = {
            ("num_blocks", "gamma"): self.num_blocks > 1,
            ("max_types",): self.max_types is not None,
            ("cuts",): bool(self.cuts),
            ("statistics_every",): self.statistics_every is not None,
        }
        return tuple(name for names, made in choices.items() if not made for name in names)


def study(preset: str, seeds: int | None = None, **overrides: Any) -> list[Emergent]:
    """The runs behind the figures: ``seeds`` of them, one in ``quick`` and three otherwise."""
    first = Emergent.preset(preset, **overrides)
    count = seeds or (1 if preset == "quick" else 3)
    return [dataclasses.replace(first, seed=first.seed + n) for n in range(count)]


PAPER = {
    "updates_an_epoch": 162_000,  # 227 million tokens in windows of 40 × 35
    "epochs": 50,
    "exposure_an_epoch": 100,  # of its rarest word
    "vocabulary": 19_500,
    "learning_rate": 20.0,
}
"""Saphra & Lopez 2019, §2: where the paper's figures stand on the axes of curves by scale."""
