"""The experiment end to end on a small text: what it writes, how it resumes, how it refuses."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError, TrainingError
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.emergent.task import Task
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs, open_run
from sparsecore.training.run_folder import Run
from tests.conftest import small_text
from tests.experiments.interrupt import interrupt, slow
from tests.processor import needs_bf16


def small(text_file, **changes):
    fields = {
        "corpus": str(text_file),
        "threshold": 2,
        "class_threshold": 2,
        "embedding_size": 16,
        "hidden_size": 15,
        "batch_size": 4,
        "sequence_length": 9,
        "epochs": 3,
        "device": "cpu",
    }
    return Emergent(**{**fields, **changes})


def tables(run: Run):
    """Every file whose content must not depend on interruptions, as bytes."""
    files = sorted([*run.path.glob("statistics/*"), run.path / "epochs.parquet"])
    return {f.name: f.read_bytes() for f in [*files, run.path / "weights.safetensors"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The uninterrupted run, computed once."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.txt").write_text(small_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(folder))
        return execute(small(folder / "small.txt"), progress=False)


def test_run_folder(finished, monkeypatch):
    monkeypatch.setenv("SPARSECORE_HOME", str(finished.path.parents[2]))
    assert finished.done and open_run(finished.path.name[:6]) == finished == list_runs()[0]
    assert list(finished.epochs["epoch"]) == [0, 1, 2, 3]
    words = len(finished.words)
    untrained = finished.epochs.loc[0]
    assert untrained["train_loss"] == pytest.approx(np.log(words), rel=0.02)
    assert finished.epochs["valid_loss"].iloc[-1] < untrained["valid_loss"] - 0.3
    assert untrained["learning_rate"] == 0
    assert set(finished.words["word_class"]) <= {"open", "closed", "none"}
    assert not (finished.path / "checkpoint.safetensors").exists()


@pytest.fixture(scope="module")
def in_parts(tmp_path_factory):
    """A run with the commonest words alone, planned cuts, and statistics within epochs."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "small.txt").write_text(small_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(folder))
        return execute(small(folder / "small.txt", **IN_PARTS), progress=False)


IN_PARTS = {
    "max_types": 12,
    "threshold": 1,
    "cuts": "1,2",
    "statistics_every": 20,
    "batch_size": 2,
}


def test_statistics_of_parts_add_up_to_those_of_their_epoch(in_parts):
    parts, keys = in_parts.part_statistics(), ["word_id", "layer", "signal", "role"]
    moments = sorted(parts["updates"].unique())
    updates = len(moments) // 3
    assert moments[0] == 0 and len(moments) == 3 * updates + 1 and updates >= 2
    assert moments[1:3] == [20, 40] and moments[updates] * 3 == moments[-1]
    first = parts[(parts["updates"] > 0) & (parts["updates"] <= moments[updates])]
    whole = in_parts.statistics([1]).set_index(keys).sort_index()
    assert first.groupby(keys, observed=True)["count"].sum().to_dict() == whole["count"].to_dict()
    means = first.assign(total=first["chi"] * first["count"]).groupby(keys, observed=True)
    mean = means["total"].sum() / means["count"].sum()
    np.testing.assert_allclose(mean, whole["chi"].reindex(mean.index), rtol=1e-5)


def test_the_commonest_words_are_kept_and_the_rate_falls_as_planned(in_parts):
    assert len(in_parts.words) == 12 + 2  # and <unk>, <eos>
    assert list(in_parts.epochs["step_cut"]) == [False, True, True, False]
    assert list(in_parts.epochs["learning_rate"]) == [0, 20, 5, 1.25]


@pytest.mark.parametrize(
    ("field", "value", "right"),
    [
        ("max_types", 12, "threshold must be 1 with max_types"),
        ("statistics_every", 30, "a multiple of 20"),
        ("cuts", "2,1", "rising epochs of 1 to 3"),
        ("cuts", "7", "rising epochs of 1 to 3"),
        ("cuts", "1;2", "rising epochs of 1 to 3"),
    ],
)
def test_choices_that_cannot_be_are_refused(field, value, right):
    with pytest.raises(InputError, match=right):
        small("text", **{field: value})


def test_statistics_cover_every_position_and_signal(finished):
    table = finished.statistics()
    groups = table.groupby(["epoch", "layer", "signal", "role"])["count"].sum()
    assert groups.nunique() == 1  # every signal counted every position
    keys = {key[1:] for key in groups.index}
    layers = ("embedding", "lstm1", "lstm2")
    expected = {(x, s, r) for x in layers for s in ("activation", "gradient") for r in ROLES}
    assert keys == expected | {("softmax", "gradient", r) for r in ROLES}
    assert table["chi"].between(16**-0.5 - 1e-4, 1).all() and (table["l1"] > 0).all()
    targets = table.query("role == 'target' and layer == 'softmax' and epoch == 1")
    frequent = targets.set_index("word")["count"]
    counts = finished.words.set_index("word")["frequency"][frequent.index]
    assert (frequent <= counts).all() and frequent.sum() > 0.95 * counts.sum()


