"""The tracker's tables equal what float64 autograd says, for any module."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sparsecore as sc
from sparsecore.models.language_model import LSTMLanguageModel

T, B, D, V = 7, 3, 6, 5
SIGNALS = ("embedding", "lstm1", "lstm2")


def text(seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(V, (T + 1, B), generator=g)


def model64(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return LSTMLanguageModel(V, D, D, dropout=dropout).double()


def unfused(model, inputs, targets):
    """The same model written out step by step: every signal of every step a leaf of its own."""
    taps = {name: [] for name in SIGNALS}
    upward = {name: [] for name in SIGNALS}
    state = {name: (torch.zeros(B, D).double(), torch.zeros(B, D).double()) for name in SIGNALS[1:]}
    logits = []
    for t in range(T):
        x = model.embedding(inputs[t])
        for name in SIGNALS:
            if name != "embedding":
                m = getattr(model, name)
                gates = (
                    x @ m.weight_ih_l0.T
                    + m.bias_ih_l0
                    + state[name][0] @ m.weight_hh_l0.T
                    + m.bias_hh_l0
                )
                i, f, g, o = gates.chunk(4, -1)
                c = f.sigmoid() * state[name][1] + i.sigmoid() * g.tanh()
                x = o.sigmoid() * c.tanh()
                state[name] = (x, c)
            x.retain_grad()
            taps[name].append(x)
            x = x * 1  # the copy that goes up: its gradient is what the layers above pass down
            x.retain_grad()
            upward[name].append(x)
        logits.append(F.linear(x, model.decoder.weight, model.decoder.bias))
    logits = torch.stack(logits)
    logits.retain_grad()
    F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    grads = {
        "total": {n: torch.stack([x.grad for x in taps[n]]) for n in SIGNALS},
        "upward": {n: torch.stack([x.grad for x in upward[n]]) for n in SIGNALS},
    }
    activations = {n: torch.stack(taps[n]).detach() for n in SIGNALS}
    return activations, grads, logits.grad


def per_word(values, words):
    """Mean chi, mean ℓ1 and count by word, written out."""
    chi = (values.norm(2, -1) / values.norm(1, -1)).flatten()
    l1 = values.norm(1, -1).flatten()
    rows = pd.DataFrame({"word_id": words.flatten(), "chi": chi, "l1": l1})
    grouped = rows.groupby("word_id")
    return grouped.mean().assign(count=grouped.size())


def compare(table, layer, signal, role, expected):
    rows = table.query("layer == @layer and signal == @signal and role == @role")
    rows = rows.set_index("word_id").sort_index()
    assert list(rows.index) == list(expected.index)
    for column in ("chi", "l1"):
        np.testing.assert_allclose(rows[column], expected[column], rtol=1e-6, atol=1e-9)
    assert (rows["count"] == expected["count"]).all()


@pytest.mark.parametrize("gradient", ["upward", "total"])
def test_language_model_agrees_with_retain_grad(gradient):
    ids = text()
    inputs, targets = ids[:-1], ids[1:]
    model = model64()
    with sc.track(model, SIGNALS, gradient=gradient) as tracker:
        tracker.words(input_ids=inputs, target_ids=targets, gradient_scale=T * B)
        hidden, _ = model(inputs)
        loss, chi, l1 = model.loss(hidden, targets)
        loss.backward()
        tracker.add("softmax", "gradient", chi, l1)
    table = tracker.table()
    fused_gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    activations, gradients, softmax = unfused(model, inputs, targets)
    for ours, theirs in zip(fused_gradients, model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.grad)
    for role, words in (("input", inputs), ("target", targets)):
        for name in SIGNALS:
            compare(table, name, "activation", role, per_word(activations[name], words))
            scaled = gradients[gradient][name] * T * B
            compare(table, name, "gradient", role, per_word(scaled, words))
        compare(table, "softmax", "gradient", role, per_word(softmax * T * B, words))


def test_total_and_upward_differ_below_the_last_step_only():
    ids = text(3)
    model = model64(1)
    _, gradients, _ = unfused(model, ids[:-1], ids[1:])
    total, upward = gradients["total"]["lstm2"], gradients["upward"]["lstm2"]
    assert torch.equal(total[-1], upward[-1])
    assert (total[:-1] - upward[:-1]).abs().amax() > 1e-4


def test_dropout_zeroes_gradients_before_and_not_after():
    ids = text()
    model = model64(dropout=0.5)
    layers = {"before": "lstm2", "after": "lstm2_dropout"}
    with sc.track(model, layers) as tracker:
        tracker.words(target_ids=ids[1:])
        hidden, _ = model(ids[:-1])
        model.loss(hidden, ids[1:])[0].backward()
    mean = tracker.table().query("signal == 'gradient'").groupby("layer")["chi"].mean()
    assert mean["before"] > mean["after"]


def test_gru_batch_first_total():
    torch.manual_seed(0)
    gru = nn.GRU(4, D, batch_first=True).double()
    model = nn.Sequential(gru)
    x = torch.randn(B, T, 4).double()
    words = torch.randint(V, (B, T))
    weight = torch.randn(B, T, D).double()
    with sc.track(model, [gru], gradient="total") as tracker:
        tracker.words(input_ids=words)
        out, final = model(x)
        (out * weight).sum().backward()
    reference, reference_final = gru(x)
    torch.testing.assert_close((out, final), (reference, reference_final))
    h, steps = torch.zeros(B, D).double(), []
    for t in range(T):
        h = torch.gru_cell(x[:, t], h, *gru._flat_weights)
        h.retain_grad()
        steps.append(h)
    (torch.stack(steps, 1) * weight).sum().backward()
    gradients = torch.stack([h.grad for h in steps], 1)
    compare(tracker.table(), "0", "gradient", "input", per_word(gradients, words))
    compare(tracker.table(), "0", "activation", "input", per_word(out.detach(), words))


def test_transformer_encoder_any_layer():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(D, 2, 8, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double()
    x = torch.randn(B, T, D).double()
    words = torch.randint(V, (B, T))
    with sc.track(model, ["layers.0.linear1", "layers.1"]) as tracker:
        tracker.words(input_ids=words)
        model(x).square().sum().backward()
    h0 = model.layers[0](x)
    h0.retain_grad()
    out = model.layers[1](h0)
    out.retain_grad()
    out.square().sum().backward()
    table = tracker.table()
    compare(table, "layers.1", "gradient", "input", per_word(out.grad, words))
    compare(table, "layers.1", "activation", "input", per_word(out.detach(), words))
    assert set(table["layer"]) == {"layers.0.linear1", "layers.1"}


def test_merge_is_bit_equal_in_any_order():
    model = model64()
    batches = [text(seed) for seed in range(5)]

    def tracked(some):
        with sc.track(model, SIGNALS) as tracker:
            for ids in some:
                tracker.words(input_ids=ids[:-1], target_ids=ids[1:])
                hidden, _ = model(ids[:-1])
                model.loss(hidden, ids[1:])[0].backward()
        return tracker

    whole = tracked(batches)
    merged = tracked(batches[3:])
    merged.merge(tracked(batches[2::-1]))
    assert whole.sums.keys() == merged.sums.keys()
    assert all(torch.equal(whole.sums[key], merged.sums[key]) for key in whole.sums)


def test_negative_ids_and_pauses_count_for_nothing():
    model = model64()
    ids = text()
    padded = ids[1:].clone()
    padded[2:] = -100
    with sc.track(model, ["lstm2"], gradients=False) as tracker:
        with tracker.paused():
            model(ids[:-1])
        tracker.words(target_ids=padded)
        model(ids[:-1])
    table = tracker.table()
    assert table["count"].sum() == 2 * B
    assert set(table["signal"]) == {"activation"}
    assert not model.lstm2._forward_hooks


def test_table_has_words_and_corpus_frequencies():
    words = ["<unk>", "a", "b", "c", "d"]
    with sc.track(model64(), ["embedding"], vocabulary=words, counts=[9, 8, 7, 6, 5]) as tracker:
        ids = torch.tensor([[1, 2]])
        tracker.words(input_ids=ids)
        hidden, _ = tracker_model(tracker)(ids)
        hidden.sum().backward()
    table = tracker.table()
    assert list(table["word"].unique()) == ["a", "b"]
    assert set(table["frequency"]) == {8, 7}


def tracker_model(tracker):
    """A model around the tracked layer, so that its hooks run."""
    embedding = tracker.layers["embedding"]
    return lambda ids: (embedding(ids), None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: sc.track(m, ["lstm3"]), r"no layer 'lstm3' \(did you mean 'lstm[12]'"),
        (lambda m: sc.track(m, "lstm1"), "must be a list"),
        (lambda m: sc.track(m, []), "at least one layer"),
        (lambda m: sc.track(m, [nn.Linear(1, 1)]), "not in the model"),
        (lambda m: sc.track(m, ["lstm1"], gradient="up"), "'upward' or 'total', got 'up'"),
        (lambda m: sc.track(m, ["lstm1"], vocabulary=["a"], counts=[1, 2]), "2 counts"),
        (lambda m: sc.track(m, ["lstm1"]).table(), "nothing was tracked"),
        (lambda m: sc.track(m, ["lstm1"]).words(), "got neither"),
        (lambda m: sc.track(m, ["lstm1"]).words(torch.zeros(2)), "must be integers"),
        (
            lambda m: sc.track(m, ["lstm1"], vocabulary=["a"]).words(torch.ones(2).long()),
            "has 1 words",
        ),
    ],
)
def test_bad_use_is_one_clear_line(call, message):
    with pytest.raises(sc.InputError, match=message):
        call(model64())


def test_forward_before_words_and_wrong_layout():
    model, ids = model64(), text()
    with sc.track(model, ["lstm1"]) as tracker:
        with pytest.raises(sc.InputError, match="ran before words"):
            model(ids[:-1])
        tracker.words(input_ids=ids[:-1].T)
        with pytest.raises(sc.InputError, match="same layout"):
            model(ids[:-1])


def test_total_needs_one_layer_and_one_direction():
    for rnn in (nn.LSTM(3, 3, 2), nn.GRU(3, 3, bidirectional=True), nn.RNN(3, 3)):
        with pytest.raises(sc.InputError, match="total gradients need"):
            sc.track(nn.Sequential(rnn), ["0"], gradient="total")
