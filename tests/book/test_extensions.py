"""The Sphinx extensions of the book: formulas, docstrings as plain text, nothing from outside."""

import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest
from docstrings import escape_docstring
from mathml import to_mathml
from offline import drop_outside_files


@pytest.mark.parametrize(
    "tex",
    [
        r"\chi(v) = \lVert v \rVert_2 / \lVert v \rVert_1",
        r"\begin{aligned} a &= b \\ c &< d \end{aligned}",
        r"\overline{h}^2_t",
    ],
)
def test_formulas_are_well_formed_and_carry_their_source(tex):
    element = ElementTree.fromstring(to_mathml(tex, "inline"))
    assert element.get("alttext") == tex
    assert "&" not in "".join(element.itertext())
    assert "\\" not in "".join(element.itertext())


def test_norm_bars_do_not_stretch():
    element = ElementTree.fromstring(to_mathml(r"\lVert v \rVert_2", "block"))
    bars = [node for node in element.iter() if node.text == "‖"]
    assert [bar.get("stretchy") for bar in bars] == ["false", "false"]


def test_docstrings_keep_code_and_lose_accidental_markup():
    lines = ["||v||1 of ``a*b`` and w_ * x_i", "", ">>> f(2 ** 3)", "8 | 4", "", "after *this*"]
    escape_docstring(None, "function", "f", None, None, lines)  # pyright: ignore[reportArgumentType]
    assert lines == [
        r"\|\|v\|\|1 of ``a*b`` and w\_ \* x_i",
        "",
        ">>> f(2 ** 3)",
        "8 | 4",
        "",
        r"after \*this\*",
    ]


def test_scripts_from_outside_are_dropped():
    own = SimpleNamespace(filename="_static/doctools.js", attributes={})
    outside = SimpleNamespace(filename="https://cdn.example/x.js", attributes={})
    thebe = SimpleNamespace(filename=None, attributes={"body": "let thebe_selector = 1"})
    context = {"script_files": [own, outside, thebe], "css_files": ["_static/sphinx-thebe.css"]}
    drop_outside_files(None, "p", "t", context, None)  # pyright: ignore[reportArgumentType]
    assert context == {"script_files": [own], "css_files": []}
