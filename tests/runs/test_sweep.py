"""Sweeps: the runs of a study or a grid, each computed once, failures told in the end."""

import json

import pytest

from sparsecore.cli import main
from sparsecore.emergent.experiment import Emergent
from sparsecore.errors import InputError
from sparsecore.runs.options import parse_sweep
from sparsecore.runs.sweep import grid, run_all, study_of
from tests.conftest import small_text

TINY = (
    "--threshold 2 --class-threshold 2 --hidden-size 8 --embedding-size 8 --batch-size 4 "
    "--epochs 1 --device cpu --max-tokens none --no-progress"
).split()


def test_a_grid_has_every_combination():
    configs = grid(Emergent(), {"hidden_size": [8, 16], "seed": [0, 1, 2]})
    assert [(c.hidden_size, c.seed) for c in configs] == [
        (8, 0), (8, 1), (8, 2), (16, 0), (16, 1), (16, 2)
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"unknown field 'sed' \(did you mean 'seed'\?\)"):
        grid(Emergent(), {"sed": [1]})


def test_options_become_configurations():
    chosen = parse_sweep(
        "emergent --preset small --epochs 3 --grid hidden-size=8,16 dropout=0,0.5 --seeds 2".split()
    )
    assert len(chosen.configs) == 8
    assert {c.epochs for c in chosen.configs} == {3}
    assert {c.dropout for c in chosen.configs} == {0.0, 0.5}
    assert {c.corpus for c in chosen.configs} == {"wikitext-2"}
    study = parse_sweep("emergent --preset small --epochs 3".split())
    assert [(c.seed, c.epochs) for c in study.configs] == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("emergnt", "unknown experiment 'emergnt'"),
        ("emergent --stage tune", "emergent has no tune"),
        ("emergent --grid hidden_size", "--grid wants FIELD=A,B,C, got 'hidden_size'"),
        ("emergent --grid hiden=1", "unknown option --hiden"),
        ("emergent --grid hidden_size=x", "Error parsing --hidden-size"),
        ("emergent --seeds 0", "--seeds must be at least 1"),
        ("emergent --seeds many", "invalid int value"),
        ("emergent --preset tiny", "unknown preset 'tiny'"),
    ],
)
def test_mistakes_are_one_line(options, message):
    with pytest.raises(InputError) as caught:
        parse_sweep(options.split())
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_studies_are_named():
    with pytest.raises(InputError, match=r"no studdy \(did you mean 'study'\?\)"):
        study_of("emergent", "quick", "studdy")


def test_a_sweep_runs_side_by_side_and_writes_its_tables(tmp_path, capsys):
    text = tmp_path / "mine.txt"
    text.write_text(small_text())
    command = ["sweep", "emergent", "--corpus", str(text), *TINY, "--seeds", "2"]
    assert main([*command, "--jobs", "2", "--out", str(tmp_path / "out")]) == 0
    first = capsys.readouterr().out.splitlines()
    assert len(first) == 3 and first[-1] == f"tables: {tmp_path / 'out'}"
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert provenance["seeds"] == [0, 1] and provenance["experiment"] == "emergent"
    assert main(command) == 0  # found, not repeated
    assert capsys.readouterr().out.splitlines() == first[:2]


def test_a_failing_run_does_not_stop_the_others(tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text(small_text())
    good = Emergent.preset(
        "quick", corpus=str(text), threshold=2, class_threshold=2, hidden_size=4,
        embedding_size=4, batch_size=4, epochs=1, device="cpu",
    )  # fmt: skip
    configs = grid(good, {"corpus": ["nowhere/1.txt", "nowhere/2.txt", str(text)]})
    with pytest.raises(InputError, match=r"nowhere/1\.txt.*and 1 more of 3 runs failed"):
        run_all(configs, progress=False)
    (finished,) = run_all(configs[2:], progress=False)
    assert finished.done
    with pytest.raises(InputError, match="jobs must be at least 1"):
        run_all(configs, jobs=0)
