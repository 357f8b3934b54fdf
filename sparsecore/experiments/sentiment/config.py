"""The experiment of Dodge et al. 2019 as a value: one rational RNN on one kind of review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sparsecore.errors import InputError
from sparsecore.training.configuration import (
    ABOVE_0,
    AT_LEAST_0,
    AT_LEAST_1,
    BELOW_1,
    check_kinds,
    from_preset,
    refuse_varied,
    require,
    require_range,
)

PRESETS: dict[str, dict[str, Any]] = {
    # embedded paragraphs and vectors, 2 CPU cores, seconds
    "quick": {
        "corpus": "embedded",
        "vectors": "embedded",
        "max_documents": 1200,
        "structure": "0,0,0,12",
        "tolerance": 5,
        "max_tries": 10,
        "batch_size": 32,
        "max_epochs": 14,
        "patience": 5,
        "plateau": 3,
        "learning_rate": 0.05,
        "clip": 2.8,
        "embed_dropout": 0.3,
        "rnn_dropout": 0.1,
    },
    # reviews of one kind of product and GloVe vectors, under a minute. The optimiser's settings are
    # the paper's. Of random draws those with larger steps do as well or better on the dev set, by a
    # point or two, but no λ leaves the smallest goal: a step is then as large as the threshold.
    "small": {
        "corpus": "amazon-reviews",
        "category": "kitchen",
        "vectors": "glove-6b",
        "vector_size": 50,
        "max_documents": 1300,
        "max_length": 120,
        "drop_empty": True,
        "max_tries": 10,
        "max_epochs": 24,
        "patience": 5,
        "plateau": 3,
    },
    # the paper's scale
    "paper": {
        "corpus": "amazon-reviews",
        "category": "kitchen",
        "vectors": "glove-6b",
        "vector_size": 300,
    },
}


@dataclass(frozen=True)
class Points:
    """The points of a study, each run with every seed.

    Attributes:
        categories: of the reviews; None where there are none.
        baselines: structures without a penalty.
        goals: transitions that shall be left, with the tolerance and the λ that the search begins
            with.
        seeds: how many.
    """

    categories: tuple[str | None, ...]
    baselines: tuple[str, ...]
    goals: dict[int, tuple[int, float]]
    seeds: int


_PAPER_BASELINES = ("24,0,0,0", "0,24,0,0", "0,0,24,0", "0,0,0,24", "6,6,6,6")
_CATEGORIES = ("kitchen", "dvd", "books", "mix")
STUDIES: dict[str, Points] = {
    "quick": Points(
        (None,),
        ("12,0,0,0", "0,12,0,0", "0,0,0,12"),
        {16: (6, 1.4e-3), 8: (6, 2.4e-3)},
        2,
    ),
    "small": Points(
        _CATEGORIES,
        _PAPER_BASELINES,
        {40: (10, 4.5e-4), 20: (10, 1.1e-3), 8: (4, 2.2e-3)},
        5,
    ),
    "paper": Points(
        _CATEGORIES,
        _PAPER_BASELINES,
        {80: (10, 8e-6), 60: (10, 8e-6), 40: (10, 8e-6), 20: (10, 8e-6), 8: (4, 8e-6)},
        5,
    ),
}
TUNING = {"quick": 2, "small": 8, "paper": 20}  # draws
TUNED = ("kitchen", "dvd")
TUNING_SEED = 100
# the paper's ranges with GloVe
LOG_UNIFORM = {"learning_rate": (7e-3, 0.5), "weight_decay": (1e-7, 1e-5)}
UNIFORM = {"clip": (1.0, 5.0), "rnn_dropout": (0.0, 0.5), "embed_dropout": (0.0, 0.5)}
MOST = 10_000  # WFSAs, and transitions of one


@dataclass(frozen=True)
class Sentiment:
    """A rational RNN that tells two kinds of document apart, its structure given or learned.

    The defaults are the paper's. Without ``strength`` it is a baseline. With it, a group lasso over
    the states of the WFSAs removes some of them; the smaller model is extracted and fine-tuned
    without the penalty. With a ``goal`` the strength is searched for.

    Attributes:
        corpus: ``embedded``, a name of ``sparsecore data list``, or a path.
        category: one of the corpus's, the beginning of one, or ``mix`` for all.
        max_documents: cap on the training documents (a quarter of it on dev); None for all.
        max_length: words of a document that are read, its last ones; None for all.
        drop_empty: leave documents without words out instead of refusing them.
        titles: reviews begin with their title.
        vectors: ``embedded``, a name of the data list, a GloVe text file, or a Hugging Face
            encoder: its folder, or ``hub:NAME``.
        vector_size: their width, where there is a choice.
        structure: how many WFSAs there are with 1, 2, 3, … transitions.
        strength: λ of the group lasso; 0 for a baseline. With a goal: where its search begins.
        goal: how many transitions shall be left; None for no search.
        tolerance: how far from the goal is near enough.
        max_tries: how many λ the search may try.
        threshold: a state stays if its parameters' ℓ2 norm, and that of every state before it, is
            above this.
        proximal: shrink the states' parameters after each step, to exact zeros, instead of adding
            the penalty to the loss.
        finetune_from: the ``extraction`` of the learned weights, ``scratch`` (the found structure
            with new weights), or ``both``, one beside the other.
        refine: a baseline is trained once more, from its best weights with a fresh optimiser, as
            learned models are.
        learning_rate, weight_decay, clip: of Adam; largest ℓ2 norm of the whole gradient.
        embed_dropout: of the elements of word vectors and of the final scores.
        rnn_dropout: of whole dimensions of the word vectors.
        batch_size: documents a step.
        max_epochs: of each training: every try, the fine-tuning, the baseline.
        patience: epochs without a lower dev error that end a training.
        plateau: such epochs after which the learning rate is halved, except while λ is at work.
        seed: of initial weights, dropout masks and the order of batches.
        device: ``auto``, ``cpu``, ``cuda``, ….
    """

    corpus: str = "embedded"
    category: str | None = None
    max_documents: int | None = None
    max_length: int | None = None
    drop_empty: bool = False
    titles: bool = False
    vectors: str = "embedded"
    vector_size: int | None = None
    structure: str = "0,0,0,24"
    strength: float = 0.0
    goal: int | None = None
    tolerance: int = 10
    max_tries: int = 25
    threshold: float = 0.1
    proximal: bool = False
    finetune_from: str = "extraction"
    refine: bool = False
    learning_rate: float = 0.0241
    weight_decay: float = 3.64e-7
    clip: float = 2.82
    embed_dropout: float = 0.314
    rnn_dropout: float = 0.154
    batch_size: int = 64
    max_epochs: int = 500
    patience: int = 30
    plateau: int = 10
    seed: int = 0
    device: str = "auto"

    name: ClassVar[str] = "sentiment"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    format: ClassVar[int] = 1  # of the run folder; part of its name
    varies: ClassVar[tuple[str, ...]] = (
        "category",
        "structure",
        "goal",
        "tolerance",
        "strength",
    )
    preset = classmethod(from_preset)

    def __post_init__(self) -> None:
        check_kinds(self)
        require_range(self, AT_LEAST_1, "max_tries batch_size max_epochs patience plateau")
        require_range(self, BELOW_1, "embed_dropout rnn_dropout")
        require_range(self, ABOVE_0, "learning_rate clip")
        require_range(self, AT_LEAST_0, "strength weight_decay threshold tolerance")
        origins = ("extraction", "scratch", "both")
        require(self, "finetune_from", self.finetune_from in origins, f"one of {origins}")
        states = sum(lengths_of(self.structure))
        if self.goal is not None:
            require(self, "goal", 1 <= self.goal < states, f"in [1, {states}), or none")
            require(self, "strength", self.strength > 0, "above 0 where there is a goal")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Fields that are no part of the run's name: the hash of the inputs says them.

        ``refine`` is one where nothing is refined, as in the names from before there was a choice.
        """
        inputs = "category vectors vector_size max_documents max_length drop_empty titles"
        return (*inputs.split(), *(() if self.refine and not self.strength else ("refine",)))


