"""What a notebook of the emergent part shows: the reader's run, the reference beside it, sentences.

Numbers in sentences come from the tables; where there is no reference yet, the sentence says so.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.measure.words import matched_words
from sparsecore.report.pages.parts import (
    Study,
    checkout_folder,
    corpus_name,
    html_table,
    markdown,
    open_beside,
    signed,
)
from sparsecore.report.pages.verdicts import verdicts as verdicts_of
from sparsecore.runs.claims import format_value
from sparsecore.runs.execute import execute
from sparsecore.runs.reference import Summary, read_provenance, read_summary, summary_of
from sparsecore.stats.correlation import frequency_correlation
from sparsecore.stats.tables import rows_where
from sparsecore.stats.two_level import interval_of_runs
from sparsecore.training.run_folder import Run

TEXTS = {"enwiki": "Wikipedia", "wikitext-2": "WikiText-2"}
SCALES = {"pearson": "raw frequency", "pearson_log": "log frequency"}
IN_WHOSE = ("in the reference runs", "in your run")
_PLAIN, _ADJUSTED = ("difference", "low", "high"), ("adjusted", "adjusted_low", "adjusted_high")
DIFFERENCES = {  # what is compared: a part of finding 7, or a sample and its columns
    "all words, difference of means": ("mean χ, closed minus open, over all words", "all", *_PLAIN),
    "all words, at equal log frequency": ("", "all", *_ADJUSTED),
    "samples of all words matched in frequency, difference of means": ("", "matched", *_PLAIN),
    "words seen more than 1,000 times in the text, difference of means": (
        "mean χ, closed minus open, over words seen more than 1,000 times", "", *_PLAIN),
    "W, at equal log frequency": (
        "mean χ, closed minus open, at equal log frequency over W", "", *_ADJUSTED),
    "samples of W matched in frequency, difference of means": (
        "mean χ, closed minus open, in samples of W matched in frequency", "", *_PLAIN),
}  # fmt: skip


class Page(Study):
    """The reference runs (None where absent), and the reader's run."""

    titles: ClassVar[tuple[str, str]] = ("reference runs", "your run")

    @property
    def run(self) -> Run:
        """The reader's run."""
        return self.runs[0]

    @property
    def settings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Of the reference runs and of the reader's where shown; empty where not."""
        own = {} if self.own is None else self.run.config
        return (self.provenance or {}).get("settings", {}), own

    @property
    def widths(self) -> tuple[dict[str, float], dict[str, float]]:
        """Entries of the upper gradient that dropout leaves: in the reference runs, in yours."""
        theirs, own = ({"width": _left(s)} if "hidden_size" in s else {} for s in self.settings)
        return theirs, own


def _left(settings: dict[str, Any]) -> float:
    """Before dropout a gradient has its zeros, after it not."""
    before = settings.get("dropout_side", "before") == "before"
    return int(settings["hidden_size"]) * (1 - before * float(settings.get("dropout", 0)))


def open_page(preset: str, reference: str = "wikitext-2-lr20", **overrides: Any) -> Page:
    """The reference tables named ``reference``, and the reader's run beside them.

    ``overrides``: fields of :class:`~sparsecore.experiments.emergent.config.Emergent`; None leaves
    the preset's. InputError for an unknown preset, field, or reference.
    """
    config = Emergent.preset(preset, **overrides)

    def compute() -> tuple[list[Run], Summary]:
        runs = [execute(config, progress=False)]
        return runs, summary_of(runs, n_boot=300)

    return open_beside(Page, "emergent", reference, compute, preset, overrides)


def about(page: Page) -> Any:
    """What the reference runs are, and what the reader's run is where the page shows it."""
    yours = "" if page.own is None else f"\n\n{_about_yours(page)}"
    return markdown(f"{_about_reference(page)}{yours}")


def rho(
    tables: Summary,
    layer: str = "lstm2",
    signal: str = "gradient",
    role: str = "target",
    method: str = "pearson",
    value: str = "chi",
    epoch: int = -1,
) -> tuple[float, float, float]:
    """Mean rho over seeds with its interval over seeds and words. Epoch -1 is the last."""
    table = tables["correlations"]
    last = int(table["epoch"].max())
    wanted = {
        "layer": layer,
        "signal": signal,
        "role": role,
        "method": method,
        "value": value,
        "epoch": epoch if epoch >= 0 else epoch + last + 1,
    }
    table = rows_where(table, **wanted)
    if table.empty:
        raise InputError(f"there is no rho for {wanted}")
    return interval_of_runs(table, "rho", "low", "high")


