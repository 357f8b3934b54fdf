"""Random draws of hyper-parameters, and the choice among them by dev accuracy."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparsecore.errors import InputError

# The paper's ranges with GloVe.
LOG_UNIFORM = {"learning_rate": (7e-3, 0.5), "weight_decay": (1e-7, 1e-5)}
UNIFORM = {"clip": (1.0, 5.0), "rnn_dropout": (0.0, 0.5), "embed_dropout": (0.0, 0.5)}


def random_search(seed: int, count: int) -> list[dict[str, float]]:
    """``count`` assignments of learning rate (rising), weight decay, clip and dropouts.

    The same seed gives the same draws; more of them hold these too. Source: the random search of
    Dodge et al. (2019), §3 and appendix A.

    >>> [round(draw["learning_rate"], 3) for draw in random_search(0, 3)]
    [0.106, 0.228, 0.345]
    """
    if count < 1:
        raise InputError(f"count must be at least 1, got {count}")
    generator = np.random.default_rng(seed)
    known = {**LOG_UNIFORM, **UNIFORM}
    drawn = []
    for _ in range(count):
        shares = dict(zip(known, generator.random(len(known)), strict=True))
        one = {}
        for name, share in shares.items():
            low, high = known[name]
            log = name in LOG_UNIFORM
            one[name] = float(low * (high / low) ** share if log else low + (high - low) * share)
        drawn.append({name: float(f"{value:.3g}") for name, value in one.items()})
    return sorted(drawn, key=lambda draw: draw["learning_rate"])


def best_draw(results: pd.DataFrame) -> dict[str, float]:
    """The assignment with the highest dev accuracy, mean over what else varies; ties: the smaller.

    ``results``: the drawn fields and dev_accuracy, one row a run. Test accuracy is never looked at.
    """
    fields = list({**LOG_UNIFORM, **UNIFORM})
    missing = [name for name in (*fields, "dev_accuracy") if name not in results.columns]
    if missing:
        raise InputError(f"the results have no column {missing[0]}")
    means = results.groupby(fields, as_index=False)["dev_accuracy"].mean()
    best = means["dev_accuracy"].to_numpy().argmax()  # the groups stand in order
    return {name: float(means[name].iloc[best]) for name in fields}
