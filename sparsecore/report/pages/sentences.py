"""Sentences read by the network of a reader's run: χ word by word, and the network for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.files import reading
from sparsecore.home import RECOMPUTE
from sparsecore.report.pages.emergent import Page
from sparsecore.report.pages.parts import markdown


def under_the_lens(page: Page, sentences: Sequence[str]) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """chi at every token of each sentence, in the reader's network and in an untrained one.

    Words that the run's vocabulary lacks become ``<unk>``. InputError for an empty sentence.
    """
    from sparsecore.measure.token_view import sentence_chi

    words, trained, untrained = _networks(page)
    pairs = []
    for sentence in sentences:
        ids = _ids(sentence, words)
        pairs.append((sentence_chi(trained, ids, words), sentence_chi(untrained, ids, words)))
    return pairs


def readable_network(page: Page) -> dict[str, Any]:
    """The run's network for :class:`sparsecore.report.explorers.SentenceExplorer`.

    Returns:
        ``words``, and the weights ``trained`` and ``untrained`` by name.
    """
    words, *networks = _networks(page)
    states = [
        {name: value.numpy() for name, value in network.state_dict().items()}
        for network in networks
    ]
    return {"words": words, "trained": states[0], "untrained": states[1]}


def rounding_sentence(page: Page, sentences: Sequence[str]) -> Any:
    """By how much 8 bits a weight change χ in these sentences: a sentence."""
    difference = rounding_error(page, sentences)
    return markdown(
        "The network is in this page, its weights in 8 bits. Over the sentences to pick from, that"
        f" changes no χ by more than **{difference:.4f}**."
    )


def rounding_error(page: Page, sentences: Sequence[str]) -> float:
    """The largest change of any χ that 8 bits a weight make, trained or untrained."""
    import copy

    import torch

    from sparsecore.measure.token_view import sentence_chi
    from sparsecore.report.explorers.numbers import from_eight_bits

    words, *networks = _networks(page)
    differences = []
    for network in networks:
        rounded = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in rounded.parameters():
                parameter.copy_(torch.from_numpy(from_eight_bits(parameter.detach().numpy())))
        for sentence in sentences:
            ids = _ids(sentence, words)
            pair = [sentence_chi(one, ids, words)["chi"] for one in (network, rounded)]
            differences.append(float((pair[0] - pair[1]).abs().max()))
    return max(differences)


def _ids(sentence: str, words: Sequence[str]) -> list[int]:
    from sparsecore.data.text import EOS, UNK, normalise, tokenize

    tokens = tokenize(normalise(sentence))
    if not tokens:
        raise InputError(f"sentences: {sentence!r} has no words")
    index = {word: n for n, word in enumerate(words)}
    return [index[EOS], *(index.get(token, index[UNK]) for token in tokens), index[EOS]]


def _networks(page: Page) -> tuple[list[str], Any, Any]:
    """The words of the reader's run, its trained network, and an untrained one of the same seed."""
    import torch
    from safetensors.torch import load_file

    from sparsecore.data.text import EOS, UNK
    from sparsecore.experiments.emergent.config import Emergent
    from sparsecore.experiments.emergent.task import build_model

    words = page.run.words["word"].tolist()
    with reading(page.run.path, RECOMPUTE):
        config = Emergent(**page.run.config)
        if not {EOS, UNK} <= set(words):
            raise ValueError(f"words.parquet has no {EOS} or no {UNK}")
        torch.manual_seed(config.seed)
        untrained = build_model(config, len(words))
        trained = build_model(config, len(words))
        trained.load_state_dict(load_file(page.run.path / "weights.safetensors"))
    return words, trained, untrained
