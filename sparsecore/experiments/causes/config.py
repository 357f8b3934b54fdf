"""What makes a gradient sparse? Training runs that differ in one cause at a time, as a value.

Words are split into two types, or thinned, at random per occurrence (:data:`CONDITIONS`). Meaning,
word class and contexts of the two types of a split word are the same in distribution, so that a
difference between them is an effect of frequency. In a split the second type competes with the
first as a wrong word; thinning is the control without a competitor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from sparsecore.errors import check_choice
from sparsecore.training.configuration import (
    ABOVE_0,
    AT_LEAST_1,
    BELOW_1,
    check_kinds,
    from_preset,
    require,
    require_range,
)

PRESETS: dict[str, dict[str, Any]] = {
    # embedded text, 2 CPU cores, seconds an arm
    "quick": {
        "corpus": "embedded",
        "max_tokens": 240_000,
        "max_types": 800,
        "num_words": 180,
        "first_rank": 20,
        "hidden_size": 64,
        "num_updates": 300,
        "report_every": 100,
        "probe_tokens": 10_000,
    },
    # Wikipedia; a run takes four minutes of one core
    "small": {"corpus": "enwiki"},
    # ten times as long, more words
    "paper": {
        "corpus": "enwiki",
        "max_tokens": 12_000_000,
        "max_types": 10_000,
        "num_updates": 30_000,
        "report_every": 3_000,
    },
}


@dataclass(frozen=True)
class Arm:
    """How one arm trains: each changes one thing about the same run.

    Attributes:
        optimizer: ``sgd`` or ``adam``.
        learning_rate: constant over the run.
        momentum: of SGD.
        network: ``lstm``, ``gru``, ``mingru``, ``transformer`` or ``sparse`` (block-sparse LSTM).
        output_init: of the output rows: ``uniform`` on ±0.1 as the paper's code, or ``normal`` with
            the same variance.
        passes: over the text; 1 is fresh text, 10 a tenth of it ten times.
        shuffled: targets are put in random order over the text, so that context says nothing.
        penalty: λ of a term λ · mean χ(ḡ) in the loss; negative rewards concentration.
        curriculum: targets enter the loss by rank, commonest first, over the first half.
    """

    optimizer: str = "sgd"
    learning_rate: float = 5.0
    momentum: float = 0.0
    network: str = "lstm"
    output_init: str = "uniform"
    passes: int = 1
    shuffled: bool = False
    penalty: float = 0.0
    curriculum: bool = False


ADAM = {"optimizer": "adam", "learning_rate": 2e-3}
ARMS: dict[str, Arm] = {
    "sgd-5": Arm(),
    "sgd-20": Arm(learning_rate=20.0),
    "normal-init": Arm(output_init="normal"),
    "adam": Arm(**ADAM),
    "shuffled": Arm(shuffled=True),
    "momentum": Arm(learning_rate=0.5, momentum=0.9),
    "repeated": Arm(passes=10),
    "gru": Arm(**ADAM, network="gru"),
    "mingru": Arm(**ADAM, network="mingru"),
    "transformer": Arm(**ADAM, network="transformer"),
    "sparse": Arm(**ADAM, network="sparse"),
    "penalty": Arm(penalty=1.0),
    "reward": Arm(penalty=-1.0),
    "curriculum": Arm(curriculum=True),
}
"""In the order in which the study runs them: what decides comes first."""

CONDITIONS: dict[str, tuple[str, float]] = {
    "split-1": ("split", 1.0),
    "split-4": ("split", 4.0),
    "split-19": ("split", 19.0),
    "thin-4": ("thin", 4.0),
    "thin-19": ("thin", 19.0),
    "intact": ("intact", 1.0),
}
"""What happens to each occurrence of a word, independently, and a ratio r.

