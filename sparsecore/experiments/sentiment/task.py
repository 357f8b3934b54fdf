"""From a configuration to its finished run: learn the structure, search λ, extract, fine-tune.

    baseline:     train ─────────────────────────────────────────────────────────► test
    regularised:  train with λ ─► count what is left ─► (another λ) ─► extract ─► fine-tune ─► test

What is left is counted, and extracted, at the epoch with the lowest dev error of the whole
regularised model. A checkpoint follows every epoch and every few minutes within one; a run killed
anywhere goes on from the last one to the same numbers.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from sparsecore.errors import TrainingError
from sparsecore.experiments.sentiment import records
from sparsecore.experiments.sentiment.fit import (
    Fit,
    Pass,
    better_than_guessing,
    logits_of,
    new_optimizer,
    score,
    train_epoch,
)
from sparsecore.experiments.sentiment.inputs import SPLITS, Inputs
from sparsecore.experiments.sentiment.patterns import phrase_table
from sparsecore.experiments.sentiment.search import Search
from sparsecore.experiments.sentiment.structure import (
    extract,
    kept_of,
    lengths_of,
    new_model,
    parameters_of,
    rnn_of,
    state_norms,
    structure_of,
)
from sparsecore.models.classifier import SequenceClassifier
from sparsecore.training.checkpoint import (
    CheckpointManager,
    load_pair,
    of_prefix,
    save_pair,
    save_tensors,
    with_prefix,
)
from sparsecore.training.device import resolve_device
from sparsecore.training.distributed import broadcast_object, check_in_sync
from sparsecore.training.stopping import defer_signals

if TYPE_CHECKING:
    from sparsecore.experiments.sentiment.config import Sentiment

EVALUATION_BATCH = 128
Row = dict[str, Any]


@dataclass
class Progress:
    """What a checkpoint holds beside the tensors."""

    fit: Fit
    search: Search | None
    lengths: list[int]  # of the model that is trained now
    passed: Pass = field(default_factory=Pass)
    found: list[int] | None = None  # transitions that each WFSA of the accepted try keeps
    done: bool = False
    failed: str = ""
    epochs: list[Row] = field(default_factory=list)
    timing: list[Row] = field(default_factory=list)
    trials: list[Row] = field(default_factory=list)
    states: list[Row] = field(default_factory=list)
    result: Row = field(default_factory=dict)


class Training:
    """The live objects of one run: model, optimiser, documents, and where it stands."""

    def __init__(self, config: Sentiment, inputs: Inputs, folder: Path) -> None:
        self.config, self.inputs, self.folder = config, inputs, folder
        self.device = resolve_device(config.device)
        self.table = torch.from_numpy(inputs.table)
        if inputs.first is None:
            self.table = self.table.to(self.device)
        sizes = {"train": config.batch_size, "dev": EVALUATION_BATCH, "test": EVALUATION_BATCH}
        self.batches = {split: inputs.batches(split, sizes[split], self.device) for split in SPLITS}
        self.labels = {
            split: torch.from_numpy(getattr(inputs.corpus, split).labels) for split in SPLITS
        }
        self.best: dict[str, Tensor] = {}
        self.checkpoints = CheckpointManager(folder)
        lengths = lengths_of(config.structure)
        search = None
        if config.goal is not None:
            search = Search(config.goal, config.tolerance, config.max_tries, config.strength)
        fit = Fit("", 0, 0.0, config.learning_rate)
        self.progress = Progress(fit, search, lengths)
        if not self._load():
            phase = "structure" if config.strength > 0 else "baseline"
            self._begin(phase, self._new_model(lengths))

    @defer_signals()
    def run_epoch(self) -> None:
        """One pass, its dev error, and what follows from it."""
        at, config = self.progress, self.config
        fit = at.fit
        started = time.monotonic()
        phases = ("baseline", "structure", "finetune", "scratch")
        seed = (config.seed, phases.index(fit.phase), fit.trial, fit.epoch)
        train_epoch(
            self.model,
            self.optimizer,
            self.batches["train"].shuffled(seed),
            self.table,
            fit,
            config,
            at.passed,
            self._save_if_due,
        )
        logits = logits_of(self.model, self.batches["dev"], self.table)
        dev_loss, dev_error = score(logits, self.labels["dev"])
        learning_rate = fit.learning_rate
        plateau = None if fit.phase == "structure" else config.plateau
        if fit.update(dev_error, dev_loss, plateau):
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        kept = kept_of(self.model, config.threshold)
        number = len(at.epochs) + 1
        at.epochs.append(
            {
                "epoch": number,
                "phase": fit.phase,
                "trial": fit.trial,
                "strength": fit.strength,
                "train_loss": at.passed.loss,
                "penalty": at.passed.penalty,
                "dev_loss": dev_loss,
                "dev_error": dev_error,
                "learning_rate": learning_rate,
                "transitions": sum(kept) if fit.phase == "structure" else sum(at.lengths),
            }
        )
        tokens = int(self.inputs.corpus.train.ends[-1])
        check_in_sync(self.model.parameters(), self.device)
        seconds = time.monotonic() - started
        at.timing.append({"epoch": number, "seconds": seconds, "tokens": tokens})
        at.passed = Pass()
        over = fit.epoch - fit.best_epoch >= config.patience or fit.epoch >= config.max_epochs
        if over:
            self._end_fit()
        if at.failed:
            self.write_tables()
        self.save()
        if at.failed:
            raise TrainingError(at.failed)

    def write_tables(self) -> None:
        """The tables of the folder as they stand."""
        at = self.progress
        rows = {"epochs": at.epochs, "timing": at.timing, "trials": at.trials, "states": at.states}
        if at.done:
            rows["results"] = [at.result]
        tables = {name: pd.DataFrame(part) for name, part in rows.items()}
        records.write(self.folder, tables)

    def _save_if_due(self) -> None:
        if self.checkpoints.due():
            self.save()

    def save(self) -> None:
        """Write the checkpoint."""
        at = self.progress
        moments = {
            f"{index}.{name}": value
            for index, state in self.optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }
        save_pair(
            self.checkpoints,
            {
                **with_prefix("model", self.model.state_dict()),
                **with_prefix("optimizer", moments),
                **with_prefix("best", self.best),
            },
            dataclasses.asdict(at),
        )

    def _load(self) -> bool:
        kept = load_pair(self.checkpoints, self.device)
        if kept is None:
            return False
        tensors, values = kept
        search = Search(**values["search"]) if values["search"] else None
        fit, passed = Fit(**values["fit"]), Pass(**values["passed"])
        at = Progress(**{**values, "fit": fit, "passed": passed, "search": search})
        if at.failed:
            raise TrainingError(at.failed)
        self.progress = at
        random_state = torch.get_rng_state()  # that of the checkpoint; a new model draws from it
        self.model = self._new_model(at.lengths)
        torch.set_rng_state(random_state)
        self.model.load_state_dict(of_prefix("model", tensors))
        self.best = of_prefix("best", tensors)
        self.optimizer = new_optimizer(self.model, self.config)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in of_prefix("optimizer", tensors).items():
            index, _, what = name.partition(".")
            state.setdefault(int(index), {})[what] = value.cpu() if what == "step" else value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        return True

    def _new_model(self, lengths: list[int]) -> SequenceClassifier:
        torch.manual_seed(self.config.seed)
        config = self.config
        model = new_model(self.inputs.width, lengths, config.embed_dropout, config.rnn_dropout)
        return model.to(self.device)

    def _begin(self, phase: str, model: SequenceClassifier) -> None:
        """A fresh optimiser and, for the masks of dropout, the seed's own random numbers."""
        at = self.progress
        self.model, self.best = model, {}
        self.optimizer = new_optimizer(model, self.config)
        strength = 0.0
        if phase == "structure":
            strength = at.search.strength if at.search else self.config.strength
        at.lengths = list(rnn_of(model).lengths)
        trial = len(at.trials) - (phase in ("finetune", "scratch"))
        at.fit = Fit(phase, trial, strength, self.config.learning_rate)
        torch.manual_seed(self.config.seed)

    def _end_fit(self) -> None:
        self.model.load_state_dict(self.best)
        phase = self.progress.fit.phase
        if phase == "structure":
            self._end_try()
        elif phase == "scratch" and self.config.finetune_from == "both":
            self._evaluate("scratch_")
            self.progress.done = True
        else:
            self._end_main()

    def _end_try(self) -> None:
        """Count what the regularised model keeps; accept it, or try another λ.

        Too large a λ silences all automata; the lowest dev error may then be that of the first
        epoch, before they were gone. A try that learned nothing counts as if nothing was left.
        """
        at, config = self.progress, self.config
        kept = kept_of(self.model, config.threshold)
        if not better_than_guessing(at.fit.best_error, self.labels["dev"]):
            kept = [0] * len(kept)
        at.trials.append(records.trial_row(at.fit, kept))
        if at.search is None:
            outcome = "found" if sum(kept) else "failed"
        else:
            outcome = at.search.update(sum(kept))
        if outcome == "failed":
            at.failed = records.failure(config, at.trials)
        elif outcome == "again":
            self._begin("structure", self._new_model(lengths_of(config.structure)))
        else:
            at.found = kept
            self._save_weights("regularised")
            at.states = records.state_rows(state_norms(self.model), at.lengths, kept)
            small = extract(self.model, config.threshold)
            logits = logits_of(small, self.batches["test"], self.table)
            at.result["extracted_accuracy"] = 1 - score(logits, self.labels["test"])[1]
            at.result["regularised_accuracy"] = 1 - at.fit.best_error
            if config.finetune_from == "scratch":
                self._begin("scratch", self._new_model(list(rnn_of(small).lengths)))
            else:
                self._begin("finetune", small)

    def _end_main(self) -> None:
        """The model of the run is ready: its test accuracy, its weights, its phrases."""
        at, config = self.progress, self.config
        lengths = at.lengths
        if at.fit.phase == "baseline":
            at.trials.append(records.trial_row(at.fit, lengths))
            at.states = records.state_rows(state_norms(self.model), lengths, lengths)
        self._evaluate("")
        at.result = {
            "transitions": sum(lengths),
            "wfsas": len(lengths),
            "kept": structure_of(lengths),
            "parameters": parameters_of(self.model),
            "log10_strength": records.log10(at.trials[-1]["strength"]),
            "trials": len(at.trials),
            "epochs": len(at.epochs),
            **at.result,
        }
        self._save_weights("weights")
        made = {
            "predictions": records.predictions(self._test_logits(), self.labels["test"]),
            "corpora": records.corpora(self.inputs),
        }
        records.write(self.folder, made)
        broadcast_object(self._write_phrases)
        if config.finetune_from == "both" and at.fit.phase == "finetune":
            self._begin("scratch", self._new_model(lengths))
        else:
            at.done = True

    def _write_phrases(self) -> None:
        phrases = phrase_table(self.model, self.inputs, self.config.structure)
        records.write(self.folder, {"patterns": phrases})

    def _save_weights(self, name: str) -> None:
        weights = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
        save_tensors(self.folder / f"{name}.safetensors", weights)

    def _evaluate(self, prefix: str) -> None:
        error = score(self._test_logits(), self.labels["test"])[1]
        count = len(self.labels["test"])
        self.progress.result |= {
            f"{prefix}dev_accuracy": 1 - self.progress.fit.best_error,
            f"{prefix}test_accuracy": 1 - error,
            f"{prefix}test_correct": round((1 - error) * count),
            f"{prefix}test_documents": count,
        }

    def _test_logits(self) -> Tensor:
        return logits_of(self.model, self.batches["test"], self.table)


def train(config: Sentiment, inputs: Inputs, folder: Path, progress: bool = True) -> None:
    """Run the experiment into ``folder``; see :mod:`sparsecore.experiments.sentiment.records`.

    Raises:
        TrainingError: the loss stopped being a number, or no λ was found that leaves as many
            transitions as wanted; ``trials.parquet`` then says what was tried.
    """
    training = Training(config, inputs, folder)
    with tqdm(desc="epochs", unit="epoch", disable=not progress, leave=False) as bar:
        while not training.progress.done:
            training.run_epoch()
            row = training.progress.epochs[-1]
            bar.update()
            bar.set_postfix_str(
                f"{row['phase']}, λ {row['strength']:.1e}, loss {row['train_loss']:.3f}, "
                f"dev error {row['dev_error']:.3f}, {row['transitions']} transitions"
            )
    training.write_tables()
