"""Group lasso over any grouping of any module's parameters; the states of a rational RNN are one.

A grouping labels entries of named parameters with group numbers. Groups may overlap (the weight
from unit l to unit j can belong to both), and entries may belong to none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError, near_match
from sparsecore.layers.rational import RationalRNN
from sparsecore.ops.weights import unwrapped

NO_GROUP = -1


@dataclass(frozen=True)
class Grouping:
    """Which entries of which parameters form group 0, 1, …, G − 1.

    Attributes:
        labels: by parameter name (as in ``module.named_parameters()``), an integer tensor that
            broadcasts to the parameter and holds each entry's group, or −1 for none; or several
            such tensors, if entries belong to several groups.
        num_groups: G, one more than the largest label.

    Raises:
        InputError: labels that are not integers, below −1, or that leave a group empty.

    Source: Dodge et al. 2019, §2 (the penalty); Wen et al. 2016 (groups of any shape).

    The rows of a linear layer with their biases, so that output units disappear:

    >>> linear = nn.Linear(3, 2)
    >>> unit = torch.arange(2)
    >>> rows = Grouping({"weight": unit.unsqueeze(1), "bias": unit})
    >>> rows.norms(linear).shape
    torch.Size([2])
    >>> rows.shrink(linear, 10.0)  # the proximal step of a penalty far too strong
    >>> linear.weight.count_nonzero().item(), rows.lasso(linear).item()
    (0, 0.0)
    """

    labels: Mapping[str, Tensor | Sequence[Tensor]]
    num_groups: int = field(init=False)
    _ascending: dict[str, bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        used = [torch.empty(0, dtype=torch.int64)]
        for name, label in self._pairs():
            if label.is_floating_point() or label.dtype == torch.bool:
                raise InputError(f"labels of {name} must be integers, got {label.dtype}")
            used.append(label.unique().cpu().long())
        groups = torch.cat(used).unique()
        groups = groups[groups != NO_GROUP]
        if len(groups) == 0:
            raise InputError("labels must name at least one group, got none")
        expected = torch.arange(len(groups))
        if not torch.equal(groups, expected):
            wrong = groups[groups != expected][0].item()
            raise InputError(
                f"labels must be -1 (no group) or 0, 1, … without a gap, found {wrong} where "
                f"{(groups != expected).nonzero()[0].item()} would be next"
            )
        object.__setattr__(self, "num_groups", len(groups))
        ascending = {
            name: torch.equal(label.flatten().cpu().long(), groups) for name, label in self._pairs()
        }
        object.__setattr__(self, "_ascending", ascending)

    def norms(self, module: nn.Module) -> Tensor:
        """(G,) ℓ2 norm of each group's entries. Differentiable; at a norm of 0 the gradient is 0.

        Raises:
            InputError: no such parameter, or labels that do not broadcast to it.
        """
        values = {name: self._value(module, name) for name in self.labels}
        if self._are_rows(values):
            rows = torch.cat([value.view(len(value), -1) for value in values.values()], 1)
            return torch.linalg.vector_norm(rows, dim=1)
        squares: Tensor | None = None
        for value, label in self._places(module):
            each = value.square().sum_to_size(label.shape).flatten()
            index = torch.where(label == NO_GROUP, self.num_groups, label).flatten()
            if squares is None:
                squares = each.new_zeros(self.num_groups + 1)
            squares = squares.index_add(0, index, each.to(squares))
        assert squares is not None
        squares = squares[:-1]
        present = squares > 0
        return torch.where(present, torch.where(present, squares, 1).sqrt(), 0)

    def lasso(self, module: nn.Module, weights: Tensor | None = None) -> Tensor:
        """Σ over groups of their ℓ2 norms, a scalar to add to a loss.

        The plain sum treats all groups alike, whatever their size; ``weights`` (G,) multiply the
        norms (√size is the other custom).
        """
        norms = self.norms(module)
        return norms.sum() if weights is None else (weights * norms).sum()

    @torch.no_grad()
    def shrink(self, module: nn.Module, amount: float | Tensor) -> None:
        """The proximal step of the penalty, in place: each group g ← g · max(0, 1 − amount/||g||2).

        After a gradient step of size lr on the loss alone, ``shrink(module, lr * strength)`` stands
        for the penalty ``strength * lasso(module)``, and groups that it would carry across zero
        become exactly zero. An entry of several groups is multiplied by the factors of each (exact
        where groups do not overlap).

        Args:
            module: as for :meth:`norms`.
            amount: at least 0, for all groups or (G,) one for each.

        Raises:
            InputError: a negative amount, or NaN.

        Source: Dodge et al. 2019, footnote 4 (after Parikh & Boyd 2013).
        """
        norms = self.norms(module)
        least = amount.min().item() if isinstance(amount, Tensor) else amount
        if not least >= 0:  # NaN neither
            raise InputError(f"amount must be at least 0, got {least}")
        amount = amount.to(norms) if isinstance(amount, Tensor) else amount
        self.scale(module, (1 - amount / norms.clamp_min(torch.finfo(norms.dtype).tiny)).clamp(0))

    @torch.no_grad()
    def scale(self, module: nn.Module, factors: Tensor) -> None:
        """Multiply the entries of each group by its factor (G,), in place; 0 removes a group."""
        if factors.shape != (self.num_groups,):
            raise InputError(
                f"factors must have shape ({self.num_groups},), got {tuple(factors.shape)}"
            )
        parameters = dict(module.named_parameters())
        for name in self.labels:
            if name not in parameters:
                raise InputError(f"no parameter {name!r}{near_match(name, parameters)}")
        if self._are_rows(parameters):
            for name in self.labels:
                parameter = parameters[name]
                parameter.mul_(factors.view(-1, *[1] * (parameter.dim() - 1)))
            return
        for parameter, label in self._places(module):
            factor = factors.to(parameter)[label.clamp_min(0)]
            parameter.mul_(torch.where(label == NO_GROUP, 1, factor))

    def sizes(self, module: nn.Module) -> Tensor:
        """(G,) int64, how many entries each group has."""
        counts = torch.zeros(self.num_groups + 1, dtype=torch.int64)
        for parameter, label in self._places(module):
            index = torch.where(label == NO_GROUP, self.num_groups, label).flatten().cpu()
            repeats = parameter.numel() // prod(label.shape)
            counts += repeats * torch.bincount(index, minlength=len(counts))
        return counts[:-1]

    def _pairs(self) -> list[tuple[str, Tensor]]:
        return [
            (name, label)
            for name, labels in self.labels.items()
            for label in ([labels] if isinstance(labels, Tensor) else labels)
        ]

    def _are_rows(self, values: Mapping[str, Tensor]) -> bool:
        """Whether group g is row g of every weight: then nothing has to be added up by label."""
        return all(
            isinstance(label, Tensor)
            and label.shape == (self.num_groups, *[1] * (values[name].dim() - 1))
            and len(values[name]) == self.num_groups
            and self._ascending[name]
            for name, label in self.labels.items()
        )

    def _places(self, module: nn.Module) -> list[tuple[Tensor, Tensor]]:
        """Every weight with each of its labels, on the weight's device."""
        places = []
        for name, label in self._pairs():
            value = self._value(module, name)
            try:
                label.expand(value.shape)
            except RuntimeError:
                raise InputError(
                    f"labels of {name} must broadcast to {tuple(value.shape)}, "
                    f"got {tuple(label.shape)}"
                ) from None
            places.append((value, label.to(value.device, torch.int64)))
        return places

    def _value(self, module: nn.Module, name: str) -> Tensor:
        """A parameter by its name, or what stands there if it was pruned or parametrized."""
        path, _, attribute = name.rpartition(".")
        try:
            owner = module.get_submodule(path)
            value = getattr(owner, attribute)
        except AttributeError:
            known = dict(module.named_parameters())
            raise InputError(f"no parameter {name!r}{near_match(name, known)}") from None
        return value


