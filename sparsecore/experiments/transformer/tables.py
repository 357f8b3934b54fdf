"""A pretrained Transformer read on a corpus: correlations, some words, findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from torch import nn

from sparsecore.errors import InputError
from sparsecore.experiments.transformer.findings import decide
from sparsecore.experiments.transformer.task import (
    ROLES,
    Setting,
    measure,
    outlier_dimensions,
    read_part,
)
from sparsecore.measure.pieces import count_words
from sparsecore.stats.correlation import frequency_correlation
from sparsecore.stats.tables import Summary

MIN_COUNT = 10  # positions that a word needs in a role
RESAMPLES = 2000
METHODS = ("pearson", "pearson_log", "partial_surprisal")
VALUES = ("chi", "chi_without")
GROUPS = ("kind", "block", "signal")
LSTM = {"embedding": "embedding", "lstm1": "lower LSTM", "lstm2": "upper LSTM"}


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


def tables_of(table: pd.DataFrame, resamples: int = RESAMPLES) -> Summary:
    """``correlations``, ``words``, ``findings`` of what :func:`measure` gives.

    Raises:
        InputError: too few words for a correlation.
    """
    words = words_of(table)
    if words["word"].nunique() < 10:
        raise InputError(
            f"{words['word'].nunique()} words have {MIN_COUNT} positions: read more windows"
        )
    return {
        "correlations": correlations(words, resamples),
        "words": _some(words).round(5),
        "findings": decide(words, resamples).round(5),
    }


def words_of(table: pd.DataFrame) -> pd.DataFrame:
    """W: the words with at least ``MIN_COUNT`` positions, a frequency and a known surprisal."""
    enough = (table["count"] >= MIN_COUNT) & (table["frequency"] > 0)
    return table[enough & table["surprisal"].notna()].reset_index(drop=True)


def correlations(words: pd.DataFrame, resamples: int = RESAMPLES) -> pd.DataFrame:
    """rho of every kind, block and signal by each method, with and without outlier dimensions.

    Columns: kind, block, signal, value (chi, chi_without), method, rho, low, high, words.
    """
    parts = []
    for value in VALUES:
        own = words[words["kind"] != "neurons"] if value == "chi_without" else words
        found = frequency_correlation(own, list(GROUPS), METHODS, value, n_boot=resamples)
        parts.append(found.drop(columns="p_permutation"))
    return pd.concat(parts, ignore_index=True).round(4)


def lstm_correlations(words: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The same correlation in the LSTM of part one, over the words of W that it knows.

    Args:
        words: word, signal: those of W, by signal.
        known: the table ``words`` of the emergent experiment (lower-cased words).

    Returns:
        pandas.DataFrame: layer, signal, method, rho, low, high, words.
    """
    parts = []
    for signal, role in ROLES.items():
        lower = set(words.loc[words["signal"] == signal, "word"].str.lower())
        own = known[known["word"].isin(lower)]
        for layer in LSTM:
            renamed = own.rename(columns={f"chi_{layer}_{signal}_{role}": "chi"})
            found = frequency_correlation(
                renamed[["word", "frequency", "chi"]], [], ["pearson_log"], n_boot=RESAMPLES
            )
            parts.append(found.assign(layer=layer, signal=signal))
    columns = ["layer", "signal", "method", "rho", "low", "high", "words"]
    return pd.concat(parts, ignore_index=True)[columns].round(4)


def with_lstm(tables: Mapping[str, pd.DataFrame], known: pd.DataFrame) -> Summary:
    """The tables and ``lstm``, for the words of W."""
    return {**tables, "lstm": lstm_correlations(tables["words"], known)}


def _some(words: pd.DataFrame) -> pd.DataFrame:
    """All words, of the last norm and of four blocks of the residual stream alone."""
    residual = words["kind"] == "residual"
    last = int(words.loc[residual, "block"].max()) if residual.any() else 0
    places = {1, (last + 2) // 3, (2 * last + 2) // 3, last}
    chosen = words[(words["kind"] == "norm") | (residual & words["block"].isin(places))]
    columns = [*GROUPS, "word", "frequency", "surprisal", "count", "chi", "chi_without"]
    return chosen[columns].sort_values([*GROUPS, "word"], ignore_index=True)
