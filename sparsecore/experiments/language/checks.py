"""Checks of the fields that language modelling and reciting share."""

from __future__ import annotations

from typing import Any

from sparsecore.training.configuration import ABOVE_0, AT_LEAST_1, require, require_range


def check_sizes(config: Any) -> None:
    """The fields that say what the model looks like, and its geometry.

    Raises:
        InputError: a field out of range, or layers that cannot be as small as asked.
    """
    from sparsecore.experiments.language.build import stack_geometry
    from sparsecore.layers.geometry import bin_rows

    names = "threshold embedding_size hidden_size num_layers embedding_bins max_tokens"
    require_range(config, AT_LEAST_1, names)
    require(config, "reduction", 0 < config.reduction <= 1, "in (0, 1]")
    stack_geometry(config)
    if config.embedding_density != 1:
        bin_rows(1000, config.embedding_size, config.embedding_density, config.embedding_bins)


def check_optimisation(config: Any) -> None:
    """The fields that say how the model is trained."""
    require_range(config, AT_LEAST_1, "sequence_length batch_size epochs")
    require_range(config, ABOVE_0, "learning_rate clip")
