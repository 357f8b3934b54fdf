"""Train one tagger and score it: Adam, a fixed number of epochs, the test after the last one.

The folder gets ``epochs.parquet`` (loss and dev accuracy after each epoch), ``results.parquet``
(one row), ``frequencies.parquet`` (test accuracy by how often the word was seen in training),
``timing.parquet`` and ``weights.safetensors``. A run that was killed goes on from its last
checkpoint to the same numbers.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from sparsecore.errors import TrainingError
from sparsecore.layers.embedding import SparseEmbedding, frequency_order
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.models.tagger import Tagger
from sparsecore.training.checkpoint import Keeper, of_prefix, save_tensors, with_prefix
from sparsecore.training.device import resolve_device
from sparsecore.training.distributed import check_in_step, summed
from sparsecore.training.sentences import IGNORED, Batch, PaddedSentences, part_of, shuffled
from sparsecore.training.shares import own, sum_gradients, whole_masks
from sparsecore.training.stopping import steps
from sparsecore.training.tables import write_table

if TYPE_CHECKING:
    from sparsecore.data.tagged import TaggedCorpus
    from sparsecore.experiments.tagging.config import Tagging

EVALUATED = 256  # sentences at once
SHUFFLE_SEED = 0  # of the order "none": the same words are short in every run
SEEN = {"never": 0, "once": 1, "2 to 9": 2, "10 to 99": 10, "100 or more": 100}
"""Classes of words by their number of occurrences in the training text: the least of each."""


@dataclass
class Progress:
    """What a checkpoint holds beside the tensors."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    words: int = 0
    seconds: float = 0.0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)


def build(config: Tagging, corpus: TaggedCorpus) -> Tagger:
    """The untrained model of a configuration."""
    counts = torch.from_numpy(corpus.counts)
    if config.order == "none":
        shuffle = torch.Generator().manual_seed(SHUFFLE_SEED)
        order = torch.randperm(len(counts), generator=shuffle)
    else:
        order = frequency_order(counts, config.order)
    dense = config.density == 1
    embedding = SparseEmbedding(
        len(counts),
        config.embedding_dim,
        config.density,
        1 if dense else config.num_bins,
        order=None if dense else order,
        word_dropout=config.word_dropout,
    )
    return Tagger(
        embedding,
        len(corpus.tags),
        config.hidden_size,
        config.projection_size,
        config.embedding_dropout,
        _rnn(config.weight_drop),
    )


def _rnn(weight_drop: float) -> Callable[[int, int], nn.Module]:
    """One direction; the released code of the paper drops weights of the forward one alone."""
    return functools.partial(SparseLSTM, num_blocks=1, weight_drop=weight_drop)


