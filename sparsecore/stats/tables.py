"""From tidy per-word rows to matrices: which words, which frequencies, one column a group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsecore.errors import InputError, near_match, whole_number

GROUP_COLUMNS = ("seed", "revision", "epoch", "layer", "signal", "role")
NUMBERS = ("integer", "floating", "mixed-integer-float")  # in columns of objects
EXCLUDED = ("<unk>", "<eos>")
CLASSES = ("open", "closed", "none")
FEWEST = 3  # words of a correlation

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


def check_counts(**counts: Any) -> None:
    """One clear line for the first that is no whole number of 0 or more."""
    for name, count in counts.items():
        whole_number(count, name)


def group_columns(table: pd.DataFrame, by: Sequence[str] | None) -> list[str]:
    """The columns that tell groups apart: ``by``, or those of GROUP_COLUMNS that are there."""
    if by is None:
        return [column for column in GROUP_COLUMNS if column in table.columns]
    by = [by] if isinstance(by, str) else list(by)
    require_columns(table, by)
    return by


def rows_where(table: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows that have these values in the columns of these names."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def describe_group(by: Sequence[str], key: Sequence[Any]) -> str:
    """``layer=lstm2, role=target``, or ``the table`` where nothing was grouped."""
    return ", ".join(f"{c}={k}" for c, k in zip(by, key, strict=True)) or "the table"


def groups_of(table: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The values of the by-columns and the rows of each group, as a DataFrame.

    Rows without a value in one of those columns are a group of their own, the last one.
    """
    if not by:
        return iter([((), table)])
    groups: Any = table.groupby(list(by), sort=True, observed=True, dropna=False)
    return iter(groups)


def excluded_words(exclude: Iterable[str] | str | None) -> list[Any]:
    """The words to leave out; a single one may stand by itself.

    >>> excluded_words("the"), excluded_words(None)
    (['the'], [])
    """
    if isinstance(exclude, str) or exclude is None:
        return [] if exclude is None else [exclude]
    if not isinstance(exclude, Iterable):
        raise InputError(f"exclude must be words, got {exclude!r:.60}")
    return list(exclude)


def select_words(
    table: pd.DataFrame, value: str, *, exclude: Iterable[str], min_frequency: float
) -> pd.DataFrame:
    """Rows with a known value and a positive frequency, without the excluded words.

    Raises:
        InputError: a missing column, columns that hold no numbers, or rows without a word.
    """
    require_columns(table, ["word", "frequency", value])
    if isinstance(min_frequency, bool) or not (
        isinstance(min_frequency, Real) and min_frequency >= 0
    ):
        raise InputError(f"min_frequency must be 0 or more, not {min_frequency!r}")
    for column in ("frequency", value):
        _check_numbers(table, column)
    frequency = pd.to_numeric(table["frequency"])
    keep = (
        ~table["word"].isin(excluded_words(exclude))
        & table[value].notna()
        & (frequency > 0)
        & (frequency >= float(min_frequency))
    )
    chosen = table[keep]
    if nameless := int(chosen["word"].isna().sum()):
        raise InputError(
            f"the table has {nameless} row(s) without a word: pandas reads the words null and nan "
            "of a CSV file as missing; read it with pd.read_csv(…, keep_default_na=False)"
        )
    return chosen


def _check_numbers(table: pd.DataFrame, column: str) -> None:
    values = table[column]
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.infer_dtype(values) in NUMBERS:
        return
    raise InputError(
        f"column {column!r} must hold numbers, not {values.dtype}: convert it with pd.to_numeric, "
        f"or read the file with pd.read_csv(…, na_values={{{column!r}: ['']}})"
    )


def word_blocks(
    table: pd.DataFrame,
    value: str,
    by: Sequence[str],
    *,
    exclude: Iterable[str] = EXCLUDED,
    min_frequency: float = 0,
    controls: Iterable[str] = (),
) -> list[Block]:
    """Group the table and gather groups over the same words (and frequencies) into matrices.

    With ``"surprisal"`` among ``controls``, words whose surprisal is not known are left out.

    Raises InputError where a group repeats a word or has fewer than 3 words.
    """
    exclude = excluded_words(exclude)
    chosen = select_words(table, value, exclude=exclude, min_frequency=min_frequency)
    if known := "surprisal" in controls:
        require_columns(table, ["surprisal"])
        _check_numbers(table, "surprisal")
        chosen = chosen[chosen["surprisal"].notna()]
    if len(chosen) == 0:
        raise InputError(
            f"no words left: need rows with a {value!r}, frequency >= {max(min_frequency, 1):g}"
            f" and a word other than {', '.join(map(str, exclude)) or 'none'}"
        )
    codes, names = pd.factorize(chosen["word"], sort=True)
    names = np.asarray(names, dtype=object)
    frequency = chosen["frequency"].to_numpy(dtype=np.float64)
    classes = _classes(chosen)
    surprisal = chosen["surprisal"].to_numpy(dtype=np.float64) if known else None
    values = chosen[value].to_numpy(dtype=np.float64)
    places = chosen[list(by)].reset_index(drop=True)
    gathered: dict[bytes, list[tuple[tuple[Any, ...], NDArray[Any]]]] = {}
    for key, part in groups_of(places, by):
        rows = part.index.to_numpy()
        rows = rows[np.argsort(codes[rows], kind="stable")]
        _check_group(codes[rows], names, describe_group(by, key))
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
    opened, closed = (table["word_class"].isin([name]).to_numpy(bool) for name in CLASSES[:2])
    return np.select([opened, closed], [0, 1], 2).astype(np.int8)


def _check_group(codes: NDArray[Any], names: NDArray[Any], where: str) -> None:
    repeated = codes[1:][np.diff(codes) == 0]
    if len(repeated):
        raise InputError(
            f"word {names[repeated[0]]!r} occurs more than once in {where}:"
            " name the column that tells its rows apart in by="
        )
    if len(codes) < FEWEST:
        raise InputError(f"{where} has {len(codes)} words; a correlation needs {FEWEST} or more")


def rounded(table: pd.DataFrame, digits: int, small: bool = False) -> pd.DataFrame:
    """So many decimals, and plain text for categories; ``small``: numbers of 32 bits."""
    table = table.copy()
    for column in table.columns:
        if pd.api.types.is_float_dtype(table[column]):
            table[column] = table[column].round(digits)
            if small:
                table[column] = table[column].astype("float32")
        elif small and pd.api.types.is_integer_dtype(table[column]):
            table[column] = table[column].astype("int32")
        elif column not in ("word", "step_cut") and not pd.api.types.is_numeric_dtype(
            table[column]
        ):
            table[column] = table[column].astype("str")
    return table