def rho_sentence(page: Page, what: str, part: tuple[int, str] | None = None, **which: Any) -> Any:
    """``WHAT: 0.43 [0.39, 0.47] in the reference runs, 0.21 [0.11, 0.31] in yours.``

    ``part``: finding and part that the verdicts have this number in; its interval, over seeds and
    words, is shown where there are runs enough for one.
    """
    parts = []
    for whose, tables in page.shown(*IN_WHOSE).items():
        found = part and _of_verdict(tables, *part, which.get("method", "pearson"))
        value, *ends = found or rho(tables, **which)
        parts.append(f"**{format_value(value, ends)}** {whose}")
    return markdown(f"{what}: {' and '.join(parts)}.")


def null_sentence(page: Page, n_permutations: int = 1000) -> Any:
    """How often shuffled frequencies correlate with chi of the h² gradient as much as the true."""
    parts = []
    for whose, tables in page.shown(*IN_WHOSE).items():
        words = tables["words"].rename(columns={"chi_lstm2_gradient_target": "chi"})
        table = words[["word", "frequency", "chi"]].assign(role="target")
        found = frequency_correlation(
            table, ["role"], list(SCALES), n_boot=0, n_permutations=n_permutations
        ).set_index("method")["p_permutation"]
        shown = [f"{found[method]:.3f} on {scale}" for method, scale in SCALES.items()]
        parts.append(f"p = {' and '.join(shown)} {whose}")
    return markdown(
        f"Is it more than chance? With frequencies shuffled among words {n_permutations:,} times, "
        f"a correlation this strong in either direction has {'; '.join(parts)} (last epoch; the "
        f"least possible p is {1 / (n_permutations + 1):.3f})."
    )


verdicts = partial(verdicts_of, scales=SCALES)
"""The verdicts on these findings; of the reader's run also the parts, on both scales."""


def differences_table(page: Page) -> Any:
    """Closed minus open in mean chi at the last epoch: a row a set of words and method.

    A column for the reference runs, for those on Wikipedia, and for the reader's run.
    """
    path = checkout_folder("book", "results", "emergent") / "enwiki-7m-lr20"
    sides = [(page.reference, page.provenance), (read_summary(path), read_provenance(path))]
    shown = {
        _named_runs(known): _differences(tables)
        for tables, known in sides
        if tables is not None and known is not None
    }
    if page.own is not None:
        shown["your run"] = _differences(page.own)
    return html_table(
        pd.DataFrame({"set of words": list(DIFFERENCES), **shown}),
        note="In thousandths of χ, with 95 % intervals over seeds and words (one seed: words).",
    )


def _named_runs(known: dict[str, Any]) -> str:
    seeds = len(known["seeds"])
    name = corpus_name({"name": "reference runs", **known["corpus"]})
    return f"{name}, {'one seed' if seeds == 1 else f'{seeds} seeds'}"


def _differences(tables: Summary) -> list[str]:
    """The cells of one column: that of the verdict where it has an interval."""
    table, shown = tables["differences"], []
    last = table[table["epoch"] == table["epoch"].max()]
    for part, sample, *columns in DIFFERENCES.values():
        found = _of_verdict(tables, 7, part, "mean")
        rows = last[last["sample"] == sample]
        if found is None and len(rows):
            found = interval_of_runs(rows, *columns)
        digits = [] if found is None else [signed(1000 * end, 1) for end in found]
        shown.append("–" if found is None else f"{digits[0]} [{digits[1]}, {digits[2]}]")
    return shown


def _of_verdict(
    tables: Summary, finding: int, part: str, method: str
) -> tuple[float, float, float] | None:
    """Value and interval of a part of a finding; None where the runs are too few for one."""
    if "verdicts" not in tables:
        return None
    rows = rows_where(tables["verdicts"], finding=finding, part=part, method=method)
    if len(rows) != 1 or rows[["value", "low", "high"]].isna().any(axis=None):
        return None
    value, low, high = (float(rows.iloc[0][end]) for end in ("value", "low", "high"))
    return value, low, high


