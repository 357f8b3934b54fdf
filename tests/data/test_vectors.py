"""Fixed word vectors: GloVe files, PPMI vectors, and every way a file can be wrong."""

import gzip
import lzma
import zipfile

import numpy as np
import pytest

from sparsecore.data import vectors as module
from sparsecore.data.ppmi import pair_counts, ppmi, vectors_of
from sparsecore.data.vectors import read_vectors, word_vectors
from sparsecore.errors import InputError
from sparsecore.home import cache_dir

WORDS = ["good", "bad", "unheard-of"]
LINES = "good 1 2 2\nbad -3.5 0 0\nother 1 1 1\n"


@pytest.mark.parametrize("suffix", ["txt", "txt.gz", "txt.xz", "zip"])
@pytest.mark.parametrize("header", ["", "3 3\n"])
def test_glove_file(tmp_path, suffix, header):
    path = tmp_path / f"small.{suffix}"
    data = (header + LINES).encode()
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("small.txt", data)
    else:
        opener = {"txt": open, "txt.gz": gzip.open, "txt.xz": lzma.open}[suffix]
        with opener(path, "wb") as file:
            file.write(data)
    found = word_vectors(str(path), WORDS, progress=False)
    assert found.table.shape == (3 + 3, 3) and found.width == 3
    np.testing.assert_allclose(found.table[1], [1 / 3, 2 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(found.table[2], [-1, 0, 0])
    assert (found.table[0] == 0).all()  # the padding
    np.testing.assert_allclose(np.linalg.norm(found.table[1:], axis=1), 1, rtol=1e-6)
    assert found.info["known"] == 2 and found.info["words"] == 3


def test_words_without_a_vector_are_always_the_same(tmp_path, monkeypatch):
    path = tmp_path / "small.txt"
    path.write_text(LINES)
    first = word_vectors(str(path), WORDS, progress=False)
    monkeypatch.setattr(module, "read_vectors", lambda *_: pytest.fail("not from the cache"))
    again = word_vectors(str(path), WORDS, progress=False)
    np.testing.assert_array_equal(first.table, again.table)
    assert first.sha256 == again.sha256
    random = first.table[3:]  # the unknown word and both boundaries
    assert len(np.unique(random.round(6), axis=0)) == 3


def test_the_first_of_two_vectors_counts_and_case_matters(tmp_path):
    path = tmp_path / "small.txt"
    path.write_text("good 1 0\ngood 0 1\nBad 1 1\n")
    found = read_vectors(path, ["good", "bad"])
    assert list(found) == [0] and found[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffgood 1 2\nbad 3 4\n",
        "\ufeff2 2\ngood 1 2\nbad 3 4\n",
        "good\t1\t2\nbad\t3\t4\n",
        "good 1 2\rbad 3 4\r",
        "good 1 2 \n\nbad 3 4 \n",
        "good 1 2\n. . . 5 6\nat name@domain.com 5 6\nbad 3 4\n",
        ". . . 5 6\ngood 1 2\nbad 3 4\n",
    ],
)
def test_forms_that_vectors_come_in(tmp_path, text):
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "v.txt").write_bytes(text.removeprefix("\ufeff").encode(encoding))
        if encoding == "utf-8":
            (tmp_path / "v.txt").write_bytes(text.encode())
        found = read_vectors(tmp_path / "v.txt", ["good", "bad"])
        assert {n: v.tolist() for n, v in found.items()} == {0: [1, 2], 1: [3, 4]}


