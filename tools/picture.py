"""Draw the README's picture from the tables of a reference run.

`python -m tools.picture book/results/emergent/wikitext-2-lr20` writes `book/_static/picture.png`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sparsecore.errors import InputError
from sparsecore.files import atomic_path
from tools.notebooks import report

OUT = Path(__file__).resolve().parent.parent / "book" / "_static" / "picture.png"


def draw(folder: Path, out: Path = OUT) -> None:
    """Left: chi of the gradient, words by epochs. Right: its correlation with word frequency.

    ``folder`` holds the tables of reference runs; InputError where there are none.
    """
    import matplotlib.pyplot as plt

    from sparsecore.report import figures
    from sparsecore.report.figures import style
    from sparsecore.runs.reference import read_summary

    tables = read_summary(folder)
    if tables is None:
        raise InputError(f"{folder} has no reference tables; write them with: sparsecore reference")
    with style.theme():
        figure, ((left, right),) = style.new_figure(5.2, columns=2, width_ratios=(3, 4))
        figure.set_figwidth(13)
        figures.exposure_heatmap(tables["exposure"], ax=left)
        left.set_title("How concentrated is each word's gradient?")
        signals = [("lstm2", "gradient"), ("softmax", "gradient"), ("lstm2", "activation")]
        figures.correlations_over_epochs(
            tables["correlations"], signals=signals, epochs=tables["epochs"], ax=right
        )
        right.set_title("Does it follow how frequent the word is?")
    with atomic_path(out) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    return report(lambda: draw(folder))


if __name__ == "__main__":
    sys.exit(main())
