"""Automata in words: the phrases they score highest and lowest, and what they do to a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.pruning.paths import arc_weights, best_paths

SHOWN_LOOPS = 2  # more self-loops in a row than this are written as dots


def phrases(
    rnn: RationalRNN,
    x: Tensor,
    tokens: Sequence[Sequence[str]],
    top_k: int = 4,
    first_document: int = 0,
) -> pd.DataFrame:
    """The phrases of a corpus with the largest and smallest path score, for each state.

    Args:
        rnn: one layer, one direction.
        x: (T, B, E), or (B, T, E) if ``rnn`` is batch_first: B texts, padded in front.
        tokens: the words of each text, at most T; the last one stands at T.
        top_k: how many phrases at either end.
        first_document: number of the first text, where a corpus is read in several parts; join
            their tables with :func:`strongest`.

    Returns:
        One row a phrase, with wfsa, state (i), end (top | bottom), rank (1 is the extreme), score,
        document, phrase, and transition_1 … transition_n: the words of each main-path step with
        the self-loops that precede it, marked as ``word_SL``; more than two in a row are ``…_SL``.
        ``after``: self-loops from the last step to the end of the text.

    Raises:
        InputError: tokens that do not fit x; several layers or directions.

    Source: Dodge et al. 2019, §4, Table 1 and Appendix B.
    """
    if top_k < 1:
        raise InputError(f"top_k must be at least 1, got {top_k}")
    T, B = (x.shape[1], x.shape[0]) if rnn.batch_first else (x.shape[0], x.shape[1])
    mask = _mask_of(tokens, T, B)
    names = [(d, i) for d, length in enumerate(rnn.lengths) for i in range(1, length + 1)]
    given = (mask.t() if rnn.batch_first else mask).to(x.device)
    rows = []
    for end, largest in (("top", True), ("bottom", False)):
        paths = best_paths(rnn, x, largest, given)
        scores, steps = paths.score.cpu(), paths.steps.cpu()
        order = scores.argsort(dim=0, descending=largest, stable=True)[:top_k]  # k S
        for s, (d, i) in enumerate(names):
            for rank, b in enumerate(order[:, s].tolist(), 1):
                if not torch.isfinite(scores[b, s]):
                    continue
                words = tokens[int(b)]
                offset = T - len(words)
                parts = _parts(words, [t - offset for t in steps[b, s, :i].tolist()])
                rows.append(
                    {
                        "wfsa": d,
                        "state": i,
                        "end": end,
                        "rank": rank,
                        "score": float(scores[b, s]),
                        "document": first_document + b,
                        "phrase": " ".join(part for part in parts if part),
                        **{f"transition_{k}": part for k, part in enumerate(parts[:-1], 1)},
                        "after": parts[-1],
                    }
                )
    steps_of_longest = [f"transition_{k}" for k in range(1, max(rnn.lengths) + 1)]
    columns = ["wfsa", "state", "end", "rank", "score", "document", "phrase", *steps_of_longest]
    table = pd.DataFrame(rows, columns=[*columns, "after"])
    return table.fillna(dict.fromkeys(steps_of_longest, ""))


def strongest(tables: Sequence[pd.DataFrame], top_k: int = 4) -> pd.DataFrame:
    """The table of :func:`phrases` of a whole corpus from those of its parts."""
    table = pd.concat(tables, ignore_index=True)
    table["extreme"] = table["score"].where(table["end"] == "bottom", -table["score"])
    table["end"] = pd.Categorical(table["end"], ["top", "bottom"])
    group = ["wfsa", "state", "end"]
    table = table.sort_values([*group, "extreme", "document"], kind="stable")
    table["rank"] = table.groupby(group, observed=True).cumcount() + 1
    table["end"] = table["end"].astype(str)
    return table[table["rank"] <= top_k].drop(columns="extreme").reset_index(drop=True)


def explain(
    rnn: RationalRNN, classifier: nn.Linear, x: Tensor, tokens: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How automata and a linear classifier decide about one sentence.

    The decision is logit 1 − logit 0 = Σ_d score_d (w_1d − w_0d) + (b_1 − b_0): each automaton's
    term is its share. What an automaton does is shown by one path: among its states' largest and
    smallest scoring paths the one with the greatest magnitude in the direction of its score.

    Args:
        rnn: one layer, one direction.
        classifier: ``nn.Linear(D, 2)``.
        x: (T, E) the vectors of the words.
        tokens: the T words.

    Returns:
        Two tables. ``decision`` has a row for each WFSA and one for the bias, with wfsa (−1: bias),
        score, weight (w_1 − w_0), contribution (their product), share (of the sum of all
        magnitudes, signed). ``words`` has a row for each WFSA and word, with wfsa, state (where the
        path ends), path_score, position, word, role (before | taken | loop), transition (1 … for
        taken, else 0), weight (of the arc).

    Raises:
        InputError: a classifier of other sizes; x and tokens that do not match.
    """
    D = len(rnn.lengths)
    if classifier.weight.shape != (2, D):
        raise InputError(
            f"classifier must map {D} scores to 2 logits, "
            f"got {classifier.in_features} to {classifier.out_features}"
        )
    if x.ndim != 2 or len(tokens) != len(x):
        raise InputError(
            f"x must be (T, E) for T = {len(tokens)} tokens, got shape {tuple(x.shape)}"
        )
    with torch.no_grad():
        scores = rnn(x)[0][-1].cpu().double()
        weight = (classifier.weight[1] - classifier.weight[0]).cpu().double()
        bias = classifier.bias
        rest = 0.0 if bias is None else float(bias[1] - bias[0])
    decision = pd.DataFrame(
        {"wfsa": [*range(D), -1], "score": [*scores.tolist(), 1.0], "weight": [*weight, rest]}
    ).astype({"weight": float})
    decision["contribution"] = decision["score"] * decision["weight"]
    decision["share"] = decision["contribution"] / decision["contribution"].abs().sum()

    mask = torch.ones(len(x), dtype=torch.bool, device=x.device)
    extremes = [best_paths(rnn, x, largest, mask) for largest in (False, True)]
    arcs = [arc.detach().squeeze(1).cpu() for arc in arc_weights(rnn, x.unsqueeze(1))]
    first = 0
    words = []
    for d, length in enumerate(rnn.lengths):
        paths = extremes[int(scores[d] >= 0)]
        own = slice(first, first + length)
        words += [
            {"wfsa": d, **word}
            for word in _words_of(paths.score[0, own], paths.steps[0, own], arcs, first, tokens)
        ]
        first += length
    return decision, pd.DataFrame(words)


