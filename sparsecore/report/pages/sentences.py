"""Networks that read sentences in the page: those of the reference tables, or the reader's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from sparsecore.files import reading
from sparsecore.home import RECOMPUTE
from sparsecore.report.explorers.numbers import from_steps
from sparsecore.report.pages.parts import (
    executed_anew,
    markdown,
    reference_folder,
    signed,
)
from sparsecore.runs.reference import read_reference
from sparsecore.training.run_folder import Run

REMAKE = "python tools/explorer_models.py sentence makes it"
TWIN = "′"  # after a word that a study has split in two: its rare half
Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Networks:
    """Words by id and their frequencies, weights of each network, and what is known of each.

    ``known``: a row a network: learning rate, updates, perplexity (of held-out text), rho (of χ of
    the upper gradient with log frequency), over how many words, rounding (the largest change of χ
    by 8 bits a weight), in a text of how many; None of the reader's run.
    """

    words: list[str]
    counts: list[int]
    weights: dict[str, Weights]
    known: pd.DataFrame | None = None

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
    tables, _ = read_reference(folder, REMAKE)
    words, known = tables["words"], tables["networks"]
    weights = {
        name: _weights(weights_file(folder, arm))
        for name, arm in zip(known["network"], known["arm"], strict=True)
    }
    return Networks(words["word"].tolist(), words["frequency"].tolist(), weights, known)


def weights_file(folder: Path, arm: str) -> Path:
    """Where the weights of one arm are: of each, whole numbers and the step of each row."""
    return folder / f"{arm}.safetensors"


def _weights(path: Path) -> Weights:
    from safetensors.numpy import load_file

    with reading(path, REMAKE):
        stored = load_file(path)
        steps = {name: stored[f"{name}.steps"] for name in stored if f"{name}.steps" in stored}
        return {name: from_steps(stored[name], step) for name, step in steps.items()}


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
    """What the networks are, and what is known of them: sentences."""
    weights = next(iter(networks.weights.values()))
    units, known = weights["decoder.weight"].shape[1], networks.known
    split = sum(word.endswith(TWIN) for word in networks.words)
    types = len(networks.words)
    halves = f", of which {split:,} were split in two, which makes {types:,} types" if split else ""
    words = f"{types - split:,} words{halves}"
    size = f"{units} units a layer and {words}; the weights are here in 8 bits."
    if known is None:
        return markdown(f"The language model in this page has {size}")
    told = "; ".join(
        f"{row['network']} (rate {row['learning_rate']:g}): perplexity {row['perplexity']:.0f}, "
        f"ρ **{signed(row['rho'], 2)}**"
        for row in known.to_dict("records")
    )
    first = known.iloc[0]
    return markdown(
        f"The language models in this page have {size} They are networks of the study *What makes "
        f"a gradient sparse?*, trained from the same first weights on the same text, "
        f"{int(first['updates']):,} updates on Wikipedia. Their perplexities, and ρ, the "
        "correlations of $\\chi$ of the upper gradient with log frequency over held-out words: "
        f"{told}. Rounding to 8 bits changed no $\\chi$ of {int(first['read']):,} words by more "
        f"than {known['rounding'].max():.4f}. The study split words at random; the rarer half "
        f"of one bears a mark, as in *word{TWIN}*."
    )
