"""Hostile words, labels and names through real runs onto a page, looked at in Chromium.

The page is made as the book's pages are: outputs of a notebook, MyST-NB with the book's settings,
the explorers by the book's own script. Nothing of it may run, and all of it must read as typed.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.sentiment import config as experiment
from sparsecore.experiments.sentiment.tables import Trained, load_trained
from sparsecore.report.explorers import AutomataReader, ChiExplorer, SentenceExplorer
from sparsecore.report.figures.figure_data import csv_of
from sparsecore.report.figures.words import chi_against_frequency
from sparsecore.report.pages import emergent, parts, patterns, sentiment, verdicts
from sparsecore.report.pages.automata import readable
from sparsecore.report.pages.emergent import Page
from sparsecore.report.pages.sentences import networks_of_run
from sparsecore.runs.execute import execute
from sparsecore.runs.reference import tables_of
from sparsecore.training.run_folder import Run
from tests.browser import CHROMIUM
from tests.conftest import small_text

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    "<script>hit=1</script>",
    "</script><script>hit=1</script>",
    '"><svg/onload=hit=1>',
    "'onmouseover='hit=1",
    "<svg/onload=hit=1>",
    "<!--",
    "{{7*7}}",
    "$math$",
    "`x`",
    "*a*",
    "|table|",
    "[link](javascript:hit=1)",
    ":role:",
    "{term}`x`",
    "&lt;b&gt;",
    "=cmd|'/c'!a0",
    r"\$\frac{",
)
NAME = "<img src=x onerror=hit=1> $x$ [l](javascript:hit=1) `c` {term}`y` *b*"
SENTENCE = "the model <svg/onload=hit=1> reads </script><script>hit=1</script> ."
STRAIGHT = str.maketrans("“”‘’", "\"\"''")  # Sphinx sets quotes and dashes
LABELS = ('"><svg/onload=hit=1>', "<svg/onload=hit=1>")


def emergent_page(folder: Path) -> Page:
    """A real run on a file of that name; then its words are replaced, as in a run sent by mail."""
    text = folder / f"{NAME}.txt"
    text.write_text(small_text(), encoding="utf-8")
    config = Emergent.preset(
        "quick",
        corpus=str(text),
        threshold=2,
        class_threshold=2,
        hidden_size=8,
        embedding_size=8,
        batch_size=4,
        epochs=1,
        device="cpu",
    )
    run = execute(config, progress=False)
    words = pd.read_parquet(run.path / "words.parquet")
    words.loc[2 : 1 + len(WORDS), "word"] = WORDS
    words.to_parquet(run.path / "words.parquet")
    run = Run(run.path)
    tables = tables_of([run], n_boot=10)
    return Page("emergent", lambda: ([run], tables), None, None, "quick")


def trained_reader(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[patterns.Reader, Trained]:
    generator = np.random.default_rng(0)
    rows = []
    for number in range(160):
        label, pair = LABELS[number % 2], ("so bad", "so good")[number % 2]
        around = generator.choice(WORDS, 4).tolist()
        rows.append(f"{label}\t{' '.join([*around[:2], pair, *around[2:]])} {number} .")
    reviews = folder / f"{NAME}.tsv"
    reviews.write_text("\n".join(rows) + "\n", encoding="utf-8")
    vectors = folder / "vectors.txt"
    known = [*WORDS, "so", "bad", "good", "."]
    vectors.write_text(
        "".join(f"{w} {' '.join(map(str, generator.normal(size=16).round(3)))}\n" for w in known),
        encoding="utf-8",
    )
    quick = {**experiment.PRESETS["quick"], "structure": "4,2", "max_epochs": 10, "batch_size": 8}
    monkeypatch.setitem(experiment.PRESETS, "quick", quick)
    given = {"corpus": str(reviews), "vectors": str(vectors), "strength": 1e-5, "device": "cpu"}
    run = sentiment.smallest_run("quick", **given)
    return patterns.open_reader("quick", "reviews", **given), load_trained(run.path, run.config)


def output(shown: Any) -> dict[str, Any]:
    """What a kernel would put into the notebook for an object."""
    kind = type(shown).__name__
    if kind in ("HTML", "Markdown"):
        return {"text/html" if kind == "HTML" else "text/markdown": shown.data}
    view = {"version_major": 2, "version_minor": 0, "model_id": shown.model_id}
    return {"application/vnd.jupyter.widget-view+json": view, "text/plain": "a widget"}


def built(folder: Path, shown: list[Any]) -> Path:
    """The page of a notebook with these outputs, with the settings of the book; warnings fail."""
    from ipywidgets.embed import dependency_state

    widgets = [one for one in shown if hasattr(one, "model_id")]
    state = dependency_state(widgets, drop_defaults=False)
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python",
        "language": "python",
    }
    notebook.metadata["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {
            "version_major": 2,
            "version_minor": 0,
            "state": json.loads(json.dumps(state)),
        }
    }
    notebook.cells = [nbformat.v4.new_markdown_cell("# Hostile")]
    for number, one in enumerate(shown, 1):
        cell = nbformat.v4.new_code_cell("show()", execution_count=number)
        cell.outputs = [
            nbformat.v4.new_output("execute_result", output(one), execution_count=number)
        ]
        notebook.cells.append(cell)
    (folder / "page").mkdir()
    nbformat.write(notebook, folder / "page" / "index.ipynb")
    book = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    settings = book["sphinx"]["config"]
    conf = {
        "extensions": ["myst_nb", "mathml", "offline"],
        "myst_enable_extensions": book["parse"]["myst_enable_extensions"],
        "nb_execution_mode": "off",
        "html_theme": "basic",
        "html_static_path": [str(ROOT / "book" / "_static")],
        **{
            key: settings[key]
            for key in ("nb_render_markdown_format", "nb_ipywidgets_js", "html_math_renderer")
        },
    }
    text = "\n".join(f"{key} = {value!r}" for key, value in conf.items())
    (folder / "page" / "conf.py").write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "-E",
        str(folder / "page"),
        str(folder / "html"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "book" / "_ext"),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html" / "index.html"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The built page, and the figure of the run."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(folder / "home"))
        page = emergent_page(folder)
        reader, trained = trained_reader(folder, patch)
        shown = [
            emergent.about(page),
            emergent.extremes(page.yours, min_frequency=1, count=40),
            verdicts.parts_table(page, 1),
            patterns.about_reader(reader),
            patterns.phrase_rows(reader.patterns),
            parts.html_table(pd.DataFrame({word: [word] for word in WORDS})),
            parts.markdown("; ".join(map(parts.as_typed, WORDS))),
            ChiExplorer(**{**emergent.trajectories(page), "words": list(WORDS[:6])}),
            SentenceExplorer(**networks_of_run(page.run).readable, samples=[SENTENCE]),
            AutomataReader(**{**readable(trained), "threshold": 0.0}),
        ]
        return built(folder, shown), page


@pytest.fixture(scope="module")
def visit(hostile):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False)
        page = browser.new_page()
        trouble: list[str] = []
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.on(
            "request",
            lambda request: trouble.append(request.url) if request.url.endswith("/x") else None,
        )
        page.goto(hostile[0].as_uri(), wait_until="load")
        page.wait_for_function("document.querySelectorAll('.sparse-explorer').length === 3")
        yield page, trouble
        browser.close()


def test_nothing_of_it_runs(visit):
    page, trouble = visit
    for field in page.locator(".sparse-explorer textarea, .sparse-explorer input[type=text]").all():
        field.fill(" ".join(WORDS))
        field.press("Enter")
    for word in page.locator(".chip, .token").all()[:40]:
        word.hover(force=True)
    assert page.evaluate("window.hit") is None and trouble == []
    assert (
        page.locator("svg[onload], img[src='x'], [onmouseover], a[href^='javascript']").count() == 0
    )
    assert (
        page.locator("body script:not([src])").evaluate_all(
            "all => all.filter(s => /hit=1/.test(s.textContent) && !/json/.test(s.type)).length"
        )
        == 0
    )


def test_words_names_and_labels_read_as_typed(visit):
    page, _ = visit
    cells = page.locator(".cell_output").all_inner_texts()
    about, extremes, _, _, phrases, table, prose = cells[:7]
    assert NAME in about
    prose = prose.translate(STRAIGHT).replace("–", "--")
    for word in WORDS:
        assert word in table and word in prose, word
    assert sum(f"{word} (" in extremes for word in WORDS) >= 8
    assert any(label in phrases for label in LABELS)
    chips = page.locator(".chip").all_inner_texts()
    assert [chip.removesuffix(" ×") for chip in chips] == list(WORDS[:6])
    options = page.locator(".sparse-explorer select").last.inner_text()
    assert all(label in options for label in LABELS)


def test_words_in_figures_are_no_formulas_and_stay_what_they_are_as_csv(hostile):
    tables = hostile[1].yours
    ax = chi_against_frequency(tables["words"], "chi_lstm2_gradient_target", names=20)
    figure: Any = ax.get_figure()
    figure.canvas.draw()
    named = {text.get_text() for text in ax.texts}
    assert named & set(WORDS)
    rows = list(csv.DictReader(io.StringIO(csv_of(figure))))
    assert {"=cmd|'/c'!a0", "$math$"} <= {row["word"] for row in rows}
