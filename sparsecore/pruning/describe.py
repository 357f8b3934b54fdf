"""Tables for pictures of automata: which states there are, and what one does to a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from sparsecore.errors import InputError, near_match
from sparsecore.layers.rational import RationalRNN
from sparsecore.pruning.compact import THRESHOLD, kept_lengths
from sparsecore.pruning.groups import group_norms
from sparsecore.pruning.paths import best_paths


def automaton(
    vocabulary: Sequence[str],
    main: Sequence[Mapping[str, float]],
    loop: Sequence[Mapping[str, float]] | None = None,
    stay: float = 0.5,
) -> RationalRNN:
    """One WFSA over one-hot words, set by hand.

    Args:
        vocabulary: the E words; those that the other arguments do not name have weight 0.
        main: for each transition the words that it takes and u, the weight of taking them.
        loop: for each state what words add to the self-loop's bias; None: nothing. (At words
            named here u is another, since it has the factor 1 − f.)
        stay: f, the weight of the self-loops at all other words.

    Raises:
        InputError: a word that the vocabulary lacks; ``loop`` of another length than ``main``;
            ``stay`` outside 0 … 1.

    >>> rnn = automaton(["not", "so", "good"], main=[{"not": 1.0}, {"good": 1.0}])
    >>> rnn.lengths, rnn.main.tolist()
    ((2,), [[2.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    """
    if not 0 < stay < 1:
        raise InputError(f"stay must lie between 0 and 1, got {stay}")
    loop = [{}] * len(main) if loop is None else loop
    if len(loop) != len(main):
        raise InputError(f"loop must name {len(main)} states as main does, got {len(loop)}")
    rnn = RationalRNN(len(vocabulary), [len(main)])
    place = {word: number for number, word in enumerate(vocabulary)}
    with torch.no_grad():
        rnn.bias.fill_(math.log(stay / (1 - stay)))
        for weight, of_states, unit in ((rnn.main, main, 1 - stay), (rnn.loop, loop, 1.0)):
            weight.zero_()
            for row, words in zip(weight, of_states, strict=True):
                for word, value in words.items():
                    if word not in place:
                        raise InputError(f"no word {word!r}{near_match(word, vocabulary)}")
                    row[place[word]] = value / unit
    return rnn


def one_hot(words: Sequence[str], vocabulary: Sequence[str]) -> Tensor:
    """(T, E) vectors of the words for :func:`automaton`; zeros for words it does not know.

    >>> one_hot(["so", "what"], ["not", "so"])
    tensor([[0., 1.],
            [0., 0.]])
    """
    return torch.tensor([[float(word == known) for known in vocabulary] for word in words])


def states_of(rnn: RationalRNN) -> pd.DataFrame:
    """All states of a layer: wfsa, state, norm, and whether ``compact`` keeps them.

    Raises:
        InputError: several layers or directions.
    """
    if rnn.reverse is not None or rnn.above is not None:
        raise InputError("states_of needs one layer and one direction; take one of rnn.cells()")
    kept = kept_lengths(rnn, THRESHOLD)[0]
    names = [(d, i) for d, length in enumerate(rnn.lengths) for i in range(1, length + 1)]
    return pd.DataFrame(
        {
            "wfsa": [d for d, _ in names],
            "state": [i for _, i in names],
            "norm": group_norms(rnn).detach().cpu().numpy(),
            "kept": [i <= kept[d] for d, i in names],
        }
    )


@torch.no_grad()
def reading(rnn: RationalRNN, x: Tensor, words: Sequence[str], wfsa: int = 0) -> pd.DataFrame:
    """What each state of one WFSA holds after each word, and the best path into its last state.

    Args:
        rnn: one layer, one direction.
        x: (T, E) the vectors of the words.
        words: T words.
        wfsa: which of the layer's.

    Returns:
        A row for each word and state 0 … n: position, word, state, value (c after the word; 1 for
        the start state), on_path (the path stands there after the word), step (it came there by
        the main path at this word).

    Raises:
        InputError: a WFSA that does not exist; sizes that do not match.
    """
    if not 0 <= wfsa < len(rnn.lengths):
        raise InputError(f"wfsa must be 0 to {len(rnn.lengths) - 1}, got {wfsa}")
    if x.ndim != 2 or len(words) != len(x):
        raise InputError(f"x must be (T, E) for T = {len(words)} words, got {tuple(x.shape)}")
    first, n = sum(rnn.lengths[:wfsa]), rnn.lengths[wfsa]
    mask = torch.ones(len(x), dtype=torch.bool, device=x.device)
    steps = best_paths(rnn, x, True, mask).steps[0, first + n - 1].tolist()
    rows, state, at = [], None, 0
    for t, word in enumerate(words):
        _, state = rnn(x[t : t + 1], state)
        at += t in steps
        values = [1.0, *state[first : first + n].tolist()]
        rows += [
            {
                "position": t,
                "word": word,
                "state": i,
                "value": value,
                "on_path": steps[0] >= 0 and i == at,
                "step": steps[0] >= 0 and i == at and t in steps,
            }
            for i, value in enumerate(values)
        ]
    return pd.DataFrame(rows)
