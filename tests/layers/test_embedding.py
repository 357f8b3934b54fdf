"""The sparse embedding against its reference: a dense matrix with its zeros."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers.geometry import bin_widths
from sparsecore.ops.staircase import lookup


def masked_reference(embedding):
    """The (V, k) leaf matrix that the tables are cut from, by row, and the mask of its entries."""
    words, dim = embedding.num_embeddings, embedding.embedding_dim
    matrix, mask = torch.zeros(words, dim, dtype=torch.float64), torch.zeros(words, dim)
    start = 0
    for table in embedding.tables:
        for row in range(len(table)):
            place = words - len(table) + row
            matrix[place, start : start + table.shape[1]] = table.detach()[row]
            mask[place, start : start + table.shape[1]] = 1
        start += table.shape[1]
    return matrix.requires_grad_(), mask.bool()


def cut(embedding, matrix):
    """The parts of a (V, k) matrix by row that belong to each table."""
    widths = [table.shape[1] for table in embedding.tables]
    parts = matrix.split(widths, 1)
    return [part[len(part) - len(t) :] for t, part in zip(embedding.tables, parts, strict=True)]


def assert_gradients_equal(embedding, gradient):
    for table, expected in zip(embedding.tables, cut(embedding, gradient), strict=True):
        found = torch.zeros_like(table) if table.grad is None else table.grad
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@st.composite
def geometries(draw):
    words, dim = draw(st.integers(1, 70)), draw(st.integers(1, 9))
    num_bins = draw(st.integers(1, dim))
    density = min(1.0, 1 / num_bins + draw(st.floats(0, 1)) * (1 - 1 / num_bins))
    return words, dim, density, num_bins


GEOMETRIES = [(67, 7, 0.4, 3), (67, 7, 0.2), (5, 9, 0.25, 4), (1, 1, 1.0), (40, 5, 1.0, 2)]


def make(geometry, seed=0, **options):
    torch.manual_seed(seed)
    embedding = sc.SparseEmbedding(*geometry, dtype=torch.float64, **options)
    return embedding, torch.randint(geometry[0], (3, 11))


@pytest.fixture(params=["compiled", "without Numba"])
def way(request, monkeypatch):
    """Both ways of the lookup on a CPU."""
    if request.param == "without Numba":
        monkeypatch.setattr(lookup, "compiles_on_cpu", lambda x: False)
    return request.param


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("ordered", [False, True])
def test_equals_the_dense_matrix_with_zeros(geometry, ordered):
    order = torch.randperm(geometry[0]) if ordered else None
    embedding, ids = make(geometry, order=order)
    matrix, mask = masked_reference(embedding)
    row = torch.arange(geometry[0]) if order is None else order
    upward = torch.randn(3, 11, geometry[1], dtype=torch.float64)

    vectors = embedding(ids)
    expected = F.embedding(row[ids], matrix * mask)
    torch.testing.assert_close(vectors, expected, rtol=0, atol=0)
    vectors.backward(upward)
    expected.backward(upward)
    assert_gradients_equal(embedding, matrix.grad)
    torch.testing.assert_close(embedding.dense(), (matrix * mask)[row], rtol=0, atol=0)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_tied_logits_equal_the_dense_product(geometry, ordered, biased):
    order = torch.randperm(geometry[0]) if ordered else None
    embedding, _ = make(geometry, order=order)
    matrix, mask = masked_reference(embedding)
    row = torch.arange(geometry[0]) if order is None else order
    hidden = torch.randn(3, 2, geometry[1], dtype=torch.float64, requires_grad=True)
    bias = torch.randn(geometry[0], dtype=torch.float64, requires_grad=True) if biased else None
    upward = torch.randn(3, 2, geometry[0], dtype=torch.float64)

    inputs = [hidden, bias] if biased else [hidden]
    logits = embedding.tied_logits(hidden, bias)
    expected = F.linear(hidden, (matrix * mask)[row], bias)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    found = torch.autograd.grad(
        logits, [*inputs, *embedding.tables], upward, materialize_grads=True
    )
    wanted = torch.autograd.grad(expected, [*inputs, matrix], upward)
    for ours, theirs in zip(found, [*wanted[:-1], *cut(embedding, wanted[-1])], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@settings(max_examples=60)
@given(geometries())
def test_any_geometry_keeps_the_promised_entries(geometry):
    words, dim, density, num_bins = geometry
    embedding, ids = make(geometry)
    stored = sum(table.numel() for table in embedding.tables)
    last = bin_widths(dim, num_bins)[-1]
    if len(embedding.tables[-1]) and num_bins > 1:
        assert abs(stored - density * dim * words) <= last / 2 + 1
    assert embedding.density == stored / (words * dim)
    assert tuple(embedding.tables[0].shape) == (words, bin_widths(dim, num_bins)[0])
    matrix, mask = masked_reference(embedding)
    assert int(mask.sum()) == stored
    first = bin_widths(dim, num_bins)[0]
    assert mask[:, :first].all()  # every word has the first bin
    torch.testing.assert_close(embedding(ids), matrix[ids], rtol=0, atol=0)


def bytes_held(module, optimizer):
    parameters = list(module.parameters())
    state = [v for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v)]
    tensors = [*parameters, *(p.grad for p in parameters if p.grad is not None), *state]
    return sum(t.untyped_storage().nbytes() for t in {t.data_ptr(): t for t in tensors}.values())


@pytest.mark.parametrize(("density", "num_bins"), [(0.1, 20), (0.5, 10), (0.1, None)])
def test_parameters_gradient_and_optimizer_shrink_with_the_density(density, num_bins):
    words, dim, held = 4000, 100, []
    for module in (sc.SparseEmbedding(words, dim, density, num_bins), nn.Embedding(words, dim)):
        optimizer = torch.optim.Adam(module.parameters())
        module(torch.randint(words, (20, 7))).square().sum().backward()
        optimizer.step()
        held.append(bytes_held(module, optimizer))
    assert held[0] <= 1.05 * density * held[1]


def test_word_dropout_drops_whole_words_and_scales_the_rest():
    embedding, _ = make((50, 6, 0.5, 3), word_dropout=0.4)
    ids = torch.arange(50).repeat(2, 1)
    vectors = embedding(ids)
    assert torch.equal(vectors[0], vectors[1])  # one mask for all places of a word
    dropped = vectors[0].eq(0).all(1)
    assert 0 < dropped.sum() < 50
    expected = embedding.dense() * (~dropped).unsqueeze(1) / 0.6
    torch.testing.assert_close(vectors[0], expected)
    vectors.sum().backward()
    assert embedding.tables[0].grad[dropped].eq(0).all()
    embedding.eval()
    assert torch.equal(embedding(ids[0]), embedding.dense())
    embedding.train()
    rate = torch.stack([embedding(ids[0]).eq(0).all(1) for _ in range(200)]).double().mean()
    assert rate.item() == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("ordered", [False, True])
def test_state_survives_safetensors_and_copies(tmp_path, ordered):
    order = torch.randperm(30) if ordered else None
    embedding, ids = make((30, 8, 0.5, 4), order=order)
    names = [f"tables.{m}" for m in range(4)] + ["order"] * ordered
    assert sorted(embedding.state_dict()) == sorted(names)
    save_file(embedding.state_dict(), tmp_path / "embedding.safetensors")
    other, _ = make((30, 8, 0.5, 4), seed=1, order=torch.arange(30) if ordered else None)
    assert not torch.equal(other(ids), embedding(ids))
    other.load_state_dict(load_file(tmp_path / "embedding.safetensors"))
    assert torch.equal(other(ids), embedding(ids))
    embedding(ids).sum().backward()
    clone = copy.deepcopy(embedding)
    assert torch.equal(clone(ids), embedding(ids))


def test_made_without_memory_it_is_complete_after_a_reset():
    embedding = sc.SparseEmbedding(30, 8, 0.5, 3, device="meta")
    assert all(tensor.is_meta for tensor in [*embedding.parameters(), *embedding.buffers()])
    embedding.to_empty(device="cpu").reset_parameters()
    assert torch.equal(embedding.layout, sc.SparseEmbedding(30, 8, 0.5, 3).layout)
    assert all(0 < table.abs().max() <= 0.1 for table in embedding.tables)


def test_from_dense_is_the_inverse_of_dense():
    embedding, _ = make((30, 8, 0.5, 3), order=torch.randperm(30))
    again = sc.SparseEmbedding.from_dense(embedding.dense(), 0.5, 3, order=embedding.order)
    assert torch.equal(again.dense(), embedding.dense())
    full = torch.randn(30, 8)
    kept = sc.SparseEmbedding.from_dense(full, 0.5, 3).dense()
    assert torch.equal(kept, torch.where(kept != 0, full, 0))


def test_orders_are_permutations_of_the_words():
    counts = torch.tensor([7, 1, 90, 7, 0, 3])
    up, down = sc.frequency_order(counts), sc.frequency_order(counts, "down")
    assert up.tolist() == [4, 1, 5, 3, 0, 2]
    assert torch.equal(up + down, torch.full((6,), 5))
    assert sc.frequency_order(counts.numpy(), "none").tolist() == [0, 1, 2, 3, 4, 5]
    embedding = sc.SparseEmbedding(6, 6, 0.5, order=up)
    lengths = embedding(torch.arange(6)).ne(0).sum(1)
    assert lengths[2] == 6 and lengths[4] == 1  # the most frequent, the rarest
    assert torch.equal(lengths[up.argsort()], lengths.sort()[0])


def test_the_order_says_who_has_the_long_vectors():
    counts = torch.tensor([3, 50, 1, 8, 400, 20, 9])
    lengths = {}
    for order in ("up", "none", "down"):
        embedding = sc.SparseEmbedding(7, 7, 0.5, order=sc.frequency_order(counts, order))
        lengths[order] = embedding(torch.arange(7)).ne(0).sum(1)
        assert lengths[order].sum() == sum(t.numel() for t in embedding.tables)
    by_frequency = counts.argsort()
    assert torch.equal(lengths["up"][by_frequency], lengths["none"])
    assert torch.equal(lengths["down"][by_frequency.flip(0)], lengths["none"])
    assert lengths["up"][4] == 7 and lengths["down"][4] == 1  # the most frequent word
    assert lengths["none"][6] == 7 and lengths["none"][0] == 1


@pytest.mark.usefixtures("way")
def test_ids_may_be_narrow_or_none_and_never_fractions():
    embedding, ids = make((67, 7, 0.4, 3))
    order = sc.frequency_order(range(67))
    dropping, _ = make((67, 7, 0.4, 3), order=order, word_dropout=0.5)
    for kind in (torch.int32, torch.int16, torch.int8, torch.uint8):
        assert torch.equal(embedding(ids.to(kind)), embedding(ids))
        torch.manual_seed(0)
        expected = dropping(ids)
        torch.manual_seed(0)
        assert torch.equal(dropping(ids.to(kind)), expected)
    assert embedding(ids[:0]).shape == (0, 11, 7)
    assert embedding(ids[0, 0]).shape == (7,)
    assert embedding.tied_logits(embedding(ids[:0])).shape == (0, 11, 67)
    assert embedding.tied_logits(embedding(ids[0, 0])).shape == (67,)
    embedding(ids[:0]).sum().backward()
    assert all(table.grad.eq(0).all() for table in embedding.tables)
    with pytest.raises(InputError, match=r"whole numbers, such as int64, got torch\.float64"):
        embedding(ids.double())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sc.SparseEmbedding(100, 10, 0.05), r"density must lie in \[1/num_bins, 1\]"),
        (lambda: sc.SparseEmbedding(100, 10, 0.5, 11), r"num_bins must lie in \[1, 10\]"),
        (
            lambda: sc.SparseEmbedding(9, 2, 1.0, word_dropout=1),
            r"word_dropout must lie in \[0, 1\)",
        ),
        (
            lambda: sc.SparseEmbedding(3, 2, 1.0, order=torch.tensor([0, 1, 1])),
            r"order must hold each row in \[0, 3\) once",
        ),
        (lambda: sc.frequency_order([1, 2], "upp"), r"order: 'upp' is unknown \(did you mean 'up'"),
        (lambda: sc.frequency_order([[1, 2]]), r"counts must have shape \(V,\), got \(1, 2\)"),
        (lambda: sc.SparseEmbedding.from_dense(torch.ones(3), 1.0), "weight must be a .* tensor"),
        (
            lambda: sc.SparseEmbedding(9, 2, 1.0).tied_logits(torch.ones(3)),
            r"hidden must have shape \(..., 2\), got \(3,\)",
        ),
    ],
)
def test_wrong_arguments_name_the_right_ones(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("word", [-1, 10])
def test_ids_outside_the_vocabulary_are_refused(word, ordered):
    order = torch.randperm(10) if ordered else None
    embedding = sc.SparseEmbedding(10, 4, 0.5, order=order)
    with pytest.raises(IndexError):
        embedding(torch.tensor([0, word]))


def test_ids_that_change_before_the_way_back_do_no_silent_harm(way):
    ids = torch.tensor([1, 5, 5, 9])
    embedding = sc.SparseEmbedding(10, 4, 0.5)
    embedding(ids).sum().backward()
    wanted = [parameter.grad.clone() for parameter in embedding.parameters()]
    embedding.zero_grad()
    vectors = embedding(ids)
    ids.fill_(0)
    if way == "compiled":
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            vectors.sum().backward()
    else:
        vectors.sum().backward()
        assert all(map(torch.equal, (p.grad for p in embedding.parameters()), wanted))


@pytest.mark.parametrize("make", [list, np.array, torch.tensor, pd.Series, tuple])
def test_frequency_order_takes_counts_by_position(make):
    assert sc.frequency_order(make([5, 90, 1, 7])).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float64"])
def test_frequency_order_of_a_filtered_series_ignores_its_index(dtype):
    counts = pd.Series([5, 90, 1, 7], index=[3, 4, 8, 3], dtype=dtype)
    order = sc.frequency_order(counts)
    assert order.tolist() == [1, 3, 0, 2] and order.dtype == torch.int64
    embedding = sc.SparseEmbedding(4, 2, 0.5, 2, order=pd.Series(order.numpy(), index=counts.index))
    assert torch.equal(embedding.order, order)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 1}, "counts must be numbers of shape .*got dict"),
        (pd.Series(["5", "90"]), "counts must be numbers"),
        ([[1, 2]], r"shape \(V,\), got \(1, 2\)"),
        ([1.0, float("nan")], "got nan at place 1"),
    ],
)
def test_frequency_order_refuses_what_are_no_counts(counts, message):
    with pytest.raises(InputError, match=message):
        sc.frequency_order(counts)


@pytest.mark.parametrize("fill", ["load", "assign", "reset"])
def test_deferred_initialisation_restores_the_layout(fill):
    filled = sc.SparseEmbedding(50, 8, 0.5, 4)
    with torch.device("meta"):
        embedding = sc.SparseEmbedding(50, 8, 0.5, 4)
    assert embedding.layout.device.type == "meta"
    if fill != "assign":
        embedding = embedding.to_empty(device="cpu")
        embedding.layout.fill_(2**40)  # what memory that nobody wrote may hold
    if fill == "reset":
        embedding.reset_parameters()
    else:
        embedding.load_state_dict(filled.state_dict(), assign=fill == "assign")
    ids = torch.arange(50)
    compiled = torch.compile(embedding, backend="eager")
    torch.testing.assert_close(compiled(ids), embedding(ids))
    assert torch.equal(embedding.layout, filled.layout)


def test_from_dense_wants_a_matrix():
    with pytest.raises(InputError, match=r"such as embedding.weight, got Embedding"):
        sc.SparseEmbedding.from_dense(nn.Embedding(5, 4), 0.5)


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_ids_hidden_states_and_biases_that_do_not_fit_are_refused():
    embedding = sc.SparseEmbedding(20, 8, 0.5, 4)
    for ids, got in (
        ([1, 2], "list"),
        (torch.ones(2), "torch.float32"),
        (torch.ones(2) > 0, "bool"),
    ):
        with pytest.raises(InputError, match=f"ids must be a tensor of whole numbers.*{got}"):
            embedding(ids)
    ids = torch.tensor([1, 19])
    for dtype in (torch.uint8, torch.int16, torch.uint16, torch.int32, torch.uint32):
        assert torch.equal(embedding(ids.to(dtype)), embedding(ids))
    with pytest.raises(InputError, match=r"of the tables, torch\.float32, got torch\.float16"):
        embedding.tied_logits(torch.zeros(3, 8).half())
    with pytest.raises(InputError, match=r"bias must have shape \(20,\), got \(8,\)"):
        embedding.tied_logits(torch.zeros(3, 8), torch.zeros(8))
    with pytest.raises(InputError, match=r"not scripted .*embedding\.dense\(\)"):
        torch.jit.script(torch.nn.Sequential(embedding))


def test_embedding_with_an_order_is_made_on_the_meta_device():
    right = sc.SparseEmbedding(20, 8, 0.5, 4, order=sc.frequency_order(list(range(20))))
    with torch.device("meta"):
        made = sc.SparseEmbedding(20, 8, 0.5, 4, order=sc.frequency_order(list(range(20))))
    made.load_state_dict(right.state_dict(), assign=True)
    ids = torch.arange(20)
    assert torch.equal(made(ids), right(ids)) and made.layout.device.type == "cpu"
