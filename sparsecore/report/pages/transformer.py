"""What the page on a pretrained Transformer shows: what was read, findings, tables, sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.transformer.findings import MARGIN, untested
from sparsecore.report.figures.style import LAYER_NAMES
from sparsecore.report.pages.parts import (
    as_typed,
    corpus_name,
    html_table,
    markdown,
    reference_folder,
)
from sparsecore.report.pages.verdicts import OUTCOMES
from sparsecore.runs.claims import format_value
from sparsecore.runs.reference import Summary, read_reference

WHOSE = ("reference run", "your run")


@dataclass(frozen=True)
class Page:
    """The committed tables, and the reader's where a model was named."""

    reference: Summary
    provenance: dict[str, Any]
    own: Summary | None
    facts: dict[str, Any] | None
    model: str | None

    @property
    def main(self) -> Summary:
        """The committed tables."""
        return self.reference


def open_page(
    reference: str,
    model: str | None = None,
    corpus: str | None = None,
    layers: Sequence[str] | None = None,
    windows: int = 8,
    seed: int = 0,
) -> Page:
    """The committed tables; with a ``model``, it is read now and its tables stand beside.

    Args:
        model: as :func:`sparsecore.load_lm` takes it.
        corpus: a name of the registry or a path; None: wikitext-2. Outlier dimensions are found on
            its validation text, frequencies counted in its training text.
        layers: kinds of signals; None: all.
        windows: of 512 pieces, to read.

    Raises:
        InputError: unknown reference; parameters without a model; a model or text that cannot be
            had.
    """
    folder = reference_folder("transformer", reference)
    tables, known = read_reference(folder, "python tools/transformer_tables.py makes them")
    if model is None:
        if corpus is not None or layers is not None:
            raise InputError("corpus and layers say how a model is read: give model= too")
        return Page(tables, known, None, None, None)
    own, facts = _read(model, corpus or "wikitext-2", layers, windows, seed)
    return Page(tables, known, own, facts, model)


def _read(
    name: str, corpus: str, layers: Sequence[str] | None, windows: int, seed: int
) -> tuple[Summary, dict[str, Any]]:
    from sparsecore.data.causal_lm import load_lm
    from sparsecore.experiments.transformer.tables import study
    from sparsecore.experiments.transformer.task import Setting

    setting = Setting(windows=windows, seed=seed, layers=list(layers or Setting().layers))
    return study(*load_lm(name), corpus, setting)


def about(page: Page) -> Any:
    """What was read, and by which model."""
    model, read = page.provenance["model"], page.provenance["read"]
    findings = page.main["findings"]
    inputs, targets = (
        findings.loc[findings["part"].str.contains(signal), "words"].max()
        for signal in ("activation", "gradient")
    )
    text = (
        f"**Reference run**: {model['name']} ({model['parameters'] / 1e6:.0f} million parameters, "
        f"{model['precision']}) read {read['pieces']:,} pieces of the test text of "
        f"{corpus_name(page.provenance['corpus'])}, in which {inputs:,} words as "
        f"inputs and {targets:,} as targets occur {page.provenance['settings']['min_count']} times "
        "or more."
    )
    if page.facts is not None:
        text += (
            f"\n\n**Your run**: {as_typed(page.model)} read {page.facts['pieces']:,} pieces in "
            f"{page.facts['cpu_seconds']} seconds of processor time."
        )
    return markdown(text)


def findings_table(page: Page) -> Any:
    """Every part of the four findings, with the reader's beside."""
    rows = {}
    for name, tables in zip(WHOSE, (page.reference, page.own), strict=True):
        for part in [] if tables is None else tables["findings"].to_dict("records"):
            kind = "essential" if part["essential"] else "side"
            key = (str(part["finding"]), part["part"], kind)
            rows.setdefault(key, {})[name] = _cell(part)
    known = WHOSE if page.own is not None else WHOSE[:1]
    table = pd.DataFrame(
        [[*key, *(cells.get(name, "–") for name in known)] for key, cells in rows.items()],
        columns=pd.Index(["finding", "statistic", "part", *known]),
    )
    note = (
        "<b>true</b>, <b>false</b>: the whole 95 % interval over words is above 0, or below. "
        f"<b>open</b>: it contains 0; <b>not tested</b>: it does and is wider than ±{MARGIN:g}."
    )
    return html_table(table, note=note)


def _cell(part: dict[Any, Any]) -> str:
    value = format_value(part["value"], [part["low"], part["high"]])
    outcome = "not tested" if untested(part) else OUTCOMES[part["outcome"]]
    return f"{value} {outcome}"


def outliers_table(page: Page) -> Any:
    """The dimensions that are large everywhere."""
    shown = page.main["outliers"]
    return html_table(
        pd.DataFrame(
            {
                "dimension": shown["dimension"],
                "blocks with the outlier": shown["blocks"],
                "largest mean |x| (in medians)": shown["largest"].map("{:.0f}".format),
                "reached after block": shown["where"],
            }
        )
    )


def lstm_table(page: Page) -> Any:
    """The same correlation in the LSTM of part one, over the same words."""
    shown = page.main["lstm"]
    signals = {"activation": "activation, input", "gradient": "gradient, target"}
    values = [format_value(r["rho"], [r["low"], r["high"]]) for r in shown.to_dict("records")]
    return html_table(
        pd.DataFrame(
            {
                "layer": shown["layer"].map(LAYER_NAMES),
                "signal, word": shown["signal"].map(signals),
                "ρ": values,
                "words": shown["words"],
            }
        )
    )
