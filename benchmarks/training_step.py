"""One training step of the paper's language model: what do all the statistics cost?

    python -m benchmarks.training_step [--words 19500] [--repeats 15] [--threads 1]

- plain: ``nn.LSTM`` x 2, ``nn.Linear``, ``F.cross_entropy``, clip, SGD; no statistics.
- statistics: the same step by this package, with chi and ℓ1 of all seven signals summed per word
  as input and as target.
- retain_grad: the plain step with ``retain_grad`` and a Python dictionary of words, as one would
  write it by hand.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import interleave, peak_memory
from sparsecore.emergent.chi import chi
from sparsecore.emergent.tracker import track
from sparsecore.models.language_model import LSTMLanguageModel

B, T, CLIP = 40, 35, 0.25


def candidates(words: int = 19_500, device: str = "cpu") -> dict[str, Callable[[], None]]:
    """The three steps, on models of their own with equal weights."""
    ids = torch.randint(words, (T + 1, B), device=device)
    inputs, targets = ids[:-1].contiguous(), ids[1:].contiguous()

    def prepared() -> tuple[LSTMLanguageModel, Callable[[Tensor], None]]:
        torch.manual_seed(0)
        model = LSTMLanguageModel(words).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)

        def update(loss: Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()

        return model, update

    plain_model, plain_update = prepared()
    model, update = prepared()
    tracker = track(model, model.signals, vocabulary=[str(word) for word in range(words)])
    tracker.__enter__()
    manual_model, manual_update = prepared()
    sums: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0])

    def plain() -> None:
        hidden, _ = plain_model(inputs)
        plain_update(F.cross_entropy(plain_model.logits(hidden).flatten(0, 1), targets.flatten()))

    def statistics() -> None:
        tracker.words(input_ids=inputs, target_ids=targets, gradient_scale=targets.numel())
        hidden, _ = model(inputs)
        loss, softmax_chi, softmax_l1 = model.loss(hidden, targets)
        update(loss)
        tracker.add("softmax", "gradient", softmax_chi, softmax_l1)

    def retain_grad() -> None:
        taps: dict[str, Tensor] = {}

        def tap(name: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                taps[name] = output[0] if isinstance(output, tuple) else output

            return manual_model.get_submodule(name).register_forward_hook(hook)

        handles = [tap(name) for name in manual_model.signals]
        hidden, _ = manual_model(inputs)
        for handle in handles:
            handle.remove()
        taps["softmax"] = manual_model.logits(hidden)
        for tensor in taps.values():
            tensor.retain_grad()
        manual_update(F.cross_entropy(taps["softmax"].flatten(0, 1), targets.flatten()))
        for name, tensor in taps.items():
            vectors = [tensor.grad] if name == "softmax" else [tensor.detach(), tensor.grad]
            for vector in vectors:
                assert vector is not None
                for role in (inputs, targets):
                    values = chi(vector).flatten().tolist()
                    for word, value in zip(role.flatten().tolist(), values, strict=True):
                        entry = sums[name, word]
                        entry[0] += value
                        entry[1] += 1

    return {"plain": plain, "statistics": statistics, "retain_grad": retain_grad}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--words", type=int, default=19_500)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    steps = candidates(options.words, options.device)
    table = interleave(steps, options.repeats, baseline="plain")
    table["peak_mib"] = [peak_memory("benchmarks.training_step", name) for name in table.index]
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
