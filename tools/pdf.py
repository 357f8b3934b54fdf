"""Print the book: every page in reading order as one PDF, by the machine's own Chromium.

The pages of the built book become one document, `_build/print.html`, whose links lead from page to
page inside it. The PDF lies beside the pages too, and the front page links to it. `make pdf` builds
the book before.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

import yaml
from bs4 import BeautifulSoup, Tag

from sparsecore.files import write_text
from tools.book import BUILD, HTML, ROOT
from tools.notebooks import report
from tools.tidy import NotebookFailure

DOCUMENT = BUILD / "print.html"  # beside the folder html, into which it points
PDF = BUILD / "book.pdf"

_BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_FLAGS = (
    "--headless",
    "--no-sandbox",  # containers have none; the page is our own, from the disk
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
    "--virtual-time-budget=20000",  # until the explorers have drawn themselves
)
_WIDGETS = 'script[type^="application/vnd.jupyter.widget-"]'
_ELSEWHERE = re.compile(r"[a-z]+:")


def find_chromium() -> str | None:
    """The path of Chromium or Chrome, None where there is none."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def chapters(toc: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The part (``""`` before the first) and the name of every page, in reading order.

    >>> parts = [{"caption": "One", "chapters": [{"file": "a"}, {"file": "b"}]}]
    >>> list(chapters({"root": "index", "parts": parts}))
    [('', 'index'), ('One', 'a'), ('One', 'b')]
    """
    yield "", toc["root"]
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            yield part["caption"], chapter["file"]


def assemble(html: Path, pages: list[tuple[str, str]], numbers: Mapping[str, int]) -> str:
    """One document of these pages of the book in ``html``; to be put beside that folder.

    ``numbers``: the sheet on which each page begins, by :func:`page_numbers`, for the contents.
    """
    soups = {name: _read(html / f"{name}.html") for _, name in pages}
    first = next(iter(soups.values()))
    document = BeautifulSoup(
        "<!DOCTYPE html><html><head></head><body></body></html>", "html.parser"
    )
    root, head, body = (_one(document, name) for name in ("html", "head", "body"))
    root.attrs.update({"lang": "en", "data-theme": "light", "data-mode": "light"})
    head.append(document.new_tag("meta", charset="utf-8"))
    head.append(_element(document, "title", _title(first)))
    base = html.name + "/" + pages[0][1]
    for sheet in first.select('link[rel="stylesheet"]'):
        address = urljoin(base, str(sheet["href"]))
        head.append(document.new_tag("link", rel="stylesheet", href=address))
    body["class"] = "whole-book"
    content = document.new_tag("div", attrs={"class": "bd-content"})
    body.append(content)
    content.append(_contents(document, pages, soups, numbers))
    for _, name in pages:
        soup = soups[name]
        article = _one(soup, "article.bd-article")
        _make_own(article, name, set(soups), html.name)
        article["id"] = _id(name)
        for script in soup.select(_WIDGETS):
            if script.find_parent("article") is None:
                article.append(script)
        if article.select(_WIDGETS):
            note = f"On a screen this page answers: make book, then open _build/html/{name}.html."
            _one(article, "h1").insert_after(_element(document, "p", note, "print-note"))
        content.append(article)
    shim = urljoin(base, "../_static/static-widgets.js")
    body.append(document.new_tag("script", src=shim))
    return str(document)


def _contents(
    document: BeautifulSoup,
    pages: list[tuple[str, str]],
    soups: dict[str, BeautifulSoup],
    numbers: Mapping[str, int],
) -> Tag:
    """The first page: the book's title and the titles of all others, part by part."""
    front = document.new_tag("nav", attrs={"class": "bd-article book-contents"})
    front.append(_element(document, "p", _title(soups[pages[0][1]]), "book-title"))
    front.append(_element(document, "p", "Contents", "book-part"))
    current = ""
    for part, name in pages:
        if part != current:
            front.append(_element(document, "p", part, "book-part"))
            current = part
        title = _title(soups[name]) if part else "What the papers ask, what holds, where to go"
        link = _element(document, "a", title, "book-chapter")
        link["href"] = f"#{_id(name)}"
        link.append(_element(document, "span", str(numbers.get(_id(name), ""))))
        front.append(link)
    return front


