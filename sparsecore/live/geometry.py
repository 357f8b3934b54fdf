"""A geometry of one's own: sparse and dense of equal size, trained side by side for a minute."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import Tensor, nn

from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.emergent.task import read_text
from sparsecore.layers.geometry import equal_dense_size
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.live.panel import DESCRIPTION, WIDE, Panel
from sparsecore.models.language_model import LSTMLanguageModel, State, detach
from sparsecore.report.figures import perplexity_over_steps
from sparsecore.training.batches import columns, num_windows, window

WIDTH = 100  # of embedding and dense layers
DRAWN = "Line chart: perplexity of the sparse and the dense model over the steps of training"
SMOOTH = 20  # steps that a point of the curve is the mean of


def your_geometry(duration: int = 60, **overrides: Any) -> Panel:
    """Choose N, γ and the width; a sparse and a dense LSTM of equal size race for some seconds.

    The panel's ``tables`` then has the curve, ``race``.

    ``duration``: seconds that are set at first. ``overrides``: fields of the emergent experiment's
    quick preset, whose text is learned.
    """
    blocks = _slider(widgets.IntSlider, "Blocks N", 4, 2, 20)
    gamma = _slider(widgets.FloatSlider, "Window γ", 0.5, 0.05, 1.0)
    hidden = _slider(widgets.IntSlider, "Hidden units h", 200, 20, 600)
    seconds = _slider(widgets.IntSlider, "Seconds", duration, 1, 300)
    curve = widgets.Image(format="png", tooltip=DRAWN)
    curve.layout.max_width = "46rem"

    def work(say: Callable[[str], None]) -> list[widgets.Widget]:
        sparse = SparseLSTM(WIDTH, hidden.value, blocks.value, gamma.value)  # its errors come first
        dense = equal_dense_size(WIDTH, sum(p.numel() for p in sparse.parameters()))
        config = Emergent.preset("quick", **overrides)
        say("preparing the text …")
        corpus = read_text(config, progress=False)
        text = columns(corpus.train, config.batch_size, "training text")
        V = len(corpus.vocabulary)
        torch.manual_seed(config.seed)

        def rnn(i: int, h: int) -> nn.Module:
            return SparseLSTM(i, h, blocks.value, gamma.value)

        models = {
            f"dense, {dense} units": LSTMLanguageModel(V, WIDTH, dense, 1, config.dropout),
            f"sparse, {hidden.value} units": LSTMLanguageModel(
                V, WIDTH, hidden.value, 1, config.dropout, rnn
            ),
        }
        panel.show(curve)
        rows: list[dict[str, Any]] = []
        for row in race(models, text, config, seconds.value):
            rows += row
            curve.value = drawn(pd.DataFrame(rows))
            say(f"{row[0]['seconds']:.0f} of {seconds.value} seconds")
        panel.tables = {"race": pd.DataFrame(rows)}
        ends = panel.tables["race"].groupby("model", sort=False)["perplexity"].last()
        said = "; ".join(f"{name}: perplexity {value:.0f}" for name, value in ends.items())
        say(f"{said}, on the training text")
        return [curve]

    panel = Panel([blocks, gamma, hidden, seconds], "Train", work)
    return panel


def race(
    models: dict[str, LSTMLanguageModel], text: Tensor, config: Emergent, seconds: float
) -> Iterator[list[dict[str, Any]]]:
    """Train the models step by step in turn on the same windows; a row a model now and then.

    Rows: model, step, seconds, perplexity (of the last steps, each before its update).
    """
    optimisers = {
        name: torch.optim.SGD(model.parameters(), config.learning_rate)
        for name, model in models.items()
    }
    states: dict[str, State | None] = dict.fromkeys(models)
    losses: dict[str, list[float]] = {name: [] for name in models}
    started, step = time.monotonic(), 0
    count = num_windows(text, config.sequence_length)
    device = torch.device("cpu")
    while True:
        inputs, targets = window(text, step % count, config.sequence_length, device)
        for name, model in models.items():
            carried = states[name] if step % count else None
            optimisers[name].zero_grad()
            hidden, state = model(inputs, carried)
            loss = model.loss(hidden, targets)[0]
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimisers[name].step()
            states[name] = detach(state)
            losses[name].append(float(loss.detach()))
        step += 1
        passed = time.monotonic() - started
        if step % SMOOTH == 0 or passed >= seconds:
            yield [
                {
                    "model": name,
                    "step": step,
                    "seconds": passed,
                    "perplexity": float(torch.tensor(values[-SMOOTH:]).mean().exp()),
                }
                for name, values in losses.items()
            ]
        if passed >= seconds:
            return


def drawn(table: pd.DataFrame) -> bytes:
    """Perplexity over steps as a PNG picture."""
    figure = perplexity_over_steps(table).get_figure(root=True)
    assert figure is not None
    with io.BytesIO() as picture:
        figure.savefig(picture, format="png", dpi=110)
        plt.close(figure)
        return picture.getvalue()


def _slider(kind: Any, name: str, value: float, low: float, high: float) -> Any:
    return kind(value=value, min=low, max=high, description=name, style=DESCRIPTION, layout=WIDE)