def lengths_of(structure: str) -> list[int]:
    """Transitions of each WFSA, shortest first, from the counts by length.

    Written ``"0,4,0,2"``: no WFSA with one transition, four with two, none with three, two with
    four; 16 transitions in all.

    Raises:
        InputError: another text, no WFSA, or too many.

    >>> lengths_of("0,2,0,1")
    [2, 2, 4]
    """
    try:
        counts = [int(part) for part in structure.split(",")]
    except (ValueError, AttributeError):
        counts = [-1]
    if min(counts) < 0 or not 0 < sum(counts) <= MOST or len(counts) > MOST:
        raise InputError(
            "structure must be how many WFSAs there are with 1, 2, 3, … transitions, such as "
            f"'0,0,0,24' or '6,6,6,6', at most {MOST:,} in all, got {structure!r}"
        )
    return [length for length, count in enumerate(counts, 1) for _ in range(count)]


def structure_of(lengths: Sequence[int]) -> str:
    """The counts of WFSAs with 1, 2, … transitions (at least up to four); 0 counts nowhere.

    >>> structure_of([2, 4, 0, 2])
    '0,2,0,1'
    """
    longest = max([4, *lengths])
    return ",".join(str(sum(length == n for length in lengths)) for n in range(1, longest + 1))


def study(preset: str, **overrides: Any) -> list[Sentiment]:
    """All runs behind Fig. 3: baselines and learned structures of every category, with every seed.

    ``overrides``: other fields of every run; ``category`` leaves that one category, ``seed`` is the
    first of the seeds. The found structures are also trained from scratch, beside the fine-tuning.

    Raises:
        InputError: unknown preset or field, or a field that the study varies.
    """
    given = _overrides(preset, overrides)
    points, first = STUDIES[preset], given.pop("seed", 0)
    chosen = given.pop("category", None)
    configs = []
    for seed in range(first, first + points.seeds):  # a study that is stopped has whole seeds
        for category in points.categories if chosen is None else (chosen,):
            own = {**given, "category": category, "seed": seed, "finetune_from": "both"}
            for structure in points.baselines:
                configs.append(Sentiment.preset(preset, **{**own, "structure": structure}))
            for goal, (tolerance, strength) in points.goals.items():
                search = {"goal": goal, "tolerance": tolerance, "strength": strength}
                configs.append(Sentiment.preset(preset, **own, **search))
    return configs


