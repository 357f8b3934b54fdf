"""Networks that read sentences in the page: those of the reference tables, or the reader's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sparsecore.files import reading
from sparsecore.home import RECOMPUTE
from sparsecore.report.explorers.numbers import from_steps
from sparsecore.report.pages.parts import (
    executed_anew,
    markdown,
    read_reference,
    reference_folder,
    signed,
)
from sparsecore.runs.store import Run

WEIGHTS = "weights.safetensors"  # of the reference network: whole numbers, and steps of each row
REMAKE = "python tools/explorer_models.py sentence makes it"
TWIN = "′"  # after a word that a study has split in two: its rare half
Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Networks:
    """Words by id and their frequencies, weights of each network, and what is known of the first.

    ``known``: validation perplexity, rho (of χ of the upper gradient with log frequency), over how
    many words, rounding (the largest change of χ by 8 bits a weight), corpus, training; None of
    the reader's run.
    """

    words: list[str]
    counts: list[int]
    weights: dict[str, Weights]
    known: dict[str, Any] | None = None

    @property
    def readable(self) -> dict[str, Any]:
        """Arguments of :class:`sparsecore.report.explorers.SentenceExplorer`."""
        return {"words": self.words, "counts": self.counts, "networks": self.weights}


def open_networks(preset: str, reference: str, **overrides: Any) -> Networks:
    """The reference network; with a preset or a parameter of one's own, the run's network.

    ``overrides``: fields of :class:`~sparsecore.experiments.emergent.config.Emergent`.

    Raises:
        InputError: unknown preset, field or reference.
    """
    from sparsecore.experiments.emergent.config import Emergent
    from sparsecore.runs.execute import execute

    config = Emergent.preset(preset, **overrides)
    if executed_anew(preset, overrides):
        return networks_of_run(execute(config, progress=False))
    return _reference(reference_folder("explore", reference))


def _reference(folder: Path) -> Networks:
    from safetensors.numpy import load_file

    tables, _ = read_reference(folder, REMAKE)
    words = tables["words"]
    with reading(folder / WEIGHTS, REMAKE):
        stored = load_file(folder / WEIGHTS)
        steps = {name: stored[f"{name}.steps"] for name in stored if f"{name}.steps" in stored}
        weights = {name: from_steps(stored[name], step) for name, step in steps.items()}
    known = dict(tables["network"].iloc[0])
    return Networks(
        words["word"].tolist(), words["frequency"].tolist(), {"trained": weights}, known
    )


def networks_of_run(run: Run) -> Networks:
    """The network of a finished run."""
    from safetensors.numpy import load_file

    words = run.words
    with reading(run.path, RECOMPUTE):
        weights = load_file(run.path / "weights.safetensors")
        if not len(weights["embedding.weight"]) == len(weights["decoder.weight"]) == len(words):
            raise ValueError(f"the weights are not those of {len(words)} words")
        return Networks(words["word"].tolist(), words["frequency"].tolist(), {"trained": weights})


def about_networks(networks: Networks) -> Any:
    """What the network is, and what is known of it: sentences."""
    weights = next(iter(networks.weights.values()))
    units, known = weights["decoder.weight"].shape[1], networks.known
    words = sum(not word.endswith(TWIN) for word in networks.words)
    size = (
        f"The language model in this page has {units} units a layer and knows {words:,} words; its "
        "weights are here in 8 bits."
    )
    if known is None:
        return markdown(size)
    trained = f"{known['learning_rate']:.0f}, {int(known['updates']):,} updates on Wikipedia"
    return markdown(
        f"{size} It is one of the networks of the study *What makes a gradient sparse?*: SGD at a "
        f"learning rate of {trained}, perplexity {known['perplexity']:.0f}. Over "
        f"{int(known['words'])} words of held-out text, $\\chi$ of the upper gradient correlates "
        f"**{signed(known['rho'], 2)}** with log frequency. Rounding to 8 bits changed no $\\chi$ "
        f"of {int(known['read']):,} words by more than {known['rounding']:.4f}. The study split "
        f"some words in two at random; the rarer half of one bears a mark, as in *word{TWIN}*."
    )
