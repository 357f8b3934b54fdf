"""What all tests share: a home of their own, one thread, and a small generated text."""

import atexit
import gc
import os
import signal
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

collect_ignore = ["training/warm.py"]  # what it imports is for processes that tests start

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# no test asserts how long something takes: the machine may be busy
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_collection_finish() -> None:
    """What was imported stays: no later collection walks it (Accelerate asks for some)."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


@pytest.fixture(autouse=True, scope="session")
def interruptible():
    """Ctrl-C works, and in started processes too, where a shell runs the tests behind its back."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Every test has an empty ``SPARSECORE_HOME``."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SPARSECORE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def every_tracker_closed():
    """No test leaves a tracker open: code that a later one compiles would run eagerly."""
    yield
    eager = sys.modules.get("sparsecore.measure.eager")
    if eager is not None and eager._holders:
        eager._holders = 1
        eager.release()
        pytest.fail("a tracker was left open")


def small_text(sentences: int = 280, seed: int = 0) -> str:
    """Generated English-like sentences, one document a line, with a Zipf-like vocabulary."""
    generator = np.random.default_rng(seed)
    subjects = "the a this every some no".split()
    nouns = "model word layer network gradient unit text vector neuron corpus".split()
    verbs = "learns reads sees predicts returns keeps follows".split()
    lines = []
    for _ in range(sentences):
        d, e = generator.choice(subjects, 2, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
        n, m = nouns[min(generator.geometric(0.3), 10) - 1], generator.choice(nouns)
        lines.append(f"{d} {n} {generator.choice(verbs)} {e} {m} .")
    return "\n".join(lines) + "\n"


@pytest.fixture
def text_file(tmp_path):
    """A text of 280 generated sentences."""
    path = tmp_path / "small.txt"
    path.write_text(small_text())
    return path
