"""The built book: nothing from outside, no broken link, pictures described, nothing too big."""

import json
import re
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
INERT_LINKS = {"author", "canonical", "index", "next", "prev", "search"}


def attribute(tag, name):
    return str(tag.get(name) or "")


def test_no_page_asks_another_host(pages):
    asked = [
        f"{path.name}: {attribute(tag, name)}"
        for path, page in pages.items()
        for kind, name in LOADS.items()
        for tag in page.find_all(kind)
        if not INERT_LINKS & set(tag.get("rel") or [])
        and re.match(r"(\w+:)?//", attribute(tag, name))
    ]
    assert asked == []


def test_no_style_or_inline_script_asks_another_host(book, pages):
    texts = {path: path.read_text(encoding="utf-8") for path in book.rglob("*.css")}
    texts |= {
        path: "\n".join(tag.get_text() for tag in page.find_all(["style", "script"]))
        for path, page in pages.items()
    }
    outside = re.compile(
        r"""(url\(|@import|import\(|fetch\(|from(?=\s*["']))\s*["']?\s*(https?:)?//"""
    )
    assert [path.name for path, text in texts.items() if outside.search(text)] == []


def test_every_internal_link_resolves(pages):
    names = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for link in page.find_all("a", href=True):
            address = urlsplit(str(link["href"]))
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            known = names.get(target)
            if not target.is_file() or (
                known and address.fragment and not fragment_in(address, known)
            ):
                broken.append(f"{path.name}: {link['href']}")
    assert broken == []


def fragment_in(address, known):
    return address.fragment in known or unquote(address.fragment) in known


def test_every_linked_term_and_citation_has_a_card_on_its_page(articles):
    cards = 0
    for path, page in articles.items():
        if path.stem in ("glossary", "references"):
            continue
        links = page.select(
            'article a[href*="glossary.html#term-"], article a[href*="references.html#id"]'
        )
        wanted = {unquote(urlsplit(str(link["href"])).fragment) for link in links}
        kept = page.select_one("#cards")
        known = json.loads(kept.get_text()) if kept else {}
        assert wanted == set(known), path.name
        assert all(BeautifulSoup(text, "html.parser").get_text().strip() for text in known.values())
        cards += len(known)
    assert cards > 50


def test_every_results_page_says_first_what_was_found(articles):
    with_runs = ("emergent_", "predefined_", "learned_", "crossing_", "causes_", "transformer_")
    without = {"predefined_masks", "learned_automaton"}  # nothing is trained there
    for path, page in articles.items():
        if path.stem.startswith(with_runs) and path.stem not in without:
            first = page.select_one("article h1 + *")
            assert first and "found" in (first.get("class") or []), path.name
            assert len(first.select("li")) == 3, path.name
            assert re.search(r"\d", first.get_text()), path.name


def test_every_picture_is_described_in_words(pages):
    bare = [
        f"{path.name}: {attribute(image, 'src')}"
        for path, page in pages.items()
        for image in page.find_all("img")
        if not attribute(image, "alt").strip() or "_images/" in attribute(image, "alt")
    ]
    assert bare == []


def test_every_figure_has_a_caption_a_description_and_its_data(articles):
    figures = 0
    for path, page in articles.items():
        for figure in page.select("article figure[id]"):
            figures += 1
            where = f"{path.name}#{figure['id']}"
            caption = figure.select_one("figcaption .caption-text")
            assert caption and caption.get_text().strip(), where
            assert all(attribute(image, "alt").strip() for image in figure.select("img")), where
            link = figure.select_one("a.figure-data")
            assert link, where
            header, *rows = (path.parent / attribute(link, "href")).read_text().splitlines()
            assert header.count(",") and rows, where
    assert figures
    drawn = [image for page in articles.values() for image in page.select(".cell_output img")]
    assert [attribute(image, "alt") for image in drawn if not image.find_parent("figure")] == []


def test_every_article_has_one_title_and_a_language(articles):
    assert articles
    for path, page in articles.items():
        assert len(page.select("article h1")) == 1, path
        assert page.html
        assert page.html.get("lang") == "en", path


def test_formulas_are_drawn_without_a_script(articles):
    assert any(page.find("math") for page in articles.values())
    for path, page in articles.items():
        for tag in page.find_all(class_=["math", "math-display"]):
            assert tag.find("math"), f"{path.name}: {tag.get_text()}"


def test_executed_pages_are_tidy(articles):
    debris = re.compile(r"<[\w.]+ (object\b|at 0x)|\d+%\||it/s\]|Warning:|Traceback")
    for path, page in articles.items():
        for output in page.find_all(class_="cell_output"):
            assert not debris.search(output.get_text()), f"{path.name}: {output.get_text()[:200]}"


def test_the_book_is_light(book):
    sizes = {path: path.stat().st_size for path in book.rglob("*") if path.is_file()}
    assert max(size for path, size in sizes.items() if path.suffix == ".html") < 3_000_000
    assert sum(sizes.values()) < 40_000_000
    assert not [path.name for path in sizes if path.suffix == ".map"]


def test_search_finds_what_readers_look_for(book):
    index = (book / "searchindex.js").read_text(encoding="utf-8").lower()
    for word in ("chi", "gradient", "function"):
        assert re.search(rf'"?\b{word}\b"?:', index), word
