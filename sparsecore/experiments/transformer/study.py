"""A model read on a corpus, from its outlier dimensions to the tables of its findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
from torch import nn

from sparsecore.experiments.transformer.measure import (
    Setting,
    measure,
    outlier_dimensions,
    read_part,
)
from sparsecore.experiments.transformer.tables import tables_of
from sparsecore.measure.pieces import count_words
from sparsecore.stats.tables import Summary


def study(
    model: nn.Module,
    tokenizer: Any,
    corpus: str,
    setting: Setting,
    say: Callable[[str], object] = lambda line: None,
) -> tuple[Summary, dict[str, Any]]:
    """``correlations``, ``words``, ``findings``, ``outliers``, and what was read.

    Outlier dimensions are found on the validation text of ``corpus``, frequencies counted in its
    training text, and both take the place of those in ``setting``; the test text is read.

    Raises:
        InputError: a corpus without these parts, a model of another build, too few words.
    """
    outliers = outlier_dimensions(model, tokenizer, read_part(corpus, "valid"))
    frequency = pd.Series(count_words(read_part(corpus, "train")))
    known = replace(setting, frequency=frequency, outliers=outliers["dimension"].tolist())
    table, facts = measure(model, tokenizer, read_part(corpus, "test"), known, say)
    return {**tables_of(table), "outliers": outliers.round({"largest": 1})}, facts
