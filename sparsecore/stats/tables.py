"""From tidy per-word rows to matrices: which words, which frequencies, one column a group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsecore.errors import InputError, near_match

GROUP_COLUMNS = ("seed", "revision", "epoch", "layer", "signal", "role")
EXCLUDED = ("<unk>", "<eos>")
CLASSES = ("open", "closed", "none")

Summary = dict[str, pd.DataFrame]  # the small tables of a study, by name


@dataclass(frozen=True)
class Block:
    """Groups that share their words: N words, G groups."""

    words: NDArray[Any]  # N
    frequency: NDArray[np.float64]  # N
    word_class: NDArray[Any] | None  # N, one of CLASSES
    surprisal: NDArray[np.float64] | None  # N, nats
    keys: list[tuple[Any, ...]]  # G, values of the by-columns
    values: NDArray[np.float64]  # N × G


def require_columns(table: pd.DataFrame, columns: Iterable[str]) -> None:
    """One clear line for the first column that is not there."""
    for column in columns:
        if column not in table.columns:
            hint = near_match(column, [str(c) for c in table.columns])
            raise InputError(f"the table has no column {column!r}{hint}")


def group_columns(table: pd.DataFrame, by: Sequence[str] | None) -> list[str]:
    """The columns that tell groups apart: ``by``, or those of GROUP_COLUMNS that are there."""
    if by is None:
        return [column for column in GROUP_COLUMNS if column in table.columns]
    by = [by] if isinstance(by, str) else list(by)
    require_columns(table, by)
    return by


def describe_group(by: Sequence[str], key: Sequence[Any]) -> str:
    """``layer=lstm2, role=target``, or ``the table`` where nothing was grouped."""
    return ", ".join(f"{c}={k}" for c, k in zip(by, key, strict=True)) or "the table"


def select_words(
    table: pd.DataFrame, value: str, *, exclude: Iterable[str], min_frequency: float
) -> pd.DataFrame:
    """Rows with a known value and a positive frequency, without the excluded words."""
    require_columns(table, ["word", "frequency", value])
    if not (isinstance(min_frequency, (int, float)) and min_frequency >= 0):
        raise InputError(f"min_frequency must be 0 or more, not {min_frequency!r}")
    keep = (
        ~table["word"].isin(list(exclude))
        & table[value].notna()
        & (table["frequency"] > 0)
        & (table["frequency"] >= min_frequency)
    )
    return table[keep]


def word_blocks(
    table: pd.DataFrame,
    value: str,
    by: Sequence[str],
    *,
    exclude: Iterable[str] = EXCLUDED,
    min_frequency: float = 0,
    least: int = 3,
    controls: Iterable[str] = (),
) -> list[Block]:
    """Group the table and gather groups over the same words (and frequencies) into matrices.

    With ``"surprisal"`` among ``controls``, words whose surprisal is not known are left out.

    Raises InputError where a group repeats a word or has fewer than ``least`` words.
    """
    chosen = select_words(table, value, exclude=exclude, min_frequency=min_frequency)
    if known := "surprisal" in controls:
        require_columns(table, ["surprisal"])
        chosen = chosen[chosen["surprisal"].notna()]
    if len(chosen) == 0:
        raise InputError(
            f"no words left: need rows with a {value!r}, frequency >= {max(min_frequency, 1):g}"
            f" and a word other than {', '.join(exclude)}"
        )
    codes, names = pd.factorize(chosen["word"], sort=True)
    names = np.asarray(names, dtype=object)
    frequency = chosen["frequency"].to_numpy(dtype=np.float64)
    classes = _classes(chosen)
    surprisal = chosen["surprisal"].to_numpy(dtype=np.float64) if known else None
    values = chosen[value].to_numpy(dtype=np.float64)
    grouped: dict[Any, Any]
    if by:
        grouped = dict(chosen.groupby(list(by), sort=True, observed=True).indices)
    else:
        grouped = {(): np.arange(len(chosen))}

    gathered: dict[bytes, list[tuple[tuple[Any, ...], NDArray[Any]]]] = {}
    for key, rows in grouped.items():
        key = key if isinstance(key, tuple) else (key,)
        rows = rows[np.argsort(codes[rows], kind="stable")]
        _check_group(codes[rows], names, describe_group(by, key), least)
        same = codes[rows].tobytes() + frequency[rows].tobytes() + classes[rows].tobytes()
        same += b"" if surprisal is None else surprisal[rows].tobytes()
        gathered.setdefault(same, []).append((key, rows))
    return [
        Block(
            words=names[codes[members[0][1]]],
            frequency=frequency[members[0][1]],
            word_class=(
                np.asarray(CLASSES, dtype=object)[classes[members[0][1]]]
                if "word_class" in chosen.columns
                else None
            ),
            surprisal=None if surprisal is None else surprisal[members[0][1]],
            keys=[key for key, _ in members],
            values=np.stack([values[rows] for _, rows in members], axis=1),
        )
        for members in gathered.values()
    ]


def _classes(table: pd.DataFrame) -> NDArray[np.int8]:
    """Index into CLASSES; whatever is neither open nor closed counts as none."""
    if "word_class" not in table.columns:
        return np.full(len(table), 2, dtype=np.int8)
    word_class = table["word_class"].to_numpy(dtype=object)
    return np.select([word_class == "open", word_class == "closed"], [0, 1], 2).astype(np.int8)


def _check_group(codes: NDArray[Any], names: NDArray[Any], where: str, least: int) -> None:
    repeated = codes[1:][np.diff(codes) == 0]
    if len(repeated):
        raise InputError(
            f"word {names[repeated[0]]!r} occurs more than once in {where}:"
            " name the column that tells its rows apart in by="
        )
    if len(codes) < least:
        raise InputError(f"{where} has {len(codes)} words; a correlation needs {least} or more")
