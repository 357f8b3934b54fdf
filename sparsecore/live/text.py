"""A text of one's own: a language model trained on it, and chi of its words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.files import atomic_path
from sparsecore.home import cache_dir
from sparsecore.live.panel import DESCRIPTION, WIDE, Panel
from sparsecore.report.explorers import ChiExplorer
from sparsecore.runs.execute import execute
from sparsecore.runs.reference import summary_of

LARGEST = 50_000_000  # bytes that a browser hands over


def your_text(corpus: str = "", max_tokens: int = 300_000, **overrides: Any) -> Panel:
    """Upload a text file, or name one; a small model is trained on it, and its words explored.

    ``corpus``: the path, or the name of a corpus, that is given at first; ``max_tokens``: how many
    of its words are read at first. ``overrides``: fields of the emergent experiment's quick preset,
    which the model has otherwise. The panel's ``tables`` are then those of the run.
    """
    upload = widgets.FileUpload(accept=".txt,text/plain", multiple=False, description="Upload")
    path = widgets.Text(
        value=corpus, placeholder="or the path of a file", description="Path",
        layout=WIDE, style=DESCRIPTION,
    )  # fmt: skip
    most = widgets.BoundedIntText(
        value=max_tokens, min=1, max=100_000_000, step=10_000,
        description="Words read", layout=WIDE, style=DESCRIPTION,
    )  # fmt: skip
    threshold = widgets.IntSlider(
        value=8, min=1, max=100, description="Seen at least", style=DESCRIPTION, layout=WIDE
    )
    epochs = widgets.IntSlider(
        value=5, min=1, max=30, description="Epochs", style=DESCRIPTION, layout=WIDE
    )

    def work(say: Callable[[str], None]) -> list[widgets.Widget]:
        given = {
            "corpus": path.value.strip() or saved(upload.value),
            "max_tokens": most.value,
            "threshold": threshold.value,
            "class_threshold": threshold.value,
            "epochs": epochs.value,
            **overrides,
        }
        config = Emergent.preset("quick", **given)
        say("training; the first epoch is the untrained network …")
        news = widgets.Output()
        with news:
            run = execute(config, progress=False)
        perplexity = run.epochs["valid_perplexity"].iloc[-1]
        kept, home = run.path, Path.home()
        if kept.is_relative_to(home):  # as one writes it, on whatever machine this is
            kept = Path("~") / kept.relative_to(home)
        say(f"validation perplexity {perplexity:.0f}; the run is kept in {kept}")
        tables = panel.tables = summary_of([run], n_boot=300)
        explorer = ChiExplorer(
            tables["trajectories"],
            width=int(run.config["hidden_size"]),
            last=tables["words"],
            correlations=tables["correlations"],
        )
        return [explorer]

    panel = Panel([upload, path, most, threshold, epochs], "Train", work)
    return panel


def saved(uploaded: Any) -> str:
    """The path of an uploaded file, kept under the hash of its content."""
    if not uploaded:
        raise InputError("choose a text file first, or name one")
    content = bytes(uploaded[0]["content"])
    if len(content) > LARGEST:
        raise InputError(
            f"the file has {len(content):,} bytes, more than the {LARGEST:,} that an upload may "
            "have; give its path instead"
        )
    name = hashlib.sha256(content).hexdigest()[:16]
    target = cache_dir("uploads") / f"{name}.txt"
    if not target.exists():
        with atomic_path(target) as temporary:
            temporary.write_bytes(content)
    return str(target)