def test_words_with_blanks_have_their_vectors(tmp_path):
    (tmp_path / "v.txt").write_text("good 1 2\nat name@domain.com 5 6\n")
    assert read_vectors(tmp_path / "v.txt", ["at name@domain.com"])[0].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("ours", "theirs"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")]
)
def test_a_letter_with_a_mark_is_found_however_it_is_composed(tmp_path, ours, theirs):
    (tmp_path / "v.txt").write_text(f"{theirs} 1 2\n{ours} 3 4\n", encoding="utf-8")
    assert read_vectors(tmp_path / "v.txt", ["x", ours])[1].tolist() == [1, 2]
    assert read_vectors(tmp_path / "v.txt", [theirs, ours])[1].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good 1 2 3\nbad 1 2\n", "line 2: 2 numbers where the lines before have 3"),
        ("other 1 2\n", r"has a vector for none of the 3 words of the corpus \(good, bad"),
        ("good\n", "line 1: a word without numbers: 'good'"),
        ("good 1 x\n", "line 1: not numbers: '1 x'"),
        ("good 1 1_0\n", "line 1: not numbers: '1 1_0'"),
        ("good 1 nan\n", "line 1: a number that is not finite"),
        ("", "is empty"),
    ],
)
def test_malformed_files(tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        word_vectors(str(path), WORDS, progress=False)
    assert "\n" not in str(caught.value) and not list(cache_dir("vectors").iterdir())


def test_damaged_and_missing_files(tmp_path):
    path = tmp_path / "small.txt.xz"
    path.write_bytes(lzma.compress(LINES.encode())[:-30])
    with pytest.raises(InputError, match="damaged or cut short"):
        word_vectors(str(path), WORDS, progress=False)
    path = tmp_path / "small.zip"
    path.write_bytes(b"not a zip")
    with pytest.raises(InputError, match="damaged"):
        word_vectors(str(path), WORDS, progress=False)
    for name, message in {
        "glove-6B": "unknown vectors 'glove-6B' .did you mean 'glove-6b'",
        str(tmp_path / "none.txt"): "does not exist",
        "ptb": "ptb holds language model",
    }.items():
        with pytest.raises(InputError, match=message):
            word_vectors(name, WORDS, progress=False)
    with pytest.raises(InputError, match="vector_size=60 is none of glove-6b's"):
        word_vectors("glove-6b", WORDS, 60, progress=False)
    with pytest.raises(InputError, match="sparsecore data fetch glove-6b"):
        word_vectors("glove-6b", WORDS, 50, progress=False)


def test_pair_counts_and_ppmi_equal_a_plain_count():
    ids = np.array([0, 1, 2, -1, 1, 0, 2, 2, 1])
    counts = pair_counts(ids, 3).toarray()
    plain = np.zeros((3, 3))
    for a in range(len(ids)):
        for b in range(len(ids)):
            if 0 < abs(a - b) <= 5 and ids[a] >= 0 and ids[b] >= 0:
                plain[ids[a], ids[b]] += 1 / abs(a - b)
    np.testing.assert_allclose(counts, plain)
    p = plain / plain.sum()
    smooth = plain.sum(1) ** 0.75
    expected = np.log(p / p.sum(1)[:, None] / (smooth / smooth.sum())[None])
    np.testing.assert_allclose(ppmi(pair_counts(ids, 3)).toarray(), np.maximum(expected, 0))


def test_words_of_like_contexts_are_neighbours():
    generator = np.random.default_rng(0)
    colours, sizes = ["red", "blue", "green"], ["big", "small", "huge"]
    things = {"red": "paint", "blue": "paint", "green": "paint"}
    text = []
    for _ in range(3000):
        word = generator.choice(colours + sizes)
        text += ["the", word, things.get(word, "house"), generator.choice(["stands", "falls"])]
    words = sorted(set(text))
    ids = np.array([words.index(word) for word in text])
    table, kept = vectors_of(ids, words, 6)
    table = table / np.linalg.norm(table, axis=1, keepdims=True)
    near = table @ table.T
    at = {word: kept.index(word) for word in colours + sizes}
    for word, peers in (("red", colours), ("big", sizes)):
        others = sorted(at, key=lambda w: -near[at[word], at[w]])[:3]
        assert set(others) == set(peers)
    again, _ = vectors_of(ids, words, 6)
    np.testing.assert_allclose(table, again / np.linalg.norm(again, axis=1, keepdims=True))


def test_embedded_vectors(tmp_path, monkeypatch):
    from sparsecore.data.locate import Source

    lines = ["The array of values is returned as a list of numbers."] * 30
    lines += ["The red value is shown as a blue number in the big house."] * 30
    (tmp_path / "text.txt").write_text("\n\n".join(lines) + "\n")
    source = Source("embedded", {"all": tmp_path / "text.txt"}, "test", form="sentences")
    monkeypatch.setattr("sparsecore.data.ppmi.find_source", lambda *_, **__: source)
    found = word_vectors("embedded", ["array", "values", "qqq"], 8, progress=False)
    assert found.table.shape == (6, 8) and found.info["known"] == 2
    again = word_vectors("embedded", ["array", "values", "qqq"], 8, progress=False)
    np.testing.assert_array_equal(found.table, again.table)
    with pytest.raises(InputError, match="vector_size must be less than the"):
        word_vectors("embedded", ["array"], 4000, progress=False)
    with pytest.raises(InputError, match="for none of the 1 words"):
        word_vectors("embedded", ["qqq"], 8, progress=False)
    with pytest.raises(InputError, match="vector_size must be at least 1"):
        word_vectors("embedded", ["array"], 0, progress=False)
