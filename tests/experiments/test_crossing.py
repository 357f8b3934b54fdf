"""Crossing the papers: the tables from real small runs, the rules on made-up ones."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sparsecore.errors import InputError
from sparsecore.experiments.crossing import findings
from sparsecore.experiments.crossing import tables as crossing
from sparsecore.experiments.sentiment import config as experiment
from sparsecore.experiments.sentiment.config import Points
from sparsecore.experiments.sentiment.tables import load_trained
from sparsecore.measure.chi import chi
from sparsecore.report.pages import crossing as pages
from sparsecore.report.pages import parts
from sparsecore.runs.reference import read_provenance, read_summary
from sparsecore.runs.studies import write_crossing
from tests.conftest import small_text
from tests.pruning.planted import write_planted


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    home = tmp_path_factory.mktemp("crossing")
    (home / "text.txt").write_text(small_text())
    write_planted(home, count=200)
    quick = {**experiment.PRESETS["quick"], "structure": "0,0,4", "max_epochs": 12, "batch_size": 8}
    points = Points((None,), ("0,0,4",), {8: (3, 1e-4)}, 1)
    language = {"embedding_size": 8, "hidden_size": 10, "epochs": 1, "threshold": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(home))
        patch.setattr(parts, "reference_folder", lambda *_: home / "none")  # no reference tables
        patch.setitem(experiment.STUDIES, "quick", points)
        patch.setitem(experiment.PRESETS, "quick", quick)
        yield pages.open_page(
            "quick",
            "none",
            language={"corpus": str(home / "text.txt"), "batch_size": 2, **language},
            reviews={"corpus": str(home / "reviews.tsv"), "vectors": str(home / "vectors.txt")},
        )


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 5, 40).astype(float)  # with ties
    kept = rng.random(40) < 0.3
    pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(values[kept], values[~kept])]
    assert crossing.auc(values, kept) == pytest.approx(np.mean(pairs))


def test_votes_by_hand(page):
    """What each automaton adds to the first dev document's decision, one document at a time."""
    run = next(run for run in page.runs if run.config.get("strength") == 0)
    trained = load_trained(run.path, run.config)
    weight = trained.model.output.weight
    expected = []
    for number in range(len(trained.inputs.corpus.dev)):
        scores, _ = trained.model.rnn(trained.inputs.vectors("dev", number)[:, None])
        expected.append(float(chi(scores[-1, 0] * (weight[1] - weight[0]))))
    votes = page.yours["votes"].set_index("model")
    assert votes.loc["trained", "chi"] == pytest.approx(np.mean(expected), rel=1e-4)
    assert set(votes.index) == {"untrained", "trained", "penalised"}
    assert (votes["chi"] >= 0.5).all() and (votes["automata"] == 4).all()


def test_the_untrained_model_is_the_one_training_began_with(page):
    run = next(run for run in page.runs if run.config.get("strength") == 0)
    trained = load_trained(run.path, run.config)
    untrained = crossing._untrained(trained)
    assert not torch.equal(untrained.rnn.main, trained.model.rnn.main)
    expected = page.yours["votes"].query("model == 'untrained'")["chi"].iloc[0]
    parts, _ = crossing._on_dev(trained, untrained)
    assert float(chi(parts).mean()) == pytest.approx(expected, abs=1e-5)


def test_the_tables_are_whole(page):
    table = page.yours["concentration"]
    assert set(table["num_blocks"]) == {1, 5} and set(table["epoch"]) == {0, 1}
    floor = 1 / np.sqrt(10)
    assert table["chi"].between(floor, 1).all() and table["rho"].between(-1, 1).all()
    kept = page.yours["survival"]
    assert set(kept["look"]) == set(findings.LOOKS) and kept["auc"].between(0, 1).all()
    for show in (pages.about, pages.blocks_table, pages.votes_table):
        assert show(page).data


def test_tables_are_written_and_read_back(page, tmp_path):
    runs = page.runs
    write_crossing(runs, tmp_path / "out")
    again = read_summary(tmp_path / "out")
    assert again is not None
    for name, table in page.yours.items():
        pd.testing.assert_frame_equal(again[name], table, check_dtype=False)
    provenance = read_provenance(tmp_path / "out")
    assert len(provenance["language_models"]) == 2 and provenance["classifiers"]["runs"]


def test_learned_structures_of_two_beginnings_are_refused(page):
    other = SimpleNamespace(config={**page.runs[-1].config, "structure": "1,1", "strength": 1})
    with pytest.raises(InputError, match="begun with one structure, not 2"):
        crossing.votes([*(run for run in page.runs if run.experiment == "sentiment"), other])


@pytest.mark.parametrize(
    ("blocks", "auc", "outcomes"),
    [(0.01, 0.8, ["yes", "yes", "yes", "yes", "yes", "yes"]),
     (-0.01, 0.2, ["no", "no", "yes", "yes", "no", "no"])],
)  # fmt: skip
def test_rules(blocks, auc, outcomes):
    jitter = {seed: 1e-4 * (seed - 1) for seed in range(3)}
    concentration = pd.DataFrame(
        [
            {"num_blocks": n, "seed": s, "epoch": e, "signal": name, "rho": 0.3 + jitter[s],
             "chi": 0.1 + blocks * (n == 5) * e + jitter[s]}
            for n in (1, 5) for s in range(3) for e in (0, 1) for name in findings.SIGNALS
        ]
    )  # fmt: skip
    votes = pd.DataFrame(
        [{"seed": s, "model": m, "chi": 0.3 + 0.1 * (m == "trained") * (1 + jitter[s])}
         for s in range(3) for m in ("untrained", "trained")]
    )  # fmt: skip
    survival = pd.DataFrame(
        [{"seed": s, "look": look, "auc": auc + jitter[s]}
         for s in range(3) for look in findings.LOOKS]
    )  # fmt: skip
    tables = {"concentration": concentration, "votes": votes, "survival": survival}
    found = findings.decide(tables)
    assert list(found["outcome"]) == outcomes and list(found["finding"]) == [1, 1, 2, 3, 4, 4]
