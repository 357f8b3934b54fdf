"""What one paper's measure says about another's models: tables from finished runs of both.

Three questions. Is an LSTM whose weights are zero from the start more concentrated? How
concentrated is the vote of the automata of a rational RNN? Does a network that was trained without
a penalty already show which of its states the group lasso will remove?
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.experiments.crossing.findings import SIGNALS, decide
from sparsecore.experiments.sentiment.config import lengths_of
from sparsecore.experiments.sentiment.tables import Trained, load_trained
from sparsecore.measure.chi import chi
from sparsecore.models.classifier import SequenceClassifier, rational_classifier, rnn_of
from sparsecore.pruning.groups import group_norms
from sparsecore.stats.correlation import frequency_correlation
from sparsecore.stats.proportions import auc
from sparsecore.stats.tables import Summary
from sparsecore.training.run_folder import Run

BATCH = 64


def tables_of(language_models: Sequence[Run], classifiers: Sequence[Run]) -> Summary:
    """``concentration``, ``votes``, ``survival`` (see the functions of these names), ``findings``.

    Args:
        language_models: finished runs of the emergent experiment that differ in blocks and seed.
        classifiers: finished runs of a sentiment study: baselines and learned structures.
    """
    tables = {
        "concentration": concentration(language_models),
        "votes": votes(classifiers),
        "survival": survival(classifiers),
    }
    tables["findings"] = decide(tables)
    return {name: table.round(6) for name, table in tables.items()}


def concentration(runs: Sequence[Run]) -> pd.DataFrame:
    """chi of the upper LSTM before and after training, and its correlation with log frequency.

    Columns: num_blocks, seed, epoch, signal (activation by input word, gradient by target word),
    chi (mean over tokens), rho, valid_perplexity.
    """
    rows = []
    for run in runs:
        epochs = run.epochs.set_index("epoch")
        top = f"lstm{run.config['num_layers']}"
        for epoch in epochs.index:
            for name, (signal, role) in SIGNALS.items():
                table = run.statistics([int(epoch)], top, signal, role)
                found = frequency_correlation(table, None, ["pearson_log"], n_boot=0)
                rows.append(
                    {
                        "num_blocks": run.config["num_blocks"],
                        "seed": run.config["seed"],
                        "epoch": epoch,
                        "signal": name,
                        "chi": float(np.average(table["chi"], weights=table["count"])),
                        "rho": float(found["rho"].iloc[0]),
                        "valid_perplexity": epochs["valid_perplexity"][epoch],
                    }
                )
    return pd.DataFrame(rows)


def votes(runs: Sequence[Run]) -> pd.DataFrame:
    """How many automata decide: chi of what each adds to the decision, mean over dev documents.

    Of every model with as many automata as the learned ones began with. Columns: category, seed,
    model (untrained, trained, penalised: with λ, nothing removed yet), goal, chi, effective
    (automata, mean of 1/chi²), automata.
    """
    structure = _start(runs)
    rows = []
    for run in runs:
        if run.config["structure"] != structure:
            continue
        trained = load_trained(run.path, run.config)
        models = {"penalised": trained.regularised}
        if trained.regularised is None:
            models = {"untrained": _untrained(trained), "trained": trained.model}
        for name, model in models.items():
            assert model is not None
            parts, _ = _on_dev(trained, model)
            rows.append(
                {
                    **_place(run),
                    "model": name,
                    "goal": run.config["goal"],
                    "chi": float(chi(parts).mean()),
                    "effective": float((1 / chi(parts) ** 2).mean()),
                    "automata": parts.shape[1],
                }
            )
    return pd.DataFrame(rows)


def survival(runs: Sequence[Run]) -> pd.DataFrame:
    """For each learned structure: does the model trained without a penalty show what is kept?

    Columns: category, seed, goal, look (a key of ``LOOKS``), auc (0.5: no better than chance),
    kept, states. A structure that keeps all or nothing has no row.
    """
    structure = _start(runs)
    alike = [run for run in runs if run.config["structure"] == structure]
    baselines = {tuple(_place(run).values()): run for run in alike if not _is_learned(run)}
    rows = []
    for place, baseline in baselines.items():
        looks = _looks(baseline)
        for run in alike:
            if not _is_learned(run) or tuple(_place(run).values()) != place:
                continue
            kept = run.table("states").sort_values(["wfsa", "state"])["kept"].to_numpy(bool)
            if kept.all() or not kept.any():
                continue
            rows += [
                {
                    **_place(run),
                    "goal": run.config["goal"],
                    "look": look,
                    "auc": auc(values, kept),
                    "kept": int(kept.sum()),
                    "states": len(kept),
                }
                for look, values in looks.items()
            ]
    return pd.DataFrame(rows)


def _looks(run: Run) -> dict[str, np.ndarray]:
    """What a model shows of each of its S states, by the keys of ``LOOKS``."""
    trained = load_trained(run.path, run.config)
    _, ends = _on_dev(trained, trained.model)
    norms = group_norms(rnn_of(trained.model)).detach().numpy()
    return {"norm": norms, "score": ends.abs().mean(0).numpy()}


@torch.no_grad()
def _on_dev(trained: Trained, model: SequenceClassifier) -> tuple[Tensor, Tensor]:
    """(n, D) what each automaton adds to the decision about each dev document; (n, S) states."""
    weight = model.output.weight[1] - model.output.weight[0]  # D
    order = np.argsort(trained.inputs.corpus.dev.lengths, kind="stable")
    parts, ends = [], []
    for start in range(0, len(order), BATCH):
        x, _ = trained.inputs.padded("dev", order[start : start + BATCH].tolist())
        scores, cn = model.rnn(x)
        parts.append(scores[-1] * weight)
        ends.append(cn)
    return torch.cat(parts), torch.cat(ends)


def _untrained(trained: Trained) -> SequenceClassifier:
    """The model that the run began with."""
    config = trained.config
    torch.manual_seed(config.seed)
    lengths = lengths_of(config.structure)
    return rational_classifier(trained.inputs.width, lengths, 0.0, config.rnn_dropout).eval()


def _start(runs: Sequence[Run]) -> str:
    """The structure that the learned ones began with; InputError if there is not one."""
    found = {str(run.config["structure"]) for run in runs if _is_learned(run)}
    if len(found) != 1:
        raise InputError(
            f"the learned structures must have begun with one structure, not {len(found)}"
        )
    return found.pop()


def _is_learned(run: Run) -> bool:
    return run.config["strength"] > 0


def _place(run: Run) -> dict[str, object]:
    return {"category": run.config["category"] or "all", "seed": run.config["seed"]}