def explored(page: Page) -> Any:
    """Which runs the explorer of chi by word is of, and how many words are in it."""
    whose = _about_reference(page) if _shows_reference(page) else _about_yours(page)
    shown = trajectories(page)
    every, followed = shown["last"]["word"].nunique(), shown["trajectories"]["word"].nunique()
    kept = f"{followed} words, the most frequent ones and those matched in frequency"
    if shown["exposure"]["word"].nunique() < every:
        words = f"All {every:,} words are shown for the last epoch; {kept}, for every epoch."
    else:
        words = (
            f"All {every:,} words are shown: for the gradient of the upper layer, by target word, "
            f"in every epoch, for the other signals in the last one. Of {kept}, every signal is "
            "shown in every epoch."
        )
    return markdown(f"{whose} {words}")


def trajectories(page: Page) -> dict[str, Any]:
    """What the explorer of chi by word is made of: ``view.explorers.ChiExplorer(**…)``.

    Of the reference runs on the page as published, of the reader's where it was executed anew.
    """
    theirs = _shows_reference(page)
    tables = page.reference if theirs else page.yours
    assert tables is not None
    return {
        "trajectories": tables["trajectories"],
        "last": tables["words"],
        "correlations": tables["correlations"],
        "exposure": tables["exposure"],
        "width": page.settings[0 if theirs else 1].get("hidden_size"),
    }


def _shows_reference(page: Page) -> bool:
    """Whether there are reference tables of words over training, and the page is to show them."""
    return page.own is None and page.reference is not None and "trajectories" in page.reference


def matched(tables: Summary) -> pd.DataFrame:
    """The rows of the word table that are in the samples of equally frequent words."""
    sample = matched_words(tables["words"])
    return tables["words"][tables["words"]["word"].isin(sample["word"])]


def with_matched(tables: Summary | None) -> Summary | None:
    """The tables, with one more: ``matched``."""
    return None if tables is None else {**tables, "matched": matched(tables)}


def extremes(tables: Summary, min_frequency: int = 100, count: int = 8) -> Any:
    """The most and the least concentrated words of each class among the frequent ones: a table."""
    words = tables["words"]
    words = words[words["frequency"] >= min_frequency]
    value = "chi_lstm2_gradient_target"
    rows = []
    for word_class in ("closed", "open"):
        part = words[words["word_class"] == word_class].sort_values(value, ascending=False)
        for name, chosen in (("most", part.head(count)), ("least", part.tail(count).iloc[::-1])):
            shown = [f"{w} ({v:.3f})" for w, v in zip(chosen["word"], chosen[value], strict=True)]
            rows.append([f"{word_class}, {name} concentrated", ", ".join(shown)])
    return html_table(pd.DataFrame(rows, columns=["words", "with mean χ"]))


def _about_reference(page: Page) -> str:
    if page.provenance is None:
        return "**Reference runs.** None in this checkout yet: the figures show your run alone."
    corpus, settings = page.provenance["corpus"], page.provenance["settings"]
    seeds = len(page.provenance["seeds"])
    name = corpus_name({"name": "the reference corpus", **corpus})
    return (
        f"**Reference runs.** {name}{_size(corpus)}, words"
        f" seen at least {settings['threshold']} times; {settings['epochs']} epochs,"
        f" {'one seed' if seeds == 1 else f'{seeds} seeds'},"
        f" {settings['hidden_size']} units a layer."
    )


def _about_yours(page: Page) -> str:
    config = page.run.config
    corpus = page.run.environment.get("corpus", {})
    name = corpus_name({"name": Path(config["corpus"]).name, **corpus})
    return (
        f"**Your run.** Preset `{page.preset}`: {name}"
        f"{_size(corpus)}, words seen at least {config['threshold']} times;"
        f" {config['epochs']} epochs, seed {config['seed']}, {config['hidden_size']} units a layer."
    )


def _size(corpus: dict[str, Any]) -> str:
    tokens, types = corpus.get("tokens"), corpus.get("types")
    if isinstance(tokens, dict):
        tokens = tokens.get("train")
    if not isinstance(tokens, int) or not isinstance(types, int):
        return ""
    return f" ({tokens:,} words of text, {types:,} different ones)"
