"""A sparse LSTM beside what a user would pick instead: forward and backward of one layer.

    python -m benchmarks.recurrent [--device cpu] [--repeats 15] [--threads 1]

T x B = 70 x 20 random inputs, gradients of the weights and of the inputs.

- sparse: ``SparseLSTM``, its geometry by ``matching_geometry``.
- by hand: its N ``nn.LSTM`` called one after the other on slices, outputs concatenated.
- dense, equal parameters: the narrower ``nn.LSTM`` that it was matched to.
- masked: ``nn.LSTM`` of the same width that stores and multiplies the zeros.

Peak memory is what a step takes on top of the parameters, in a process of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.harness import interleave, peak_memory
from sparsecore.models.sparse_rnn import SparseLSTM
from sparsecore.predefined.geometry import matching_geometry

T, B = 70, 20
GEOMETRIES = {  # i, h, reduce_in, reduce_out
    "1725->1725 as 1150->1150": (1725, 1725, 0.66666, 0.66666),
    "200->1150 as 200->575": (200, 1150, 1.0, 0.5),
    "100->288 as 100->144": (100, 288, 1.0, 0.5),
}


def candidates(
    geometry: str = "1725->1725 as 1150->1150", device: str = "cpu"
) -> dict[str, Callable[[], None]]:
    """The four layers; the first two have equal weights."""
    torch.manual_seed(0)
    inputs, hidden, reduce_in, reduce_out = GEOMETRIES[geometry]
    shape = matching_geometry(inputs, hidden, reduce_in, reduce_out)
    sparse, copied = (SparseLSTM(inputs, hidden, *shape, device=device) for _ in range(2))
    copied.load_state_dict(sparse.state_dict())
    narrow = nn.LSTM(round(reduce_in * inputs), round(reduce_out * hidden), device=device)

    def step(module: nn.Module, call: Callable[[Tensor], Tensor], i: int, h: int) -> Callable:
        x = torch.randn(T, B, i, device=device, requires_grad=True)
        upward = torch.randn(T, B, h, device=device)

        def run() -> None:
            call(x).backward(upward)
            module.zero_grad(set_to_none=True)
            x.grad = None

        return run

    def by_hand(x: Tensor) -> Tensor:
        parts = zip(copied.blocks, copied.windows[0], strict=True)
        return torch.cat([block(x[..., window])[0] for block, window in parts], -1)

    masked = sparse.to_dense()
    return {
        "sparse": step(sparse, lambda x: sparse(x)[0], inputs, hidden),
        "by hand": step(copied, by_hand, inputs, hidden),
        "dense, equal parameters": step(
            narrow, lambda x: narrow(x)[0], narrow.input_size, narrow.hidden_size
        ),
        "masked": step(masked, lambda x: masked(x)[0], inputs, hidden),
    }


def main() -> None:
    """Print one table: milliseconds, ratio to the sparse layer, memory, per geometry."""
    parser = argparse.ArgumentParser(
        description="One step of a sparse LSTM, and of what a user would pick instead."
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tables = []
    for geometry in GEOMETRIES:
        calls = candidates(geometry, arguments.device)
        table = interleave(calls, arguments.repeats, baseline="sparse")
        if arguments.device == "cpu":
            table["peak MiB"] = [
                peak_memory("benchmarks.recurrent", name, geometry) for name in calls
            ]
        tables.append(table.assign(geometry=geometry).set_index("geometry", append=True))
    print(pd.concat(tables).swaplevel().round(2).to_string())


if __name__ == "__main__":
    main()
