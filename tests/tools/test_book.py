"""Building the book: skipped while nothing changed, whole or not at all, trouble told in lines."""

import pytest

from tools import book, notebooks
from tools.tidy import NotebookFailure

BUILDER = """#!/bin/sh
# stands in for: python -m tools.pages NEXT
mkdir -p "$1/html"
cp book/index.md "$1/html/index.html"
echo built >> built.txt
if grep -q wrong book/index.md; then
    printf '\\033[91m%s/book/index.md:1: WARNING: undefined label\\033[0m\\n' "$PWD" >&2
    exit 1
fi
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project with one page and a builder that copies it."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.md").write_text("first")
    (tmp_path / "_config.yml").write_text("title: A")
    builder = tmp_path / "builder"
    builder.write_text(BUILDER)
    builder.chmod(0o755)
    build = tmp_path / "_build"
    for name, value in {
        "ROOT": tmp_path,
        "EXECUTED": tmp_path / "notebooks" / "executed",
        "HTML": build / "html",
        "NEXT": build / "next",
        "STAMP": build / "book.sha256",
        "LOG": build / "book.log",
    }.items():
        monkeypatch.setattr(book, name, value)
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "WORK", build / "notebooks")
    monkeypatch.setattr(book, "PAGES", (str(builder),))
    return tmp_path


def times_built(place):
    return len((place / "built.txt").read_text().splitlines())


def test_nothing_changed_means_nothing_built(place):
    assert book.build()
    assert not book.build()
    assert times_built(place) == 1


@pytest.mark.parametrize("name", ["book/index.md", "_config.yml", "sparsecore/chi.py"])
def test_any_change_builds_again(place, name):
    book.build()
    (place / name).parent.mkdir(exist_ok=True)
    (place / name).write_text("second")
    assert book.build()


def test_a_warning_is_told_and_the_last_good_book_stays(place):
    book.build()
    (place / "book" / "index.md").write_text("wrong")
    with pytest.raises(NotebookFailure) as failure:
        book.build()
    assert str(failure.value).splitlines() == [
        "The book was not built:",
        "  book/index.md:1: WARNING: undefined label",
        "  (all of it: _build/book.log)",
    ]
    assert (book.HTML / "index.html").read_text() == "first"
    with pytest.raises(NotebookFailure):
        book.build()


def test_a_removed_page_is_gone_from_the_new_book(place):
    book.build()
    (book.HTML / "old.html").write_text("old")
    (place / "book" / "index.md").write_text("second")
    book.build()
    assert [path.name for path in book.HTML.iterdir()] == ["index.html"]
