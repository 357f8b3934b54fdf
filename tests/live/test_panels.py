"""The live panels, driven as their controls drive them: values are set and buttons clicked."""

import itertools
from datetime import UTC, datetime
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from sparsecore.live import your_geometry, your_text
from sparsecore.report.explorers import ChiExplorer
from sparsecore.runs.store import list_runs
from tests.conftest import small_text

SMALL = {"embedding_size": 8, "hidden_size": 10, "epochs": 1, "threshold": 1, "batch_size": 2}


@pytest.fixture
def text(text_file):
    return {"corpus": str(text_file), **SMALL}


def test_an_uploaded_text_is_trained_on(text_file):
    fields = {k: v for k, v in SMALL.items() if k not in ("epochs", "threshold")}
    panel = your_text(**fields)
    upload, path, most, threshold, epochs = panel.children[:5]
    assert most.value == 300_000
    panel.button.click()
    assert panel.status.value == "choose a text file first, or name one"
    path.value = "no/such/file.txt"
    panel.button.click()
    assert "no/such/file.txt" in panel.status.value and panel.shown.children == ()
    path.value = ""
    most.value, threshold.value, epochs.value = 250_000, 1, 1
    content = memoryview(small_text().encode())
    sent = {"name": "a.txt", "type": "text/plain", "size": len(content), "content": content}
    upload.value = ({**sent, "last_modified": datetime.now(tz=UTC)},)
    panel.button.click()
    assert "validation perplexity" in panel.status.value, panel.status.value
    assert isinstance(panel.shown.children[0], ChiExplorer)
    assert list_runs("emergent")[-1].config["max_tokens"] == 250_000
    assert "chi_lstm2_gradient_target" in panel.tables["words"]


def test_a_geometry_is_raced_against_dense(text):
    panel = your_geometry(**{k: v for k, v in text.items() if "size" not in k}, batch_size=2)
    blocks, gamma, hidden, seconds = panel.children[:4]
    blocks.value, gamma.value, hidden.value, seconds.value = 4, 0.1, 24, 1
    panel.button.click()
    assert "gamma" in panel.status.value  # 0.1 is less than 1/N
    gamma.value = 0.5
    panel.button.click()
    assert "dense" in panel.status.value and "perplexity" in panel.status.value
    assert bytes(panel.shown.children[0].value).startswith(b"\x89PNG")
    assert panel.tables["race"]["model"].nunique() == 2


def test_the_race_trains_both_models(text, monkeypatch):
    from sparsecore.experiments.emergent.config import Emergent
    from sparsecore.experiments.registry import prepare
    from sparsecore.live import geometry
    from sparsecore.models.language_model import LSTMLanguageModel
    from sparsecore.training.batches import columns

    config = Emergent.preset("quick", **text)
    corpus = prepare(config, progress=False)
    torch.manual_seed(0)
    V = len(corpus.vocabulary)
    models = {name: LSTMLanguageModel(V, 8, 10, 1, 0.0) for name in ("a", "b")}
    clock = SimpleNamespace(monotonic=itertools.count().__next__)  # a second a step
    monkeypatch.setattr(geometry, "time", clock)
    parts = geometry.race(models, columns(corpus.train, 2), config, 200)
    table = pd.DataFrame([row for part in parts for row in part])
    assert table["step"].max() == 200
    by_model = table.groupby("model")["perplexity"]
    assert (by_model.last() < by_model.first()).all()
    assert (table.groupby("step")["model"].nunique() == 2).all()
