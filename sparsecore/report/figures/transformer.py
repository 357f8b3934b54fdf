"""A pretrained Transformer: how concentration goes with frequency, block by block."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

KINDS = {
    "residual": Look("residual stream", style.BLUE),
    "neurons": Look("MLP neurons", style.GREEN),
    "attention": Look("attention output", style.PINK),
}
LAST = Look("last norm", style.ORANGE, marker="o")
LSTM = Look("upper LSTM of part one", style.GREY, marker="s")
NAME = 15  # letters of a line right of the drawing
ROLES = {"activation": "the input word", "gradient": "the target word"}


@style.theme()
def rho_by_block(
    correlations: pd.DataFrame,
    signal: str,
    method: str = "pearson_log",
    value: str = "chi",
    lstm: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """rho of chi and log frequency after each block; bands: 95 % intervals over words.

    ``correlations``: kind, block, signal, value, method, rho, low, high. With ``value``
    chi_without, the residual stream as it is stands beside, dashed. ``lstm``: layer, signal, rho,
    low, high.
    """
    columns = ["kind", "block", "signal", "value", "method", "rho", "low", "high"]
    require_columns(correlations, columns)
    ax = style.new_axes(ax)
    rows = correlations[(correlations["signal"] == signal) & (correlations["method"] == method)]
    shown = rows[rows["value"] == value]
    marks.lines(ax, shown, "block", "rho", "kind", KINDS, ends=("low", "high"))
    if value != "chi":
        before = rows[(rows["value"] == "chi") & (rows["kind"] == "residual")]
        look = replace(
            KINDS["residual"], name="residual stream, all dimensions", dashes=style.DASHED
        )
        marks.lines(ax, before, "block", "rho", "kind", {"residual": look})
    end = int(shown["block"].max())
    single = _one(ax, end + 1, shown[shown["kind"] == "norm"], LAST)
    if lstm is not None:
        own = (lstm["signal"] == signal) & (lstm["layer"] == "lstm2")
        single += _one(ax, end + 2, lstm[own & (lstm["method"] == "pearson_log")], LSTM)
    marks.zero_line(ax)
    ax.set_xlabel("block")
    ax.set_ylabel(f"ρ of χ with log frequency,\n{ROLES[signal]}")
    marks.name_lines(ax, NAME, also=single)
    return keep_rows(ax, shown[columns])


def _one(
    ax: Axes, place: float, rows: pd.DataFrame, look: Look
) -> list[tuple[str, float, float, str]]:
    """Draw a single point; return what names it: text, place and colour."""
    if rows.empty:
        return []
    told = [f"{look.name}: {rho:.3f}" for rho in rows["rho"]]
    places = [place] * len(rows)
    marks.points(ax, places, rows["rho"], (rows["low"], rows["high"]), look, texts=told)
    return [(look.name, place, float(rows["rho"].iloc[0]), look.colour)]
