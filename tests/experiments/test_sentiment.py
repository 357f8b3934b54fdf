"""The sentiment experiment end to end on generated reviews: what it learns, keeps and writes."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from sparsecore.data.contextual import Contextual
from sparsecore.errors import InputError, TrainingError
from sparsecore.experiments.registry import identity
from sparsecore.experiments.sentiment.config import (
    STUDIES,
    Sentiment,
    lengths_of,
    random_search,
    structure_of,
    study,
    tune,
)
from sparsecore.experiments.sentiment.task import Task, extract, prepare
from sparsecore.models.classifier import SequenceClassifier, rational_classifier, rnn_of
from sparsecore.pruning.compact import kept_lengths
from sparsecore.pruning.groups import group_norms
from sparsecore.pruning.patterns import explain
from sparsecore.pruning.search import StrengthSearch
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs
from sparsecore.training.documents import logits_of, lookup, make_batches, rows_of_words
from sparsecore.training.loop import train
from sparsecore.training.schedule import EarlyStopping
from tests.pruning.planted import write_planted


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Reviews whose label hangs on "not [word] worth X" against "so [word] worth X"."""
    return write_planted(tmp_path_factory.mktemp("planted"))


def config(planted, **changes):
    fields = {
        "corpus": str(planted / "reviews.tsv"),
        "vectors": str(planted / "vectors.txt"),
        "structure": "0,0,4",
        "learning_rate": 0.05,
        "embed_dropout": 0.0,
        "rnn_dropout": 0.0,
        "batch_size": 16,
        "max_epochs": 25,
        "patience": 6,
        "plateau": 3,
        "device": "cpu",
    }
    return Sentiment(**{**fields, **changes})


