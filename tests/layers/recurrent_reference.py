"""The reference of the sparse recurrent layers: full matrices times masks, gates by hand.

Weights of a layer and direction are four leaves, dense, in the layout of PyTorch; the masks are
made entry by entry from the definition.
"""

import torch
from torch import nn

from sparsecore.layers.geometry import block_sizes, input_windows

GATES = {"LSTM": 4, "GRU": 3, "TANH": 1, "RELU": 1}


def owner_of_units(hidden, num_blocks):
    """The block of each hidden unit."""
    return [n for n, size in enumerate(block_sizes(hidden, num_blocks)) for _ in range(size)]


def masks(cell, inputs, hidden, num_blocks, gamma):
    """W_ih and W_hh masks: G·h rows, i and h columns."""
    owner, windows = owner_of_units(hidden, num_blocks), input_windows(inputs, num_blocks, gamma)
    w_ih = torch.zeros(GATES[cell] * hidden, inputs, dtype=torch.float64)
    w_hh = torch.zeros(GATES[cell] * hidden, hidden, dtype=torch.float64)
    for row in range(GATES[cell] * hidden):
        n = owner[row % hidden]
        for column in range(inputs):
            w_ih[row, column] = float(windows[n].start <= column < windows[n].stop)
        for column in range(hidden):
            w_hh[row, column] = float(owner[column] == n)
    return w_ih, w_hh


class Reference:
    """Dense weights ``[layer][direction] = (w_ih, w_hh, b_ih, b_hh)`` and the masked forward."""

    def __init__(self, cell, inputs, hidden, num_blocks, gamma, num_layers=1, directions=1, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.cell, self.hidden, self.directions = cell, hidden, directions
        self.weights, self.masks, rows = [], [], GATES[cell] * hidden
        for layer in range(num_layers):
            width = inputs if layer == 0 else directions * hidden
            self.masks.append(masks(cell, width, hidden, num_blocks, gamma))
            shapes = [(rows, width), (rows, hidden), (rows,), (rows,)]
            self.weights.append(
                [
                    [
                        torch.randn(s, generator=generator, dtype=torch.float64)
                        .mul(0.6)
                        .requires_grad_()
                        for s in shapes
                    ]
                    for _ in range(directions)
                ]
            )

    def step(self, x, state, w_ih, w_hh, b_ih, b_hh):
        a, r = x @ w_ih.T + b_ih, state[0] @ w_hh.T + b_hh
        if self.cell == "LSTM":
            i, f, g, o = (a + r).chunk(4, -1)
            c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
            return o.sigmoid() * c.tanh(), c
        if self.cell == "GRU":
            (ra, za, na), (rr, zr, nr) = a.chunk(3, -1), r.chunk(3, -1)
            z, n = (za + zr).sigmoid(), (na + (ra + rr).sigmoid() * nr).tanh()
            return ((1 - z) * n + z * state[0],)
        return ((a + r).tanh() if self.cell == "TANH" else (a + r).relu(),)

    def __call__(self, x, state):
        """(T, i) of one sequence and states (L·D, h) -> (T, D·h), final states."""
        finals = []
        for layer, directions in enumerate(self.weights):
            outputs = []
            for d, (w_ih, w_hh, b_ih, b_hh) in enumerate(directions):
                m_ih, m_hh = self.masks[layer]
                now = tuple(s[layer * self.directions + d] for s in state)
                hs = [None] * len(x)
                for t in reversed(range(len(x))) if d else range(len(x)):
                    now = self.step(x[t], now, w_ih * m_ih, w_hh * m_hh, b_ih, b_hh)
                    hs[t] = now[0]
                outputs.append(torch.stack(hs))
                finals.append(now)
            x = torch.cat(outputs, -1)
        return x, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def pairs(self, layer_module, read):
        """(block parameter or gradient, the reference's entries) of every parameter."""
        num_blocks, hidden = layer_module.num_blocks, self.hidden
        owner = owner_of_units(hidden, num_blocks)
        for layer, directions in enumerate(self.weights):
            width = directions[0][0].shape[1]
            windows = input_windows(width, num_blocks, layer_module.gamma)
            for n in range(num_blocks):
                block = layer_module.blocks[layer * num_blocks + n]
                mine = [u for u in range(hidden) if owner[u] == n]
                rows = [g * hidden + u for g in range(GATES[self.cell]) for u in mine]
                for d, values in enumerate(directions):
                    columns = [list(range(windows[n].start, windows[n].stop)), mine]
                    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
                    for k, (name, value) in enumerate(zip(names, values, strict=True)):
                        own = getattr(block, name + ("_reverse" if d else ""))
                        whole = read(value)[rows]
                        yield read(own), whole[:, columns[k]] if k < 2 else whole

    def copy_into(self, layer_module):
        """Give the sparse layer the reference's weights."""
        with torch.no_grad():
            for own, entries in self.pairs(layer_module, lambda p: p.detach()):
                own.copy_(entries)


def call_with_a_hook_and_with_a_parametrized_block(make, x):
    """Calls of a layer each of whose blocks has to be called; the hook is seen to be."""
    layer, seen = make(), []
    with layer.blocks[1].register_forward_hook(lambda module, inputs, y: seen.append(y)):
        layer(x)
    assert len(seen) == 1
    scaled = make()
    nn.utils.parametrizations.weight_norm(scaled.blocks[0], "weight_hh_l0")
    scaled(x)
