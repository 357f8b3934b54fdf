"""The list of studies, what they cost, and a study made from its runs."""

from pathlib import Path

import pytest

from sparsecore import cli
from sparsecore.errors import InputError
from sparsecore.runs import studies
from sparsecore.runs.reference import read_provenance
from sparsecore.training.run_folder import Run
from tests import synthetic

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_every_committed_folder_of_tables_is_of_a_study():
    folders = {
        str(path.parent.relative_to(studies.RESULTS))
        for path in studies.RESULTS.glob("*/*/provenance.json")
        if "experiment" in read_provenance(path.parent)  # pyrefly: ignore[not-iterable]
    }
    listed = {study.tables for study in studies.read_studies()}
    others = {"emergent/wikitext-2-first"}  # and what tools/explorer_models.py makes
    assert {f for f in folders - listed if not f.startswith("explore/")} == others


def test_the_runs_of_a_study_are_those_of_its_provenance():
    for study in studies.read_studies():
        told = read_provenance(studies.RESULTS / study.tables)
        if told is None or "settings" not in told or any(s.stage == "tune" for s in study.sweep):
            continue
        configs = [config for sweep in study.sweep for config in studies.configs_of(sweep)]
        assert len(configs) == len(told["runs"])
        assert sorted({config.seed for config in configs}) == told["seeds"]
        for name, value in told["settings"].items():
            if hasattr(configs[0], name) and name not in ("tagger", "precision"):
                assert {getattr(config, name) for config in configs} == {value}, name


def test_a_round_with_seeds_of_its_own_is_the_study_at_these_seeds():
    (language,) = studies.choose_studies(["language-3"], studies.read_studies())
    configs = studies.configs_of(language.sweep[0])
    assert [c.seed for c in configs] == [s for s in range(10, 14) for _ in range(2)]
    assert {(c.stack, c.hidden_size) for c in configs} == {("dense", 184), ("sparse_hidden", 276)}
    only = studies.Sweep("language", "paper", only={"stack": ["dense"]}, seeds=(3, 4))
    assert [(c.stack, c.seed) for c in studies.configs_of(only)] == [("dense", 3), ("dense", 4)]


def test_a_round_can_take_the_dropouts_of_an_earlier_one_and_tunes_nothing():
    deciding, further = (
        [config for sweep in study.sweep for config in studies.configs_of(sweep)]
        for study in studies.choose_studies(["tagging-2", "tagging-3"], studies.read_studies())
    )
    assert {(c.embedding_dim, c.density) for c in deciding} == {(20, 0.15), (20, 1.0)}
    assert sorted({c.seed for c in deciding}) == list(range(4, 34)) and len(deciding) == 60
    assert {c.seed for c in further} == set(range(4, 12)) and not set(deciding) & set(further)
    (quarter,) = {c.word_dropout for c in further if c.density == 0.25}
    assert quarter == 0.1  # the best of that setting in the table of the first round
    untuned = studies.Sweep("tagging", "small", tuned="language/ptb")
    with pytest.raises(InputError, match=r"ptb has no tuning\.csv"):
        studies.configs_of(untuned)


def test_costs_are_measured_where_there_are_tables_and_estimated_elsewhere():
    known = {study.name: studies.core_hours(study) for study in studies.read_studies()}
    assert known["tagging"][0] == pytest.approx(1.3, abs=0.05) and known["tagging"][1] == "measured"
    assert known["emergent-enwiki-3000-lr5"] == (8.5, "estimated")
    hours, how = known["crossing"]
    assert how == "measured" and hours is not None and hours > 0.5


def test_without_yes_nothing_is_started(capsys, monkeypatch):
    monkeypatch.setattr(studies, "run_all", lambda *_: pytest.fail("a run was started"))
    assert cli.main(["reproduce", "tagging", "language"]) in (None, 0)
    shown = capsys.readouterr().out
    assert "tagging/ud-english-ewt (measured)" in shown and "Nothing was started" in shown


@pytest.mark.parametrize(
    ("names", "message"), [(["taging"], r"no study 'taging' \(did you mean 'tagging'\?\)")]
)
def test_an_unknown_study_is_one_line(names, message):
    with pytest.raises(InputError, match=message):
        studies.choose_studies(names, studies.read_studies())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[study]]\nname = 'a'\ntable = 'b'\n", r"unknown field 'table' \(did you mean 'tables'"),
        ("[[study]]\nname = 'a'\ntables = 'b'\n", "sweep is missing"),
        ("[[study]\n", "not readable TOML"),
    ],
)
def test_a_mistake_in_the_list_is_one_line(tmp_path, text, message):
    path = tmp_path / "studies.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        studies.read_studies(path)


def test_an_unknown_field_to_choose_by_is_refused():
    with pytest.raises(InputError, match="unknown field 'stak'"):
        studies.configs_of(studies.Sweep("language", "quick", only={"stak": ["dense"]}))


def test_a_study_is_made_from_its_runs_and_compared_with_the_claims(tmp_path, monkeypatch):
    run = Run(synthetic.write_run(tmp_path / "run", count=200, epochs=2))
    monkeypatch.setattr(studies, "run_all", lambda configs, workers, progress: [run])
    study = studies.Study("mine", "emergent/mine", (studies.Sweep("emergent", "quick"),))
    monkeypatch.setattr(studies, "summarise", few_resamples)
    folder = studies.reproduce(study, tmp_path / "out", progress=False)
    assert folder == tmp_path / "out" / "emergent/mine"
    lines = list(studies.compared(study, folder))
    assert len(lines) == 8
    assert lines[1].startswith("emergent-2: not tested at this size")
    assert lines[1].endswith(
        "(1 seed; an interval needs three); the claims say not tested at this size"
    )


def few_resamples(runs, out, earlier):
    from sparsecore.runs.reference import summarise

    summarise(runs, out, earlier, n_boot=20)
