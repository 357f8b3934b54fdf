"""Adaptive input and adaptive softmax: as large as the sparse embedding, and right."""

import pytest
import torch

from sparsecore.bench.case import REFERENCE
from sparsecore.bench.gate import judge
from sparsecore.bench.suites import embedding, output
from sparsecore.bench.suites.adaptive import FACTOR, GROWTH, AdaptiveInput, Clusters, nearest

CPU = torch.device("cpu")


def entries(geometry):
    return sum(table.numel() for table in geometry.layer("meta").tables)


def numbers(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("geometry", embedding.GRID, ids=lambda geometry: geometry.name)
def test_adaptive_input_is_as_large_as_the_sparse_embedding(geometry):
    clusters = nearest(geometry.V, geometry.k, entries(geometry))
    assert numbers(AdaptiveInput(clusters, "meta")) == clusters.entries
    assert clusters.entries == pytest.approx(entries(geometry), rel=1e-3)
    assert sum(clusters.sizes) == geometry.V and clusters.first >= geometry.V / 100
    assert clusters.sizes[1] == GROWTH * clusters.sizes[0]
    assert clusters.widths == [geometry.k // FACTOR**c for c in range(len(clusters.sizes))]


@pytest.mark.parametrize("geometry", output.GRID, ids=lambda geometry: geometry.name)
def test_adaptive_softmax_is_as_large_as_the_sparse_tables(geometry):
    softmax = output.adaptive_softmax(geometry, torch.device("meta"))
    assert numbers(softmax) == pytest.approx(entries(geometry), rel=2e-3)


def test_other_clusters_are_no_nearer():
    found = nearest(10_000, 400, 1_200_000)
    distance = abs(found.entries - 1_200_000)
    for first in (found.first - 1, found.first + 1):
        assert abs(Clusters(10_000, 400, first).entries - 1_200_000) >= distance


def test_a_vector_is_the_projected_row_of_its_cluster():
    clusters = Clusters(40, 16, 5)
    assert clusters.sizes == [5, 10, 25] and clusters.widths == [16, 4, 1]
    adaptive = AdaptiveInput(clusters).double()
    ranks = torch.tensor([[0, 39, 5], [14, 15, 4]])
    whole = torch.cat([E @ W for E, W in zip(adaptive.tables, adaptive.projections, strict=True)])
    torch.testing.assert_close(adaptive(ranks), whole[ranks])
    adaptive(ranks).sum().backward()
    found = [parameter.grad for parameter in adaptive.parameters()]
    right = torch.autograd.grad(whole[ranks].sum(), list(adaptive.parameters()))
    torch.testing.assert_close(found, [*right])


def test_a_cluster_without_words_in_the_batch_has_no_part_in_it():
    adaptive = AdaptiveInput(Clusters(40, 16, 5))
    adaptive(torch.tensor([0, 1])).sum().backward()
    assert adaptive.tables[0].grad.any() and not adaptive.tables[2].grad.any()


@pytest.mark.parametrize("suite", [embedding, output])
def test_each_contestant_makes_a_step_and_leaves_no_gradient(suite):
    for case in suite.cases(CPU, quick=True):
        prepared = case.prepare()
        verdicts = judge(prepared)
        others = {"dense", "adaptive input", "adaptive softmax"}
        assert {name for name, (gate, _) in verdicts.items() if gate == "equal"} == (
            set(prepared.contestants) - others
        )
        assert REFERENCE in prepared.contestants and len(others & set(verdicts)) == 2
        for contestant in prepared.contestants.values():
            contestant.step()


def test_the_classes_of_adaptive_softmax_are_ranks():
    """The frequent words, the last rows, have to be in the cluster that is always computed."""
    geometry = embedding.TINY[0]
    softmax = output.adaptive_softmax(geometry, CPU)
    ranks = geometry.V - 1 - embedding.zipf_ids(geometry.V)
    shortlist = softmax.cutoffs[0]
    assert (ranks < shortlist).double().mean() > shortlist / geometry.V
    rows = torch.randn(ranks.numel(), geometry.k)
    assert torch.isfinite(softmax(rows, ranks.flatten()).loss)
