"""The book as `make book` builds it: built here where anything changed, shared by all tests."""

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tools.book import HTML, build
from tools.notebooks import run_notebooks


@pytest.fixture(scope="session")
def book() -> Path:
    """The folder of the built book."""
    run_notebooks({})
    build()
    return HTML


@pytest.fixture(scope="session")
def pages(book: Path) -> dict[Path, BeautifulSoup]:
    """Every page of the book, parsed."""
    return {
        path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(book.rglob("*.html"))
        if "_static" not in path.parts
    }


@pytest.fixture(scope="session")
def articles(pages: dict[Path, BeautifulSoup], book: Path) -> dict[Path, BeautifulSoup]:
    """The pages that somebody wrote: without index, search and the way to the front page."""
    made = {book / name for name in ("index.html", "genindex.html", "search.html")}
    return {path: page for path, page in pages.items() if path not in made}
