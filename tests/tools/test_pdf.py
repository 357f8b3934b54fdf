"""The book as one document: order, names, links and pictures of its pages; what Chromium prints."""

import pytest
from bs4 import BeautifulSoup

from tools import pdf

PAGE = """<!DOCTYPE html><html><head><title>{title}</title>
<link rel="stylesheet" href="../_static/book.css">{state}</head><body>
<nav><a href="a.html">not of the page</a></nav><article class="bd-article">
<section id="top"><h1>{title}<a class="headerlink" href="#top">#</a></h1>
<p>{text}</p><img src="../_images/x.png" alt="A picture">
<div class="legend"><p><a class="figure-data" href="data/fig.csv">Data</a></p></div>
</section></article></body></html>"""
STATE = '<script type="application/vnd.jupyter.widget-state+json">{"state": {}}</script>'
LINKS = """<a href="#top">up</a> <a href="a.html">first</a> <a href="a.html#top">its top</a>
<a href="data/x.ipynb">file</a> <a href="https://example.org/">out</a>"""
PAGES = [("", "book/a"), ("Part", "book/b")]


@pytest.fixture
def html(tmp_path):
    """A built book of two pages."""
    folder = tmp_path / "html"
    (folder / "book").mkdir(parents=True)
    (folder / "_static").mkdir()
    (folder / "_static" / "book.css").write_text("@media print { article { break-before: page } }")
    (folder / "_static" / "static-widgets.js").write_text("")
    (folder / "book" / "a.html").write_text(PAGE.format(title="First", text="One.", state=""))
    (folder / "book" / "b.html").write_text(PAGE.format(title="Then", text=LINKS, state=STATE))
    return folder


@pytest.fixture
def document(html):
    return BeautifulSoup(pdf.assemble(html, PAGES, {"book-b": 7}), "html.parser")


def test_every_page_stands_in_reading_order_under_the_contents(document):
    assert [tag.get_text() for tag in document.select("article h1")] == ["First", "Then"]
    listed = [(link["href"], link.get_text()) for link in document.select("nav a")]
    assert listed[1] == ("#book-b", "Then7")
    assert "not of the page" not in document.get_text()


def test_names_are_single_and_every_link_leads_to_one(document):
    names = [tag["id"] for tag in document.find_all(id=True)]
    assert len(names) == len(set(names))
    links = [str(link["href"]) for link in document.select("article a")]
    assert links == ["#book-b--top", "#book-a", "#book-a--top", "https://example.org/"]
    assert {link[1:] for link in links if link.startswith("#")} <= set(names)


def test_pictures_and_styles_are_found_from_beside_the_book(document, html):
    assert {str(image["src"]) for image in document.select("img")} == {"html/_images/x.png"}
    assert "Data" not in document.get_text()  # paper has no file beside it
    assert [str(sheet["href"]) for sheet in document.select("link")] == ["html/_static/book.css"]
    assert (html.parent / str(document.select("script[src]")[-1]["src"])).exists()


def test_a_page_with_an_explorer_keeps_its_state_and_says_where_it_answers(document):
    assert document.select_one('article script[type$="state+json"]')
    assert "open _build/html/book/b.html" in document.select("article")[1].get_text()
    assert "On a screen" not in document.select("article")[0].get_text()


def test_without_chromium_one_line_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(pdf, "find_chromium", lambda: None)
    assert pdf.main() == 1
    assert capsys.readouterr().err.strip().splitlines() == [
        "make pdf needs Chromium or Chrome, and neither is on the PATH."
    ]


@pytest.mark.slow
@pytest.mark.skipif(pdf.find_chromium() is None, reason="no Chromium on this machine")
def test_chromium_prints_and_the_sheets_of_the_pages_are_found(html, tmp_path):
    page, out = tmp_path / "print.html", tmp_path / "book.pdf"
    page.write_text(pdf.assemble(html, PAGES, {}))
    pdf.print_page(str(pdf.find_chromium()), page, out)
    told = out.read_bytes()
    assert told.startswith(b"%PDF-")
    numbers = pdf.page_numbers(told)
    assert (numbers["book-a"], numbers["book-b"]) == (2, 3)


def test_the_front_page_leads_to_the_pdf_once_it_is_made(html, tmp_path, monkeypatch):
    front = html / "book" / "a.html"
    front.write_text('<html><body><p class="pdf-offer">make pdf makes it</p></body></html>')
    (tmp_path / "book.pdf").write_bytes(b"%PDF")
    monkeypatch.setattr(pdf, "HTML", html)
    monkeypatch.setattr(pdf, "PDF", tmp_path / "book.pdf")
    pdf.offer(front)
    link = BeautifulSoup(front.read_text(), "html.parser").select_one(".pdf-offer a")
    assert link is not None
    assert (front.parent / str(link["href"])).resolve().read_bytes() == b"%PDF"
