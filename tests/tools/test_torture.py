"""A short campaign on tiny runs, and what the campaign itself must notice."""

import random

import pytest

from tests.conftest import small_text
from tools import torture
from tools.torture import Case, Finding, campaign, summary, torment

TINY = (
    "--max-tokens 200 --embedding-size 16 --num-layers 1 --batch-size 2 --epochs 12 --device cpu"
).split()


@pytest.fixture
def case(tmp_path):
    (tmp_path / "text.txt").write_text(small_text())
    return Case("reciting", ("reciting", "--corpus", str(tmp_path / "text.txt"), *TINY))


def test_killed_again_and_again_a_run_comes_to_the_same_tables(case, tmp_path, monkeypatch):
    monkeypatch.setattr(torture, "WARM", ["tests.training.warm"])
    work = tmp_path / "work"
    work.mkdir()
    assert campaign([case], 2, 0, work, cold=0.0) == []
    assert case.kills == 2 and case.equal == case.runs >= 1
    assert set(case.expected) == {"epochs.parquet", "results.parquet", "weights.safetensors"}
    assert summary([case]).splitlines()[-1].split()[:2] == ["all", "2"]
    case.expected["results.parquet"] += b"x"
    with pytest.raises(Finding, match=r"differs in results\.parquet"):
        list(torment(case, work / "other", 0, 0.0, random.Random(0)))
