"""The Python that the README, "Use it on your model" and the solutions show: it runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "book" / "use.md", *sorted(ROOT.glob("book/*/lesson.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_python_on_the_page_runs(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, str(page), "exec"), {})


def test_values_in_comments_are_right():
    text = (ROOT / "book" / "use.md").read_text(encoding="utf-8")
    setup, *calls = re.split(
        r"^(?=sc\.)", re.findall(r"```python\n(.*?)```", text, re.S)[0], flags=re.M
    )
    names: dict = {}
    exec(setup, names)
    assert len(calls) == 3
    for call in calls:
        code, value = call.split("#")
        assert repr(eval(code, names)) == value.strip()
