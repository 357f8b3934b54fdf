"""Cross entropy of a linear layer's logits, with the statistics of its gradient.

``chunked`` is the fast path (never holds all logits), ``naive`` the reference implementation.
"""

from sparsecore.ops.linear_cross_entropy.chunked import linear_cross_entropy
from sparsecore.ops.linear_cross_entropy.naive import naive_linear_cross_entropy

__all__ = ["linear_cross_entropy", "naive_linear_cross_entropy"]
