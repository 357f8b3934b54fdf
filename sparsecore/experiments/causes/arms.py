"""The arms of the study: each changes one thing about the same training run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """How one arm trains.

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
