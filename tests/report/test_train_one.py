"""The language model that trains in the page: gradients, chi and optimisers are PyTorch's."""

import base64
import json
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.report.explorers import TrainingExplorer
from sparsecore.report.explorers.bundle import STATIC
from sparsecore.report.pages.training import common_sentences
from tests.browser import run_node

IMPORT = f"import * as m from {json.dumps((STATIC / 'lstm.js').as_uri())};"
V, E, H, B, T = 11, 5, 4, 3, 6
RATES = {"sgd": 2.0, "adam": 0.02}
FROM_JSON = """
const parameters = Object.fromEntries(
  Object.entries(given.parameters).map(([n, v]) => [n, Float64Array.from(v)]));
const sizes = given.sizes;
const lists = (o) => Object.fromEntries(Object.entries(o).map(([n, v]) => [n, Array.from(v)]));
"""


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(V, E), nn.LSTM(E, H)
        self.decoder = nn.Linear(H, V)

    def forward(self, inputs, state):
        h, state = self.lstm(self.embedding(inputs), state)
        return h, state


@pytest.fixture
def model():
    torch.manual_seed(5)
    return Model().double()


@pytest.fixture
def text():
    return torch.randint(V, (3 * T + 1, B), generator=torch.Generator().manual_seed(2))


def windows(text):
    return [(text[n : n + T], text[n + 1 : n + T + 1]) for n in range(0, len(text) - 1, T)]


def javascript(model, text, script):
    given = {
        "parameters": {n: p.flatten().tolist() for n, p in model.named_parameters()},
        "sizes": {"V": V, "E": E, "H": H, "B": B},
        "windows": [[x.flatten().tolist(), y.flatten().tolist()] for x, y in windows(text)],
    }
    return run_node(f"{IMPORT} const given = {json.dumps(given)}; {FROM_JSON} {script}")


def pytorch_step(model, window, state):
    inputs, targets = window
    h, state = model(inputs, state)
    h.retain_grad()
    branch = h.detach().requires_grad_()  # what comes from the softmax alone
    F.cross_entropy(model.decoder(branch).flatten(0, 1), targets.flatten()).backward()
    upward = branch.grad
    model.zero_grad()
    loss = F.cross_entropy(model.decoder(h).flatten(0, 1), targets.flatten())
    loss.backward()
    return loss.item(), upward, tuple(s.detach() for s in state)


def test_loss_gradients_and_chi_are_pytorchs_over_two_windows(model, text):
    found = javascript(
        model,
        text,
        """
        let state = m.startState(sizes);
        print(given.windows.map(([x, y]) => {
          const r = m.lossAndGradients(sizes, parameters, x, y, state);
          state = r.state;
          return { loss: r.loss, gradients: lists(r.gradients), upward: Array.from(r.upward),
                   chi: Array.from(r.chi) };
        }));
        """,
    )
    state = None
    for window, one in zip(windows(text), found, strict=True):
        loss, upward, state = pytorch_step(model, window, state)
        assert one["loss"] == pytest.approx(loss, rel=1e-12)
        for name, parameter in model.named_parameters():
            expected = parameter.grad.flatten().tolist()
            assert one["gradients"][name] == pytest.approx(expected, rel=1e-9, abs=1e-14), name
        assert one["upward"] == pytest.approx(upward.flatten().tolist(), rel=1e-9, abs=1e-14)
        assert one["chi"] == pytest.approx(sc.chi(upward).flatten().tolist(), rel=1e-9)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("clip", [0.05, 100.0], ids=["clipped", "not clipped"])
def test_optimisers_take_pytorchs_steps(model, text, kind, clip):
    found = javascript(
        model,
        text,
        f"""
        const optimiser = m.{kind}({RATES[kind]});
        let state = m.startState(sizes);
        for (const [x, y] of given.windows) {{
          const r = m.lossAndGradients(sizes, parameters, x, y, state);
          state = r.state;
          m.clipNorm(r.gradients, {clip});
          optimiser(parameters, r.gradients);
        }}
        print(lists(parameters));
        """,
    )
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    optimiser = kinds[kind](model.parameters(), lr=RATES[kind])
    state = None
    for window in windows(text):
        _, _, state = pytorch_step(model, window, state)
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()
        optimiser.zero_grad()
    for name, parameter in model.named_parameters():
        expected = parameter.detach().flatten().tolist()
        assert found[name] == pytest.approx(expected, rel=1e-8, abs=1e-10), name


