"""What a run leaves and how it is read again, and the small tables of a sentiment study.

The phrases of the automata are Table 1 of Dodge et al. 2019, for small models.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.experiments.sentiment.config import Sentiment, lengths_of
from sparsecore.experiments.sentiment.findings import Samples, decide, samples_of
from sparsecore.files import reading
from sparsecore.home import RECOMPUTE
from sparsecore.layers.rational import RationalRNN
from sparsecore.models.classifier import SequenceClassifier, rnn_of
from sparsecore.pruning.groups import group_norms
from sparsecore.pruning.patterns import phrases, strongest
from sparsecore.stats.seeds import mean_interval, over_seeds
from sparsecore.stats.tables import Summary
from sparsecore.training.documents import Inputs, prepare_inputs
from sparsecore.training.loop import Row

N_BOOT = 1000
MOST_WFSAS = 8  # a model with more is not read
TOP_K = 6
BATCH = 64

_KINDS = {"wfsa": "int64", "state": "int64", "end": "str", "rank": "int64", "score": "float64",
          "document": "int64", "label": "str", "phrase": "str"}  # fmt: skip


def tables_of(tables: Summary, n_boot: int = N_BOOT) -> Summary:
    """The small tables of a study.

    ``tradeoff``: a row a point of Fig. 3, accuracy with both intervals. ``runs``: a row a run.
    ``ablation``: fine-tuned from the extraction minus trained from scratch. ``trials``: what the
    searches tried. ``patterns`` and ``states``: of the smallest learned model of each category.
    ``corpora``. ``verdicts``: see :mod:`sparsecore.experiments.sentiment.findings`.

    Args:
        tables: those of the runs on top of one another (see
            :mod:`sparsecore.experiments.sentiment.task`), with seed, category, structure, goal
            and run in front.
        n_boot: redraws of the test documents.
    """
    runs = described(tables["results"])
    samples = samples_of(runs, tables["predictions"], n_boot)
    summary = {
        "tradeoff": tradeoff(runs, samples),
        "runs": runs.drop(columns=["run", "test_correct"]),
        "trials": _trials(tables["trials"]),
        "corpora": _corpora(tables["corpora"]),
        "verdicts": decide(runs, samples),
    }
    found = ablation(runs)
    if len(found):
        summary["ablation"] = found
    shown = _smallest(runs)
    for name in ("patterns", "states"):
        part = tables[name][tables[name]["run"].isin(shown)]
        summary[name] = _with_category(part).drop(columns=["run"]).reset_index(drop=True)
    return summary


def described(results: pd.DataFrame) -> pd.DataFrame:
    """The results with ``family`` (baseline or regularised), ``point`` and accuracies in percent.

    A point is what the seeds of one mark in the figure share: the structure of a baseline, or the
    goal of a search (else the strength).
    """
    runs = _with_category(results)
    learned = runs["strength"].to_numpy(dtype=float) > 0
    goals = runs["goal"].to_numpy(dtype=float)
    family = np.where(learned, "regularised", "baseline")
    points = [
        (f"goal {goal:g}" if goal == goal else f"strength {strength:g}")
        if is_learned
        else structure
        for is_learned, goal, strength, structure in zip(
            learned, goals, runs["strength"], runs["structure"], strict=True
        )
    ]
    runs = runs.assign(family=family, point=points)
    for column in [c for c in runs.columns if str(c).endswith("accuracy")]:
        runs[column] = 100 * runs[column]
    front = ["category", "family", "point", "seed"]
    own = [c for c in runs.columns if c not in (*front, "structure", "strength")]
    return runs[[*front, *own]].reset_index(drop=True)


def tradeoff(runs: pd.DataFrame, samples: Samples) -> pd.DataFrame:
    """A row a point: transitions, WFSAs and test accuracy, mean over the seeds.

    low and high: Student's t interval over the seeds; documents_low and documents_high: bootstrap
    interval over the test documents of the mean over the seeds.
    """
    rows: list[dict[str, Any]] = []
    for (category, family, point), group in _groups(runs, ["category", "family", "point"]):
        share = 1 / len(group)
        mean = samples[category].estimate(dict.fromkeys(group["run"], share))
        _, d_low, d_high = mean.interval()
        rows.append(
            {
                "category": category,
                "family": family,
                "point": point,
                "transitions": group["transitions"].mean(),
                "transitions_sd": group["transitions"].std(ddof=1),
                "wfsas": group["wfsas"].mean(),
                **over_seeds(group["test_accuracy"], "accuracy"),
                "documents_low": d_low,
                "documents_high": d_high,
                "dev_accuracy": group["dev_accuracy"].mean(),
                "trials": group["trials"].mean(),
                "epochs": group["epochs"].mean(),
                "seeds": len(group),
            }
        )
    return pd.DataFrame(rows)


def ablation(runs: pd.DataFrame) -> pd.DataFrame:
    """Found structures fine-tuned from the exact extraction, minus the same trained from scratch.

    Paired by seed; mean and t interval in points of test accuracy, and before any fine-tuning.
    """
    if "scratch_test_accuracy" not in runs.columns:
        return pd.DataFrame()
    both = runs[runs["scratch_test_accuracy"].notna() & (runs["family"] == "regularised")]
    rows: list[dict[str, Any]] = []
    for (category, point), group in _groups(both, ["category", "point"]):
        gain = (group["test_accuracy"] - group["scratch_test_accuracy"]).tolist()
        value, low, high = mean_interval(gain)
        rows.append(
            {
                "category": category,
                "point": point,
                "extraction": group["test_accuracy"].mean(),
                "scratch": group["scratch_test_accuracy"].mean(),
                "before_finetuning": group["extracted_accuracy"].mean(),
                "difference": value,
                "low": low,
                "high": high,
                "seeds": len(group),
            }
        )
    return pd.DataFrame(rows)


def _groups(table: pd.DataFrame, keys: list[str]) -> Iterable[tuple[tuple[Any, ...], pd.DataFrame]]:
    for key, group in table.groupby(keys, sort=False):
        assert isinstance(key, tuple)
        yield key, group


def _with_category(table: pd.DataFrame) -> pd.DataFrame:
    """``category`` as text; the only one of a corpus without categories is ``all``."""
    return table.assign(category=table["category"].astype("object").fillna("all").astype(str))


def _trials(trials: pd.DataFrame) -> pd.DataFrame:
    """λ as its decimal logarithm: summaries keep six decimals."""
    table = _with_category(trials)
    table = table[table["strength"] > 0]
    table = table.assign(log10_strength=np.log10(table["strength"].to_numpy(dtype=float)))
    return table.drop(columns=["run", "strength"]).reset_index(drop=True)


def _corpora(corpora: pd.DataFrame) -> pd.DataFrame:
    table = _with_category(corpora).drop(columns=["seed", "structure", "goal", "strength", "run"])
    return table.drop_duplicates("category").reset_index(drop=True)


def _smallest(runs: pd.DataFrame) -> list[str]:
    """The run with the fewest transitions of each category (the first seed of equals)."""
    order = runs.sort_values(["family", "transitions", "seed"], ascending=[False, True, True])
    return order.drop_duplicates("category")["run"].tolist()


def state_rows(model: SequenceClassifier, kept: Sequence[int]) -> list[Row]:
    """One row a state: its WFSA, its place 1, 2, …, its norm, and whether it stays."""
    rnn = rnn_of(model)
    norm = iter(group_norms(rnn).detach().cpu().tolist())
    return [
        {"wfsa": d, "state": i + 1, "norm": next(norm), "kept": i < kept[d]}
        for d, length in enumerate(rnn.lengths)
        for i in range(length)
    ]


def predictions(logits: Tensor, labels: Tensor) -> pd.DataFrame:
    """Margin (logit of the second label minus that of the first) of every test document."""
    margin = (logits[:, 1] - logits[:, 0]).double().numpy().astype("float32")
    table = pd.DataFrame({"label": labels.numpy().astype("int8"), "margin": margin})
    table.insert(0, "document", range(len(table)))
    return table.astype({"document": "int32"})


def corpora(inputs: Inputs) -> pd.DataFrame:
    """One row: what the documents are."""
    info = inputs.info
    row = {"corpus": inputs.name}
    for what in ("documents", "tokens"):
        row |= {f"{split}_{what}": count for split, count in info[what].items()}
    row |= {"types": info["types"], "labels": ", ".join(info["labels"])}
    row |= {"dropped": json.dumps({k: v for k, v in info["dropped"].items() if v})}
    return pd.DataFrame([row])


def phrase_table(model: SequenceClassifier, inputs: Inputs, structure: str) -> pd.DataFrame:
    """The phrases of the training documents that each state of each WFSA scores highest and lowest.

    Columns as :func:`sparsecore.pruning.patterns.phrases` has them, with the label of the document;
    as many transition columns as the longest WFSA of ``structure`` has transitions. Of a model with
    more than eight WFSAs the table is empty.
    """
    longest = max(lengths_of(structure))
    rnn = rnn_of(model)
    tables = []
    if len(rnn.lengths) <= MOST_WFSAS:
        order = np.argsort(inputs.corpus.train.lengths, kind="stable")
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH].tolist()
            x, tokens = inputs.padded("train", chosen)
            found = phrases(rnn, x.to(rnn.main.device), tokens, TOP_K)
            found["document"] = np.array(chosen)[found["document"].to_numpy()]
            tables.append(found)
    names = [f"transition_{i}" for i in range(1, longest + 1)]
    kinds = {**_KINDS, **dict.fromkeys([*names, "after"], "str")}
    if not tables:
        return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in kinds.items()})
    table = strongest(tables, TOP_K)
    labels = inputs.corpus.train.labels[table["document"].to_numpy()]
    table["label"] = [inputs.corpus.labels[label] for label in labels]
    return table.reindex(columns=list(kinds), fill_value="").astype(kinds)


@dataclass(frozen=True)
class Trained:
    """What a run left: the model in evaluation mode, its documents, and its configuration.

    ``regularised`` is the model before states were removed, at the accepted λ; None of a baseline.
    """

    config: Sentiment
    inputs: Inputs
    model: SequenceClassifier
    regularised: SequenceClassifier | None


def load_trained(folder: Path, config: dict[str, Any]) -> Trained:
    """The model of a finished run; ``config`` are the fields it was run with.

    Raises:
        InputError: the folder holds no finished sentiment run, or its documents are gone.
    """
    path = folder / "weights.safetensors"
    if not path.is_file():
        raise InputError(f"{folder} holds no finished sentiment run")
    known = {field.name for field in dataclasses.fields(Sentiment)}
    sentiment = Sentiment(**{name: value for name, value in config.items() if name in known})
    inputs = prepare_inputs(sentiment, progress=False)
    before = folder / "regularised.safetensors"
    lengths = lengths_of(sentiment.structure)
    with reading(folder, RECOMPUTE):
        kept = pd.read_parquet(folder / "results.parquet")["kept"].iloc[0]
        model = _model(path, inputs.width, _in_order(folder, str(kept)))
        regularised = _model(before, inputs.width, lengths) if before.is_file() else None
    return Trained(sentiment, inputs, model, regularised)


def _in_order(folder: Path, kept: str) -> list[int]:
    """Transitions of each WFSA that stayed, in the order of the model."""
    states = pd.read_parquet(folder / "states.parquet")
    lengths = states.groupby("wfsa", sort=True)["kept"].sum()
    order = [int(length) for length in lengths if length]
    if sorted(order) != lengths_of(kept):
        raise ValueError(f"states.parquet keeps {sorted(order)}, results.parquet {kept}")
    return order


def _model(path: Path, width: int, lengths: Sequence[int]) -> SequenceClassifier:
    model = SequenceClassifier(RationalRNN(width, list(lengths)), len(lengths))
    model.load_state_dict(load_file(path))
    return model.eval().requires_grad_(False)


def failure(config: Sentiment, trials: Sequence[Row]) -> str:
    """One line for a search that ended without success: what was tried."""
    tried = ", ".join(f"{row['strength']:.2g}: {row['transitions']}" for row in trials)
    if config.goal is None:
        return (
            f"strength={config.strength} leaves no state, or none that does better than guessing; "
            "try a smaller one"
        )
    return (
        f"no strength leaves {config.goal} ± {config.tolerance} transitions in {len(trials)} tries "
        f"(strength: transitions left: {tried}); try a larger tolerance or max_tries"
    )
