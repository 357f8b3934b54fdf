"""The rules of the eight findings, on seeds made from formulas where the answer is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.config import PAPER
from sparsecore.experiments.emergent.findings import decide, evidence_of
from sparsecore.experiments.emergent.tables import SCALE, scale_table
from sparsecore.runs.reference import read_summary
from sparsecore.stats.influence import left_out_table, without_table
from sparsecore.stats.judgement import NOT_TESTED, judge
from tests import synthetic

EPOCHS = 6

REFERENCE = Path(__file__).parents[2] / "book" / "results" / "emergent" / "wikitext-2-lr20"


def run(seed, growth=1.0, often=20, change=None):
    """One run's tables, with ``often`` times as many occurrences as usual."""
    words = synthetic.words(400)
    frames = [
        synthetic.statistics(words, e, EPOCHS, seed, growth).assign(epoch=e)
        for e in range(EPOCHS + 1)
    ]
    table = pd.concat(frames, ignore_index=True)
    words = words.assign(frequency=words["frequency"] * often)
    described = words.iloc[table["word_id"]].reset_index(drop=True)
    table = pd.concat([table, described], axis=1)
    return (table if change is None else change(table)), words, synthetic.epochs_table(EPOCHS)


def parts_of(seeds=(0, 1, 2), **options):
    return decide([evidence_of(*run(seed, **options), n_boot=100) for seed in seeds])


def verdict(parts, finding):
    return judge(parts[parts["finding"] == finding])


@pytest.fixture(scope="module")
def parts() -> pd.DataFrame:
    return parts_of()


def test_every_finding_has_an_essential_part(parts):
    essential = parts[parts["kind"] == "essential"]
    assert set(essential["finding"]) == set(range(1, 9))
    assert (parts["seeds"] == 3).all()
    known = parts.dropna(subset="low")
    assert ((known["low"] <= known["value"]) & (known["value"] <= known["high"])).all()


def test_what_was_put_in_is_found(parts):
    assert verdict(parts, 1) == ("holds", "")
    assert verdict(parts, 2)[0] == "holds"
    assert verdict(parts, 7)[0] == "partly"  # the matched samples are 40 words and tell nothing


def test_an_effect_of_the_other_sign_fails():
    falling = parts_of(growth=-1.0)
    assert verdict(falling, 1)[0] == "fails"
    found, reason = verdict(falling, 2)
    assert found == NOT_TESTED and reason.startswith(
        "the h² gradient itself has no strong correlation"
    )


@pytest.mark.parametrize(("ahead", "outcome"), [("embedding", "yes"), ("lstm1", "no")])
def test_the_third_finding_asks_which_layer_is_ahead_in_the_end(ahead, outcome):
    def change(t):
        chosen = (t["signal"] == "activation") & (t["role"] == "input")
        strength = np.where(t["layer"] == ahead, 0.004 * t["epoch"] / EPOCHS, 0.001)
        noise = np.random.default_rng(len(t)).normal(0.1, 0.006, len(t))
        followed = noise + strength * np.log(t["frequency"])
        return t.assign(chi=t["chi"].where(~chosen, followed).astype(np.float32))

    found = parts_of(change=change).query("finding == 3 and kind == 'essential'")
    assert set(found["outcome"]) == {outcome}


def test_signals_that_the_paper_denies_fail_and_a_turn_at_the_cut_holds():
    """Four changes at once, each of signals of its own."""
    cut = EPOCHS // 2

    def change(t):
        logs, lower, upper = np.log(t["frequency"]), t["layer"] == "lstm1", t["layer"] == "lstm2"
        active, of_input = t["signal"] == "activation", t["role"] == "input"
        rise = 0.01 * t["epoch"] * logs * (lower & active & ~of_input)  # another signal, growing
        tie = -0.01 * logs * (lower & ~active & of_input)  # a gradient tied to its input
        t = t.assign(l1=(t["l1"] - 0.5 * logs * (upper & ~active)).astype(np.float32))
        flat = np.random.default_rng(0).normal(0.1, 0.006, len(t))
        turned = flat + 0.004 * np.maximum(t["epoch"] - cut, 0) * logs
        chi = (t["chi"] + rise + tie).where(~(active & of_input), turned)
        return t.assign(chi=chi.astype(np.float32))

    found = parts_of(change=change)
    assert [verdict(found, n)[0] for n in (2, 4, 8)] == ["fails"] * 3
    assert verdict(found, 5)[0] == "holds"


def test_a_run_without_a_trained_epoch_is_refused():
    with pytest.raises(InputError, match="no trained epoch"):
        evidence_of(pd.DataFrame(), pd.DataFrame(), synthetic.epochs_table(1).head(1))


