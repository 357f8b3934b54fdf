"""No time without the right result: each contestant is held against the obvious twin first."""

from __future__ import annotations

import math

import torch

from sparsecore.bench.case import Prepared, Values

TOLERANCE = 1e-5  # float32 against a truth in float64, relative to the norm
EQUAL, OTHER, REFUSED = "equal", "other", "refused"
ABSENT = "absent"  # cannot run here, so there is nothing to judge


def judge(prepared: Prepared) -> dict[str, tuple[str, float]]:
    """Of each contestant: ``equal``, ``other`` or ``refused``, and its largest relative error.

    ``other`` computes something else on purpose and has no error (NaN). A contestant whose values
    miss the truth by more than 1e-5 of its norm, or cannot be compared with it, is ``refused``: its
    time would mean nothing.
    """
    truth: Values | None = None
    verdicts: dict[str, tuple[str, float]] = {}
    for name, contestant in prepared.contestants.items():
        if contestant.values is None:
            verdicts[name] = OTHER, math.nan
            continue
        truth = prepared.truth() if truth is None else truth
        error = largest_error(contestant.values(), truth)
        verdicts[name] = EQUAL if error <= TOLERANCE else REFUSED, error
    return verdicts


def largest_error(found: Values, truth: Values) -> float:
    """max over names of ||found − truth|| / ||truth||; infinite where they cannot be compared.

    A contestant may leave out what it has no part in (a plain step computes no statistic), but not
    everything, and it may not bring anything that the truth does not know.
    """
    if not found or not found.keys() <= truth.keys():
        return math.inf
    errors = []
    for name, value in found.items():
        right = truth[name].double()
        if value.shape != right.shape:
            return math.inf
        distance = torch.linalg.vector_norm(value.detach().cpu().double() - right.cpu()).item()
        norm = torch.linalg.vector_norm(right).item()
        errors.append(distance / norm if norm else distance)
    return max(math.inf if math.isnan(error) else error for error in errors)
