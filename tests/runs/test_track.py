"""``sparsecore track``: a run folder, resumed where it was killed; a sweep over checkpoints."""

import dataclasses
import hashlib
import json

import pandas as pd
import pytest

import sparsecore as sc
from sparsecore.cli import main
from sparsecore.errors import InputError
from sparsecore.measure.track_lm import LMTracking
from sparsecore.runs import track
from sparsecore.runs.store import list_runs, open_run
from sparsecore.runs.track import TrackedLM, revision_labels, track_run, track_sweep
from sparsecore.training.checkpoint import LAST
from tests.tiny_lm import TEXT, byte_level, llama

pytest.importorskip("transformers")
DOCUMENTS = [TEXT.replace("\n", " "), "It jumps over foxes.", TEXT[::-1].replace("\n", " ")]
DOWN = "*.mlp.down_proj:input"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two checkpoints of a model and a text of three documents."""
    folder = tmp_path_factory.mktemp("track")
    for seed, name in enumerate(("step-1", "step-2")):
        llama(seed).save_pretrained(folder / name)
        byte_level().save_pretrained(folder / name)
    (folder / "text.txt").write_text("\n".join(DOCUMENTS) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def config(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "home"))
    return TrackedLM(
        model=str(folder / "step-1"),
        corpus=str(folder / "text.txt"),
        layers=(DOWN,),
        gradients=True,
        length=16,
        batch_size=2,
        device="cpu",
    )


def test_a_run_is_the_table_of_track_lm_and_is_made_once(config, monkeypatch):
    run = track_run(config, progress=False)
    table = run.table("table")
    options = {"length": 16, "batch_size": 2, "progress": False}
    expected = sc.track_lm(llama(), byte_level(), DOCUMENTS, [DOWN], **options)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert run.done and run.experiment == "track" and run.config["layers"] == [DOWN]
    assert run.results["tokens"].iloc[0] == sum(
        len(byte_level()(text).input_ids) for text in DOCUMENTS
    )
    assert sorted(path.name for path in run.path.iterdir() if path.name[0] != ".") == [
        "DONE", "config.json", "environment.json", "results.parquet", "table.parquet",
    ]  # fmt: skip
    assert [one.path for one in list_runs("track")] == [open_run(run.path.name).path]
    monkeypatch.setattr(track, "load_lm", None)
    assert track_run(config, progress=False).path == run.path


def test_a_run_that_was_killed_goes_on_to_the_same_numbers(config, monkeypatch, tmp_path):
    whole = track_run(config, progress=False).table("table")
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")
    step, done = LMTracking.step, []

    def killed(tracking):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(tracking.at)
        return step(tracking)

    with monkeypatch.context() as patch:
        patch.setattr(LMTracking, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            track_run(config, progress=False)
    (unfinished,) = list_runs("track")
    assert not unfinished.done and (unfinished.path / LAST).exists()
    begun = []
    monkeypatch.setattr(LMTracking, "step", lambda t: begun.append(t.at) or step(t))
    resumed = track_run(config, progress=False)
    assert done == [0, 1, 2] and begun[0] == 3
    assert resumed.path == unfinished.path and not (resumed.path / LAST).exists()
    assert resumed.table("table").equals(whole)


def test_a_sweep_over_checkpoints_is_one_table_with_a_column_revision(config, folder, monkeypatch):
    other = dataclasses.replace(config, model=str(folder / "step-2"))
    sweep = track_sweep([config, other], progress=False)
    table = sweep.table("table")
    assert list(table.columns[:2]) == ["revision", "word"]
    for name, one in (("step-1", config), ("step-2", other)):
        alone = track_run(one, progress=False).table("table")
        part = table[table["revision"] == name].drop(columns="revision").reset_index(drop=True)
        assert part.equals(alone)
    assert not table[table["revision"] == "step-1"]["chi"].equals(
        table[table["revision"] == "step-2"]["chi"]
    )
    rho = sc.frequency_correlation(table, methods=["spearman"], n_boot=0)
    assert set(rho["revision"]) == {"step-1", "step-2"}
    monkeypatch.setattr(track, "load_lm", None)
    assert track_sweep([config, other], progress=False).path == sweep.path


def test_checkpoints_of_one_name_are_told_apart_by_their_paths():
    def labels(*pairs):
        return revision_labels([TrackedLM(m, "embedded", revision=r) for m, r in pairs])

    assert labels(("org/a", "step1"), ("org/a", "main")) == ["step1", "main"]
    assert labels(("x/last", None), ("y/last", None)) == ["x/last", "y/last"]
    assert labels(("org/a", "main"), ("org/b", "main")) == ["org/a@main", "org/b@main"]


def command(folder, *options):
    return main(
        ["track", str(folder / "step-1"), "--text", str(folder / "text.txt"), "--device", "cpu",
         "--no-progress", *options]
    )  # fmt: skip


def test_the_command_line_prints_a_row_a_layer_and_where_the_table_is(folder, config, capsys):
    assert command(folder, "--max-tokens", "40", "--length", "16", "--words", "pieces") == 0
    out = capsys.readouterr().out
    assert "model.layers.1 activation target" in out and "gradient" not in out
    path = out.split("table: ")[1].strip()
    assert (
        len(pd.read_parquet(path))
        and json.loads(
            open_run(path.rsplit("/", 1)[0])
            .path.joinpath("config.json")
            .read_text(encoding="utf-8")
        )["words"]
        == "pieces"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "*.mlp.down_porj:input"], "did you mean '*.mlp.down_proj'?"),
        (["--layers", "model.layer.0"], "did you mean 'model.layers.0'?"),
        (["--words", "frist"], "did you mean 'first'?"),
        (["--measures", "hoyr"], "did you mean 'hoyer'?"),
        (["--gradiets"], "did you mean '--gradients'?"),
        (["--length", "65"], "length must be at most 64, which the model reads"),
        (["--revisions", "main"], "revision='main' is for the hub"),
        (["--revisions", "a,,b"], "empty or named twice"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_near_match(folder, config, capsys, options, message):
    assert command(folder, *options) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    """The checkpoints as two revisions of one name in a cache of Hugging Face, without network."""
    cache = tmp_path / "hub"
    home = cache / "models--org--tiny"
    (home / "blobs").mkdir(parents=True)
    (home / "refs").mkdir()
    for number, name in enumerate(("step-1", "step-2")):
        commit = str(number) * 40
        snapshot = home / "snapshots" / commit
        snapshot.mkdir(parents=True)
        for file in (folder / name).iterdir():
            blob = home / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
            blob.write_bytes(file.read_bytes())
            (snapshot / file.name).symlink_to(blob)
        (home / "refs" / name).write_text(commit, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return home


def of_hub(folder, revisions, name="org/tiny"):
    options = ["--layers", DOWN, "--length", "16", "--gradients", "--device", "cpu"]
    text = ["--text", str(folder / "text.txt"), "--batch-size", "2", "--no-progress"]
    return main(["track", name, *text, "--revisions", revisions, *options])


def test_revisions_of_a_name_on_the_hub_are_a_column(folder, config, hub, capsys):
    assert of_hub(folder, "step-1, step-2") == 0
    table = pd.read_parquet(capsys.readouterr().out.split("table: ")[1].strip())
    for name in ("step-1", "step-2"):
        alone = track_run(dataclasses.replace(config, model=str(folder / name)), progress=False)
        part = table[table["revision"] == name].drop(columns="revision").reset_index(drop=True)
        assert part.equals(alone.table("table"))


@pytest.mark.parametrize(
    ("name", "revisions"), [("org/tiny", "step-1,step-3"), ("org/other", "step-1,step-2")]
)
def test_what_the_hub_lacks_is_refused_before_any_revision_is_read(
    folder, config, hub, capsys, monkeypatch, name, revisions
):
    monkeypatch.setattr(track, "load_lm", None)
    assert of_hub(folder, revisions, name) == 2
    error = capsys.readouterr().err
    missing = "org/tiny@step-3" if name == "org/tiny" else "org/other@step-1"
    assert missing in error and len(error.strip().splitlines()) == 1


def test_a_layer_that_gave_no_gradient_is_told_in_a_line(folder, config, caplog):
    layers = ["--layers", "*.mlp", "model.rotary_emb"]
    assert command(folder, *layers, "--max-tokens", "9", "--gradients") == 0
    assert "no gradient came for 'model.rotary_emb'" in caplog.text


def test_an_option_out_of_range_is_refused_before_anything_is_read():
    with pytest.raises(InputError, match="batch_size must be at least 1, got 0"):
        TrackedLM("nowhere", "nowhere", batch_size=0)
