"""The four findings of our own across the papers by the second rule: every part is essential.

Their rules (:mod:`sparsecore.experiments.crossing.findings`) name their parts with "and", so none
is a side part. See ``book/registrations.md``, *Crossing the papers*.
"""

from __future__ import annotations

import pandas as pd

from sparsecore.stats.judgement import COLUMNS, ESSENTIAL
from sparsecore.stats.verdict import MET


def verdict_parts(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The parts of the findings: see :func:`sparsecore.stats.judgement.parts_table`."""
    parts = tables["findings"].assign(kind=ESSENTIAL, effect=float("nan"), condition=MET)
    return parts[COLUMNS]