@pytest.fixture(scope="module")
def learned(planted, tmp_path_factory):
    """An uninterrupted run that learns its structure, computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(tmp_path_factory.mktemp("learned")))
        given = config(planted, goal=4, tolerance=2, strength=5e-4, finetune_from="both")
        return execute(given, progress=False)


def read(run, name):
    return pd.read_parquet(run.path / f"{name}.parquet")


def test_a_planted_pattern_is_learned(planted):
    run = execute(config(planted), progress=False)
    row = run.results.iloc[0]
    assert row["test_accuracy"] >= 0.95 and row["kept"] == "0,0,4,0" and row["transitions"] == 12
    assert list(read(run, "epochs")["phase"].unique()) == ["baseline"]
    assert not (run.path / "checkpoint.safetensors").exists()


def test_a_refined_baseline_is_trained_twice_and_resumes(planted, monkeypatch, tmp_path):
    given = config(planted, structure="0,1", refine=True, max_epochs=3, patience=2)
    run = execute(given, progress=False)
    epochs = read(run, "epochs")
    first = epochs[epochs["phase"] == "baseline"]
    assert set(epochs["phase"][len(first) :]) == {"refine"}
    assert len(epochs) == run.results["epochs"].item()
    assert len(read(run, "trials")) == 1
    once = execute(config(planted, structure="0,1", max_epochs=3, patience=2), progress=False)
    assert once.path != run.path and len(once.epochs) == len(first)
    pd.testing.assert_frame_equal(once.epochs, first)

    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(Task, "_end_main", stop)
        with pytest.raises(KeyboardInterrupt):
            execute(given, progress=False)
    again = execute(given, progress=False)
    assert (again.path / "weights.safetensors").read_bytes() == (
        run.path / "weights.safetensors"
    ).read_bytes()


def test_group_lasso_removes_what_is_not_needed_and_the_phrases_name_the_pattern(learned):
    row = learned.results.iloc[0]
    assert row["test_accuracy"] >= 0.95 and 2 <= row["transitions"] <= 6
    states = read(learned, "states")
    assert len(states) == 12 and states["kept"].sum() == row["transitions"]
    assert (states.loc[~states["kept"], "norm"] < states.loc[states["kept"], "norm"].min()).any()
    patterns = read(learned, "patterns")
    assert set(patterns["label"]) <= {"bad", "good"}
    longest = patterns[patterns["state"] == 2]
    steps = longest["transition_1"] + " " + longest["transition_2"]
    words = steps.str.replace(r"\S+_SL ", "", regex=True)
    extreme = words[longest["rank"] == 1]
    assert extreme.isin(["not worth", "so bad", "so worth", "not bad"]).mean() > 0.5


def test_what_a_search_writes(learned):
    trials = read(learned, "trials")
    row = learned.results.iloc[0]
    assert abs(trials["transitions"].iloc[-1] - 4) <= 2
    assert row["trials"] == len(trials) and row["log10_strength"] == pytest.approx(
        math.log10(trials["strength"].iloc[-1])
    )
    epochs = read(learned, "epochs")
    assert list(epochs["phase"].unique()) == ["structure", "finetune", "scratch"]
    assert (epochs["penalty"] > 0).eq(epochs["phase"] == "structure").all()
    predictions = read(learned, "predictions")
    right = (predictions["margin"] > 0) == (predictions["label"] == 1)
    assert right.sum() == row["test_correct"] and len(right) == row["test_documents"]
    assert row["scratch_test_accuracy"] > 0.5 and row["extracted_accuracy"] > 0.8
    assert read(learned, "corpora")["test_documents"].iloc[0] == row["test_documents"]


def everything(run):
    names = [*(p.name for p in run.path.glob("*.parquet")), "weights.safetensors"]
    names.remove("timing.parquet")
    return {name: (run.path / name).read_bytes() for name in names}


@pytest.mark.parametrize("stop", [2, 17])
def test_interrupted_runs_resume_to_equal_tables(planted, learned, monkeypatch, stop):
    original, done = Task.batches, []

    def interrupted(self, epoch):
        done.append(None)
        if len(done) == stop:
            raise KeyboardInterrupt
        return original(self, epoch)

    monkeypatch.setattr(Task, "batches", interrupted)
    monkeypatch.setattr("sparsecore.training.loop.PAUSE", 0.0)  # a checkpoint after every epoch
    given = config(planted, goal=4, tolerance=2, strength=5e-4, finetune_from="both")
    with pytest.raises(KeyboardInterrupt):
        execute(given, progress=False)
    torch.manual_seed(99)  # a fresh process would not have this one's random state
    run = execute(given, progress=False)
    assert everything(run) == everything(learned)
    assert len(done) == len(read(run, "epochs")) + 2  # the last one finds nothing more to do


def test_a_goal_that_cannot_be_met_ends_with_what_was_tried(planted, monkeypatch):
    given = config(planted, goal=6, tolerance=0, strength=1e-7, max_tries=2, max_epochs=1)
    message = r"no strength leaves 6 ± 0 transitions in 2 tries .*1e-07: 0, 5e-08: 0"
    with pytest.raises(TrainingError, match=message):
        execute(given, progress=False)
    (run,) = list_runs()
    assert not run.done and list(read(run, "trials")["transitions"]) == [0, 0]
    monkeypatch.setattr(Task, "step", lambda *_: pytest.fail("tried again"))
    with pytest.raises(TrainingError, match=message):
        execute(given, progress=False)


def test_a_strength_that_removes_everything_is_named(planted):
    with pytest.raises(TrainingError, match=r"strength=5\.0 leaves no state"):
        execute(config(planted, strength=5.0, max_epochs=4), progress=False)


def trained(given, inputs, folder, epochs):
    """A task after so many epochs, and their table."""
    task = Task(given, inputs, folder)
    task.epochs = range(1, epochs + 1)
    train(task, folder, progress=False)
    return task, pd.read_parquet(folder / "epochs.parquet")


def test_the_proximal_variant_reaches_exact_zeros(planted, tmp_path):
    norms = {}
    for proximal in (True, False):
        given = config(planted, strength=1.0, proximal=proximal, seed=1)
        task, epochs = trained(given, prepare(given, False), tmp_path / str(proximal), 5)
        norms[proximal] = group_norms(task.model.rnn).detach()
        assert (epochs["penalty"].iloc[-1] > 0) != proximal
    assert (norms[True] == 0).any() and not (norms[False] == 0).any()


def test_a_found_structure_can_be_trained_from_scratch_alone(planted):
    given = config(planted, strength=2e-3, max_epochs=8, finetune_from="scratch")
    run = execute(given, progress=False)
    assert list(read(run, "epochs")["phase"].unique()) == ["structure", "scratch"]
    assert run.results["transitions"].iloc[0] == read(run, "trials")["transitions"].iloc[0]


def test_divergence_is_named(planted):
    with pytest.raises(TrainingError, match="diverged in epoch 1 by step"):
        execute(config(planted, learning_rate=1e20, clip=1e20), progress=False)


def test_extraction_is_exact():
    torch.manual_seed(0)
    model = rational_classifier(5, [3, 2, 4], 0.0, 0.0).eval()
    rnn = rnn_of(model)
    with torch.no_grad():
        for row in (1, 2, 3, 8):  # WFSA 0 keeps one state, 1 none, 2 three
            rnn.main[row] *= 1e-3
            rnn.loop[row] *= 1e-3
    small = extract(model, 0.1).eval()
    assert kept_lengths(rnn, 0.1) == [[1, 0, 3]] and rnn_of(small).lengths == (1, 3)
    with torch.no_grad():
        for row in (1, 2, 3, 4, 8):
            for weight in (rnn.main, rnn.loop, rnn.bias):
                weight[row] = 0
        model.output.weight[:, 1] = 0
    x = torch.randn(9, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(small.double()(x), model.double()(x), rtol=0, atol=1e-12)


def test_padding_and_pieces_change_nothing(planted):
    inputs = prepare(config(planted), progress=False)
    documents = inputs.corpus.train
    model = rational_classifier(inputs.width, [2, 3], 0.0, 0.0).eval()
    table = torch.from_numpy(inputs.table)
    batches = make_batches(
        documents, 16, torch.device("cpu"), rows_of_words(documents, len(inputs.corpus.words))
    )
    whole = logits_of(model, batches, table)
    for number in (0, 7):
        x = inputs.vectors("train", number).unsqueeze(1)
        torch.testing.assert_close(model(x)[0], whole[number], rtol=1e-4, atol=1e-6)
    assert sorted(batches.order.tolist()) == list(range(len(documents)))
    assert inputs.tokens("train", 0)[0] == "<s>" and inputs.tokens("train", 0)[-1] == "</s>"


def test_tables_of_half_precision_are_read_as_float32():
    table = torch.randn(5, 3).half()
    found = lookup(table, torch.tensor([[0, 4], [2, 2]]))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0, 1], table[4].float())


def test_contextual_vectors_are_read_token_by_token(planted, monkeypatch):
    corpus = prepare(config(planted), progress=False).corpus
    tokens = {split: len(getattr(corpus, split).ids) for split in ("train", "dev", "test")}
    table = np.random.default_rng(0).normal(size=(1 + sum(tokens.values()), 6)).astype("float16")
    table[0] = 0
    first = {"train": 1, "dev": 1 + tokens["train"], "test": 1 + tokens["train"] + tokens["dev"]}
    encoded = Contextual("0" * 64, table, first, {"vectors": "x", "width": 6})
    monkeypatch.setattr("sparsecore.data.contextual.is_encoder", lambda vectors: True)
    monkeypatch.setattr("sparsecore.data.contextual.contextual_vectors", lambda *_, **__: encoded)
    given = config(planted, strength=1e-4, max_epochs=2)
    inputs = prepare(given, progress=False)
    assert inputs.tokens("dev", 1) == corpus.tokens("dev", 1)  # no boundaries
    start = first["dev"] + len(corpus.tokens("dev", 0))
    expected = torch.from_numpy(table[start : start + len(corpus.tokens("dev", 1))]).float()
    torch.testing.assert_close(inputs.vectors("dev", 1), expected)
    _, epochs = trained(given, inputs, planted / "contextual", 1)
    assert epochs["train_loss"][0] < 2


def test_search_follows_the_rule_and_is_bounded():
    search = StrengthSearch(goal=40, tolerance=5, max_tries=4, strength=1e-3)
    assert [search.update(n) for n in (0, 90, 30, 20)] == ["again", "again", "again", "failed"]
    assert search.strength == pytest.approx(1e-3 / 2 * 1.5 / 1.25) and search.tries == 4
    assert StrengthSearch(3, 10, 9, 1e-3).update(0) == "again"  # nothing left is never near enough
    assert StrengthSearch(3, 1, 99, 99.0).update(9) == "failed"  # beyond the largest λ


def test_fit_keeps_the_best_and_halves_on_a_plateau():
    fit = EarlyStopping(0.4)
    errors = [0.5, 0.3, 0.3, 0.4, 0.3, 0.2]
    assert [fit.update(e, e, 2) for e in errors] == [True, True, False, False, False, True]
    assert (fit.best_epoch, fit.learning_rate) == (6, 0.2)
    fit = EarlyStopping(0.4)
    assert [fit.update(e, e, None) for e in errors] and fit.learning_rate == 0.4


def test_structures_are_read_and_written():
    assert lengths_of("6,0,1") == [1] * 6 + [3] and structure_of([1, 0, 3, 5]) == "1,0,1,0,1"
    for wrong in ("", "a", "0,0", "-1,3"):
        with pytest.raises(InputError, match="structure must be"):
            lengths_of(wrong)


def test_draws_are_in_range_with_rising_rates():
    drawn = random_search(3, 50)
    rates = [draw["learning_rate"] for draw in drawn]
    assert rates == sorted(rates) and rates[0] >= 7e-3 and rates[-1] <= 0.5
    assert all(1 <= draw["clip"] <= 5 and draw["rnn_dropout"] <= 0.5 for draw in drawn)
    assert np.median(rates) == pytest.approx(0.06, rel=0.6)  # log-uniform
    with pytest.raises(InputError, match="count must be at least 1"):
        random_search(0, 0)


def test_study_and_tuning_configurations():
    runs = study("small")
    points = STUDIES["small"]
    assert len(runs) == 5 * 4 * (5 + len(points.goals)) == len(set(runs))
    assert {c.category for c in runs} == {"kitchen", "dvd", "books", "mix"}
    assert {c.goal for c in runs if c.goal} == set(points.goals)
    assert all(c.structure == "0,0,0,24" for c in runs if c.goal)
    only = study("small", category="books", seed=7)
    assert {c.category for c in only} == {"books"} and {c.seed for c in only} == {7, 8, 9, 10, 11}
    with pytest.raises(InputError, match="goal is one of what the study varies"):
        study("small", goal=3)
    assert len(set(tune("small"))) == 16 and len({c.clip for c in tune("small")}) == 8
    assert all(c.strength == 0 for c in tune("quick"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"goal": 96, "strength": 1.0}, r"goal must be in \[1, 96\), or none, got 96"),
        ({"goal": 40}, "strength must be above 0 where there is a goal"),
        ({"strength": -1.0}, "strength must be at least 0"),
        ({"structure": "24"}, None),
        ({"structure": "x"}, "structure must be how many WFSAs"),
        ({"finetune_from": "nothing"}, "finetune_from must be one of"),
        ({"embed_dropout": 1.0}, r"embed_dropout must be in \[0, 1\)"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"max_epochs": 2.5}, "max_epochs must be a whole number"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
    ],
)
def test_bad_fields_are_refused(changes, message):
    if message is None:
        assert Sentiment(**changes).structure == "24"
        return
    with pytest.raises(InputError, match=message):
        Sentiment(**changes)


def test_presets_name_their_near_matches():
    with pytest.raises(InputError, match="did you mean 'small'"):
        Sentiment.preset("smal")
    with pytest.raises(InputError, match=r"unknown parameter 'gaol' .did you mean 'goal'"):
        Sentiment.preset("quick", gaol=3)


def test_bad_input_writes_no_run(planted):
    for changes, message in (
        ({"vectors": str(planted / "none.txt")}, "does not exist"),
        ({"category": "x"}, "no category 'x'"),
        ({"device": "cdua"}, "unknown device"),
    ):
        with pytest.raises(InputError, match=message):
            execute(config(planted, **changes), progress=False)
    assert not list_runs()


def test_equal_content_is_one_run_wherever_the_files_are(planted, tmp_path):
    for name in ("reviews.tsv", "vectors.txt"):
        (tmp_path / name).write_bytes((planted / name).read_bytes())
    one, other = config(planted), config(tmp_path)
    same = identity(one, prepare(one, False)), identity(other, prepare(other, False))
    assert same[0] == same[1]
    more = dataclasses.replace(one, seed=1)
    assert identity(more, prepare(more, False)) != same[0]


def test_a_decision_adds_up(planted, learned):
    inputs = prepare(config(planted), progress=False)
    weights = load_file(learned.path / "weights.safetensors")
    lengths = lengths_of(learned.results["kept"].iloc[0])
    model = SequenceClassifier(
        rational_classifier(inputs.width, lengths, 0.0, 0.0).rnn, len(lengths)
    )
    assert sum(lengths) == len(weights["rnn.bias"])
    x = inputs.vectors("test", 0)
    model.requires_grad_(False)
    decision, words = explain(rnn_of(model), model.output, x, inputs.tokens("test", 0))
    logits = model(x.unsqueeze(1))[0]
    assert decision["contribution"].sum() == pytest.approx(
        float(logits[1] - logits[0]), rel=1e-4, abs=1e-6
    )
    assert set(words["role"]) <= {"before", "taken", "loop"}
