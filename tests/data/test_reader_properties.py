"""Whatever is written in a format comes back as it was, plain or compressed."""

import gzip
import lzma

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsecore.data.conllu import read_conllu
from sparsecore.data.review_files import read_reviews
from sparsecore.data.tagged_files import read_tagged
from sparsecore.data.vectors import read_vectors

FILES = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
COMPRESS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
# every sign but blanks, controls, and those that end lines
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=12)
TAG = st.sampled_from(["NOUN", "VERB", "NN", "-LRB-", "``", "$", "PRP$", "<tag>"])
SENTENCES = st.lists(
    st.lists(st.tuples(WORD, TAG, TAG), min_size=1, max_size=8), min_size=1, max_size=5
)
EMPTY = "\t_" * 8  # columns that are not filled in
FINITE = st.floats(-1e6, 1e6, width=32)


def written(folder, name, text, suffix):
    path = folder / f"{name}{suffix}"
    path.write_bytes(COMPRESS[suffix](text.encode()))
    return path


@pytest.fixture(params=COMPRESS, ids=["plain", "gz", "xz"])
def suffix(request):
    return request.param


@FILES
@given(sentences=SENTENCES, ends=st.sampled_from(["\n", "\r\n"]))
def test_treebanks(tmp_path, suffix, sentences, ends):
    text = ""
    for number, sentence in enumerate(sentences):
        text += f"# sent_id = {number}{ends}1-2\tboth{EMPTY}{ends}"
        for at, (word, upos, xpos) in enumerate(sentence, 1):
            text += "\t".join([str(at), word, "_", upos, xpos, *"_____"]) + ends
        text += f"8.1\tunsaid{EMPTY}{ends}{ends}"
    found = read_conllu(written(tmp_path, "a.conllu", text, suffix))
    assert [list(zip(*each, strict=True)) for each in found] == sentences


@FILES
@given(sentences=SENTENCES, blank=st.sampled_from([" ", "\t"]))
def test_words_with_tags(tmp_path, suffix, sentences, blank):
    text = "\n\n".join("\n".join(blank.join(row) for row in each) for each in sentences)
    found = read_tagged(written(tmp_path, "tags.txt", text, suffix))
    assert [list(zip(*each, strict=True)) for each in found] == [
        [(word, tag) for word, tag, _ in each] for each in sentences
    ]


@FILES
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["0", "1"]),
            st.lists(st.text("abcxyz019", min_size=1, max_size=6), min_size=1, max_size=9),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_labelled_lines(tmp_path, suffix, rows):
    text = "".join(f"{label}\t{' '.join(words)}\n" for label, words in rows)
    found = read_reviews(written(tmp_path, "all.tsv", text, suffix), "all")
    assert [(each.label, list(each.tokens)) for each in found] == rows


@FILES
@given(
    vectors=st.dictionaries(WORD, st.lists(FINITE, min_size=3, max_size=3), min_size=1),
    header=st.booleans(),
)
def test_word_vectors(tmp_path, suffix, vectors, header):
    text = f"{len(vectors)} 3\n" if header else ""
    text += "".join(f"{w} {' '.join(map(repr, v))}\n" for w, v in vectors.items())
    found = read_vectors(written(tmp_path, "v.txt", text, suffix), [*vectors, "unheard of"])
    assert sorted(found) == list(range(len(vectors)))
    for number, vector in enumerate(vectors.values()):
        np.testing.assert_array_equal(found[number], np.float32(vector))