class Training:
    """The live objects of one run: model, optimiser, text, and where it stands."""

    def __init__(self, config: Tagging, corpus: TaggedCorpus, folder: Path) -> None:
        self.config, self.corpus, self.folder = config, corpus, folder
        self.device = resolve_device(config.device)
        torch.manual_seed(config.seed)
        self.model = build(config, corpus).to(self.device)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=config.learning_rate, fused=True
        )
        self.train_text = PaddedSentences(corpus.train, self.device)
        self.dev_text = PaddedSentences(corpus.dev, self.device)
        self.progress = Progress()
        self.keeper = Keeper(folder)
        self._load()

    def save(self) -> None:
        """Write the checkpoint."""
        moments = {
            f"{number}.{name}": value
            for number, state in self.optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }
        tensors = {
            **with_prefix("model", self.model.state_dict()),
            **with_prefix("adam", moments),
        }
        self.keeper.save(tensors, vars(self.progress))

    def _load(self) -> None:
        kept = self.keeper.load(self.device)
        if kept is None:
            return
        tensors, values = kept
        self.model.load_state_dict(of_prefix("model", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in of_prefix("adam", tensors).items():
            number, _, name = key.partition(".")
            moments.setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.progress = Progress(**values)

    @steps()
    def run_epoch(self, progress: bool) -> None:
        """The rest of the current epoch, and the dev accuracy after it."""
        at, config = self.progress, self.config
        batches = shuffled(self.train_text.sizes, config.batch_size, config.seed, at.epoch)
        self.model.train()
        started = time.monotonic()
        bar = tqdm(
            total=len(batches),
            initial=at.step,
            desc=f"epoch {at.epoch + 1}/{config.epochs}",
            unit="step",
            disable=not progress,
            leave=False,
        )
        with bar:
            while at.step < len(batches):
                self.train_step(batches[at.step])
                at.step += 1
                bar.update()
                if self.keeper.due():
                    self.save()
        loss, correct = evaluate(self.model, self.dev_text)
        check_in_step(self.model.parameters(), self.device)
        at.seconds += time.monotonic() - started
        at.epochs.append(
            {
                "epoch": at.epoch + 1,
                "train_loss": at.loss_sum / at.words,
                "dev_loss": loss / self.dev_text.num_words,
                "dev_accuracy": correct / self.dev_text.num_words,
            }
        )
        at.timing.append({"epoch": at.epoch + 1, "seconds": at.seconds, "tokens": at.words})
        at.epoch, at.step, at.loss_sum, at.words, at.seconds = at.epoch + 1, 0, 0.0, 0, 0.0
        if self.keeper.due():
            self.save()

    def train_step(self, rows: np.ndarray) -> None:
        """One batch forward and backward and one step of Adam on the mean loss of its words."""
        at = self.progress
        columns = own(len(rows))
        sizes = self.train_text.sizes[rows]
        number = int(sizes.sum())
        words, labels, lengths = part_of(self.train_text.batch(rows), columns)
        self.optimizer.zero_grad(set_to_none=True)
        with whole_masks(self.model, columns, len(rows)):
            logits = self.model(words, lengths)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        loss = loss * (int(sizes[columns].sum()) / number)
        loss.backward()
        value = sum_gradients(self.model.parameters(), loss)[0].item()
        if not math.isfinite(value):
            raise TrainingError(
                f"training diverged in epoch {at.epoch + 1} at step {at.step}: the loss is "
                f"{value}; try a smaller learning_rate (now {self.config.learning_rate})"
            )
        self.optimizer.step()
        at.loss_sum += value * number
        at.words += number


@torch.no_grad()
def evaluate(model: Tagger, text: PaddedSentences) -> tuple[float, int]:
    """Summed cross entropy (nats) and the number of words tagged right, without dropout."""
    was_training = model.training
    model.eval()
    loss, correct = 0.0, 0
    for words, labels, lengths in own_batches(text):
        logits = model(words, lengths).flatten(0, 1)
        loss += float(
            F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, reduction="sum")
        )
        correct += int((logits.argmax(-1) == labels.flatten()).sum())
    model.train(was_training)
    sums = summed(torch.tensor([loss, correct], dtype=torch.float64))
    return sums[0].item(), int(sums[1])


def own_batches(text: PaddedSentences) -> Iterator[Batch]:
    """All sentences in batches, of which several processes take a part each."""
    for batch in text.in_order(EVALUATED):
        columns = own(len(batch.lengths))
        if columns.start < columns.stop:
            yield part_of(batch, columns)


@torch.no_grad()
def by_frequency(model: Tagger, text: PaddedSentences, counts: np.ndarray) -> pd.DataFrame:
    """Words of ``text`` in each class of :data:`SEEN`, and how many of them are tagged right."""
    model.eval()
    edges = torch.tensor(list(SEEN.values())[1:])
    classes = torch.bucketize(torch.from_numpy(counts), edges, right=True)
    total, right = torch.zeros(2, len(SEEN), dtype=torch.int64)
    for words, labels, lengths in own_batches(text):
        hit = (model(words, lengths).argmax(-1) == labels).cpu()
        real = (labels != IGNORED).cpu()
        seen = classes[words.cpu()]
        total += torch.bincount(seen[real], minlength=len(SEEN))
        right += torch.bincount(seen[real & hit], minlength=len(SEEN))
    total, right = summed(total), summed(right)
    return pd.DataFrame({"seen": list(SEEN), "words": total.numpy(), "correct": right.numpy()})


def train(config: Tagging, corpus: TaggedCorpus, folder: Path, progress: bool = True) -> None:
    """Run the experiment into ``folder``; see the module's text for what appears there.

    Raises:
        InputError: illegal geometry, or the disk is full.
        TrainingError: the loss stopped being a number.
    """
    training = Training(config, corpus, folder)
    while training.progress.epoch < config.epochs:
        training.run_epoch(progress)
    at = training.progress
    write_table(folder / "epochs.parquet", pd.DataFrame(at.epochs))
    write_table(folder / "timing.parquet", pd.DataFrame(at.timing))
    test_text = PaddedSentences(corpus.test, training.device)
    write_table(
        folder / "frequencies.parquet", by_frequency(training.model, test_text, corpus.counts)
    )
    texts = {"train": training.train_text, "dev": training.dev_text, "test": test_text}
    results = pd.DataFrame([scores(training.model, texts)])
    write_table(folder / "results.parquet", results)
    weights = {name: value.cpu() for name, value in training.model.state_dict().items()}
    save_tensors(folder / "weights.safetensors", weights)


def scores(model: Tagger, texts: dict[str, PaddedSentences]) -> dict[str, Any]:
    """The row of results: accuracy and counts of each split, and the size of the model."""
    embedding = model.embedding
    parameters = functools.partial(sum, start=0)
    row: dict[str, Any] = {}
    for split, text in texts.items():
        correct = evaluate(model, text)[1]
        row[f"{split}_accuracy"] = correct / text.num_words
        row[f"{split}_correct"] = correct
        row[f"{split}_words"] = text.num_words
    assert isinstance(embedding, SparseEmbedding)
    entries = parameters(p.numel() for p in embedding.parameters())
    return {
        **row,
        "parameters": parameters(p.numel() for p in model.parameters()),
        "embedding_parameters": entries,
        "average_size": entries / embedding.num_embeddings,
        "achieved_density": embedding.density,
    }