``split``: it becomes a second type with probability 1/(1 + r). ``thin``: it becomes ``<unk>`` with
probability 1 - 1/r.
"""

STUDY: dict[str, tuple[tuple[str, ...], int]] = {  # arms and seeds
    "quick": (("sgd-5", "sgd-20"), 1),
    "small": (tuple(ARMS), 3),
    "paper": (tuple(ARMS), 3),
}


@dataclass(frozen=True)
class Causes:
    """A small language model whose words differ at random in frequency alone.

    Attributes:
        corpus: ``embedded``, ``enwiki``, a name of ``sparsecore data list``, or a path.
        arm: what this run changes, of :data:`ARMS`.
        max_tokens: cap on the training text; None for all of it.
        max_types: the commonest words that are kept, ``<unk>`` and ``<eos>`` among them; the others
            become ``<unk>``.
        num_words: how many words are drawn, for six conditions.
        first_rank: the commonest word that may be drawn.
        hidden_size: H, of embedding and layers.
        num_layers, dropout: of the model.
        batch_size, sequence_length: B parallel texts, T steps of backpropagation through time.
        clip: largest ℓ2 norm of the whole gradient.
        num_updates: how long a run trains.
        report_every: updates from one measurement to the next.
        probe_tokens: of the held-out text.
        seed: of words, conditions, aliases, initial weights and dropout: a replicate of its own.
        device: ``auto``, ``cpu``, ``cuda``, ….
    """

    corpus: str = "embedded"
    arm: str = "sgd-5"
    max_tokens: int | None = 1_200_000
    max_types: int = 1_500
    num_words: int = 360
    first_rank: int = 60
    hidden_size: int = 200
    num_layers: int = 2
    dropout: float = 0.2
    batch_size: int = 10
    sequence_length: int = 35
    clip: float = 0.25
    num_updates: int = 3_000
    report_every: int = 500
    probe_tokens: int = 30_000
    seed: int = 0
    device: str = "auto"

    name: ClassVar[str] = "causes"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    format: ClassVar[int] = 2  # of the run folder; part of its name
    varies: ClassVar[tuple[str, ...]] = ("arm",)

    preset = classmethod(from_preset)

    def __post_init__(self) -> None:
        check_kinds(self)
        require_range(
            self,
            AT_LEAST_1,
            "max_tokens hidden_size num_layers batch_size sequence_length num_updates "
            "report_every probe_tokens",
        )
        check_choice("arm", self.arm, ARMS)
        require(self, "hidden_size", self.hidden_size % 4 == 0, "a multiple of 4 (heads, blocks)")
        require_range(self, BELOW_1, "dropout")
        require_range(self, ABOVE_0, "clip")
        require(self, "first_rank", self.first_rank >= 2, "at least 2 (after <unk> and <eos>)")
        words = self.max_types - self.first_rank
        require(self, "max_types", words >= 6, f"at least first_rank + 6 = {self.first_rank + 6}")
        right = f"from 6 to the {words} words from first_rank to max_types"
        require(self, "num_words", 6 <= self.num_words <= words, right)
        passes = ARMS[self.arm].passes
        whole = self.num_updates % self.report_every == 0 and self.num_updates % passes == 0
        right = f"a multiple of report_every={self.report_every} and of {passes} passes"
        require(self, "num_updates", whole, right)

    @property
    def learning_rate(self) -> float:
        """That of the arm."""
        return ARMS[self.arm].learning_rate

    @property
    def tokens_needed(self) -> int:
        """Of the training text, before it is repeated."""
        windows = self.num_updates // ARMS[self.arm].passes
        return self.batch_size * (windows * self.sequence_length + 1)


def study(preset: str, **overrides: Any) -> list[Causes]:
    """Every arm with every seed, what decides first; ``arm`` or ``seed`` given, only these."""
    Causes.preset(preset, **overrides)
    arms, seeds = STUDY[preset]
    arm, first = overrides.pop("arm", None), overrides.pop("seed", None) or 0
    return [
        Causes.preset(preset, **overrides, arm=name, seed=first + n)
        for name in ([arm] if arm else arms)
        for n in range(seeds)
    ]