def _make_own(article: Tag, name: str, names: set[str], folder: str) -> None:
    """Names in the page get the page's in front; links lead to them, pictures to their files."""
    for tag in article.select("a.headerlink, .legend:has(a.figure-data), script#cards, .pdf-offer"):
        tag.decompose()
    for tag in article.find_all(id=True):
        tag["id"] = f"{_id(name)}--{tag['id']}"
    for tag in article.select("[for], [aria-labelledby], [aria-controls]"):
        for attribute in ("for", "aria-labelledby", "aria-controls"):
            if attribute in tag.attrs:
                tag[attribute] = f"{_id(name)}--{tag[attribute]}"
    for tag in article.select("[src]"):
        tag["src"] = urljoin(f"{folder}/{name}", str(tag["src"]))
    for link in article.select("a[href]"):
        address = _inside(name, str(link["href"]), names)
        if address:
            link["href"] = address
        else:  # a file beside the pages
            link.unwrap()


def _inside(name: str, address: str, names: set[str]) -> str | None:
    """Where a link of the page ``name`` leads in the one document; None: to no page of it.

    >>> _inside("book/use", "../notebooks/a.html#fig", {"notebooks/a", "book/use"})
    '#notebooks-a--fig'
    >>> _inside("book/use", "data/fig.csv", {"book/use"}) is None
    True
    """
    if _ELSEWHERE.match(address):
        return address
    path, fragment = urldefrag(address)
    page = urljoin(name, path).removesuffix(".html") if path else name
    if page not in names:
        return None
    return f"#{_id(page)}" + (f"--{fragment}" if fragment else "")


def _id(name: str) -> str:
    return name.replace("/", "-")


def _title(page: BeautifulSoup) -> str:
    heading = _one(page, "article h1")
    return heading.get_text().removesuffix("#").strip()


def _element(document: BeautifulSoup, kind: str, text: str, style: str = "") -> Tag:
    made = document.new_tag(kind, attrs={"class": style} if style else {})
    made.string = text
    return made


def _one(page: Tag, selector: str) -> Tag:
    found = page.select_one(selector)
    assert found is not None, selector
    return found


def _read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def print_page(chromium: str, page: Path, out: Path) -> None:
    """Print a page on the disk to ``out``; :class:`NotebookFailure` where Chromium does not."""
    with tempfile.TemporaryDirectory() as profile:
        made = Path(profile) / "page.pdf"
        command = [chromium, *_FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={made}"]
        done = subprocess.run(
            [*command, page.resolve().as_uri()], capture_output=True, text=True, check=False
        )
        if done.returncode or not made.exists():
            raise NotebookFailure(f"Chromium did not print {page}:\n{done.stderr[-2000:]}")
        shutil.move(made, out)


def page_numbers(pdf: bytes) -> dict[str, int]:
    """On which sheet of a PDF as Chromium writes it each named place is; the first is 1.

    A browser cannot print the number of the page that a link leads to, so the contents get theirs
    from a first print.
    """
    known = set(re.findall(rb"\n(\d+) 0 obj\s*<</Type /Page\s", pdf))
    lists = re.findall(rb"/Kids \[([^\]]*)\]", pdf)  # of sheets, or of such lists
    numbers = [number for kids in lists for number in re.findall(rb"(\d+) 0 R", kids)]
    sheets = [number for number in numbers if number in known]
    places = re.findall(rb"/([\w-]+) \[(\d+) 0 R /XYZ", pdf)
    return {name.decode(): sheets.index(n) + 1 for name, n in places if n in sheets}


def offer(front: Path) -> None:
    """Put the PDF beside the pages, and a link to it where the front page says how to make it."""
    shutil.copyfile(PDF, HTML / PDF.name)
    page = _read(front)
    place = _one(page, ".pdf-offer")
    place.clear()
    depth = len(front.relative_to(HTML).parts) - 1
    link = _element(page, "a", "The whole book as one PDF")
    link["href"] = "../" * depth + PDF.name
    place.append(link)
    write_text(front, str(page))


def main() -> int:
    """The command line: print the book as it stands in `_build/html`."""

    def work() -> None:
        chromium = find_chromium()
        if chromium is None:
            raise NotebookFailure("make pdf needs Chromium or Chrome, and neither is on the PATH.")
        toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
        pages = list(chapters(toc))
        write_text(DOCUMENT, assemble(HTML, pages, {}))
        print_page(chromium, DOCUMENT, PDF)
        write_text(DOCUMENT, assemble(HTML, pages, page_numbers(PDF.read_bytes())))
        print_page(chromium, DOCUMENT, PDF)
        offer(HTML / f"{toc['root']}.html")
        print(f"\nThe book to print:\n  {PDF}")

    return report(work)


if __name__ == "__main__":
    sys.exit(main())
