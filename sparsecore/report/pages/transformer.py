"""What the page on a pretrained Transformer shows: what was read, findings, tables, sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.transformer.findings import MARGIN, untested
from sparsecore.report.pages.parts import as_typed, html_table, markdown, reference_folder
from sparsecore.report.pages.verdicts import OUTCOMES
from sparsecore.runs.claims import format_value
from sparsecore.runs.reference import Summary, read_provenance, read_summary

WANTED = 200_000  # pieces, as registered
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
    tables, known = read_summary(folder), read_provenance(folder)
    if tables is None or known is None:
        raise InputError(f"{folder} has no tables: python tools/transformer_tables.py makes them")
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
    from sparsecore.experiments.transformer.measure import Setting
    from sparsecore.experiments.transformer.study import study

    setting = Setting(windows=windows, seed=seed, layers=list(layers or Setting().layers))
    return study(*load_lm(name), corpus, setting)


def about(page: Page) -> Any:
    """What was read, and by which model."""
    model, read = page.provenance["model"], page.provenance["read"]
    words = page.main["findings"]["words"]
    text = (
        f"**Reference run**: {model['name']} ({model['parameters'] / 1e6:.0f} million parameters, "
        f"{model['precision']}) read {read['pieces']:,} pieces of the test text of "
        f"{as_typed(page.provenance['corpus']['name'])}, in which {words.min():,} to "
        f"{words.max():,} words occur often enough, {page.provenance['settings']['min_count']} "
        "times or more."
    )
    if read["pieces"] < WANTED:
        text += (
            f" The registered size is {WANTED:,} pieces. Tables were also written on the way, and "
            "with fewer pieces the gradient's ρ was not yet told from 0; no rule said when to "
            "stop. So read what falls or rises here as suggested until all of it is read."
        )
    if page.facts is not None:
        text += (
            f"\n\n**Your run**: {as_typed(page.model)} read {page.facts['pieces']:,} pieces in "
            f"{page.facts['cpu_seconds']} seconds of processor time."
        )
    return markdown(text)


def what_we_found(page: Page) -> Any:
    """Four sentences, whose numbers and words come from the table of findings."""
    told = {
        name: _told(_part(page.main, number, start))
        for name, number, start in (
            ("input", 1, "ρ of the activation, residual"),
            ("neurons", 1, "ρ of the activation, MLP"),
            ("target", 2, "ρ of the gradient, last"),
            ("deep", 2, "ρ of the gradient, residual"),
            ("input without", 3, "ρ of the activation"),
            ("target without", 3, "ρ of the gradient"),
            ("input given", 4, "ρ of the activation"),
            ("target given", 4, "ρ of the gradient"),
        )
    }
    first = (
        "With the frequency of the <em>input</em> word the concentration of this Transformer's "
        f"residual stream {told['input']}, and that of its MLP neurons {told['neurons']}."
    )
    second = (
        "With the frequency of the <em>target</em> word the concentration of the gradient that "
        f"reaches the last layer {told['target']}; along the residual stream, on average, it "
        f"{told['deep']}."
    )
    third = (
        f"Without the few outlier dimensions the first {told['input without']} and the second "
        f"{told['target without']}; with surprisal held fixed the first {told['input given']} and "
        f"the second {told['target given']}."
    )
    raw = _raw(page.main)
    fourth = (
        "On raw frequency, the measure of the first part's paper, which a handful of very frequent "
        f"words decide, the gradient's ρ is {raw}; the registered statistic is that on log "
        "frequency."
    )
    return _box("What we found", f"{first} {second} {third} {fourth}")


def _raw(tables: Summary) -> str:
    """ρ of the last norm's gradient with raw target frequency."""
    rows = tables["correlations"]
    wanted = {"kind": "norm", "signal": "gradient", "value": "chi", "method": "pearson"}
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    row = rows.iloc[0]
    return format_value(row["rho"], [row["low"], row["high"]])


def _box(title: str, text: str) -> Any:
    from IPython.display import HTML

    return HTML(
        f'<div class="admonition found"><p class="admonition-title">{title}</p><p>{text}</p></div>'
    )


def _part(tables: Summary, number: int, start: str) -> dict[Any, Any]:
    parts = tables["findings"]
    own = parts[(parts["finding"] == number) & parts["part"].str.startswith(start)]
    return own.iloc[0].to_dict()


def _told(part: dict[Any, Any]) -> str:
    """``rises (ρ = 0.42 [0.38, 0.46])``, falls, does not change, or cannot be told."""
    value = format_value(part["value"], [part["low"], part["high"]])
    if part["outcome"] == "unsure":
        words = "may rise or fall: too few words to say" if untested(part) else "hardly changes"
    else:
        words = "rises" if part["outcome"] == "yes" else "falls"
    return f"{words} (ρ = {value})"


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
        f"<b>open</b>: it holds 0; <b>not tested</b>: it does and is wider than ±{MARGIN:g}."
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
                "after how many blocks": shown["blocks"],
                "mean |x|, in medians, at most": shown["largest"].map("{:.0f}".format),
                "after block": shown["where"],
            }
        )
    )


def lstm_table(page: Page) -> Any:
    """The same correlation in the LSTM of part one, over the same words."""
    shown = page.main["lstm"]
    names = {"embedding": "embedding", "lstm1": "lower LSTM", "lstm2": "upper LSTM"}
    signals = {"activation": "activation, input", "gradient": "gradient, target"}
    values = [format_value(r["rho"], [r["low"], r["high"]]) for r in shown.to_dict("records")]
    return html_table(
        pd.DataFrame(
            {
                "layer": shown["layer"].map(names),
                "signal, word": shown["signal"].map(signals),
                "ρ": values,
                "words": shown["words"],
            }
        )
    )
