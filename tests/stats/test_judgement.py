"""The second rule of verdicts, finding by finding."""

import pytest

from sparsecore.stats.judgement import (
    ESSENTIAL,
    NOT_TESTED,
    SHOWN,
    SIDE,
    Part,
    headline,
    judge,
    on_several_texts,
    parts_table,
)


def part(
    outcome, kind=ESSENTIAL, name="a", method="mean", half=0.1, effect=0.5, seeds=3, condition="met"
):
    return Part(1, name, kind, method, (0.0, -half, half), outcome, effect, seeds, condition)


def verdict(*parts):
    return judge(parts_table(parts))[0]


def test_all_parts_true_holds_and_shown_parts_do_not_count():
    assert verdict(part("yes"), part("yes", SIDE, "b"), part("no", SHOWN, "c")) == "holds"


def test_a_true_side_part_cannot_rescue_a_false_essential_one():
    assert verdict(part("no"), part("yes", SIDE, "b")) == "fails"


def test_partly_needs_the_essential_part_true():
    assert verdict(part("yes"), part("no", SIDE, "b")) == "partly"
    assert verdict(part("unsure"), part("yes", SIDE, "b")) == "undecided"


@pytest.mark.parametrize(
    ("raw", "log", "expected"),
    [
        ("yes", "unsure", "holds"),
        ("unsure", "no", "fails"),
        ("yes", "no", "partly"),
        ("unsure", "unsure", "undecided"),
    ],
)
def test_a_part_asked_twice_is_one_part(raw, log, expected):
    assert verdict(part(raw, method="pearson"), part(log, method="pearson_log")) == expected


def on_both(*pairs):
    """The parts of two texts: a pair of each, or of a part alone twice."""
    first, second = zip(*pairs, strict=True)
    return on_several_texts({"a": parts_table(first), "b": parts_table(second)})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("yes", "unsure", "holds"),
        ("unsure", "no", "fails"),
        ("yes", "no", "partly"),
        ("no", "no", "fails"),
        ("unsure", "unsure", "undecided"),
    ],
)
def test_a_part_is_judged_on_each_text_then_on_both(one, other, expected):
    assert judge(on_both((part(one), part(other))))[0] == expected
    assert judge(on_both((part(other), part(one))))[0] == expected


def test_a_part_divided_on_one_text_follows_the_other():
    raw, log = part("yes", method="pearson"), part("no", method="pearson_log")
    assert judge(on_both((raw, part("yes")), (log, part("yes"))))[0] == "holds"
    assert judge(on_both((raw, part("no")), (log, part("no"))))[0] == "fails"
    assert judge(on_both((raw, raw), (log, log)))[0] == "partly"
    wide = part("unsure", half=0.6)
    assert judge(on_both((raw, wide), (log, wide)))[0] == "undecided"  # one text was able to


@pytest.mark.parametrize("lacking", [{"condition": "no cut"}, {"seeds": 2}])
def test_a_text_whose_design_lacks_something_is_left_out(lacking):
    rows = on_both((part("no", **lacking), part("yes")))
    assert rows["corpus"].tolist() == ["b"]
    assert judge(rows)[0] == "holds"
    neither = on_both((part("no", **lacking), part("yes", **lacking)))
    assert neither["corpus"].tolist() == ["a"]
    assert judge(neither)[0] == NOT_TESTED


def test_of_a_failure_the_row_is_of_a_part_that_failed_on_both():
    rows = on_both((part("no"), part("yes")), (part("no", name="b"), part("no", name="b")))
    verdict, _ = judge(rows)
    assert (verdict, headline(rows, verdict)["part"]) == ("fails", "b")


def test_an_interval_too_wide_for_the_effect_has_not_tested_it():
    assert verdict(part("unsure", half=0.6)) == NOT_TESTED
    wide = part("unsure", half=0.6, method="pearson")
    assert verdict(wide, part("unsure", half=0.1, method="pearson_log")) == "undecided"
    assert verdict(part("no", half=0.6)) == "fails"  # power is asked of what is open alone


def test_a_small_effect_is_told_in_thousandths():
    table = parts_table([part("unsure", half=0.00087, effect=0.0008)])
    reason = "a: the interval is ±0.87 thousandths, too wide to show an effect of 0.8"
    assert judge(table) == (NOT_TESTED, reason)


def test_a_condition_that_is_not_met_comes_before_every_outcome():
    table = parts_table([part("no", condition="0.9 parameters a token")])
    assert judge(table) == (NOT_TESTED, "0.9 parameters a token")


def test_two_seeds_decide_nothing_and_are_named():
    assert judge(parts_table([part("yes", seeds=2)])) == (
        NOT_TESTED,
        "2 seeds; an interval needs three",
    )


def test_an_unknown_statistic_is_not_tested():
    assert verdict(part("unsure", half=float("nan"))) == NOT_TESTED


def test_the_number_shown_for_a_failure_is_the_one_that_failed():
    raw, log = part("unsure", method="pearson"), part("no", method="pearson_log")
    table = parts_table([raw, log])
    assert headline(table, judge(table)[0])["method"] == "pearson_log"
    assert headline(table, "holds")["method"] == "pearson"
