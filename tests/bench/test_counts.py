"""Guards against slow and hungry code that count what does not wobble: operations and bytes.

A step is counted twice with sizes that differ in one number; what may grow with it, and how fast,
is the promise. Time is never asserted.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sparsecore as sc
from sparsecore.bench.footprint import Footprint
from sparsecore.bench.suites import lm, lm_steps, rational
from sparsecore.bench.suites.embedding import zipf_ids
from sparsecore.ops.linear_cross_entropy.chunked import CHUNK_BYTES
from sparsecore.ops.staircase import naive_dense


def footprint(step, watched=None):
    """Of the second call: what a first one keeps for later is not the step's."""
    step()
    with Footprint(watched) as found:
        step()
    return found


def language_model(name, **sizes):
    sizes = lm_steps.Sizes(**{"V": 4000, "B": 20, "T": 35, "D": 16} | sizes)
    contestants = lm.prepare(sizes, torch.device("cpu")).contestants
    return footprint(contestants[name].step, watched=sizes.V)


def test_a_step_with_statistics_holds_one_chunk_of_logits():
    ours, plain = language_model("sparsecore"), language_model("plain")
    assert plain.largest_bytes == 4 * 4000 * 20 * 35
    assert 0 < ours.largest_bytes <= CHUNK_BYTES["cpu"]
    assert ours.peak_bytes < plain.peak_bytes - 0.5 * plain.largest_bytes


def test_the_operations_of_a_step_do_not_grow_with_the_text():
    """Positions are counted all at once, never one by one; bytes grow no faster than T."""
    few, many = (language_model("sparsecore", V=200, T=T, B=8) for T in (5, 50))
    assert many.operations == few.operations
    assert many.allocated_bytes < 11 * few.allocated_bytes


def lstm_step(layer, T, width):
    x = torch.randn(T, 3, width, requires_grad=True)

    def step():
        layer(x)[0].sum().backward()
        layer.zero_grad()
        x.grad = None

    return footprint(step)


def test_a_sparse_lstm_costs_what_its_blocks_cost():
    """N components' operations and a few; no matrix of the dense layer; any T, as many."""
    layer = sc.SparseLSTM(400, 200, num_blocks=4, gamma=0.5)  # too wide to run merged
    short, long = lstm_step(layer, 5, 400), lstm_step(layer, 50, 400)
    assert long.operations == short.operations
    alone = lstm_step(nn.LSTM(200, 50), 5, 200)
    assert short.operations <= 4 * alone.operations + 20
    assert short.largest_bytes < 4 * 4 * 200 * 400  # W_ih of the dense layer


def embedding_step(lookup, parameters):
    def step():
        lookup().sum().backward()
        for parameter in parameters:
            parameter.grad = None

    return footprint(step)


@pytest.mark.parametrize("num_bins", [20, 200])
def test_a_sparse_embedding_never_writes_its_zeros(num_bins):
    V, k, density = 20_000, 200, 0.1
    embedding = sc.SparseEmbedding(V, k, density, num_bins)
    tables, ids = [*embedding.tables], zipf_ids(V)
    ours = embedding_step(lambda: embedding(ids), tables)
    padded = embedding_step(lambda: F.embedding(ids, naive_dense(tables)), tables)
    gradients, vectors = 4 * density * V * k, 4 * ids.numel() * k
    assert ours.allocated_bytes <= 1.1 * gradients + 5 * vectors
    assert ours.largest_bytes < 4 * V * k / 5
    assert padded.allocated_bytes > 6 * ours.allocated_bytes


def rational_step(T, name="sparsecore"):
    prepared = rational.prepare(rational.Sizes(T, 2, 5), torch.device("cpu"))
    return footprint(prepared.contestants[name].step)


def test_a_rational_step_is_linear_in_the_text():
    """In operations and bytes; the way of the paper's code is quadratic in bytes."""
    short, middle, long = (rational_step(T) for T in (20, 40, 80))
    assert long.operations - middle.operations <= 2.1 * (middle.operations - short.operations)
    assert long.allocated_bytes - middle.allocated_bytes <= 2.1 * (
        middle.allocated_bytes - short.allocated_bytes
    )
    slow = [rational_step(T, "in place").allocated_bytes for T in (40, 80)]
    assert slow[1] > 3 * slow[0]


def test_a_rational_step_asks_less_than_the_loop():
    ours, loop = rational_step(200), rational_step(200, "loop")
    assert ours.operations < loop.operations / 2
    assert ours.peak_bytes < loop.peak_bytes
