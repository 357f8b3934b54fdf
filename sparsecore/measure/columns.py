"""The table of a tracker, from its sums: one row per word, layer, signal and role.

It may have millions of rows, so that its columns are filled in place, one after another key, and
names are codes until the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparsecore.errors import InputError
from sparsecore.measure.word_table import Key, WordTable
from sparsecore.ops.word_sums import means, seen

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are made of.

    Attributes:
        vocabulary: words by id; None: a word is its id.
        counts: frequencies by id; None: positions seen.
        measures: columns beside chi and ℓ1.
        compact: categories for names, and numbers of 32 bits.
    """

    vocabulary: NDArray[Any] | None
    counts: NDArray[Any] | None
    measures: tuple[str, ...]
    compact: bool

    def frame(self, table: WordTable, keys: Sequence[Key]) -> pd.DataFrame:
        """The rows of ``keys``, in their order, each by ascending id.

        Raises:
            InputError: an id that has no word or count.
        """
        import pandas as pd

        sizes = [len(self._ids(table, key)) for key in keys]
        integer, real = (np.int32, np.float32) if self.compact else (np.int64, np.float64)
        numbers: dict[str, NDArray[Any]] = {
            name: np.empty(sum(sizes), integer if name in ("count", "word_id") else real)
            for name in ("chi", "l1", "count", "word_id", *self.measures)
        }
        frequency = np.empty(sum(sizes), integer if self.counts is None else self.counts.dtype)
        start = 0
        for key, size in zip(keys, sizes, strict=True):
            at = slice(start, start + size)
            positions = self._fill({name: x[at] for name, x in numbers.items()}, table, key)
            ids = numbers["word_id"][at]
            frequency[at] = positions if self.counts is None else self.counts[ids]
            start += size
        names = {
            name: self._names([key[place] for key in keys], sizes)
            for place, name in enumerate(("layer", "signal", "role"))
        }
        columns = {
            "word": self._words(numbers["word_id"]),
            "frequency": frequency,
            **names,
            **{name: numbers[name] for name in ("chi", "l1", "count", "word_id")},
            **{name: numbers[name] for name in self.measures},
        }
        return pd.DataFrame(columns, copy=False)

    def _ids(self, table: WordTable, key: Key) -> NDArray[np.int64]:
        """Of the words of a key that were seen; those that have no name or count are an error."""
        ids, sums = table.words_and_sums(key)
        ids = ids[seen(sums) > 0].cpu().numpy()
        for what, known in (("vocabulary", self.vocabulary), ("list of counts", self.counts)):
            if known is not None and len(ids) and ids[-1] >= len(known):
                raise InputError(
                    f"{key[2]}_ids hold {ids[-1]}, but the {what} has {len(known)} words"
                )
        return ids

    def _fill(
        self, numbers: dict[str, NDArray[Any]], table: WordTable, key: Key
    ) -> NDArray[np.int64]:
        """Write the numbers of a key; gives the positions at which each word was seen."""
        import pandas as pd

        layer, signal, role = key
        ids, sums = table.words_and_sums(key)
        ids, sums = ids.cpu().numpy(), sums.cpu()
        positions = seen(sums).numpy()
        at = positions.nonzero()[0]
        found = dict(zip(("chi", "l1", "count"), means(sums), strict=True))
        for name, values in found.items():
            numbers[name][:] = values.numpy()[at]
        numbers["word_id"][:] = ids[at]
        for name in self.measures:
            words, others = table.words_and_sums((layer, f"{signal}:{name}", role))
            values = pd.Series(means(others.cpu())[1].numpy(), index=words.cpu().numpy())
            numbers[name][:] = values.reindex(ids[at]).to_numpy()
        return positions[at]

    def _names(self, values: list[str], sizes: Sequence[int]) -> Any:
        known = list(dict.fromkeys(values))
        places = [known.index(value) for value in values]
        codes = np.repeat(np.array(places, np.int16), sizes)
        return self._column(np.array(known, object), codes)

    def _words(self, ids: NDArray[Any]) -> Any:
        if self.vocabulary is None:
            return ids.copy()
        places = np.zeros(len(self.vocabulary), np.int32)
        places[ids] = 1
        (found,) = places.nonzero()
        places[found] = np.arange(len(found))
        return self._column(self.vocabulary[found], places[ids])

    def _column(self, names: NDArray[Any], codes: NDArray[Any]) -> Any:
        """``names[codes]``, as pandas holds such names."""
        import pandas as pd

        if not self.compact:
            return pd.Series(names).take(codes).array
        categories: Any = pd.Categorical(names)  # of two ids with one name one
        return pd.Categorical.from_codes(categories.codes[codes], dtype=categories.dtype)