def tune(preset: str, **overrides: Any) -> list[Sentiment]:
    """A random search over the optimiser's settings, on a baseline of mixed lengths.

    Its runs are to be compared by dev accuracy.
    """
    given = _overrides(preset, overrides)
    categories = (None,) if preset == "quick" else TUNED
    structure = {"structure": STUDIES[preset].baselines[-1], "seed": TUNING_SEED}
    return [
        Sentiment.preset(preset, **{**given, **structure, "category": category, **draw})
        for draw in random_search(TUNING_SEED, TUNING[preset])
        for category in categories
    ]


def random_search(seed: int, count: int) -> list[dict[str, float]]:
    """``count`` assignments of learning rate (rising), weight decay, clip and dropouts.

    The same seed gives the same draws; more of them hold these too. Source: the random search of
    Dodge et al. (2019), §3 and appendix A.

    >>> [round(draw["learning_rate"], 3) for draw in random_search(0, 3)]
    [0.106, 0.228, 0.345]

    Raises:
        InputError: fewer than one.
    """
    import numpy as np

    if count < 1:
        raise InputError(f"count must be at least 1, got {count}")
    generator = np.random.default_rng(seed)
    known = {**LOG_UNIFORM, **UNIFORM}
    drawn = []
    for _ in range(count):
        shares = dict(zip(known, generator.random(len(known)), strict=True))
        one = {}
        for name, share in shares.items():
            low, high = known[name]
            log = name in LOG_UNIFORM
            one[name] = float(low * (high / low) ** share if log else low + (high - low) * share)
        drawn.append({name: float(f"{value:.3g}") for name, value in one.items()})
    return sorted(drawn, key=lambda draw: draw["learning_rate"])


def _overrides(preset: str, overrides: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in overrides.items() if value is not None}
    refuse_varied(given, ("structure", "goal", "tolerance", "strength"))
    Sentiment.preset(preset, **given)
    return given
