"""Train one tagger and score it: Adam, a fixed number of epochs, the test after the last one.

The folder gets, beside what every run has, ``results.parquet`` (one row) and
``frequencies.parquet`` (test accuracy by how often the word was seen in training).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from sparsecore.data.tagged import TaggedCorpus, prepare_tagged
from sparsecore.errors import InputError
from sparsecore.experiments.tagging.config import Tagging
from sparsecore.layers.embedding import SparseEmbedding, frequency_order
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.models.language_model import num_parameters
from sparsecore.models.tagger import Tagger
from sparsecore.training.device import resolve_device
from sparsecore.training.distributed import all_reduce
from sparsecore.training.loop import Outputs, Row, Sums, update
from sparsecore.training.sentences import IGNORED, Batch, PaddedSentences, part_of, shuffled
from sparsecore.training.sharding import local_shard, shard

EVALUATED = 256  # sentences at once
SHUFFLE_SEED = 0  # of the order "none": the same words are short in every run
SEEN = {"never": 0, "once": 1, "2 to 9": 2, "10 to 99": 10, "100 or more": 100}
"""Classes of words by their number of occurrences in the training text: the least of each."""


def prepare(config: Tagging, progress: bool = True) -> TaggedCorpus:
    """Check the device and read the tagged text (cached)."""
    resolve_device(config.device)
    corpus = prepare_tagged(
        config.corpus, config.tags, max_sentences=config.max_sentences, progress=progress
    )
    sentences = len(corpus.train)
    if sentences < config.batch_size:
        raise InputError(
            f"batch_size must be at most the {sentences} training sentences of {corpus.name}, "
            f"got {config.batch_size}"
        )
    return corpus


class Task:
    """One tagger, its sentences, and how it is trained and scored."""

    def __init__(self, config: Tagging, corpus: TaggedCorpus, folder: Path) -> None:
        self.config, self.corpus = config, corpus
        self.epochs = range(1, config.epochs + 1)

    def build(self, device: torch.device) -> dict[str, Any]:
        """The untrained model and Adam."""
        self.model = build_model(self.config, self.corpus).to(device)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=self.config.learning_rate, fused=True
        )
        self.texts = {
            split: PaddedSentences(getattr(self.corpus, split), device)
            for split in ("train", "dev", "test")
        }
        return {"model": self.model, "optimizer": self.optimizer}

    def batches(self, epoch: int) -> np.ndarray:
        """(number, B) rows of sentences."""
        config = self.config
        return shuffled(self.texts["train"].sizes, config.batch_size, config.seed, epoch - 1)

    def step(self, rows: np.ndarray) -> Sums:
        """A step of Adam on the mean loss of a batch's words."""
        sizes = self.texts["train"].sizes[rows]
        batch, count = self.texts["train"].batch(rows), int(sizes.sum())
        with shard(self.model, len(rows)) as columns:
            words, labels, lengths = part_of(batch, columns)
            logits = self.model(words, lengths)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        share = int(sizes[columns].sum()) / count
        (loss,) = update(self.model, self.optimizer, share * loss, sharded=True)
        return {"loss": loss.double() * count, "count": count}

    def end_epoch(self, sums: dict[str, float]) -> Row:
        """Loss and accuracy on the development sentences."""
        loss, correct = evaluate(self.model, self.texts["dev"])
        words = self.texts["dev"].num_words
        return {
            "train_loss": sums["loss"] / sums["count"],
            "dev_loss": loss / words,
            "dev_accuracy": correct / words,
        }

    def results(self) -> Outputs:
        """Accuracies of the model after the last epoch, and its weights."""
        counts = self.corpus.counts
        return {
            "weights": self.model.state_dict(),
            "frequencies": by_frequency(self.model, self.texts["test"], counts),
            "results": pd.DataFrame([scores(self.model, self.texts)]),
        }


def build_model(config: Tagging, corpus: TaggedCorpus) -> Tagger:
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
        # of both directions; the released code of the paper drops weights of the forward one alone
        functools.partial(SparseLSTM, num_blocks=1, weight_drop=config.weight_drop),
    )


@torch.no_grad()
def evaluate(model: Tagger, text: PaddedSentences) -> tuple[float, int]:
    """Summed cross entropy (nats) and the number of words tagged right, without dropout."""
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=text.words.device)
    for words, labels, lengths in local_batches(text):
        logits, right = model(words, lengths).flatten(0, 1), labels.flatten()
        sums[0] += F.cross_entropy(logits, right, ignore_index=IGNORED, reduction="sum")
        sums[1] += (logits.argmax(-1) == right).sum()
    loss, correct = all_reduce(sums).tolist()
    return loss, int(correct)


def local_batches(text: PaddedSentences) -> Iterator[Batch]:
    """All sentences in batches, of which several processes take a part each."""
    for batch in text.in_order(EVALUATED):
        columns = local_shard(len(batch.lengths))
        if columns.start < columns.stop:
            yield part_of(batch, columns)


@torch.no_grad()
def by_frequency(model: Tagger, text: PaddedSentences, counts: np.ndarray) -> pd.DataFrame:
    """Words of ``text`` in each class of :data:`SEEN`, and how many of them are tagged right."""
    model.eval()
    edges = torch.tensor(list(SEEN.values())[1:])
    classes = torch.bucketize(torch.from_numpy(counts), edges, right=True)
    total, right = torch.zeros(2, len(SEEN), dtype=torch.int64)
    for words, labels, lengths in local_batches(text):
        hit = (model(words, lengths).argmax(-1) == labels).cpu()
        real = (labels != IGNORED).cpu()
        seen = classes[words.cpu()]
        total += torch.bincount(seen[real], minlength=len(SEEN))
        right += torch.bincount(seen[real & hit], minlength=len(SEEN))
    total, right = all_reduce(total), all_reduce(right)
    return pd.DataFrame({"seen": list(SEEN), "words": total.numpy(), "correct": right.numpy()})


def scores(model: Tagger, texts: dict[str, PaddedSentences]) -> Row:
    """The row of results: accuracy and counts of each split, and the size of the model."""
    row: Row = {}
    for split, text in texts.items():
        correct = evaluate(model, text)[1]
        row[f"{split}_accuracy"] = correct / text.num_words
        row[f"{split}_correct"] = correct
        row[f"{split}_words"] = text.num_words
    embedding = model.embedding
    assert isinstance(embedding, SparseEmbedding)
    entries = num_parameters(embedding)
    return {
        **row,
        "parameters": num_parameters(model),
        "embedding_parameters": entries,
        "average_size": entries / embedding.num_embeddings,
        "achieved_density": embedding.density,
    }
