"""Checks that language modelling and reciting share: fields in range, a text that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsecore.training.configuration import require as require

if TYPE_CHECKING:
    from sparsecore.data.language import Corpus


def check_sizes(config: Any) -> None:
    """The fields that say what the model looks like, and its geometry.

    Raises:
        InputError: a field out of range, or layers that cannot be as small as asked.
    """
    from sparsecore.experiments.language.build import stack_geometry
    from sparsecore.layers.geometry import bin_rows

    for name in "threshold embedding_size hidden_size num_layers embedding_bins".split():
        _at_least_one(config, name)
    value = config.max_tokens
    require(config, "max_tokens", value is None or value >= 1, "at least 1, or none")
    require(config, "reduction", 0 < config.reduction <= 1, "in (0, 1]")
    stack_geometry(config)
    if config.embedding_density != 1:
        bin_rows(1000, config.embedding_size, config.embedding_density, config.embedding_bins)


def check_optimisation(config: Any) -> None:
    """The fields that say how the model is trained."""
    for name in "sequence_length batch_size epochs".split():
        _at_least_one(config, name)
    for name in ("learning_rate", "clip"):
        require(config, name, getattr(config, name) > 0, "above 0")


def prepare_text(
    config: Any, batches: dict[str, int], max_tokens: int | None, progress: bool
) -> Corpus:
    """The prepared text.

    Args:
        config: with corpus, tokenised, threshold, device and precision.
        batches: for each split that is read, its number of columns.
        max_tokens: cap on the training text before filtering.

    Raises:
        InputError: device, precision or corpus unknown; a text too short for its columns.
    """
    from sparsecore.data.language import prepare_corpus
    from sparsecore.training.batches import columns
    from sparsecore.training.device import precision_of, resolve_device

    with precision_of(config.precision, resolve_device(config.device)):
        pass
    corpus = prepare_corpus(
        config.corpus,
        threshold=config.threshold,
        max_tokens=max_tokens,
        tokenised=config.tokenised,
        progress=progress,
    )
    for split, batch_size in batches.items():
        columns(getattr(corpus, split), batch_size, f"{split} text of {corpus.name!r}")
    return corpus


def _at_least_one(config: Any, name: str) -> None:
    require(config, name, getattr(config, name) >= 1, "at least 1")
