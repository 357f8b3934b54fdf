"""The book in a real browser: pages draw, log no error, ask no other host, and pass axe-core; the
explorers answer. Over http and from the disk, light and dark, wide and narrow.
"""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import CHROMIUM

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

QUIET = [
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
PRINTING = ("before", "after")
# the theme's own: its search button for narrow pages is empty but for an icon
ALLOWED = {"button-name": "search-button"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM, args=QUIET, chromium_sandbox=False
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(book: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(book))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Visit:
    """A page that was opened, and what went wrong in it."""

    def __init__(self, browser: Any, url: str, *, dark: bool = False, width: int = 1280) -> None:
        self.context = browser.new_context(
            color_scheme="dark" if dark else "light", viewport={"width": width, "height": 900}
        )
        self.page = self.context.new_page()
        self.trouble: list[str] = []
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("console", self._heard)
        self.page.on("request", self._asked)
        self.url = url
        self.page.goto(url, wait_until="load")

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.trouble.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        own = ("http://127.0.0.1", "file:", "blob:", "data:")
        if not request.url.startswith(own):
            self.trouble.append(f"asked {request.url}")

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def findings(page: Any) -> list[str]:
    """What axe-core says of a page against WCAG 2.1 AA, without the theme's own known finding."""
    from axe_playwright_python.sync_playwright import Axe

    told = Axe().run(page, options={"runOnly": {"type": "tag", "values": STANDARD}})
    return [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in told.response["violations"]
        for node in violation["nodes"]
        if ALLOWED.get(violation["id"], "\0") not in node["html"]
    ]


def names(book: Path) -> list[str]:
    # the first one only sends the reader on
    outside = ("index.html", "search.html", "genindex.html", "py-modindex.html")
    found = (path.relative_to(book).as_posix() for path in sorted(book.rglob("*.html")))
    return [name for name in found if name not in outside and "_static" not in name]


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_is_sound_and_accessible(browser, address, book, dark):
    trouble = {}
    for name in names(book):
        with Visit(browser, f"{address}/{name}", dark=dark) as visit:
            told = [*visit.trouble, *findings(visit.page)]
            if told:
                trouble[name] = told
    assert trouble == {}


@pytest.mark.slow
def test_no_page_is_wider_than_a_phone(browser, address, book):
    wide = {}
    for name in names(book):
        with Visit(browser, f"{address}/{name}", width=390) as visit:
            room = visit.page.evaluate("document.documentElement.scrollWidth")
            if room > 392:
                wide[name] = room
    assert wide == {}


@pytest.mark.parametrize("page", ["index", "emergent/verdicts", "causes/lesson"])
def test_the_rows_of_a_wide_table_are_cards_on_a_phone(browser, book, page):
    with Visit(browser, f"{book.as_uri()}/book/{page}.html", width=390) as visit:
        visit.page.wait_for_selector("table.stacked")
        visit.page.evaluate("new Promise(go => requestAnimationFrame(() => setTimeout(go, 100)))")
        assert visit.page.locator(".sideways").count() == 0
        result = visit.page.locator("table.stacked tbody td:last-child").first
        box = result.bounding_box()
        assert box and box["x"] + box["width"] <= 390 and result.get_attribute("data-label")


def test_a_dark_page_is_printed_in_light_colours(browser, address):
    with Visit(browser, f"{address}/book/index.html", dark=True) as visit:
        themes = [
            visit.page.evaluate(f"{event}document.documentElement.dataset.theme")
            for event in ("", *(f'dispatchEvent(new Event("{n}print")); ' for n in PRINTING))
        ]
    assert themes == ["dark", "light", "dark"]


def test_pointing_at_a_term_shows_what_it_means_and_escape_hides_it(browser, book):
    with Visit(browser, f"{book.as_uri()}/book/index.html") as visit:
        card = visit.page.locator("#book-card")
        link = visit.page.locator('article a[href*="glossary.html#term-chi"]').first
        visit.page.wait_for_selector(".hover-points", state="attached")  # and moves what is below
        link.scroll_into_view_if_needed()  # a scroll hides the card, and is told a frame later
        visit.page.evaluate("new Promise(go => requestAnimationFrame(() => setTimeout(go, 100)))")
        assert not card.is_visible()
        link.hover()
        assert card.inner_text().startswith("chi")
        assert card.is_visible() and link.get_attribute("aria-describedby") == "book-card"
        visit.page.keyboard.press("Escape")
        assert not card.is_visible() and visit.trouble == []


def test_the_figure_of_the_front_page_names_the_points_it_is_pointed_at(browser, book):
    with Visit(browser, f"{book.as_uri()}/book/index.html") as visit:
        layer = visit.page.locator(".hover-points")
        layer.focus()
        layer.press("End")
        assert "Wikipedia, log" in layer.locator(".tip").inner_text() and visit.trouble == []


WAYS = ["file", pytest.param("http", marks=pytest.mark.slow)]  # one loads a file beside it


@pytest.fixture(params=WAYS)
def explorer(request, browser, address, book):
    """Opens the page of an explorer, over http or from the disk."""
    start = address if request.param == "http" else book.as_uri()
    opened = []

    def open_page(name: str) -> Visit:
        visit = Visit(browser, f"{start}/notebooks/executed/{name}.html")
        visit.page.wait_for_selector(".sparse-explorer")
        opened.append(visit)
        return visit

    yield open_page
    for visit in opened:
        assert visit.trouble == []
        visit.__exit__()


def test_the_mask_explorer_answers(explorer):
    page = explorer("explore_masks").page
    layer = page.locator(".sparse-explorer section", has_text="A recurrent layer")
    layer.get_by_label("Inputs i", exact=True).fill("200")
    layer.get_by_label("Hidden units h", exact=True).fill("1150")
    layer.get_by_label("Blocks N", exact=True).fill("4")
    layer.get_by_label("Window γ", exact=True).fill("0.495")
    assert "1,787,104" in layer.inner_text()
    assert "num_blocks=4, gamma=0.495" in layer.locator("pre").inner_text()
    layer.get_by_label("Window γ", exact=True).fill("0.2")
    assert "between 1/N = 0.2500 and 1" in layer.get_by_role("alert").inner_text()
    at_fault = layer.locator("[aria-invalid=true]")
    assert at_fault.count() == 1 and at_fault.input_value() == "0.2"
    layer.get_by_label("Window γ, slider").press("End")
    assert layer.get_by_role("alert").inner_text() == "" and at_fault.count() == 0
    assert layer.get_by_label("Window γ", exact=True).input_value() == "1"
    page.get_by_label("Settings of the paper").select_option("Tagger's embedding, δ 0.1 (Table 3)")
    embedding = page.locator(".sparse-explorer section", has_text="A word embedding")
    assert embedding.get_by_label("Density δ", exact=True).input_value() == "0.1"
    assert "87,6" in embedding.inner_text()


def test_chi_by_word_answers(explorer):
    page = explorer("explore_words").page
    own = page.locator(".sparse-explorer")
    assert own.locator(".chart").count() == 2
    lines = own.locator("figure").nth(1).locator(".chart path")
    before = lines.count()
    own.get_by_label("Add a word").fill("is")
    own.get_by_label("Add a word").press("Enter")
    assert lines.count() == before + 1
    own.get_by_label("take away is").click()
    assert lines.count() == before
    own.get_by_label("Add a word").fill("no such word")
    own.get_by_label("Add a word").press("Enter")
    assert "is not among" in own.locator("[aria-live]").first.inner_text()
    slider = own.get_by_role("slider", name="Epoch")
    slider.press("Home")
    assert "Epoch 0. ρ with log frequency" in own.locator("figcaption").first.inner_text()
    own.get_by_role("button", name="Play").press("Enter")
    own.get_by_text("Epoch 2 of").wait_for()
    own.get_by_role("button", name="Pause").press("Enter")


def test_chi_by_word_names_points_and_tells_rho_of_a_range(explorer):
    page = explorer("explore_words").page
    own = page.locator(".sparse-explorer")
    points = own.locator(".hover-points")
    ranged = own.locator(".ranged")
    assert " words drawn: " in ranged.inner_text()
    points.press("Home")
    assert "the: χ" in points.locator(".tip").inner_text()
    points.press("ArrowRight")
    points.press("Enter")
    assert own.locator(".chip").count() == 5  # the second most frequent word was added
    own.get_by_label("Frequency from").press("End")
    assert "to" in ranged.inner_text() and "that occur" in ranged.inner_text()
    own.get_by_role("button", name="All words").click()
    assert "words drawn: " in ranged.inner_text()
    box = points.bounding_box()
    middle = box["height"] / 2
    # hovering waits until the chart stands still and is in sight: a bare position would not
    points.hover(position={"x": 0.5 * box["width"], "y": middle})
    page.mouse.down()
    points.hover(position={"x": 0.8 * box["width"], "y": middle})
    page.mouse.up()
    ranged.get_by_text("that occur").wait_for()
    own.get_by_label("show the samples matched in frequency").check()
    assert "function words: mean 0." in points.locator(".chart").text_content()


@pytest.mark.parametrize("words", ["<script>hit = 1</script>", '"><img src=x onerror=hit=1>'])
def test_words_are_text_never_markup(explorer, words):
    page = explorer("explore_words").page
    adding = page.get_by_label("Add a word").first
    adding.fill(words)
    adding.press("Enter")
    assert page.evaluate("window.hit") is None
    assert page.locator(".sparse-explorer img, .sparse-explorer script").count() == 0


def test_a_model_trains_in_the_page(explorer):
    page = explorer("explore_train").page
    own = page.locator(".sparse-explorer")
    assert "Not started" in own.locator(".status").inner_text()
    own.get_by_role("button", name="Start").press("Enter")
    told = own.locator("tbody tr")
    told.first.wait_for(timeout=60_000)  # the first report
    assert "loss" in own.locator(".status").inner_text()
    own.get_by_role("button", name="Pause").press("Enter")
    assert "paused" in own.locator(".status").inner_text()
    assert "SGD, rate 20, update" in own.locator("[aria-live]").inner_text()
    own.get_by_label("Optimiser").select_option("Adam, rate 0.01")
    own.get_by_label("Show ρ against").select_option("loss")
    own.get_by_role("button", name="Start another").click()
    own.get_by_text("Adam .01, seed 0").wait_for(timeout=60_000)
    assert told.count() == 2 and "SGD 20" in told.first.inner_text()  # the first curve stays
    own.get_by_role("button", name="Clear").click()
    assert told.count() == 0 and own.get_by_role("button", name="Pause").is_disabled()


def test_the_decision_moves_when_states_go(explorer):
    own = explorer("explore_automata").page.locator(".sparse-explorer")
    decision = own.locator(".decision")
    slider = own.locator("input[type=range]")
    slider.press("Home")
    assert "With all its states" not in decision.inner_text()
    dot = own.locator(".chart .here")
    before = dot.get_attribute("cy")
    assert "Highest in the corpus" in own.inner_text()
    slider.press("End")
    assert "With all its states" in decision.inner_text()
    assert dot.get_attribute("cy") != before and "removed" in own.inner_text()


@pytest.mark.parametrize("explorer", ["http", "file"], indirect=True)
def test_any_sentence_is_read_in_the_page(explorer):
    own = explorer("explore_sentence").page.locator(".sparse-explorer")
    table = own.locator("table")
    assert "with log frequency is 0." in own.locator("[aria-live]").inner_text()
    own.get_by_label("Type a sentence").fill("the name of a zyzzyva.")
    assert table.locator("thead th").all_inner_texts() == [
        "read", "<eos>", "the", "name", "of", "a", "<unk>", ".",
    ]  # fmt: skip
    assert "zyzzyva" in own.inner_text() and table.locator("tbody tr").count() == 9
    before = own.locator("section h3").inner_text()
    table.get_by_role("button", name="of").press("Enter")
    assert own.locator("section h3").inner_text() != before
    assert "After “name”, “of” is to be predicted" in own.locator("section h3").inner_text()
    assert own.locator(".units rect").count() == 200
    own.get_by_label("minus untrained").check()
    signs = {cell[0] for cell in table.locator(".heat").all_inner_texts()}
    assert signs <= {"+", "−"}
    own.get_by_label("Network").select_option("trained with Adam")  # fetched from beside the page
    own.get_by_role("heading", name="network: trained with Adam").wait_for()
    own.get_by_label("Network").select_option("untrained")
    assert own.get_by_label("minus untrained").is_disabled()
    own.get_by_label("Type a sentence").fill("")
    assert table.locator("td").count() == 0


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["explore_words", "explore_train", "explore_automata"])
def test_the_texts_of_an_explorers_charts_are_as_legible_as_the_page(browser, book, name, width):
    own_size = "(t) => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a"
    address = f"{book.as_uri()}/notebooks/executed/{name}.html"
    with Visit(browser, address, width=width) as visit:
        visit.page.wait_for_selector(".sparse-explorer .chart")
        texts = ".sparse-explorer svg text:not([transform])"
        sizes = visit.page.eval_on_selector_all(texts, f"all => all.map({own_size})")
    assert len(sizes) > 10 and min(sizes) >= 12 and max(sizes) <= 18


def test_a_panel_without_python_shows_what_it_did(explorer):
    page = explorer("explore_live").page
    panels = page.locator(".needs-python")
    assert panels.count() == 2
    assert panels.first.locator(".sparse-explorer").count() == 1
    assert "Words read: 40000" in panels.first.inner_text()
    said = page.locator(".cell_output pre")
    assert "validation perplexity" in said.nth(0).inner_text()
    assert "sparse, 200 units: perplexity" in said.nth(1).inner_text()
    for name in ("fig-live-text", "fig-live-geometry"):  # the same without scripts
        picture = page.locator(f"figure#{name} img")
        assert picture.evaluate("one => one.naturalWidth") > 300
