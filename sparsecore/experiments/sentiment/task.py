"""From a configuration to its finished run: learn the structure, search λ, extract, fine-tune.

    baseline:     train (─► train again, with ``refine``) ───────────────────────► test
    regularised:  train with λ ─► count what is left ─► (another λ) ─► extract ─► fine-tune ─► test

What is left is counted, and extracted, at the epoch with the lowest dev error of the whole
regularised model. Each of these trainings is a phase (:class:`Fit`): a number of epochs of the same
loop, and the end of one decides what the next one trains. The loss is the mean cross entropy plus
λ Σ ‖θ_s‖₂ over the states s (Dodge et al. 2019, §2), or, with the proximal variant, the cross
entropy alone with every state's parameters shrunk by (learning rate)·λ after each step. The whole
gradient is clipped.

The tables of a run's folder:

results      one row: what was kept, dev and test accuracy, how it was found
epochs       epoch, phase, trial, strength, train_loss, penalty, dev_loss, dev_error, …
trials       every λ that was tried: transitions and WFSAs left, dev error, epochs
states       wfsa, state, norm, kept: of the accepted try, or of the baseline
predictions  document, label, margin: the test documents
patterns     the top and bottom phrases of every state (of models with few WFSAs)
corpora      documents and tokens of each split, and what was dropped
timing       epoch, seconds, tokens
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from sparsecore.errors import TrainingError
from sparsecore.experiments.sentiment.config import Sentiment, lengths_of, structure_of
from sparsecore.experiments.sentiment.tables import (
    corpora,
    failure,
    phrase_table,
    predictions,
    state_rows,
)
from sparsecore.models.classifier import SequenceClassifier, rational_classifier, rnn_of
from sparsecore.models.language_model import num_parameters
from sparsecore.pruning.compact import compact, kept_lengths, kept_wfsas
from sparsecore.pruning.groups import group_lasso, shrink_groups
from sparsecore.pruning.search import StrengthSearch
from sparsecore.stats.proportions import better_than_guessing
from sparsecore.training.device import resolve_device
from sparsecore.training.distributed import broadcast_object
from sparsecore.training.documents import (
    SPLITS,
    Inputs,
    Piece,
    add_gradients,
    logits_of,
    prepare_inputs,
    score,
)
from sparsecore.training.loop import Outputs, Row, Sums, write_outputs
from sparsecore.training.schedule import EarlyStopping

EVALUATION_BATCH = 128
PHASES = ("baseline", "structure", "finetune", "scratch", "refine")


def prepare(config: Sentiment, progress: bool = True) -> Inputs:
    """Check the device and read documents and vectors (cached)."""
    resolve_device(config.device)
    return prepare_inputs(config, progress)


@dataclass(kw_only=True)
class PhaseState(EarlyStopping):
    """Where a phase stands, beside its weights."""

    phase: str  # one of PHASES
    trial: int
    strength: float  # λ


class Fit:
    """Model, optimiser and best weights of the phase that is trained now.

    A part of a checkpoint (:mod:`sparsecore.training.loop`), whose model may have another size than
    the one before.

    Args:
        config: of the run.
        new_model: an untrained model of WFSAs of these lengths.
    """

    def __init__(
        self, config: Sentiment, new_model: Callable[[Sequence[int]], SequenceClassifier]
    ) -> None:
        self.config, self.new_model = config, new_model

    def begin(self, phase: str, model: SequenceClassifier, trial: int, strength: float) -> None:
        """A fresh optimiser and, for the masks of dropout, the seed's own random numbers."""
        self.at = PhaseState(
            phase=phase, trial=trial, strength=strength, learning_rate=self.config.learning_rate
        )
        self._take(model)
        torch.manual_seed(self.config.seed)

    def _take(self, model: SequenceClassifier) -> None:
        config = self.config
        self.model, self.best = model, {}
        self.lengths = list(rnn_of(model).lengths)
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def end_epoch(self, dev_loss: float, dev_error: float) -> bool:
        """Take in the dev texts' loss and error; True if the phase is over, with its best weights.

        While λ is at work, the learning rate does not decay.
        """
        at, config = self.at, self.config
        plateau = None if at.phase == "structure" else config.plateau
        if at.update(dev_error, dev_loss, plateau):
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        return at.epoch - at.best_epoch >= config.patience or at.epoch >= config.max_epochs

    def step(self, batch: list[Piece], table: Tensor) -> Sums:
        """A step of Adam on a batch."""
        model, config, at = self.model, self.config, self.at
        rnn = rnn_of(model)
        self.optimizer.param_groups[0]["lr"] = at.learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        size = sum(len(labels) for _, labels in batch)
        total = add_gradients(model, batch, table)
        penalty = torch.zeros_like(total)
        if at.strength > 0 and not config.proximal:
            penalty = at.strength * group_lasso(rnn)
            penalty.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        self.optimizer.step()
        if at.strength > 0 and config.proximal:
            shrink_groups(rnn, at.learning_rate * at.strength)
        return {
            "loss": total.double() * size,
            "penalty": penalty.detach().double() * size,
            "count": size,
        }

    def state_dict(self) -> dict[str, Any]:
        """Weights, moments, best weights, and where the phase stands."""
        return {
            "lengths": self.lengths,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "at": vars(self.at),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in the phase that was saved, with a model of its size."""
        self._take(self.new_model(state["lengths"]))
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.at = state["best"], PhaseState(**state["at"])


@dataclass
class Outcome:
    """What the phases that are over have found."""

    trials: list[Row] = field(default_factory=list)
    states: list[Row] = field(default_factory=list)
    result: Row = field(default_factory=dict)
    done: bool = False
    failed: str = ""


class Task:
    """One classifier after the other, and what was found about each."""

    def __init__(self, config: Sentiment, inputs: Inputs, folder: Path) -> None:
        self.config, self.inputs, self.folder = config, inputs, folder
        tries = 1 if config.goal is None else config.max_tries
        self.epochs = range(1, (tries + 2) * config.max_epochs + 1)

    def build(self, device: torch.device) -> dict[str, Any]:
        """The documents in batches, and the untrained model of the first phase."""
        config, inputs, self.device = self.config, self.inputs, device
        self.table = torch.from_numpy(inputs.table)
        if inputs.first is None:
            self.table = self.table.to(device)
        sizes = {"train": config.batch_size, "dev": EVALUATION_BATCH, "test": EVALUATION_BATCH}
        self.texts = {split: inputs.batches(split, sizes[split], device) for split in SPLITS}
        self.labels = {
            split: torch.from_numpy(getattr(inputs.corpus, split).labels) for split in SPLITS
        }
        self.found = Outcome()
        self.fit = Fit(config, self._new_model)
        parts: dict[str, Any] = {"fit": self.fit, "found": self.found}
        self.search = None
        if config.goal is not None:
            parts["search"] = self.search = StrengthSearch(
                config.goal, config.tolerance, config.max_tries, config.strength
            )
        phase = "structure" if config.strength > 0 else "baseline"
        self._begin(phase, self._new_model(lengths_of(config.structure)))
        return parts

    @property
    def model(self) -> SequenceClassifier:
        """Of the phase that is trained now."""
        return self.fit.model

    def batches(self, epoch: int) -> Sequence[int] | None:
        """The numbers of the batches in an order of this epoch's own; None after the last phase."""
        if self.found.failed:
            raise TrainingError(self.found.failed)
        if self.found.done:
            return None
        self.epoch, at = epoch, self.fit.at
        seed = (self.config.seed, PHASES.index(at.phase), at.trial, at.epoch)
        return self.texts["train"].shuffled(seed)

    def step(self, number: int) -> Sums:
        """One batch."""
        train = self.texts["train"]
        sums = self.fit.step(train.batches[number], self.table)
        return {**sums, "tokens": train.tokens[number]}

    def end_epoch(self, sums: dict[str, float]) -> Row:
        """The dev error, and what follows from it."""
        at = self.fit.at
        dev_loss, dev_error = score(self._logits("dev"), self.labels["dev"])
        row = {
            "phase": at.phase,
            "trial": at.trial,
            "strength": at.strength,
            "train_loss": sums["loss"] / sums["count"],
            "penalty": sums["penalty"] / sums["count"],
            "dev_loss": dev_loss,
            "dev_error": dev_error,
            "learning_rate": at.learning_rate,
            "transitions": sum(self._kept() if at.phase == "structure" else self.fit.lengths),
        }
        if self.fit.end_epoch(dev_loss, dev_error):
            self._end_phase()
        return row

    def _new_model(self, lengths: Sequence[int]) -> SequenceClassifier:
        torch.manual_seed(self.config.seed)
        config = self.config
        model = rational_classifier(
            self.inputs.width, lengths, config.embed_dropout, config.rnn_dropout
        )
        return model.to(self.device)

    def _kept(self) -> list[int]:
        """The transitions that each WFSA keeps: 0 if it is gone."""
        return kept_lengths(rnn_of(self.model), self.config.threshold)[0]

    def _logits(self, split: str, model: SequenceClassifier | None = None) -> Tensor:
        return logits_of(model or self.model, self.texts[split], self.table)

    def _begin(self, phase: str, model: SequenceClassifier) -> None:
        strength = 0.0
        if phase == "structure":
            strength = self.search.strength if self.search else self.config.strength
        trial = len(self.found.trials) - (phase in ("finetune", "scratch", "refine"))
        self.fit.begin(phase, model, trial, strength)

    def _end_phase(self) -> None:
        self.model.load_state_dict(self.fit.best)
        phase = self.fit.at.phase
        if phase == "structure":
            self._end_try()
        elif phase == "baseline":
            self._end_baseline()
        elif phase == "scratch" and self.config.finetune_from == "both":
            self.found.result |= self._accuracies("scratch_")
            self.found.done = True
        else:
            self._end_main()

    def _end_try(self) -> None:
        """Count what the regularised model keeps; accept it, or try another λ.

        Too large a λ silences all automata; the lowest dev error may then be that of the first
        epoch, before they were gone. A try that learned nothing counts as if nothing was left.
        """
        found, config, at = self.found, self.config, self.fit.at
        kept = self._kept()
        dev = self.labels["dev"]
        if not better_than_guessing(at.best_error, dev.double().mean().item(), len(dev)):
            kept = [0] * len(kept)
        found.trials.append(trial_row(at, kept))
        if self.search is None:
            outcome = "found" if sum(kept) else "failed"
        else:
            outcome = self.search.update(sum(kept))
        if outcome == "failed":
            found.failed = failure(config, found.trials)
            write_outputs(self.folder, self._tables())
        elif outcome == "again":
            self._begin("structure", self._new_model(lengths_of(config.structure)))
        else:
            write_outputs(self.folder, {"regularised": self.model.state_dict()})
            found.states = state_rows(self.model, kept)
            small = extract(self.model, config.threshold)
            error = score(self._logits("test", small), self.labels["test"])[1]
            found.result["extracted_accuracy"] = 1 - error
            found.result["regularised_accuracy"] = 1 - at.best_error
            if config.finetune_from == "scratch":
                self._begin("scratch", self._new_model(list(rnn_of(small).lengths)))
            else:
                self._begin("finetune", small)

    def _end_baseline(self) -> None:
        found, lengths = self.found, self.fit.lengths
        found.trials.append(trial_row(self.fit.at, lengths))
        if self.config.refine:
            self._begin("refine", self.model)
        else:
            self._end_main()

    def _end_main(self) -> None:
        """The model of the run is ready: its test accuracy, its weights, its phrases."""
        found, lengths, at = self.found, self.fit.lengths, self.fit.at
        if at.phase in ("baseline", "refine"):
            found.states = state_rows(self.model, lengths)
        strength = found.trials[-1]["strength"]
        found.result = {
            "transitions": sum(lengths),
            "wfsas": len(lengths),
            "kept": structure_of(lengths),
            "parameters": num_parameters(self.model),
            "log10_strength": math.log10(strength) if strength > 0 else math.nan,
            "trials": len(found.trials),
            "epochs": self.epoch,
            **found.result,
            **self._accuracies(),
        }
        answers = predictions(self._logits("test"), self.labels["test"])
        write_outputs(self.folder, {"predictions": answers, "corpora": corpora(self.inputs)})
        write_outputs(self.folder, {"weights": self.model.state_dict()})
        broadcast_object(self._write_phrases)
        if self.config.finetune_from == "both" and at.phase == "finetune":
            self._begin("scratch", self._new_model(lengths))
        else:
            found.done = True

    def _write_phrases(self) -> None:
        phrases = phrase_table(self.model, self.inputs, self.config.structure)
        write_outputs(self.folder, {"patterns": phrases})

    def _accuracies(self, prefix: str = "") -> Row:
        error = score(self._logits("test"), self.labels["test"])[1]
        count = len(self.labels["test"])
        return {
            f"{prefix}dev_accuracy": 1 - self.fit.at.best_error,
            f"{prefix}test_accuracy": 1 - error,
            f"{prefix}test_correct": round((1 - error) * count),
            f"{prefix}test_documents": count,
        }

    def _tables(self) -> dict[str, pd.DataFrame]:
        return {name: pd.DataFrame(getattr(self.found, name)) for name in ("trials", "states")}

    def results(self) -> Outputs:
        """Tries, states and the row of results; the rest was written by the phases."""
        return {**self._tables(), "results": pd.DataFrame([self.found.result])}


def extract(model: SequenceClassifier, threshold: float) -> SequenceClassifier:
    """The smaller model: states below the threshold are gone, as are the weights of gone WFSAs.

    Everything that stays is carried over exactly. At least one WFSA must keep a state.
    """
    rnn = rnn_of(model)
    kept = kept_wfsas(rnn, threshold)
    dropouts = model.embed_dropout.p, model.rnn_dropout.p
    small = SequenceClassifier(compact(rnn, threshold), len(kept), *dropouts)
    with torch.no_grad():
        small.output.weight.copy_(model.output.weight[:, kept])
        assert model.output.bias is not None and small.output.bias is not None
        small.output.bias.copy_(model.output.bias)
    return small.to(model.output.weight.device)


def trial_row(at: PhaseState, kept: Sequence[int]) -> Row:
    """What came of one λ."""
    return {
        "trial": at.trial,
        "strength": at.strength,
        "transitions": sum(kept),
        "wfsas": sum(length > 0 for length in kept),
        "dev_error": at.best_error,
        "best_epoch": at.best_epoch,
        "epochs": at.epoch,
    }
