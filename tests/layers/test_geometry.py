"""Geometry to the parameter: the papers' models, and invariants for any sizes."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sparsecore.errors import InputError
from sparsecore.layers.geometry import (
    bin_ratio,
    bin_rows,
    bin_widths,
    block_sizes,
    input_windows,
    lstm_parameters,
    matching_geometry,
)

THIRD = 1 / 3


@pytest.mark.parametrize(
    ("layers", "total"),
    [
        # Table 1 and Table 4: (input, hidden, reduce_in, reduce_out, N, gamma) a layer
        ([(400, 1150, 1, 1, 1, 1), (1150, 1150, 1, 1, 1, 1), (1150, 400, 1, 1, 1, 1)], 20_211_600),
        (
            [
                (400, 1725, 1, 0.66666, 3, 1),
                (1725, 1725, 0.66666, 0.66666, 3, 0.555151),
                (1725, 400, 0.66666, 1, 2, 0.7826),
            ],
            19_812_900,
        ),
        ([(200, 575, 1, 1, 1, 1), (575, 575, 1, 1, 1, 1), (575, 200, 1, 1, 1, 1)], 5_058_300),
        (
            [
                (200, 1150, 1, 0.5, 4, 0.495),
                (1150, 1150, 0.5, 0.5, 5, 0.2991),
                (1150, 200, 0.5, 1, 2, 0.587),
            ],
            5_058_304,
        ),
        (
            [
                (400, 1150, 0.5, 0.5, 5, 0.39125),
                (1150, 1150, 0.5, 0.5, 5, 0.2991),
                (1150, 400, 0.5, 0.5, 5, 0.2665),
            ],
            5_060_160,
        ),
        (
            [
                (133, 1150, 1, THIRD, 8, 0.2032),
                (1150, 1150, THIRD, THIRD, 10, 0.1211),
                (1150, 133, THIRD, 1, 3, 0.4104),
            ],
            2_249_968,
        ),
        (
            [
                (400, 1150, THIRD, THIRD, 10, 0.1397),
                (1150, 1150, THIRD, THIRD, 10, 0.1211),
                (1150, 400, THIRD, THIRD, 10, 0.1138),
            ],
            2_250_960,
        ),
    ],
)
def test_layers_of_the_paper_to_the_parameter(layers, total):
    count = 0
    for inputs, hidden, a, b, num_blocks, gamma in layers:
        n, g = matching_geometry(inputs, hidden, a, b)
        assert (n, g) == (num_blocks, pytest.approx(gamma, abs=5e-5))
        count += lstm_parameters(inputs, hidden, n, g)
    assert count == total


def test_widths_and_sizes_of_the_paper():
    def widths(*arguments):
        return [w.stop - w.start for w in input_windows(*arguments)]

    n, g = matching_geometry(1725, 1725, 0.66666, 0.66666)
    assert widths(1725, n, g) == [957, 958, 958]
    n, g = matching_geometry(133, 1150, 1, THIRD)
    assert widths(133, n, g) == [27] * 7 + [28] and set(block_sizes(1150, n)) == {143, 144}
    assert block_sizes(133, 3) == [44, 44, 45]


@pytest.mark.parametrize(
    ("density", "alpha"),
    [
        (0.1, 0.500001),
        (0.15, 0.666768),
        (0.2, 0.75081),
        (0.25, 0.802451),
        (0.3, 0.83822),
        (0.4, 0.886142),
        (0.5, 0.918109),
        (0.75, 0.968432),
        (0.8, 0.975759),
        (0.9, 0.98875),
    ],
)
def test_bin_ratio_of_the_tagger(density, alpha):
    assert bin_ratio(density, 20) == pytest.approx(alpha, abs=2e-6)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            (43_815, 20, 0.2),
            [
                43815,
                32896,
                24698,
                18543,
                13922,
                10453,
                7848,
                5892,
                4424,
                3322,
                *([None] * 8),
                253,
                192,
            ],
        ),
        (
            (43_815, 20, 0.1),
            [43815, 21907, 10953, 5477, 2738, 1369, 685, 342, 171, 86, 43, 21, 11, 5, 2] + [1] * 5,
        ),
        (
            (10_000, 400, 0.5, 10),
            [10000, 8316, 6916, 5751, 4783, 3978, 3309, 2752, 2289, 1906],
        ),
    ],
)
def test_bins_of_the_paper(arguments, expected):
    for ours, theirs in zip(bin_rows(*arguments), expected, strict=True):
        assert theirs is None or abs(ours - theirs) <= 2


def test_parameters_of_the_embeddings():
    assert sum(bin_rows(10_000, 400, 0.5, 10)) * 40 == 2_000_000
    assert sum(bin_rows(10_000, 400, THIRD, 10)) * 40 == 1_333_320
    assert sum(bin_rows(43_815, 20, 0.25)) == 222_384 - 3_309


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1))
def test_windows_cover_every_input(inputs, num_blocks, extra):
    least = 1 / min(num_blocks, inputs)
    gamma = least + extra * (1 - least)
    windows = input_windows(inputs, num_blocks, min(gamma, 1.0))
    seen = set()
    for window in windows:
        assert window.stop > window.start
        seen.update(range(window.start, window.stop))
    assert seen == set(range(inputs)) and len(windows) == num_blocks
    widths = [w.stop - w.start for w in windows]
    assert max(widths) - min(widths) <= 2


@given(st.integers(1, 500), st.integers(1, 500))
def test_blocks_partition_the_hidden_units(hidden, num_blocks):
    assume(num_blocks <= hidden)
    sizes = block_sizes(hidden, num_blocks)
    assert sum(sizes) == hidden and len(sizes) == num_blocks
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(20, 400), st.integers(20, 400), st.floats(0.2, 1), st.floats(0.2, 1))
def test_matched_layer_stays_near_its_budget(inputs, hidden, a, b):
    try:
        num_blocks, gamma = matching_geometry(inputs, hidden, a, b)
    except InputError:
        return
    budget = 4 * b * hidden * (a * inputs + b * hidden + 2)
    slack = 4 * (2 * hidden + num_blocks)  # windows and sizes are whole numbers
    assert lstm_parameters(inputs, hidden, num_blocks, gamma) <= budget + slack


def test_many_bins_of_few_words_stay_within_the_words():
    rows = bin_rows(100, 400, 0.99)
    assert max(rows) == 100 and sum(rows) == 39_600


@given(st.integers(1, 3000), st.integers(1, 30), st.floats(0, 1), st.data())
def test_bins_keep_the_promised_entries(words, dim, extra, data):
    num_bins = data.draw(st.integers(1, dim))
    density = min(1.0, 1 / num_bins + extra * (1 - 1 / num_bins))
    rows = bin_rows(words, dim, density, num_bins)
    widths = bin_widths(dim, num_bins)
    entries = sum(r * w for r, w in zip(rows, widths, strict=True))
    assert rows[0] == words and len(rows) == num_bins and sum(widths) == dim
    assert all(a >= b for a, b in itertools.pairwise(rows[:-1]))
    assert min(rows) >= 0 and max(rows) == words
    if rows[-1] > 0 and num_bins > 1:
        assert abs(entries - density * dim * words) <= widths[-1] / 2 + 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: block_sizes(5, 6), r"num_blocks must lie in \[1, 5\]"),
        (lambda: input_windows(10, 4, 0.2), r"gamma must lie in \[1/num_blocks, 1\] = \[0.25, 1\]"),
        (lambda: input_windows(10, 4, 1.1), "got 1.1"),
        (
            lambda: input_windows(3, 4, 0.3),
            r"gamma must lie in \[1/input_size, 1\] = \[0.3333, 1\]",
        ),
        (lambda: input_windows(3, 0, 1.0), "num_blocks must be at least 1, got 0"),
        (lambda: input_windows(0, 1, 1.0), "input_size must be at least 1, got 0"),
        (lambda: block_sizes(0, 1), "hidden_size must be at least 1, got 0"),
        (lambda: matching_geometry(10, 10, 0, 1), r"reduce_in must lie in \(0, 1\], got 0"),
        (lambda: matching_geometry(400, 40, 0.02, 0.02), "no sparse layer 400 -> 40"),
        (lambda: bin_rows(100, 10, 0.05), r"density must lie in \[1/num_bins, 1\] = \[0.1, 1\]"),
        (lambda: bin_rows(100, 10, 0.5, 11), r"num_bins must lie in \[1, 10\]"),
        (lambda: bin_rows(0, 10, 0.5), "num_embeddings must be at least 1"),
    ],
)
def test_illegal_geometry_names_the_legal_range(call, message):
    with pytest.raises(InputError, match=message):
        call()
