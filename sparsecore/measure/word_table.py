"""Where a tracker keeps its values: per word and exact, either dense or only for words that occur.

Values of positions are first held as they are (8 bytes a position and signal) and added to the sums
of their words many passes at a time, which costs the hooks next to nothing. Dense sums are added to
at once and in place, which a step recorded as a CUDA graph needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.files import write_error
from sparsecore.measure.ids import Ids
from sparsecore.ops.word_sums import (
    COLUMNS,
    add_packed,
    add_words,
    empty_sums,
    index_words,
    not_finite,
    quantise,
    sum_rows,
    unpack,
)

Key = tuple[str, str, str]  # layer, signal, role
HELD = 64 * 2**20  # bytes of values that are held before they are summed


@dataclass(frozen=True)
class Held:
    """Values of one signal in one pass: (N, M) chi, ℓ1 and further measures; ids (N,) by role."""

    number: int  # of the pass
    ids: Ids
    values: Tensor


class WordTable:
    """Sums of values per layer, signal, role and word.

    Args:
        num_words: V where it is known.
        measures: names of the measures beside chi and ℓ1. Their sums stand under the signal
            ``"activation:name"``, with their values in the place of ℓ1.
        dense: keep (V, 14) sums, in place; otherwise packed ones of the words that occur.
        rows: a Parquet file for the values of every position.

    Attributes:
        sums: per :data:`Key`, as :mod:`sparsecore.ops.word_sums` describes.
    """

    def __init__(
        self, num_words: int | None, measures: Iterable[str], dense: bool, rows: str | Path | None
    ) -> None:
        if dense and num_words is None:
            raise InputError("dense=True needs a vocabulary: the sums have a row for each word")
        if dense and rows is not None:
            raise InputError("rows= needs dense=False: dense sums do not keep positions")
        self.num_words, self.dense = num_words, dense
        self.measures = tuple(measures)
        self.sums: dict[Key, Tensor] = {}
        self.rows = None if rows is None else TokenRows(Path(rows), self.measures)
        self._held: dict[tuple[str, str], list[Held]] = {}
        self._bytes = 0
        self._unchecked: list[tuple[tuple[str, str], Held]] = []
        self._not_finite: dict[tuple[str, str], int] = {}
        self._moved: dict[Any, tuple[Tensor, Tensor]] = {}

    def add(self, number: int, layer: str, signal: str, ids: Ids, values: Tensor) -> None:
        """Add the values (N, M) of positions with the words ``ids`` (N,) in pass ``number``."""
        if not self.dense:
            part = Held(number, ids, values)
            self._held.setdefault((layer, signal), []).append(part)
            self._unchecked.append(((layer, signal), part))
            self._bytes += values.numel() * values.element_size()
            return
        for name, rows in self._columns(signal, values):
            for role, words in ids.items():
                room = self._room((layer, name, role), rows.device)
                add_words(room, self._there(role, words, rows.device), rows)

    def discard(self, number: int) -> None:
        """Forget what pass ``number`` has added and is still held."""
        for key, held in self._held.items():
            self._held[key] = [part for part in held if part.number != number]
        self._unchecked = [one for one in self._unchecked if one[1].number != number]

    def is_full(self) -> bool:
        """Whether :meth:`flush` is due."""
        return self._bytes > HELD

    def flush(self) -> None:
        """Add what is held to the sums.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        self.not_finite()
        held, self._held, self._bytes = self._held, {}, 0
        indices: dict[Any, Any] = {}
        for layer, signal in list(held):
            parts = held.pop((layer, signal))  # freed one by one, as sums take their place
            if self.rows is not None:
                self.rows.write(layer, signal, parts)
            for role in {role: None for part in parts for role in part.ids}:
                chosen = [part for part in parts if role in part.ids]
                device = chosen[-1].values.device
                same = (role, device, *(id(part.ids) for part in chosen))
                if same not in indices:
                    words = torch.cat([part.ids[role].to(device) for part in chosen])
                    indices[same] = self._index(role, words)
                values = torch.cat([part.values.to(device) for part in chosen])
                for name, rows in self._columns(signal, values):
                    self._add((layer, name, role), sum_rows(indices[same], rows))

    def close(self) -> None:
        """Finish the file of rows."""
        if self.rows is not None:
            self.flush()
            self.rows.close()

    def load(self, sums: Mapping[Key, Tensor]) -> None:
        """Add sums of another table of the same kind.

        Raises:
            InputError: they are of the other kind, or have more words.
        """
        for key, value in sums.items():
            if self.dense:
                fits = value.dtype == torch.int64 and value.shape[1:] == (COLUMNS,)
            else:
                fits = value.dtype == torch.int32 and value.ndim == 2 and min(value.shape) > 0
            if not fits:
                needed = f"int64 (V, {COLUMNS})" if self.dense else "int32 (1 + K, 1 + P)"
                raise InputError(
                    f"sums of {key} are {value.dtype} {tuple(value.shape)}, but a tracker with "
                    f"dense={self.dense} needs {needed}; sums of an older version have to be "
                    "made again"
                )
            if not self.dense:
                self._add(key, value)
                continue
            room = self._room(key, value.device)
            if len(value) > len(room):
                raise InputError(f"sums of {key} have {len(value)} words, not {len(room)}")
            room[: len(value)] += value

    def not_finite(self) -> dict[tuple[str, str], int]:
        """Positions with NaN or inf by layer and signal, where there are any."""
        if self.dense:
            self._not_finite = {}
            for layer, signal, role in self.sums:
                if ":" not in signal:
                    number = not_finite(self.sums[layer, signal, role])
                    before = self._not_finite.get((layer, signal), 0)
                    self._not_finite[layer, signal] = max(before, number)
        numbers, counts = [], {}
        for _, part in self._unchecked:
            same = id(part.ids), part.values.device  # all signals of a pass
            if same not in counts:
                counts[same] = _counts(part)
            numbers.append((~part.values[:, 1].isfinite() & counts[same]).sum())
        if numbers and any(torch.stack([number.cpu() for number in numbers]).tolist()):
            for (key, _), number in zip(self._unchecked, numbers, strict=True):
                self._not_finite[key] = self._not_finite.get(key, 0) + int(number)
        self._unchecked.clear()
        return {key: number for key, number in self._not_finite.items() if number}

    def words_and_sums(self, key: Key) -> tuple[Tensor, Tensor]:
        """The words (K,) of a key and their sums (K, 14)."""
        sums = self.sums[key]
        if self.dense:
            return torch.arange(len(sums), device=sums.device), sums
        return unpack(sums)

    def _columns(self, signal: str, values: Tensor) -> Iterable[tuple[str, Tensor]]:
        """Rows to be added (N, 14), by signal; those of a measure have chi 0."""
        yield signal, quantise(values[:, 0], values[:, 1])
        for column, name in enumerate(self.measures, 2):
            yield f"{signal}:{name}", quantise(torch.zeros_like(values[:, 0]), values[:, column])

    def _index(self, role: str, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        index = index_words(words)
        largest = int(index[0][-1]) if len(index[0]) else -1
        if self.num_words is not None and largest >= self.num_words:
            raise InputError(
                f"{role}_ids hold {largest}, but the vocabulary has {self.num_words} words"
            )
        if largest >= 2**31:
            raise InputError(f"{role}_ids must be below 2^31, got {largest}")
        return index

    def _add(self, key: Key, sums: Tensor) -> None:
        have = self.sums.get(key)
        self.sums[key] = sums if have is None else add_packed(have.to(sums.device), sums)

    def _there(self, role: str, words: Tensor, device: torch.device) -> Tensor:
        """``words`` on a device: copied once for all signals of a pass, and nobody waits for it.

        A GPU's stream has a copy of its own, which comes before what reads it.
        """
        if words.device == device:
            return words
        on_gpu = device.type == "cuda"
        known = on_gpu and torch.cuda.is_initialized()
        place = role, device, torch.cuda.current_stream(device) if known else None
        source, moved = self._moved.get(place, (None, words))
        if source is not words:  # which nobody changes, as words() has copied them
            moved = words.to(device, non_blocking=on_gpu)
            self._moved[place] = words, moved
        return moved

    def _room(self, key: Key, device: torch.device) -> Tensor:
        """The dense sums of ``key``, on the device of what is to be added."""
        have = self.sums.get(key)
        if have is None:
            assert self.num_words is not None
            have = empty_sums(self.num_words, device)
        elif have.device != device:
            have = have.to(device)
        self.sums[key] = have
        return have


def _counts(part: Held) -> Tensor:
    """(N,) which positions count for a word."""
    words = [ids.to(part.values.device) for ids in part.ids.values()]
    return torch.stack(words).amax(0) >= 0


class TokenRows:
    """A Parquet file with one row a position, layer and signal, written as values come.

    Columns: pass (0, 1, …), position (in the pass, as its ids lie in memory), input_id, target_id
    (-1 where a role was not given), layer, signal, chi, l1 and the further measures.

    Raises:
        InputError: the path is a folder, or its folder cannot be made.
    """

    def __init__(self, path: Path, measures: Iterable[str]) -> None:
        if path.is_dir():
            raise InputError(f"rows={str(path)!r} is a folder: give the name of a Parquet file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        self.path, self.measures = path, tuple(measures)
        self.finished = False
        self._writer: Any = None

    def write(self, layer: str, signal: str, parts: Iterable[Held]) -> None:
        """Append the values of a signal."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for part in parts:
            values = part.values.float().cpu().numpy()
            size = len(values)
            absent = torch.full((size,), -1)
            ids = {role: part.ids.get(role, absent).cpu().numpy() for role in ("input", "target")}
            columns = {
                "pass": pa.array([part.number] * size, pa.int64()),
                "position": pa.array(range(size), pa.int32()),
                "input_id": pa.array(ids["input"], pa.int32()),
                "target_id": pa.array(ids["target"], pa.int32()),
                "layer": pa.DictionaryArray.from_arrays(pa.array([0] * size, pa.int32()), [layer]),
                "signal": pa.DictionaryArray.from_arrays(
                    pa.array([0] * size, pa.int32()), [signal]
                ),
                **{
                    name: values[:, column]
                    for column, name in enumerate(("chi", "l1", *self.measures))
                },
            }
            table = pa.table(columns)
            if self._writer is None:
                self._writer = pq.ParquetWriter(self.path, table.schema)
            self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file."""
        self.finished = True
        if self._writer is not None:
            self._writer.close()
