"""χ of the upper gradient on held-out text, by the closed form, both types of a split word at once.

With logits W h + b, p = softmax, and target y, the gradient that the output layer sends down is

    ḡ = Σ_j p_j W_j − W_y = q (Σ_{j≠y} r_j W_j − W_y),   q = 1 − p_y,  r_j = p_j / q

so that χ(ḡ) depends on the output rows W and on how the wrong words share their mass, r. A position
whose word is split is counted for both of its types: same context, same hidden state, same p; only
the row of the target differs. Axes: N positions, V types, H hidden.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor, nn

from sparsecore.measure.chi import chi


@torch.no_grad()
def gradients(hidden: Tensor, decoder: nn.Linear, targets: Tensor) -> dict[str, Tensor]:
    """χ of ḡ (N,), and of ḡ with the target's row replaced by the mean row (the shares alone)."""
    p = decoder(hidden).softmax(-1)
    expected, p_y, rows = p @ decoder.weight, p.gather(1, targets[:, None]), decoder.weight[targets]
    wrong = (expected - p_y * rows) / (1 - p_y).clamp_min(1e-12)  # Σ_{j≠y} r_j W_j
    shares = chi(wrong - decoder.weight.mean(0))
    return {"chi": chi(wrong - rows), "shares": shares}


@torch.no_grad()
def row_chi(decoder: nn.Linear, frequency: Tensor) -> Tensor:
    """χ (V,) of each type's ḡ if the wrong words shared their mass as in the text: rows alone."""
    f = (frequency / frequency.sum())[:, None]
    total = (f * decoder.weight).sum(0)
    return chi((total - f * decoder.weight) / (1 - f) - decoder.weight)


class Probe:
    """Sums over the positions of the held-out text, by type.

    Args:
        twin: (V,) the second type of each natural word, -1 for none.
    """

    def __init__(self, twin: Tensor) -> None:
        self.twin = twin
        self.sums = {name: torch.zeros(len(twin), dtype=torch.float64) for name in COLUMNS}
        self.loss = self.positions = 0.0

    @torch.no_grad()
    def add(self, hidden: Tensor, decoder: nn.Linear, words: Tensor) -> None:
        """Count positions: hidden (N, H) and the natural word (N,) that comes next."""
        log_p = decoder(hidden).log_softmax(-1)
        surprisal = -log_p.gather(1, words[:, None])[:, 0]
        twins = self.twin[words]
        split = twins >= 0
        both = torch.stack([words[split], twins[split]], 1)
        surprisal[split] = -log_p[split].gather(1, both).logsumexp(1)
        self.loss += float(surprisal.sum())
        self.positions += len(words)
        targets = torch.cat([words, twins[split]])
        values = gradients(torch.cat([hidden, hidden[split]]), decoder, targets)
        values |= {"surprisal": torch.cat([surprisal, surprisal[split]])}
        values |= {"count": torch.ones(len(targets))}
        for name, value in values.items():
            self.sums[name].index_add_(0, targets, value.double())

    def table(self, decoder: nn.Linear, frequency: Tensor) -> pd.DataFrame:
        """A row a type that was seen: type, chi, shares, rows, surprisal (nats), count."""
        count = self.sums["count"]
        means = {n: s / count for n, s in self.sums.items() if n != "count"}
        columns = {"type": torch.arange(len(count)), **means, "rows": row_chi(decoder, frequency)}
        table = pd.DataFrame({n: c.numpy() for n, c in {**columns, "count": count}.items()})
        return table[table["count"] > 0].reset_index(drop=True)


COLUMNS = ("chi", "shares", "surprisal", "count")