def test_a_seed_gives_the_same_untrained_model_each_time():
    made = run_node(
        f"""{IMPORT} const sizes = {{ V: 50, E: 8, H: 16 }};
        const one = (seed) => Object.values(m.initialise(sizes, seed)).map((v) => Array.from(v));
        print([one(1), one(1), one(2)]);"""
    )
    assert made[0] == made[1] != made[2]
    embedding, first, *_, bias = made[0]
    assert max(map(abs, embedding)) <= 0.1 and np.std(embedding) == pytest.approx(0.058, rel=0.1)
    assert max(map(abs, first)) <= 0.25 and bias == [0.0] * 50


SETTINGS = '{ optimiser: "sgd", rate: 5, seed: 3, E: 8, H: 8, B: 4, T: 5, clip: 0.25 }'


@pytest.fixture(scope="module")
def run():
    """Reports of a run over a text in which a word leaves two or three others to come next."""
    path = json.dumps((STATIC / "trainer.js").as_uri())
    draw = random.Random(0)
    ids = [0]
    while len(ids) < 400:
        ids.append((2 * ids[-1] + draw.choice([1, 1, 2, 5])) % 12)
    found = run_node(
        f"""import {{ EVERY, trainer }} from {path};
        const ids = {json.dumps(ids)};
        const run = trainer({{ ids, V: 12, eos: 0 }}, {SETTINGS});
        const reports = [];
        for (let n = 0; n < 8 * EVERY; n += 1) {{
          if (run.update() % EVERY === 0) reports.push(run.report());
        }}
        print([reports.map((r) => ({{ ...r, chi: Array.from(r.chi) }})), run.write()]);"""
    )
    return ids, *found


def test_a_run_learns_and_reports_what_it_learnt(run):
    _, reports, written = run
    assert [one["update"] for one in reports] == list(range(25, 201, 25))
    assert reports[-1]["loss"] < 0.7 * reports[0]["loss"]
    assert 0 not in written and set(written) <= set(range(12)) and len(written) <= 14


def test_rho_of_a_report_is_the_correlation_with_log_frequency(run):
    ids, reports, _ = run
    frequency = np.bincount(ids, minlength=12)
    chi = np.array([np.nan if value is None else value for value in reports[-1]["chi"]])
    known = np.isfinite(chi)
    assert known.sum() >= 4 and not known[0]  # <eos> is not a word
    assert np.all((chi[known] >= 8**-0.5) & (chi[known] <= 1))
    expected = np.corrcoef(np.log(frequency[known]), chi[known])[0, 1]
    assert reports[-1]["rho"] == pytest.approx(expected, rel=1e-9)


def test_the_widget_carries_text_and_worker():
    explorer = TrainingExplorer([1, 2, 0] * 100, ["<eos>", "a", "b"], hidden_size=4)
    data = explorer.data
    ids = np.frombuffer(base64.b64decode(data["ids"]), dtype="<u2")
    assert ids.tolist() == [1, 2, 0] * 100 and data["eos"] == 0
    assert data["settings"]["H"] == data["settings"]["E"] == 4
    code = explorer.get_state()["_worker"]
    assert "onmessage" in code and "export" not in code and "import " not in code


@pytest.mark.parametrize(
    ("ids", "words", "message"),
    [
        ([0, 1] * 200, ["the", "of"], "must hold '<eos>'"),
        ([0, 1] * 20, ["<eos>", "a"], "40 words, too few: it needs at least 210"),
        ([0, 2] * 200, ["<eos>", "a"], "between 0 and 1"),
    ],
)
def test_a_text_that_does_not_fit_is_named(ids, words, message):
    with pytest.raises(InputError, match=message):
        TrainingExplorer(ids, words)


def test_only_sentences_of_common_words_are_carried(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "home"))
    common = "\n\n".join("the cat sat on the mat .\nthe cat saw a zyzzyva ." for _ in range(40))
    path = tmp_path / "text.txt"
    path.write_text(common.replace("zyzzyva", "zyzzyva ", 1))
    text = common_sentences(str(path), max_types=7)
    words = [text["words"][n] for n in text["ids"]]
    assert set(words) <= {"the", "cat", "sat", "on", "mat", ".", "<eos>", "saw", "a"}
    assert "<unk>" not in words and words[-1] == "<eos>"
    with pytest.raises(InputError, match="max_types=2 leaves no sentence"):
        common_sentences(str(path), max_types=2)


def test_the_time_to_go_is_told_in_seconds_or_minutes():
    path = json.dumps((STATIC / "train.js").as_uri())
    told = run_node(f"import {{ lasting }} from {path}; print([1e3, 42e3, 150e3].map(lasting));")
    assert told == ["about 5 seconds", "about 40 seconds", "about 3 minutes"]
