"""Rational RNN: each hidden unit is a small weighted automaton (Dodge et al. 2019, §2).

A WFSA with n transitions has states 0 … n in a row. At each token it may go one state on (main
path, weight u) or stay (self-loop, weight f). State i holds the total weight of all ways to reach
it, and the unit's value is the sum over its states: how much of the text so far matches a soft
pattern of up to n words, words in between allowed at a price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError, integer, near_match
from sparsecore.ops.autocast import autocast_dtype
from sparsecore.ops.rational import INITIAL, check_lengths, rational_recurrence


class RationalRNN(nn.Module):
    """D weighted finite-state automata over a sequence of vectors.

        c_t^i = f·c_{t-1}^i + u·c_{t-1}^{i-1},  c^0 = 1,  c_0^i = 0
        f = sigmoid(x_t·loop_i + bias_i),  u = (x_t·main_i)(1 − f)
        score_t = c_t^1 + … + c_t^n

    Parameters: ``main`` and ``loop`` (S, E), ``bias`` (S,), with the S = sum(lengths) states WFSA
    by WFSA; ``rho`` (S,) with ``final="rho"``. Initialised uniformly in ±sqrt(6/(E + D)), D being
    the number of WFSAs of the same length; biases 0, rho 0.

    Zero vectors in front of a text (left padding) leave plus-times states that are 0 at exactly 0,
    whatever the biases. The max semirings, states carried in, and the backward direction need a
    ``mask`` to skip padding exactly; with a mask every option does.

    Args:
        input_size: E.
        lengths: transitions of each WFSA, as in ``[4] * 24``; mixed lengths are fine. With several
            layers or directions either one such list for all, or a list of lists, layer by layer,
            the forward direction before the backward one.
        batch_first: x and the scores are (B, T, ·) instead of (T, B, ·).
        semiring: ``plus_times`` (the paper's); ``max_plus`` and ``max_times`` keep the best path
            alone, with u = sigmoid(x·main) and −100 for a state no path has reached.
        final: what a WFSA's score is. ``sum`` of its states (the paper's), the ``last`` state
            alone, or ``rho``: the sum weighted by sigmoid(rho).
        last_loop_one: fix the weight of the last state's self-loop to the semiring's one (the
            paper's footnote 12), so that a match counts as much wherever it ends; u is as before.
            One bool, or one for each WFSA (nested as ``lengths``).
        num_layers: further layers read the scores of the one below.
        bidirectional: a second set of WFSAs reads the text backwards; scores side by side.

    It compiles (``torch.compile``), and exports for any length T and batch B, as a program or to
    ONNX, as :class:`~sparsecore.SparseLSTM` does. Second derivatives (``create_graph=True``) are
    right and slow: they take the reference implementation.

    Raises:
        InputError: sizes below 1, an unknown option.

    Source: Dodge et al. 2019, §2 and footnotes 3 and 12 (after Peng et al. 2018).

    >>> rnn = RationalRNN(input_size=5, lengths=[1, 2, 4])
    >>> scores, cn = rnn(torch.randn(10, 3, 5))
    >>> scores.shape, cn.shape
    (torch.Size([10, 3, 3]), torch.Size([3, 7]))
    """

    reverse: RationalRNN | None
    above: RationalRNN | None

    def __init__(
        self,
        input_size: int,
        lengths: Sequence[int] | Sequence[Sequence[int]],
        *,
        batch_first: bool = False,
        semiring: str = "plus_times",
        final: str = "sum",
        last_loop_one: bool | Sequence[bool] | Sequence[Sequence[bool]] = False,
        num_layers: int = 1,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        for name, value in {"batch_first": batch_first, "bidirectional": bidirectional}.items():
            if not isinstance(value, bool):
                raise InputError(f"{name} must be True or False, got {value!r:.60}")
        for name, value in {"input_size": input_size, "num_layers": num_layers}.items():
            integer(value, name, 1)
        if semiring not in INITIAL:
            raise InputError(f"unknown semiring {semiring!r}{near_match(semiring, INITIAL)}")
        if final not in FINALS:
            raise InputError(f"unknown final {final!r}{near_match(final, FINALS)}")
        directions = 2 if bidirectional else 1
        cells = num_layers * directions
        per_cell = [check_lengths(each) for each in _per_cell("lengths", lengths, cells)]
        fixed = [
            _of_each_wfsa(value, each)
            for value, each in zip(
                _per_cell("last_loop_one", last_loop_one, cells), per_cell, strict=True
            )
        ]
        self.input_size = input_size
        self.lengths = per_cell[0]
        self.batch_first = batch_first
        self.semiring = semiring
        self.final = final
        self.last_loop_one = fixed[0]
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        S = sum(self.lengths)
        self.main = nn.Parameter(torch.empty(S, input_size))
        self.loop = nn.Parameter(torch.empty(S, input_size))
        self.bias = nn.Parameter(torch.empty(S))
        self.rho = nn.Parameter(torch.empty(S)) if final == "rho" else None

        options: dict[str, Any] = {"semiring": semiring, "final": final}
        self.reverse = self.above = None
        if bidirectional:
            self.reverse = RationalRNN(input_size, per_cell[1], last_loop_one=fixed[1], **options)
        if num_layers > 1:
            self.above = RationalRNN(
                self.layer_size,
                per_cell[directions:],
                last_loop_one=fixed[directions:],
                num_layers=num_layers - 1,
                bidirectional=bidirectional,
                **options,
            )
        self._draw()

    @property
    def layer_size(self) -> int:
        """Scores of the first layer, both directions together."""
        return len(self.lengths) + (len(self.reverse.lengths) if self.reverse is not None else 0)

    @property
    def output_size(self) -> int:
        """D, the number of scores at each token: those of the last layer."""
        return self.layer_size if self.above is None else self.above.output_size

    def cells(self) -> Iterator[RationalRNN]:
        """Each direction of each layer, itself a layer with parameters of its own; first itself."""
        yield self
        if self.reverse is not None:
            yield self.reverse
        if self.above is not None:
            yield from self.above.cells()

    def __prepare_scriptable__(self) -> RationalRNN:
        """What ``torch.jit.script`` calls first, of a layer inside a larger model too."""
        raise InputError(
            "RationalRNN is not scripted (torch.jit.script): torch.compile and torch.export take it"
        )

    def reset_parameters(self) -> None:
        """Draw the weights of all layers and directions anew."""
        for cell in self.cells():
            cell._draw()

    def _draw(self) -> None:
        """The weights of this cell alone."""
        with torch.no_grad():
            for start, length in _starts(self.lengths):
                bound = (6 / (self.input_size + self.lengths.count(length))) ** 0.5
                self.main[start : start + length].uniform_(-bound, bound)
                self.loop[start : start + length].uniform_(-bound, bound)
            self.bias.zero_()
            if self.rho is not None:
                self.rho.zero_()

    def forward(
        self, x: Tensor, c0: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scores after each token, and the states after the last.

        Args:
            x: (T, B, E), or (B, T, E) if ``batch_first``; or (T, E), one text.
            c0: (B, S) states before the first token, as returned for the piece of text before;
                None: the start of a text. With further layers or directions their states stand
                side by side, as in ``cells()``.
            mask: of x's shape without E, False (or 0, as in an ``attention_mask``) where there is
                padding; states stay exactly as they are there.

        Returns:
            The scores, (T, B, D), or (B, T, D); (T, D) for one text. And cn, (B, S), or (S,).

        Raises:
            InputError: shapes or types that do not match.
        """
        if not isinstance(x, Tensor):
            raise InputError(
                f"x must be a tensor, got {type(x).__name__}; of a PackedSequence give the tensor "
                "of pad_packed_sequence, and mask=, which is False where there is padding"
            )
        for name, given in {"c0": c0, "mask": mask}.items():
            if given is not None and not isinstance(given, Tensor):
                raise InputError(f"{name} must be a tensor, got {type(given).__name__}")
        if x.ndim == 2:
            one = 0 if self.batch_first else 1
            scores, cn = self(
                x.unsqueeze(one),
                None if c0 is None else c0.unsqueeze(0),
                None if mask is None else mask.unsqueeze(one),
            )
            return scores.squeeze(one), cn.squeeze(0)
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            raise InputError(
                f"x must have input_size={self.input_size} entries along its last of 2 or 3 axes, "
                f"got shape {tuple(x.shape)}"
            )
        if self.batch_first:
            x = x.transpose(0, 1)
            mask = None if mask is None else mask.transpose(0, 1)
        sizes = [sum(cell.lengths) for cell in self.cells()]
        if c0 is not None and c0.shape != (x.shape[1], sum(sizes)):
            raise InputError(
                f"c0 must have shape {(x.shape[1], sum(sizes))}, got {tuple(c0.shape)}"
            )
        states = [None] * len(sizes) if c0 is None else list(c0.split(sizes, 1))
        scores, ends = self._layers(x, states, mask)
        return (scores.transpose(0, 1) if self.batch_first else scores), torch.cat(ends, 1)

    def _layers(
        self, x: Tensor, states: list[Any], mask: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        scores, cn = self._recur(x, states.pop(0), mask)
        ends = [cn]
        if self.reverse is not None:
            backwards = None if mask is None else mask.flip(0)
            other, cn = self.reverse._recur(x.flip(0), states.pop(0), backwards)
            scores, ends = torch.cat([scores, other.flip(0)], -1), [*ends, cn]
        if self.above is not None:
            scores, further = self.above._layers(scores, states, mask)
            ends += further
        return scores, ends

    def _recur(self, x: Tensor, c0: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return rational_recurrence(
            x.to(self.main.dtype) if autocast_dtype(x) else x,
            self.main,
            self.loop,
            self.bias,
            self.lengths,
            c0=c0,
            final=FINALS[self.final](self),
            semiring=self.semiring,
            fixed_loops=self.last_loop_one if any(self.last_loop_one) else None,
            mask=mask,
        )

    def extra_repr(self) -> str:
        """What ``print`` shows beside the class's name."""
        runs = [f"[{n}] * {self.lengths.count(n)}" for n in dict.fromkeys(self.lengths)]
        return (
            f"{self.input_size}, {' + '.join(runs)}, semiring={self.semiring}, final={self.final}"
        )


def _last_states(rnn: RationalRNN) -> Tensor:
    """(S,): 1 for the last state of each WFSA, 0 elsewhere."""
    weights = torch.zeros_like(rnn.bias)
    weights[[start + length - 1 for start, length in _starts(rnn.lengths)]] = 1.0
    return weights


# the weights of the states in a WFSA's score; None: 1 each
FINALS: dict[str, Callable[[RationalRNN], Tensor | None]] = {
    "sum": lambda rnn: None,
    "last": _last_states,
    "rho": lambda rnn: torch.sigmoid(rnn.rho) if rnn.rho is not None else None,
}


def _starts(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first row, length) of each WFSA."""
    edges = [0]
    for length in lengths:
        edges.append(edges[-1] + length)
    return ((start, stop - start) for start, stop in pairwise(edges))


def _per_cell(name: str, value: Any, cells: int) -> list[Any]:
    """``value`` for each cell: itself for all, or the entries of a list of lists."""
    if not isinstance(value, Sequence) or not value or not isinstance(value[0], Sequence):
        return [value] * cells
    if len(value) != cells:
        raise InputError(
            f"{name} must be one list, or one for each of {cells} layers and directions, "
            f"got {len(value)}"
        )
    return list(value)


def _of_each_wfsa(value: bool | Sequence[bool], lengths: Sequence[int]) -> tuple[bool, ...]:
    """``last_loop_one`` as one bool a WFSA."""
    each = (value,) * len(lengths) if isinstance(value, bool) else tuple(value)
    if len(each) != len(lengths):
        raise InputError(f"last_loop_one must be a bool or {len(lengths)} of them, got {len(each)}")
    return each