@lru_cache(maxsize=64)
def _rows(num_states: int) -> Grouping:
    states = torch.arange(num_states)
    rows = states.unsqueeze(1)
    return Grouping({"main": rows, "loop": rows, "bias": states})


def state_groups(cell: RationalRNN) -> Grouping:
    """The states of one layer and direction: group s holds all weights used to enter state s.

    Those are its rows of ``main`` and ``loop`` and its ``bias``, 2E + 1 values.

    Source: Dodge et al. 2019, §2.
    """
    return _rows(len(cell.bias))


def cells_of(rnn: RationalRNN) -> list[RationalRNN]:
    """Each direction of each layer; :class:`InputError` if it is no ``RationalRNN``."""
    whole = unwrapped(rnn)
    if not isinstance(whole, RationalRNN):
        kind = f"{type(whole).__name__} of {type(whole).__module__}"
        raise InputError(f"states are those of a RationalRNN, got {kind}; of LSTMs sc.prune")
    return list(whole.cells())


def group_norms(rnn: RationalRNN) -> Tensor:
    """ℓ2 norm of each state's weights: ||(main_s, loop_s, bias_s)||2.

    Returns:
        (S,), WFSA by WFSA; further layers and directions follow as in ``rnn.cells()``.
        Differentiable; the gradient of a norm that is exactly 0 is 0.

    Source: Dodge et al. 2019, §2.

    >>> rnn = RationalRNN(2, [2])
    >>> rnn.main.data = torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    >>> rnn.loop.data = torch.tensor([[0.0, 4.0], [0.0, 0.0]])
    >>> group_norms(rnn).detach()
    tensor([5., 0.])
    """
    return torch.cat([state_groups(cell).norms(cell) for cell in cells_of(rnn)])


def group_lasso(rnn: RationalRNN) -> Tensor:
    """Σ over states of ||(main_s, loop_s, bias_s)||2, a scalar to add to a loss.

    No square root of the group's size and no division by the number of groups: all groups are of
    one size. The sum pulls whole groups towards zero; gradient steps bring them near it, and
    :func:`shrink_groups` onto it.

    Source: Dodge et al. 2019, §2.
    """
    return group_norms(rnn).sum()


def shrink_groups(rnn: RationalRNN, amount: float) -> None:
    """The proximal step of the penalty, in place: each group g ← g · max(0, 1 − amount/||g||2).

    After a gradient step of size lr on the loss alone, ``shrink_groups(rnn, lr * strength)`` makes
    the same move as the penalty ``strength * group_lasso(rnn)`` would, but groups that it would
    carry across zero become exactly zero.

    Raises:
        InputError: a negative amount.

    Source: Dodge et al. 2019, footnote 4 (after Parikh & Boyd 2013).
    """
    for cell in cells_of(rnn):
        state_groups(cell).shrink(cell, amount)
