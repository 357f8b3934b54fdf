"""Lookup and output logits of a staircase matrix that is stored without its zeros.

The V x k matrix is cut into M bins of columns; bin m holds numbers in its last r_m rows only, and
only those are stored, as ``tables[m]`` of shape (r_m, width_m). ``naive_dense`` is the
reference implementation: it fills in the zeros.
"""

from sparsecore.ops.staircase.gather import column_layout
from sparsecore.ops.staircase.logits import staircase_logits
from sparsecore.ops.staircase.lookup import staircase_lookup
from sparsecore.ops.staircase.naive import naive_dense

__all__ = ["column_layout", "naive_dense", "staircase_logits", "staircase_lookup"]
