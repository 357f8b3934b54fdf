"""The yardsticks are what sc.chi gives for the vectors they stand for."""

import pytest
import torch

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.measure.reference_values import gaussian_chi, part_table


def test_vectors_with_a_part_of_their_entries():
    table = part_table([7, 200])
    assert set(table["width"]) == {7, 200}
    for width, used, chi in table[["width", "used", "chi"]].itertuples(index=False):
        v = torch.zeros(int(width), dtype=torch.float64)
        v[: round(used * width)] = -0.3
        assert float(sc.chi(v)) == pytest.approx(chi)
    assert table.groupby("width")["used"].max().tolist() == [1.0, 1.0]


def test_random_numbers():
    torch.manual_seed(0)
    found = float(sc.chi(torch.randn(4000, 200)).mean())
    assert found == pytest.approx(gaussian_chi(200), rel=0.01)


def test_a_width_has_units():
    with pytest.raises(InputError, match="widths must be at least 1, got 0"):
        part_table([0])
