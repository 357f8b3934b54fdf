"""The fuzz tool: it finds what is planted, and finds nothing in the readers of the project."""

import json
import os
import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.errors import InputError
from tools.fuzz import giants as large
from tools.fuzz import runs, texts
from tools.fuzz.attempt import Limits, attempt
from tools.fuzz.campaign import Reader, as_text, campaign, giants, keep_findings, replay
from tools.fuzz.hostile import trap
from tools.fuzz.mutate import damage
from tools.fuzz.readers import READERS

SLOW = {"encoder", "cache-encoded", "tagger"}  # transformers, spaCy
SAMPLE = {"a.txt": b"some words\nof text\n", "b.json": b'{"a": [1, 2]}'}


def clutter(folder):
    (folder / "home" / ".half.tmp").write_text("x", encoding="utf-8")
    raise InputError("too late")


def unpickle(folder):
    import pickle

    pickle.loads((folder / "a.txt").read_bytes())


def fails(_):
    raise KeyError("x")


def rings(_):
    raise InputError("a bell \a")  # made printable by InputError itself


PLANTED = {
    "KeyError": fails,
    "UserWarning": lambda _: warnings.warn("careful", stacklevel=1),
    "said something": lambda _: sys.stderr.write("psst\n"),
    "a half-written file left": clutter,
    "a file left in the working folder": lambda _: Path("left").write_text("x", encoding="utf-8"),
    "more than 1 seconds": lambda _: [sum(range(9999)) for _ in range(10**6)],
    "more than 40 MiB": lambda _: np.ones(20 << 20).sum(),
    "MemoryError": lambda _: [0] * (1 << 60),
}


@pytest.mark.parametrize("problem", PLANTED)
def test_what_is_wrong_is_found(problem):
    found = attempt(PLANTED[problem], SAMPLE, Limits(seconds=1, mib=40))
    assert found.outcome == problem and found.is_finding


def test_a_loaded_pickle_is_found():
    assert attempt(unpickle, {"a.txt": trap()}).outcome == "a pickle was loaded"


def test_reading_and_refusing_are_no_findings(own_home):
    assert attempt(lambda folder: (folder / "a.txt").read_bytes(), SAMPLE).outcome == "read"
    refused = attempt(rings, SAMPLE)
    assert (refused.outcome, refused.told) == ("refused", r"a bell \x07")
    assert os.environ["SPARSECORE_HOME"] == str(own_home)


def test_damage_depends_on_the_seed_alone_and_leaves_the_sample():
    before = dict(SAMPLE)
    made = [[damage(SAMPLE, draw) for _ in range(50)] for draw in map(random.Random, (1, 1, 2))]
    assert made[0] == made[1] != made[2] and before == SAMPLE
    assert sum(files != SAMPLE for files in made[0]) > 35


def test_findings_are_kept_and_can_be_replayed(tmp_path):
    def read(folder):
        json.loads((folder / "b.json").read_bytes())

    reader = Reader("json", lambda: SAMPLE, read, lambda files, draw: damage(files, draw, "b."))
    reports = campaign([reader], seed=0, inputs=40)
    assert 0 < len(reports[0].findings) <= 20 and reports[0].outcomes["read"]
    folder = keep_findings(reports, tmp_path)[0]
    assert replay(reader, folder, Limits()).outcome == reports[0].findings[0][1].outcome
    assert as_text(reports).splitlines()[1].startswith("json ")


def test_a_sample_that_is_refused_is_a_finding():
    reader = Reader("strict", lambda: SAMPLE, rings)
    assert campaign([reader], 0, 2)[0].findings[0][1].outcome == "the sample was refused"


def found_in(names, inputs, seed=0):
    reports = campaign([READERS[name] for name in names], seed, inputs)
    assert all(report.outcomes["read"] for report in reports)
    return [(r.reader, v.outcome, v.told[-600:]) for r in reports for _, v in r.findings]


def test_a_short_campaign_finds_nothing():
    assert found_in([name for name in READERS if name not in SLOW], 6) == []


# where in a file (in thousandths), how many bytes go, what comes in
EDITS = st.lists(
    st.tuples(
        st.integers(0, 1000),
        st.integers(0, 40),
        st.one_of(st.binary(max_size=12), st.text(max_size=6).map(lambda text: text.encode())),
    ),
    min_size=1,
    max_size=4,
)


def edited(content, edits):
    for place, gone, come in edits:
        at = place * len(content) // 1000
        content = content[:at] + come + content[at + gone :]
    return content


def no_edit_breaks(reader, edits, which):
    """As with the campaign's damage; here Hypothesis looks for the smallest edit that does."""
    sample = READERS[reader].sample()
    name = sorted(sample)[which % len(sample)]
    files = {**sample, name: edited(sample[name], edits)}
    found = attempt(READERS[reader].read, files, Limits(), READERS[reader].refusals)
    assert not found.is_finding, f"{reader}, {name}: {found.outcome}\n{found.told}"


# of files as they are, not of values that the tool keeps in a file of its own
FAST = sorted({reader.name for reader in (*texts.READERS, *runs.READERS)} - SLOW)


@settings(max_examples=120)
@given(st.sampled_from(FAST), EDITS, st.integers(0, 50))
def test_no_edit_of_a_file_breaks_its_reader(reader, edits, which):
    no_edit_breaks(reader, edits, which)


@pytest.mark.slow
@pytest.mark.parametrize("reader", FAST)
def test_no_edit_of_a_file_breaks_this_reader(reader):
    @settings(max_examples=150)
    @given(EDITS, st.integers(0, 50))
    def check(edits, which):
        no_edit_breaks(reader, edits, which)

    check()


@pytest.mark.slow
def test_a_campaign_finds_nothing():
    assert found_in(READERS, 250, seed=1) == []


@pytest.mark.slow
def test_floods_are_read_or_refused_in_bounded_time_and_memory():
    chosen = {name: (READERS[reader], make) for name, (reader, make) in large.GIANTS.items()}
    reports = giants(chosen, large.LIMITS)
    assert [(r.reader, v.outcome, v.told[-600:]) for r in reports for _, v in r.findings] == []
