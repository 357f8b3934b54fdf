"""What the notebooks of the chapter on causes show: the arms, what each learned, sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sparsecore.report.figures.causes import ARMS
from sparsecore.report.pages.parts import (
    Study,
    as_typed,
    html_table,
    markdown,
    open_study,
    parts_table,
)
from sparsecore.runs.claims import format_value
from sparsecore.runs.reference import Summary
from sparsecore.stats.judgement import judge

THOUSANDTHS = 1e3
WHOSE = ("reference runs", "your runs")


def open_page(preset: str, reference: str, **overrides: Any) -> Study:
    """The study of a preset beside the reference runs; finished runs are found, not repeated.

    Raises:
        InputError: unknown preset, field or reference.
    """
    return open_study("causes", preset, reference, **overrides)


def about(page: Study) -> Any:
    """What was trained: here, and in the reference runs."""
    seconds = sum(float(run.timing["seconds"].sum()) for run in page.runs)
    first = page.runs[0]
    corpus = as_typed(first.environment["corpus"]["name"])
    yours = (
        f"Your study (preset *{page.preset}*): {len(page.runs)} runs of "
        f"{first.config['num_updates']:,} updates on {corpus}, in {seconds:.0f} seconds."
    )
    if page.provenance is None:
        return markdown(f"{yours} There are no reference runs yet.")
    settings, known = page.provenance["settings"], page.provenance["corpus"]["name"]
    theirs = (
        f"The reference study: {len(page.provenance['runs'])} runs of "
        f"{settings['num_updates']:,} updates on {as_typed(known)}, "
        f"{settings['max_types']:,} types, H = {settings['hidden_size']}."
    )
    return markdown(f"{theirs}\n\n{yours}")


def arms_table(page: Study) -> Any:
    """What every arm learned and how steep χ rises with frequency in it, at the last update."""
    return html_table(arms(page.yours if page.reference is None else page.reference))


def arms(tables: Summary) -> pd.DataFrame:
    """A row an arm: held-out perplexity, split slopes by both measures, thinning slope, seeds."""
    losses, slopes = tables["losses"], tables["slopes"]
    end = losses["update"].max()
    perplexity = losses[losses["update"] == end].groupby("arm")["valid_loss"].mean()
    last = slopes[slopes["update"] == end].set_index(["arm", "measure", "kind"])
    names = [arm for arm in ARMS if arm in perplexity.index]
    return pd.DataFrame(
        {
            "arm": [ARMS[arm] for arm in names],
            "held-out loss, nats": [f"{perplexity[arm]:.3f}" for arm in names],
            "split, training": [_slope(last, arm, "training", "split") for arm in names],
            "split, held out": [_slope(last, arm, "held out", "split") for arm in names],
            "thinned, training": [_slope(last, arm, "training", "thin") for arm in names],
            "seeds": [int(last.loc[(arm, "held out", "split"), "seeds"]) for arm in names],
        }
    )


def findings_table(page: Study) -> Any:
    """Every part of the nine findings: value, interval, and what the rule says of it."""
    sides = [None if side is None else {"findings": side["verdicts"]} for side in _sides(page)]
    assert sides[1] is not None
    return parts_table(sides[1], sides[0], *range(1, 10), whose=WHOSE)


def verdicts_table(page: Study) -> Any:
    """The verdict on each finding, with the reason where it is not a plain one."""
    known = [(name, side) for name, side in zip(WHOSE, _sides(page), strict=True) if side]
    shown: dict[str, Any] = {"finding": [str(number) for number in range(1, 10)]}
    for name, side in known:
        parts = side["verdicts"]
        told = [judge(parts[parts["finding"] == number]) for number in range(1, 10)]
        shown[name] = [f"{verdict}: {why}" if why else verdict for verdict, why in told]
    return html_table(pd.DataFrame(shown))


def _sides(page: Study) -> tuple[Summary | None, Summary]:
    return page.reference, page.yours


def carriers_table(page: Study, arm: str = "sgd-5") -> Any:
    """What χ goes with over words, held out."""
    tables = page.yours if page.reference is None else page.reference
    own = tables["carriers"][tables["carriers"]["arm"] == arm]
    shown = [_value(row) for row in own.to_dict("records")]
    return html_table(pd.DataFrame({"correlation of": own["statistic"], "ρ": shown}))


def _slope(last: Any, arm: str, measure: str, kind: str) -> str:
    row = last.loc[(arm, measure, kind)].to_dict()
    return _value({name: THOUSANDTHS * row[name] for name in ("value", "low", "high")})


def _value(row: dict[Any, Any]) -> str:
    """Value and interval; one seed or two have none."""
    interval = None if pd.isna(row["low"]) else [row["low"], row["high"]]
    return format_value(row["value"], interval)
