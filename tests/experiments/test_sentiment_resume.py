"""A sentiment run that was stopped within an epoch, or as its search failed."""

import pytest

from sparsecore.errors import TrainingError
from sparsecore.experiments.sentiment.config import Sentiment
from sparsecore.experiments.sentiment.task import Task
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs
from sparsecore.training.checkpoint import CheckpointManager, load_checkpoint
from tests.pruning.planted import write_planted
from tools.torture import contents


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return write_planted(tmp_path_factory.mktemp("planted"), count=200)


def config(planted, **changes):
    fields = {
        "corpus": str(planted / "reviews.tsv"),
        "vectors": str(planted / "vectors.txt"),
        "structure": "0,0,2",
        "strength": 1e-5,
        "embed_dropout": 0.0,
        "rnn_dropout": 0.1,
        "finetune_from": "both",
        "learning_rate": 0.05,
        "batch_size": 8,
        "max_epochs": 5,
        "device": "cpu",
    }
    return Sentiment(**{**fields, **changes})


@pytest.fixture(scope="module")
def expected(planted, tmp_path_factory):
    """What the undisturbed run writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(tmp_path_factory.mktemp("home")))
        return contents(execute(config(planted), progress=False).path)


STEPS = 16  # an epoch: 128 documents
PHASES = {3: "structure", 90: "finetune", 170: "scratch"}


@pytest.mark.parametrize("stop", PHASES)
def test_stopped_within_an_epoch_it_resumes_to_equal_tables(planted, expected, monkeypatch, stop):
    original, done = Task.step, []

    def interrupted(self, number):
        if len(done) == stop:
            raise KeyboardInterrupt
        done.append(self.fit.at.phase)
        return original(self, number)

    with monkeypatch.context() as patch:
        patch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")
        patch.setattr(Task, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            execute(config(planted), progress=False)
    assert done[-1] == PHASES[stop]
    (run,) = list_runs()
    state = load_checkpoint(run.path / "checkpoint.safetensors")[0]["loop"]
    assert state["step"] == stop % STEPS > 0
    assert contents(execute(config(planted), progress=False).path) == expected


def test_killed_as_its_search_fails_it_has_written_what_was_tried(planted, monkeypatch):
    original = CheckpointManager.save

    def killed(self, parts):
        original(self, parts)
        if parts["found"].failed:
            raise KeyboardInterrupt

    given = config(planted, goal=3, tolerance=0, strength=1e-7, max_tries=2, max_epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointManager, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            execute(given, progress=False)
    with pytest.raises(TrainingError, match="no strength leaves 3"):
        execute(given, progress=False)
    (run,) = list_runs()
    assert len(run.table("trials")) == 2


def test_checkpoints_hold_no_code(planted, monkeypatch):
    monkeypatch.setattr(Task, "_end_phase", lambda self: (_ for _ in ()).throw(OSError))
    monkeypatch.setattr("sparsecore.training.loop.PAUSE", 0.0)  # a checkpoint after every epoch
    with pytest.raises(OSError):  # noqa: PT011
        execute(config(planted, max_epochs=2), progress=False)
    (run,) = list_runs()
    states, _ = load_checkpoint(run.path / "checkpoint.safetensors")
    assert states["fit"]["at"]["epoch"] == 1 and states["fit"]["optimizer"]["state"]