ROLES = ("input", "target")


def test_filters_of_statistics(finished):
    last = finished.statistics([-1], layer="lstm2", signal="gradient", role="target")
    assert set(last["epoch"]) == {3} and set(last["layer"]) == {"lstm2"}
    with pytest.raises(InputError, match=r"no layer 'lstm9' \(did you mean"):
        finished.statistics([0], layer="lstm9")
    with pytest.raises(InputError, match="epochs 0 to 3, not 7"):
        finished.statistics([7])


def test_a_finished_run_is_not_computed_again(finished, text_file, monkeypatch):
    monkeypatch.setenv("SPARSECORE_HOME", str(finished.path.parents[2]))
    monkeypatch.setattr(Task, "step", lambda *_: pytest.fail("computed twice"))
    assert execute(small(text_file), progress=False) == finished


@pytest.mark.parametrize("steps", [37, *slow([1, 80, 119])])
def test_interrupted_anywhere_resumes_to_equal_tables(finished, text_file, monkeypatch, steps):
    run, begun = interrupt(small(text_file), monkeypatch, steps)
    assert begun == 1 + run_steps(run)  # one step was begun twice
    assert tables(run) == tables(finished)


def test_interrupted_within_a_part_resumes_to_equal_tables(in_parts, text_file, monkeypatch):
    run, _ = interrupt(small(text_file, **IN_PARTS), monkeypatch, 70)
    assert tables(run) == tables(in_parts)


def run_steps(run: Run) -> int:
    """Windows in the whole run, all epochs."""
    positions = run.statistics([0], "softmax", "gradient", "target")["count"].sum()
    return -(-int(positions) // (4 * 9)) * 4


def test_total_gradients_and_after_dropout(text_file):
    base = execute(small(text_file, epochs=1), progress=False)
    total = execute(small(text_file, epochs=1, gradient="total"), progress=False)
    after = execute(small(text_file, epochs=1, dropout_side="after"), progress=False)

    def chi(run, layer, signal):
        return run.statistics([0], layer, signal, "target").set_index("word")["chi"]

    pd.testing.assert_series_equal(
        chi(base, "lstm2", "activation"), chi(total, "lstm2", "activation"), rtol=1e-4
    )
    assert not np.allclose(chi(base, "lstm2", "gradient"), chi(total, "lstm2", "gradient"), 1e-2)
    assert (chi(after, "lstm1", "activation") > chi(base, "lstm1", "activation")).mean() > 0.9


def test_divergence_is_named(text_file):
    with pytest.raises(TrainingError, match=r"diverged in epoch 1 .* smaller learning_rate"):
        execute(small(text_file, learning_rate=1e38, clip=1e30), progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 5000}, "too few for batch_size=5000: it needs at least 10000"),
        ({"corpus": "embeded"}, "unknown corpus 'embeded'"),
        ({"device": "cdua"}, r"unknown device 'cdua' \(did you mean 'cuda'"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"tagger": "en_none_sm"}, "en_none_sm"),
        ({"threshold": 10**6}, "threshold"),
    ],
)
def test_bad_input_writes_no_run(text_file, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        execute(small(text_file, **changes), progress=False)
    assert "\n" not in str(caught.value)
    assert not list_runs()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": 1.5}, "epochs must be a whole number, got 1.5"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"gradient": "down"}, "gradient must be 'upward' or 'total', got 'down'"),
        ({"gradient": "total", "dropout_side": "after"}, "dropout_side must be 'before' with"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
    ],
)
def test_bad_fields_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Emergent(**changes)


def test_presets():
    assert Emergent.preset("paper", corpus="x").epochs == 50
    assert Emergent.preset("quick", seed=3, epochs=None) == dataclasses.replace(
        Emergent.preset("quick"), seed=3
    )
    with pytest.raises(InputError, match=r"unknown preset 'smal' \(did you mean 'small'"):
        Emergent.preset("smal")
    with pytest.raises(InputError, match=r"unknown parameter 'sead' \(did you mean 'seed'"):
        Emergent.preset("quick", sead=1)


@needs_bf16
@pytest.mark.parametrize("gradient", ["upward", "total"])
def test_bf16_is_close_to_float32(text_file, gradient):
    fields = {"epochs": 2, "gradient": gradient, "dropout": 0.0, "learning_rate": 2.0}
    exact = execute(small(text_file, **fields), progress=False)
    rough = execute(small(text_file, precision="bf16", **fields), progress=False)
    assert rough.path != exact.path
    a, b = (run.epochs["valid_loss"].iloc[-1] for run in (exact, rough))
    assert a == pytest.approx(b, rel=0.02) and a != b
    mean_a, mean_b = (run.statistics([0], "lstm2")["chi"].mean() for run in (exact, rough))
    assert mean_a == pytest.approx(mean_b, rel=0.02)
