"""What the page on scale shows: curves of all committed runs, and what cuts of the rate did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.config import PAPER
from sparsecore.report.pages.emergent import TEXTS, Page
from sparsecore.report.pages.parts import checkout_folder, html_table, signed
from sparsecore.runs.reference import Summary, read_provenance, read_summary
from sparsecore.stats.correlation import Replicates, correlation_replicates
from sparsecore.stats.influence import commonest
from sparsecore.stats.two_level import interval_of

METHODS = {"pearson": "raw", "pearson_log": "log"}


def paper_place() -> dict[str, tuple[float, float]]:
    """The paper's first and last epoch on the axes of the curves by scale."""
    updates, seen = float(PAPER["updates_an_epoch"]), float(PAPER["exposure_an_epoch"])
    last = PAPER["epochs"]
    return {"updates": (updates, last * updates), "exposure": (seen, last * seen)}


def scales(page: Page) -> pd.DataFrame:
    """The curves by scale of the committed runs that have them, and of the reader's own.

    Rows of their tables ``scale``, with a column ``run``: the text and its learning rate. Of the
    texts the one that the pages show comes first. Of each text and rate those of the paper's way
    of training, in which the rate is cut where it can be; see :func:`ways_of_training`.
    """
    shown = (page.provenance or {}).get("corpus", {}).get("name")
    found = []
    for tables, known in _committed("scale"):
        text, rate = known["corpus"]["name"], known["settings"]["learning_rate"]
        if not _uncut(known):
            run = f"{TEXTS.get(text, text)}, rate {rate:g}"
            found.append((text != shown, text, -rate, tables["scale"].assign(run=run)))
    curves = [table for *_, table in sorted(found, key=lambda one: one[:3])]
    if page.own is not None:
        curves.append(page.own["scale"].assign(run="your run"))
    if not curves:
        raise InputError("no committed tables have curves by scale")
    return pd.concat(curves, ignore_index=True)


def ways_of_training(text: str = "wikitext-2") -> pd.DataFrame:
    """ρ over W by epoch, over seeds and words, of every planned way of training on a text.

    Rows of the tables ``left_out`` (statistic ρ, all words), with a column ``run``: the rate, and
    whether it was cut.
    """
    found = []
    for tables, known in _committed("left_out"):
        if known["corpus"]["name"] == text and known["settings"].get("cuts"):
            rate, uncut = known["settings"]["learning_rate"], _uncut(known)
            run = f"rate {rate:g}, {'never cut' if uncut else 'cut twice'}"
            rows = tables["left_out"].query("statistic == 'rho' and dropped == 0")
            found.append((-rate, uncut, rows.assign(run=run)))
    return pd.concat([rows for *_, rows in sorted(found, key=lambda one: one[:2])])


def cuts_or_time(cut: str, uncut: str, after: int, n_boot: int = 1000) -> Any:
    """What time did to ρ over W since epoch ``after``, and what the cuts of the rate did.

    Args:
        cut, uncut: tables of runs of equal seeds, which part at the end of epoch ``after``.
        n_boot: resamples of the words.
    """
    results = checkout_folder("book", "results", "emergent")
    found = [(name, read_summary(results / name)) for name in (cut, uncut)]
    for name, tables in found:
        if tables is None:
            raise InputError(f"there are no tables in {results / name}")
    ours, theirs = (tables["exposed"] for _, tables in found if tables is not None)
    last = int(ours["epoch"].max())
    rows = []
    for dropped in (0, 20):
        gone = commonest(ours, dropped)
        for method, scale in METHODS.items():
            a, b = (
                list(_by_seed(t[~t["word"].isin(gone)], method, n_boot)) for t in (ours, theirs)
            )
            end, change = {(last,): 1.0}, {(last,): 1.0, (after,): -1.0}
            words = f"without the {dropped} commonest" if dropped else "all of W"
            cells = [
                interval_of([seed.combined(change) for seed in b]),
                interval_of([seed.combined(change) for seed in a]),
                interval_of([x.combined(end) - y.combined(end) for x, y in zip(a, b, strict=True)]),
            ]
            rows.append([words, scale, *(_told(*cell) for cell in cells)])
    since = f"change since epoch {after}"
    names = ["words", "frequency", f"{since}, never cut", f"{since}, cut", "cut minus never cut"]
    return html_table(
        pd.DataFrame(rows, columns=pd.Index(names)),
        note=f"Changes of ρ up to epoch {last}; last column: the difference of ρ there. With 95 % "
        f"intervals over seeds and words. At epoch {after} the two differ a little, by rounding on "
        "other processors.",
    )


def _by_seed(exposed: pd.DataFrame, method: str, n_boot: int) -> Iterator[Replicates]:
    for _, one in exposed.groupby("seed"):
        yield correlation_replicates(one, ["epoch"], method, n_boot=n_boot)


def _told(value: float, low: float, high: float) -> str:
    return f"{signed(value, 2)} [{signed(low, 2)}, {signed(high, 2)}]"


def _committed(table: str) -> Iterator[tuple[Summary, dict[str, Any]]]:
    """The committed tables of the part that have one of this name, and where they come from."""
    for path in sorted(checkout_folder("book", "results", "emergent").glob("*/provenance.json")):
        tables, known = read_summary(path.parent), read_provenance(path.parent)
        if tables is not None and known is not None and table in tables:
            yield tables, known


def _uncut(known: dict[str, Any]) -> bool:
    """Whether the rate is cut after the last epoch only, which changes nothing."""
    return known["settings"].get("cuts") == str(known["settings"]["epochs"])