def _words_of(
    scores: Tensor, steps: Tensor, arcs: Sequence[Tensor], first: int, tokens: Sequence[str]
) -> list[dict[str, object]]:
    """What the path with the greatest magnitude does at each word; states from row ``first`` on."""
    magnitudes = torch.where(torch.isfinite(scores), scores.abs(), -1.0)
    state = int(magnitudes.argmax()) + 1
    taken = [t for t in steps[state - 1].tolist() if t >= 0]
    main, loop = arcs
    rows: list[dict[str, object]] = []
    at = 0  # the state the path stands in
    for t, word in enumerate(tokens):
        if t in taken:
            at += 1
            role, weight = "taken", float(main[t, first + at - 1])
        elif at == 0:
            role, weight = "before", 1.0
        else:
            role, weight = "loop", float(loop[t, first + at - 1])
        rows.append(
            {
                "state": state,
                "path_score": float(scores[state - 1]),
                "position": t,
                "word": word,
                "role": role,
                "transition": at if role == "taken" else 0,
                "weight": weight,
            }
        )
    return rows


def _parts(tokens: Sequence[str], steps: Sequence[int]) -> list[str]:
    """The words of each main-path step after the self-loops before it; then those at the end.

    >>> _parts("it is not at all worth the time it took".split(), [2, 5])
    ['not', 'at_SL all_SL worth', '…_SL']
    """
    parts = [tokens[steps[0]]]
    for last, step in pairwise(steps):
        parts.append(" ".join([*_loops(tokens[last + 1 : step]), tokens[step]]))
    return [*parts, " ".join(_loops(tokens[steps[-1] + 1 :]))]


def _loops(words: Sequence[str]) -> list[str]:
    return [f"{word}_SL" for word in words] if len(words) <= SHOWN_LOOPS else ["…_SL"]


def _mask_of(tokens: Sequence[Sequence[str]], T: int, B: int) -> Tensor:
    """(T, B): True where a text padded in front has a word."""
    if len(tokens) != B:
        raise InputError(f"tokens must hold the words of {B} texts, got {len(tokens)}")
    counts = [len(words) for words in tokens]
    if max(counts) > T:
        raise InputError(f"a text has {max(counts)} tokens, but x only {T} positions")
    return torch.arange(T).unsqueeze(1) >= T - torch.tensor(counts)
