"""Causes: only frequency changes, and the closed form is the gradient."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import sparsecore as sc
from sparsecore.data.encode import UNK_ID
from sparsecore.errors import InputError
from sparsecore.experiments.causes import task
from sparsecore.experiments.causes.config import ARMS, CONDITIONS, Causes, study
from sparsecore.experiments.causes.task import (
    Probe,
    alias_text,
    draw_conditions,
    gradients,
    row_chi,
)
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.runs.execute import execute
from tests.experiments.interrupt import interrupt, slow


def zipf_text(sentences, seed=0):
    generator = np.random.default_rng(seed)
    lines = []
    for _ in range(sentences):
        lines.append(" ".join(f"w{min(generator.zipf(1.3), 80)}" for _ in range(9)) + " .")
    return "\n\n".join(lines) + "\n"


QUICK_ARMS = ("sgd-5", "adam", "mingru", "transformer", "shuffled", "curriculum")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zipf")
    for number, (split, size) in enumerate({"train": 600, "valid": 80, "test": 20}.items()):
        (folder / f"{split}.txt").write_text(zipf_text(size, number))
    return str(folder)


def small(corpus, **changes):
    fields = {
        "corpus": corpus, "max_tokens": None, "max_types": 60, "num_words": 18, "first_rank": 3,
        "hidden_size": 8, "batch_size": 4, "sequence_length": 6, "num_updates": 40,
        "report_every": 20, "probe_tokens": 400, "device": "cpu",
    }  # fmt: skip
    return Causes(**{**fields, **changes})


# what is done to the text


def test_each_condition_has_equally_many_words_and_twins_are_new_types():
    words = draw_conditions(first_rank=5, num_types=100, num_words=60, seed=3)
    assert words["condition"].value_counts().to_dict() == dict.fromkeys(CONDITIONS, 10)
    assert words["word_id"].is_unique and words["word_id"].between(5, 99).all()
    split = words["condition"].str.startswith("split")
    assert sorted(words.loc[split, "twin"]) == list(range(100, 130))
    assert (words.loc[~split, "twin"] == -1).all()
    other = draw_conditions(first_rank=5, num_types=100, num_words=60, seed=4)
    assert not words["word_id"].equals(other["word_id"])


def test_occurrences_move_in_the_promised_shares_and_all_else_stays():
    ids = np.tile(np.arange(2, 40), 4_000)
    words = draw_conditions(first_rank=5, num_types=40, num_words=30, seed=0)
    changed = alias_text(ids, words, seed=0)
    for row in words.itertuples():
        kind, ratio = CONDITIONS[row.condition]
        here = changed[ids == row.word_id]
        stays = {"split": ratio / (1 + ratio), "thin": 1 / ratio, "intact": 1.0}[kind]
        assert (here == row.word_id).mean() == pytest.approx(stays, abs=0.04)
        if kind == "split":
            # pyrefly: ignore[bad-specialization]
            assert sorted(set(here)) == sorted([row.word_id, row.twin])
        elif kind == "thin":
            # pyrefly: ignore[bad-specialization]
            assert sorted(set(here)) == sorted([row.word_id, UNK_ID])
    untouched = ~np.isin(ids, words["word_id"])
    assert np.array_equal(changed[untouched], ids[untouched])


def test_more_words_than_there_are_is_an_error():
    with pytest.raises(InputError, match="at most the 5 words from rank 5 on, got 6"):
        draw_conditions(first_rank=5, num_types=10, num_words=6, seed=0)


# what is measured


@pytest.fixture(scope="module")
def layer():
    torch.manual_seed(0)
    return nn.Linear(12, 30), torch.randn(9, 12), torch.randint(30, (9,))


def test_the_closed_form_is_chi_of_the_backward_pass(layer):
    decoder, hidden, targets = layer
    leaf = hidden.clone().requires_grad_()
    nn.functional.cross_entropy(decoder(leaf), targets, reduction="sum").backward()
    assert torch.allclose(gradients(hidden, decoder, targets)["chi"], sc.chi(leaf.grad), atol=1e-6)


def test_chi_of_rows_alone_is_the_closed_form_at_the_text_s_frequencies(layer):
    decoder, _, _ = layer
    frequency = torch.arange(1.0, 31.0)
    only = nn.Linear(12, 30)
    with torch.no_grad():
        only.weight.copy_(decoder.weight)
        only.bias.copy_(frequency.log())
    targets = torch.arange(30)
    expected = gradients(torch.zeros(30, 12), only, targets)["chi"]
    assert torch.allclose(row_chi(decoder, frequency), expected, atol=1e-6)


def test_both_types_of_a_split_word_are_the_target_at_the_same_positions(layer):
    decoder, hidden, _ = layer
    decoder = copy.deepcopy(decoder).requires_grad_(False)
    twin = torch.full((30,), -1)
    twin[4] = 29
    probe = Probe(twin)
    words = torch.tensor([4, 4, 4, 7, 7, 8, 8, 8, 8])
    probe.add(hidden, decoder, words)
    table = probe.table(decoder, torch.ones(30)).set_index("type")
    assert table["count"].to_dict() == {4: 3, 7: 2, 8: 4, 29: 3}
    for kind in (4, 29):
        own = gradients(hidden[:3], decoder, torch.full((3,), kind))["chi"]
        assert table["chi"][kind] == pytest.approx(float(own.mean()), abs=1e-6)
    p = decoder(hidden).softmax(-1)
    natural = torch.cat([p[:3, 4] + p[:3, 29], p[3:].gather(1, words[3:, None])[:, 0]])
    assert probe.loss / probe.positions == pytest.approx(float(-natural.log().mean()), abs=1e-6)
    assert table["surprisal"][29] == pytest.approx(float(-natural[:3].log().mean()), abs=1e-6)


# the arms


@pytest.mark.parametrize("arm", [*QUICK_ARMS, *slow(sorted(set(ARMS) - {*QUICK_ARMS}))])
def test_every_arm_trains_and_measures_every_type(corpus, arm):
    run = execute(small(corpus, arm=arm), progress=False)
    types, probe, stream = (run.table(name) for name in ("types", "probe", "stream"))
    assert sorted(probe["update"].unique()) == sorted(stream["update"].unique()) == [20, 40]
    last = probe[probe["update"] == 40].set_index("type")
    split = types[types["role"] == "frequent"]
    assert len(split) == 9 and (types["role"] == "rare").sum() == 9
    both = last["count"].reindex(split["type"]).to_numpy()
    assert np.array_equal(both, last["count"].reindex(split["twin"]).to_numpy(), equal_nan=True)
    assert last["chi"].between(1 / np.sqrt(8) - 1e-6, 1).all()
    assert np.isfinite(run.epochs["valid_loss"]).all()


@pytest.mark.parametrize("steps", [20, *slow([7, 33])])
@pytest.mark.parametrize("arm", ["gru", *slow(["transformer"])])
def test_interrupted_anywhere_resumes_to_equal_tables(corpus, monkeypatch, tmp_path, arm, steps):
    config = small(corpus, arm=arm)
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "whole"))
    whole = execute(config, progress=False)
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "parts"))
    resumed, begun = interrupt(config, monkeypatch, steps)
    assert begun == 40 + 1
    for name in ("types", "stream", "probe", "epochs"):
        pd.testing.assert_frame_equal(resumed.table(name), whole.table(name))


def test_targets_are_shuffled_over_the_text_and_inputs_are_not(corpus):
    config = small(corpus, arm="shuffled")
    texts = task.Texts(config, task.prepare(config, progress=False))
    plain = task.Texts(small(corpus), task.prepare(config, progress=False))
    assert torch.equal(texts.inputs, plain.inputs)
    assert not torch.equal(texts.targets, plain.targets)
    same = [torch.bincount(t.targets.flatten(), minlength=70) for t in (texts, plain)]
    assert torch.equal(*same)


def test_a_curriculum_begins_with_frequent_targets_and_ends_with_all():
    torch.manual_seed(0)
    model = LSTMLanguageModel(200, 8, 8)
    hidden, targets = torch.randn(4, 5, 8), torch.arange(20).view(4, 5) * 10
    ranks = torch.arange(200)
    arm = ARMS["curriculum"]
    rare = dataclasses.replace(arm, curriculum=False)
    start, mean = task.loss_of(arm, model, hidden, targets, ranks, 0.0)
    expected = nn.functional.cross_entropy(
        model.logits(hidden).flatten(0, 1), targets.flatten(), reduction="none"
    )
    assert start.item() == pytest.approx(expected[:5].sum().item() / 20, rel=1e-5)
    assert mean.item() == pytest.approx(expected.mean().item(), rel=1e-5)
    assert task.loss_of(arm, model, hidden, targets, ranks, 0.5)[0] == mean
    assert task.loss_of(rare, model, hidden, targets, ranks, 0.0)[0] == mean


def test_a_penalty_lowers_chi_and_a_reward_raises_it():
    torch.manual_seed(0)
    hidden, targets = torch.randn(4, 5, 8), torch.randint(50, (4, 5))
    changed = {}
    for name in ("penalty", "reward"):
        torch.manual_seed(1)
        model = LSTMLanguageModel(50, 8, 8)
        arm = dataclasses.replace(ARMS[name], penalty=1e6 * ARMS[name].penalty)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-8)
        chi = [gradients(hidden.flatten(0, 1), model.decoder, targets.flatten())["chi"].mean()]
        task.loss_of(arm, model, hidden, targets, torch.arange(50), 0.0)[0].backward()
        optimizer.step()
        chi += [gradients(hidden.flatten(0, 1), model.decoder, targets.flatten())["chi"].mean()]
        changed[name] = float(chi[1] - chi[0])
    assert changed["penalty"] < 0 < changed["reward"]


# configurations


def test_a_study_has_every_arm_and_seed_or_those_asked_for():
    everything = study("small")
    assert len(everything) == 3 * len(ARMS)
    assert [(c.arm, c.seed) for c in everything[:4]] == [
        ("sgd-5", 0), ("sgd-5", 1), ("sgd-5", 2), ("sgd-20", 0)
    ]  # fmt: skip
    assert {c.arm for c in study("small", arm="gru")} == {"gru"}
    assert [c.seed for c in study("quick", arm="gru", seed=7)] == [7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": "sgd5"}, "unknown arm 'sgd5' .did you mean 'sgd-5'"),
        ({"num_words": 5}, "num_words must be from 6 to the 57 words"),
        ({"first_rank": 1}, "first_rank must be at least 2"),
        ({"num_updates": 30}, "num_updates must be a multiple of report_every=20"),
        ({"hidden_size": 6}, "hidden_size must be a multiple of 4"),
    ],
)
def test_bad_settings_are_one_line(corpus, changes, message):
    with pytest.raises(InputError, match=message):
        small(corpus, **changes)


def test_a_text_too_short_for_the_updates_is_one_line(corpus):
    with pytest.raises(InputError, match="needs 96004 training tokens, and"):
        execute(small(corpus, num_updates=4_000), progress=False)
