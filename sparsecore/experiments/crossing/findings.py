"""What one paper's measure says about another's models: the findings, and their rules.

The rules were written before any of the runs was looked at. They name their parts with "and", so
that every part is essential (``book/registrations.md``, *Crossing the papers*). Intervals are t
intervals over seeds (95 %), Welch's for differences. A part is true if the whole interval is on the
claimed side of the bound, false if it is wholly on the other side, else open.

1. Fewer connections, more concentration. Two parts, for LSTMs of the same width: chi of the upper
   LSTM's activation, and of its gradient, is larger with the most blocks than with one.
2. The headline finding survives: with the most blocks too, chi of the upper LSTM's gradient rises
   with the log frequency of the target word. One part: rho is above 0.
3. Training concentrates the vote of the automata, without any penalty. One part: chi of what they
   add to the decision, minus the same before training, is above 0.
4. Natural sparsity says which states get pruned. One part for each way to look at the network that
   was trained without a penalty, from the same initial weights: the probability that a state that
   is kept ranks above one that is removed (AUC) is above 0.5.
"""

from __future__ import annotations

import pandas as pd

from sparsecore.stats.judgement import COLUMNS, ESSENTIAL
from sparsecore.stats.seeds import difference_interval, mean_interval
from sparsecore.stats.tables import Summary
from sparsecore.stats.verdict import MET, side

SIGNALS = {  # of the upper LSTM: signal, role
    "activation": ("activation", "input"),
    "gradient": ("gradient", "target"),
}
LOOKS = {
    "norm": "the norm of the state's weights",
    "score": "the size of the state's score at the end of a text",
}
FINDINGS = ["finding", "part", "method", "value", "low", "high", "outcome", "seeds"]


def verdict_parts(tables: Summary) -> pd.DataFrame:
    """The parts from the table ``findings``: see :func:`sparsecore.stats.judgement.parts_table`."""
    parts = tables["findings"].assign(kind=ESSENTIAL, effect=float("nan"), condition=MET)
    return parts[COLUMNS]


def decide(tables: Summary) -> pd.DataFrame:
    """The parts of the four findings; see the module's text for the rules."""
    table, vote, kept = (tables[name] for name in ("concentration", "votes", "survival"))
    last = table[table["epoch"] == table["epoch"].max()]
    most = last["num_blocks"].max()
    rows = []
    for name in SIGNALS:
        own = last[last["signal"] == name]
        ours, theirs = (own.loc[own["num_blocks"] == n, "chi"].tolist() for n in (most, 1))
        interval = difference_interval(ours, theirs)
        text = f"chi of the {name} with {most} blocks, minus that with one"
        rows.append((1, text, "mean", *interval, side(interval, 0.0), len(ours)))
    rhos = last[(last["signal"] == "gradient") & (last["num_blocks"] == most)]["rho"].tolist()
    interval = mean_interval(rhos)
    text = f"rho of the gradient with {most} blocks"
    rows.append((2, text, "pearson_log", *interval, side(interval, 0.0), len(rhos)))
    by_seed = vote.pivot_table("chi", "seed", "model", "mean")
    interval = mean_interval((by_seed["trained"] - by_seed["untrained"]).tolist())
    text = "chi of the vote, trained minus untrained"
    rows.append((3, text, "mean", *interval, side(interval, 0.0), len(by_seed)))
    for look, text in LOOKS.items():
        means = kept[kept["look"] == look].groupby("seed")["auc"].mean().tolist()
        interval = mean_interval(means)
        rows.append((4, f"AUC of {text}", "mean", *interval, side(interval, 0.5), len(means)))
    return pd.DataFrame(rows, columns=pd.Index(FINDINGS))
