"""The explorers' arithmetic equals the library's; their modules are whole and ask nobody."""

import json
import random
import re
import subprocess
from pathlib import Path

import pytest

from sparsecore.errors import InputError
from sparsecore.layers.geometry import (
    bin_rows,
    bin_widths,
    block_sizes,
    equal_dense_size,
    input_windows,
    lstm_parameters,
)
from sparsecore.report.explorers import MaskExplorer
from sparsecore.report.explorers.bundle import STATIC, module
from tests.browser import NODE, run_node

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
MODULES = sorted(STATIC.glob("*.js"))


def recurrent_cases():
    draw = random.Random(0)
    cases = [
        (1725, 1725, 3, 0.555151),
        (200, 1150, 4, 0.495),
        (1150, 200, 2, 0.587),
        (3, 8, 5, 0.4),
    ]
    while len(cases) < 400:
        i, h = draw.randint(1, 2000), draw.randint(1, 2000)
        n = draw.randint(1, min(h, draw.choice([3, 10, 60])))
        cases.append((i, h, n, draw.uniform(1 / min(n, i), 1)))
    return cases


def embedding_cases():
    draw = random.Random(1)
    cases = [(43815, 20, 0.2, 20), (43815, 20, 0.1, 20), (10000, 400, 0.5, 10), (1, 1, 1.0, 1)]
    while len(cases) < 300:
        k = draw.randint(1, 60)
        m = draw.randint(1, k)
        cases.append((draw.randint(1, 50_000), k, draw.uniform(1 / m, 1), m))
    return cases


def test_windows_blocks_and_parameters_are_the_librarys():
    cases = recurrent_cases()
    found = run_node(
        f"""
        import * as g from {json.dumps((STATIC / "geometry.js").as_uri())};
        const cases = {json.dumps(cases)};
        print(cases.map(([i, h, N, gamma]) => ({{
          trouble: g.recurrentTrouble(i, h, N, gamma),
          windows: g.inputWindows(i, N, gamma),
          units: g.blockUnits(h, N),
          parameters: Object.fromEntries(
            ["LSTM", "GRU", "RNN"].map((c) => [c, g.recurrentParameters(c, i, h, N, gamma)])),
        }})));
        """
    )
    for (i, h, n, gamma), one in zip(cases, found, strict=True):
        windows = [(w.start, w.stop) for w in input_windows(i, n, gamma)]
        sizes = block_sizes(h, n)
        assert one["trouble"] is None
        assert [tuple(w) for w in one["windows"]] == windows
        assert [b - a for a, b in one["units"]] == sizes
        for cell, gates in GATES.items():
            expected = sum(
                gates * s * (b - a + s + 2) for s, (a, b) in zip(sizes, windows, strict=True)
            )
            assert one["parameters"][cell] == expected


def test_bins_are_the_librarys():
    cases = embedding_cases()
    found = run_node(
        f"""
        import * as g from {json.dumps((STATIC / "geometry.js").as_uri())};
        print({json.dumps(cases)}.map(([V, k, d, M]) =>
          [g.embeddingTrouble(V, k, d, M), g.binRows(V, k, d, M), g.binWidths(k, M)]));
        """
    )
    for (v, k, density, m), (trouble, rows, widths) in zip(cases, found, strict=True):
        assert trouble is None
        assert widths == bin_widths(k, m)
        assert rows == bin_rows(v, k, density, m), (v, k, density, m)


@pytest.mark.parametrize(
    ("i", "h", "n", "gamma", "field"),
    [
        (0, 4, 1, 1, "i"),
        (4, 0, 1, 1, "h"),
        (4, 4, 5, 0.5, "N"),
        (4, 4, 2, 0.49, "gamma"),
        (4, 4, 2, 1.01, "gamma"),
        (3, 8, 4, 0.3, "gamma"),
    ],
)
def test_what_is_illegal_here_is_illegal_there_and_its_field_is_named(i, h, n, gamma, field):
    code = f"import {{ recurrentTrouble }} from {json.dumps((STATIC / 'geometry.js').as_uri())};"
    assert run_node(f"{code} print(recurrentTrouble({i}, {h}, {n}, {gamma})[0]);") == field
    with pytest.raises(InputError):
        lstm_parameters(i, h, n, gamma)


@pytest.mark.parametrize(
    ("name", "ends", "value"), [("h", (1, 4000), 1150), ("gamma", (0.25, 1), 0.495)]
)
def test_a_slider_stands_where_the_number_is(name, ends, value):
    path = json.dumps((STATIC / "masks.js").as_uri())
    found = run_node(
        f"""import {{ slid }} from {path}; const s = slid({json.dumps(name)}, {list(ends)});
        print([s.value(0), s.value(1000), s.value(s.step({value}))]);"""
    )
    assert found[:2] == list(ends) and found[2] == pytest.approx(value, rel=0.01)


def test_the_dense_layer_of_equal_size_is_the_librarys():
    draw = random.Random(3)
    cases = [(400, 7139200), (200, 1787104), (7, 3), (1, 1)]
    cases += [(draw.randint(1, 2000), draw.randint(1, 20_000_000)) for _ in range(400)]
    code = f"import * as g from {json.dumps((STATIC / 'geometry.js').as_uri())};"
    found = run_node(
        f"""{code} print({json.dumps(cases)}.map(([i, p]) =>
        ["LSTM", "GRU", "RNN"].map((c) => g.denseHiddenSize(c, i, p))));"""
    )
    for (i, p), sizes in zip(cases, found, strict=True):
        assert sizes == [equal_dense_size(i, p, gates) for gates in GATES.values()], (i, p)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_whole_and_ask_nobody(path):
    text = module(path.name)
    assert not re.search(r'^import|from "\./', text, re.MULTILINE)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert "innerHTML" not in text
    names = re.findall(r"^(?:export )?function (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names))  # nothing is put in twice
    subprocess.run([NODE, "--input-type=module", "--check"], input=text, text=True, check=True)


def test_names_beside_points_do_not_cover_each_other():
    draw = random.Random(2)
    cases = [
        [{"x": 280, "y": 90, "name": "in"}, {"x": 285, "y": 91, "name": "of"}],
        *(
            [
                {"x": draw.uniform(40, 320), "y": draw.uniform(40, 260), "name": "x" * n}
                for n in range(2, 6)
            ]
            for _ in range(200)
        ),
    ]
    found = run_node(
        f"""
        import * as c from {json.dumps((STATIC / "charts.js").as_uri())};
        print({json.dumps(cases)}.map((points) => c.besides(points)));
        """
    )
    for points, places in zip(cases, found, strict=True):
        boxes = []
        for point, place in zip(points, places, strict=True):
            long = 8 * len(point["name"])
            left = place["x"] - (long if place["anchor"] == "end" else 0)
            assert left >= 0 and left + long <= 340 and abs(place["y"] - point["y"]) < 27
            for (start, length), y in boxes:
                beside = left + long <= start or start + length <= left
                assert beside or abs(y - place["y"]) >= 14
            boxes.append(((left, long), place["y"]))


def test_an_explorer_is_a_widget_with_checked_traits():
    explorer = MaskExplorer(N=4, h=1150, i=200, gamma=0.495)
    state = explorer.get_state()
    assert (state["N"], state["gamma"], state["cell"]) == (4, 0.495, "LSTM")
    with pytest.raises(Exception, match="LSTM"):
        MaskExplorer(cell="LSTN")
    assert Path(STATIC / "masks.js").read_text(encoding="utf-8").count("export default") == 1
