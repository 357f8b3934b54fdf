"""The contestants of suite ``lm``: one training step, with statistics and without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.bench.case import Contestant, Values
from sparsecore.measure.chi import chi
from sparsecore.measure.tracker import Tracker, track
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.ops.word_sums import means
from sparsecore.training.distributed import all_reduce
from sparsecore.training.sharding import all_reduce_gradients, local_shard, shared_dropout

CLIP = 0.25
Loss = Callable[[LSTMLanguageModel], Tensor]
Sums = dict[tuple[str, str, str], Tensor]  # layer, signal, role: sum of chi, V


@dataclass(frozen=True)
class Sizes:
    """V words, B columns of T tokens, embeddings and both layers of D."""

    V: int = 19_500
    B: int = 40
    T: int = 35
    D: int = 200

    def flops(self) -> float:
        """Products of the two layers and of the output, forward and twice that backward."""
        return 3 * 2 * self.T * self.B * (2 * 8 * self.D**2 + self.D * self.V)


def text(sizes: Sizes, device: torch.device) -> Tensor:
    """(T + 1, B) words, the same every time; the next row is what is to be foretold."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(sizes.V, (sizes.T + 1, sizes.B), generator=generator).to(device)


def untrained(sizes: Sizes, device: torch.device) -> LSTMLanguageModel:
    """The model, with the same weights every time."""
    torch.manual_seed(0)
    return LSTMLanguageModel(sizes.V, sizes.D, sizes.D).to(device)


def untracked(model: LSTMLanguageModel, loss: Loss) -> Contestant:
    """A step without statistics."""
    update = updater(model)

    def values() -> Values:
        with no_dropout(model):
            return loss_and_gradients(model, loss(model))

    return Contestant(lambda: update(loss(model)), values)


def tracked(model: LSTMLanguageModel, ids: Tensor) -> Contestant:
    """A step as the experiment makes it (``emergent.train``), over ``ids`` (T + 1, B).

    Of several processes each computes its columns, and all get the sums.
    """
    positions, total = ids[1:].numel(), ids.shape[1]
    columns = local_shard(total)
    own = ids[:, columns].contiguous()
    inputs, targets = own[:-1], own[1:]
    words = [str(word) for word in range(model.decoder.out_features)]
    tracker = track(model, model.signals, vocabulary=words, dense=True)
    update = updater(model)

    def one(finish: Callable[[Tensor], Any]) -> Any:
        with tracker:
            tracker.words(input_ids=inputs, target_ids=targets, gradient_scale=positions)
            with shared_dropout(model, columns, total):
                hidden, _ = model(inputs)
            loss, softmax_chi, softmax_l1 = model.loss(hidden, targets)
            if targets.numel() < positions:
                loss = loss * (targets.numel() / positions)
            result = finish(loss)
            tracker.add("softmax", "gradient", softmax_chi, softmax_l1)
        return result

    def values() -> Values:
        tracker.sums.clear()
        with no_dropout(model):
            found = one(lambda loss: loss_and_gradients(model, loss))
        tracker.load_sums({key: all_reduce(tracker.sums[key]) for key in sorted(tracker.sums)})
        sums = word_sums(tracker)
        tracker.sums.clear()
        return found | named(sums)

    return Contestant(lambda: one(update), values)


def word_sums(tracker: Tracker) -> Sums:
    """Sum of chi of each word, from the tracker's means and counts."""
    found = {}
    for key, sums in tracker.sums.items():
        mean, _, count = means(sums)
        found[key] = torch.where(count > 0, mean * count, 0)
    return found


def by_hand(model: LSTMLanguageModel, inputs: Tensor, targets: Tensor) -> Contestant:
    """``retain_grad`` and a dictionary, as one would write it first."""
    update = updater(model)
    sums: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0])
    return Contestant(
        lambda: by_hand_step(model, inputs, targets, update, sums),
        lambda: by_hand_values(model, inputs, targets),
    )


def by_hand_step(
    model: LSTMLanguageModel,
    inputs: Tensor,
    targets: Tensor,
    finish: Callable[[Tensor], Any],
    sums: dict[Any, list[float]],
) -> Any:
    """One step; ``sums[layer, signal, role, word]`` grows by chi and 1 for each position."""
    taps: dict[str, Tensor] = {}

    def tap(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            taps[name] = output[0] if isinstance(output, tuple) else output

        return model.get_submodule(name).register_forward_hook(hook)

    handles = [tap(name) for name in model.signals]
    hidden, _ = model(inputs)
    for handle in handles:
        handle.remove()
    taps["softmax"] = model.logits(hidden)
    for tensor in taps.values():
        tensor.retain_grad()
    result = finish(F.cross_entropy(taps["softmax"].flatten(0, 1), targets.flatten()))
    for name, tensor in taps.items():
        vectors = {"activation": tensor.detach(), "gradient": tensor.grad}
        for signal, vector in vectors.items():
            if (name, signal) == ("softmax", "activation"):
                continue
            assert vector is not None
            values = chi(vector).flatten().tolist()
            for role, ids in (("input", inputs), ("target", targets)):
                for word, value in zip(ids.flatten().tolist(), values, strict=True):
                    entry = sums[name, signal, role, word]
                    entry[0] += value
                    entry[1] += 1
    return result


def by_hand_values(model: LSTMLanguageModel, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Loss, gradients and sums of chi; what is right, if the model is in float64."""
    sums: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0])
    with no_dropout(model):
        found = by_hand_step(
            model, inputs, targets, lambda loss: loss_and_gradients(model, loss), sums
        )
    table: Sums = {}
    for (*key, word), (total, _) in sums.items():
        layer, signal, role = key
        empty = torch.zeros(model.decoder.out_features, dtype=torch.float64)
        table.setdefault((layer, signal, role), empty)[word] = total
    return found | named(table)


def named(sums: Sums) -> dict[str, Tensor]:
    """``sum of chi: layer signal role``."""
    return {f"sum of chi: {' '.join(key)}": value for key, value in sums.items()}


def loss_and_gradients(model: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """The loss and the gradients of the parameters by name: their sums over the processes."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    total = all_reduce_gradients(model.parameters(), loss)[0]
    return {"loss": total, **take_gradients(model)}


def take_gradients(model: nn.Module) -> dict[str, Tensor]:
    """``gradient: NAME`` of every parameter, which has none afterwards."""
    found = {}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        found[f"gradient: {name}"] = parameter.grad.clone()
    model.zero_grad(set_to_none=True)
    return found


def updater(model: nn.Module) -> Callable[[Tensor], None]:
    """Backward, the sum over the processes, clip, SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)

    def update(loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        all_reduce_gradients(model.parameters())
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

    return update


@contextmanager
def no_dropout(model: nn.Module) -> Iterator[None]:
    """Every dropout passes its input on, so that models in different precision compare."""
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    before = [module.p for module in dropouts]
    for module in dropouts:
        module.p = 0.0
    try:
        yield
    finally:
        for module, p in zip(dropouts, before, strict=True):
            module.p = p