def test_a_part_of_growth_alone_does_not_make_the_first_finding_hold_partly():
    """Falling over words, growing over training: the side part is true, the essential false."""

    def fall_less(table):
        hit = (table["layer"] == "lstm2") & (table["signal"] == "gradient")
        hit &= table["role"] == "target"
        gain = -0.02 * (1 - 0.5 * table["epoch"] / EPOCHS) * np.log(table["frequency"]) * hit
        return table.assign(chi=(table["chi"] + gain).astype(np.float32))

    parts = parts_of(change=fall_less, growth=0.0)
    first = parts[parts["finding"] == 1]
    assert "yes" in set(first.loc[first["kind"] == "side", "outcome"])
    assert verdict(parts, 1)[0] == "fails"


def test_too_few_exposed_words_are_not_a_test():
    few = parts_of(often=1)
    found, reason = verdict(few, 1)
    assert found == NOT_TESTED and "words with an exposure of 3,000; 100 are needed" in reason
    assert verdict(few, 7)[0] == NOT_TESTED


def test_two_seeds_have_no_verdict():
    found = parts_of(seeds=(0, 1))
    assert verdict(found, 1) == (NOT_TESTED, "2 seeds; an interval needs three")
    assert found["low"].isna().all()


def test_seeds_without_a_cut_do_not_block_the_fifth_finding():
    def without_cut(seed):
        table, words, epochs = run(seed)
        return table, words, epochs.assign(step_cut=False)

    cut = [evidence_of(*run(seed), n_boot=50) for seed in (0, 1, 2)]
    uncut = evidence_of(*without_cut(3), n_boot=50)
    with_one, without = decide([*cut, uncut]), decide(cut)
    fifth = [parts[parts["finding"] == 5]["value"].tolist() for parts in (with_one, without)]
    assert fifth[0] == fifth[1]
    found, reason = verdict(decide([*cut[:2], uncut]), 5)
    assert found == NOT_TESTED and reason.startswith("2 of 3 seeds have a cut")


def test_curves_by_scale_end_where_the_findings_do(parts):
    table, words, _ = run(0)
    curves = scale_table(table, words, updates_an_epoch=500, n_boot=50)
    assert list(curves.columns) == SCALE
    assert set(curves["finding"]) == {1, 2, 3, 6, 7}
    assert curves["updates"].max() == 500 * EPOCHS
    end = curves[(curves["finding"] == 1) & (curves["updates"] == 3000)]
    seed = evidence_of(*run(0), n_boot=50)
    expected = seed.exposed["pearson"].contrast({(EPOCHS,): 1})[0]
    assert end.loc[end["method"] == "pearson", "value"].tolist() == pytest.approx([expected])
    assert (curves["exposure"] < PAPER["epochs"] * 1e6).all()


def test_curves_within_an_epoch_take_their_own_updates():
    table, words, _ = run(0)
    parts = table.assign(updates=100 * table["epoch"])
    curves = scale_table(parts, words, updates_an_epoch=100 * EPOCHS, n_boot=0)
    assert sorted(curves["epoch"].unique()) == pytest.approx(np.arange(EPOCHS + 1) / EPOCHS)


def test_the_committed_table_without_frequent_words_is_made_of_the_committed_words():
    tables = read_summary(REFERENCE)
    assert tables is not None
    keys = ["seed", "epoch", "method", "dropped"]
    for seed, words in tables["exposed"].groupby("seed"):
        made = without_table(words.drop(columns="seed")).assign(seed=seed).set_index(keys)
        known = tables["without"].set_index(keys).loc[made.index]
        assert known["rho"].to_numpy() == pytest.approx(made["rho"].to_numpy(), abs=6e-5)
        assert (known["words"] == made["words"]).all()


def test_the_committed_intervals_without_frequent_words_are_made_of_the_committed_words():
    tables = read_summary(REFERENCE)
    assert tables is not None
    exposed, keys = tables["exposed"], ["epoch", "method", "dropped", "statistic"]
    made = left_out_table(exposed[exposed["epoch"].isin([1, 20])], n_boot=200).set_index(keys)
    known = tables["left_out"].set_index(keys).loc[made.index]
    assert len(made) == 18
    assert known["value"].to_numpy() == pytest.approx(made["value"].to_numpy(), abs=6e-5)
    assert known["low"].to_numpy() == pytest.approx(made["low"].to_numpy(), abs=0.08)
    assert known["high"].to_numpy() == pytest.approx(made["high"].to_numpy(), abs=0.08)


def test_two_seeds_give_no_intervals_without_frequent_words():
    words = read_summary(REFERENCE)["exposed"]
    assert left_out_table(words[words["seed"] < 12]).empty


def test_too_few_words_of_large_exposure_leave_the_table_without_rows():
    words = pd.DataFrame({"word": ["<unk>", "<eos>", "a", "b"], "frequency": [9, 8, 7, 6]})
    few = words.assign(epoch=1, chi=[0.1, 0.2, 0.3, 0.4])
    assert without_table(few).empty and "method" in without_table(few)
