"""A corpus from local text: formats, splits, caps, the cache, and what it says of bad input."""

import gzip
import lzma
import os

import numpy as np
import pytest

from sparsecore.data import language
from sparsecore.data.language import prepare_corpus
from sparsecore.data.locate import content_hash
from sparsecore.data.readers import detect_format, read_chunks
from sparsecore.errors import InputError
from sparsecore.home import cache_dir
from tests.conftest import small_text


def text_of(corpus, split="train"):
    return " ".join(corpus.vocabulary.words[i] for i in getattr(corpus, split))


def written() -> list[str]:
    """The finished or half-finished corpora in the cache."""
    return [p.name for kind in ("corpora", "tokens") for p in cache_dir(kind).iterdir()]


def folder_of(path, suffix=".txt", **texts):
    path.mkdir()
    for split, text in texts.items():
        (path / f"{split}{suffix}").write_text(text)
    return path


def test_a_file_is_split_by_document(text_file):
    corpus = prepare_corpus(str(text_file), threshold=1, progress=False)
    sizes = [len(x) for x in (corpus.train, corpus.valid, corpus.test)]
    assert sum(sizes) == 280 * 7
    assert np.allclose(np.array(sizes) / sum(sizes), [0.7, 0.1, 0.2], atol=0.01)
    assert corpus.train.dtype == np.int32
    for split in (corpus.train, corpus.valid, corpus.test):
        assert split[-1] == 1
    assert corpus.vocabulary.counts.sum() == len(corpus.train)
    assert corpus.info["tokens"]["train"] == len(corpus.train)
    assert corpus.info["unk_share"]["valid"] == np.mean(corpus.valid == 0)


def test_the_seed_chooses_the_documents(text_file):
    first, again, other = (
        prepare_corpus(str(text_file), threshold=1, seed=seed, progress=False) for seed in (0, 0, 1)
    )
    assert first.sha256 == again.sha256 != other.sha256
    assert text_of(first) == text_of(again) != text_of(other)


def test_the_second_time_nothing_is_read(text_file, monkeypatch):
    first = prepare_corpus(str(text_file), threshold=1, progress=False)
    monkeypatch.setattr(language, "load_tokens", None)
    monkeypatch.setattr("sparsecore.data.locate.RACY", -1)
    content_hash(text_file)
    monkeypatch.setattr("sparsecore.data.locate.sha256_file", None)
    second = prepare_corpus(str(text_file), threshold=1, progress=False)
    assert second.folder == first.folder
    assert np.array_equal(first.train, second.train)


def test_a_changed_file_is_another_corpus(text_file):
    first = prepare_corpus(str(text_file), threshold=1, progress=False)
    text_file.write_text(small_text(300, seed=1))
    assert prepare_corpus(str(text_file), threshold=1, progress=False).sha256 != first.sha256


@pytest.mark.parametrize("in_place", [True, False])
def test_another_text_of_the_same_size_and_time_is_another_corpus(text_file, in_place, monkeypatch):
    monkeypatch.setattr("sparsecore.data.locate.RACY", -1)  # every hash is kept
    os.utime(text_file, (1_700_000_000, 1_700_000_000))
    first = content_hash(text_file)
    other = text_file if in_place else text_file.with_name("other.txt")
    other.write_text(text_file.read_text().replace("e", "o"))
    os.utime(other, (1_700_000_000, 1_700_000_000))
    os.replace(other, text_file)
    assert content_hash(text_file) != first


def test_the_hash_of_a_file_just_changed_is_not_kept(text_file, monkeypatch):
    monkeypatch.setattr("sparsecore.data.locate.RACY", 10**15)  # on a slow machine, too
    content_hash(text_file)
    assert list(cache_dir("hashes").iterdir()) == []


def test_a_home_that_cannot_be_written_still_reads(text_file, monkeypatch):
    monkeypatch.setattr("sparsecore.data.locate.RACY", -1)
    first = content_hash(text_file)
    (memo,) = cache_dir("hashes").iterdir()
    memo.unlink()
    memo.mkdir()  # in the way: nothing can be put in its place
    assert content_hash(text_file) == first and memo.is_dir()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_marks_and_line_ends_change_nothing(text_file, tmp_path, encoding, end):
    text = text_file.read_text()
    mark = "\ufeff" if encoding.endswith("be") else ""
    (tmp_path / "other.txt").write_bytes((mark + text.replace("\n", end)).encode(encoding))
    plain, other = (
        prepare_corpus(str(p), threshold=1, progress=False)
        for p in (text_file, tmp_path / "other.txt")
    )
    assert text_of(plain) == text_of(other)


def test_headings_left_out_are_counted_and_said(tmp_path, caplog):
    article = "Early life\nShe was born in a village near the sea.\nShe studied.\nHe ran.\n\n"
    (tmp_path / "a.txt").write_text(article * 40)
    corpus = prepare_corpus(str(tmp_path / "a.txt"), threshold=1, progress=False)
    assert corpus.info["dropped"] == {"lines that are headings": 120}
    assert caplog.messages == ["a: left out 120 lines that are headings"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_compressed_text_is_the_same_text(text_file, tmp_path, pack):
    packed = tmp_path / "packed.bin"
    packed.write_bytes(pack(text_file.read_bytes()))
    plain, other = (
        prepare_corpus(str(p), threshold=1, progress=False) for p in (text_file, packed)
    )
    assert text_of(plain) == text_of(other)


def test_windows_line_ends_and_a_byte_order_mark(text_file, tmp_path):
    other = tmp_path / "windows.txt"
    other.write_bytes(b"\xef\xbb\xbf" + text_file.read_bytes().replace(b"\n", b"\r\n"))
    plain, windows = (
        prepare_corpus(str(p), threshold=1, progress=False) for p in (text_file, other)
    )
    assert text_of(plain) == text_of(windows)


def test_a_folder_keeps_its_split(tmp_path):
    folder = folder_of(
        tmp_path / "mine",
        train="the cat sat .\nthe dog sat .\n" * 3,
        dev="the cat sat .\nthe fish sat .\n",
        test="the dog ran .\nthe dog sat .\n",
    )
    corpus = prepare_corpus(str(folder), threshold=2, progress=False)
    assert text_of(corpus, "valid") == "the cat sat . <eos>"
    assert text_of(corpus, "test") == "the dog sat . <eos>"
    assert corpus.info["sentences_dropped"] == {"train": 0, "valid": 1, "test": 1}
    assert corpus.name == "mine"


def test_max_tokens_caps_before_the_filter(text_file):
    corpus = prepare_corpus(str(text_file), threshold=1, max_tokens=700, progress=False)
    assert [len(x) for x in (corpus.train, corpus.valid, corpus.test)] == [700, 98, 196]


def test_max_types_keeps_every_sentence_and_the_commonest_words(tmp_path):
    folder = folder_of(
        tmp_path / "mine",
        train="the cat sat .\nthe dog sat .\n" * 3 + "a fish swims .\n",
        valid="the cat sat .\nthe whale sings .\n",
        test="a cat .\n",
    )
    corpus = prepare_corpus(str(folder), max_types=3, progress=False)
    assert corpus.vocabulary.words == ["<unk>", "<eos>", ".", "sat", "the"]
    assert text_of(corpus, "valid") == "the <unk> sat . <eos> the <unk> <unk> . <eos>"
    assert corpus.info["sentences_dropped"] == {"train": 0, "valid": 0, "test": 0}
    assert corpus.info["types_replaced"] == 5  # cat, dog, a, fish, swims
    assert corpus.info["unk_share"]["valid"] == 0.3
    assert prepare_corpus(str(folder), max_types=4, progress=False).sha256 != corpus.sha256


def test_large_files_go_through_processes_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("sparsecore.data.readers.BLOCK", 2000)
    monkeypatch.setattr("sparsecore.data.pool.default_workers", lambda: 2)
    path = tmp_path / "larger.txt"
    path.write_text(small_text(600))
    corpus = prepare_corpus(str(path), threshold=1, progress=False)
    assert sum(len(x) for x in (corpus.train, corpus.valid, corpus.test)) == 600 * 7


@pytest.mark.parametrize("separator", ["\n", "\n\n", "\n \t\n\n"])
def test_documents_are_lines_or_stand_between_blank_lines(tmp_path, separator):
    path = tmp_path / "text.txt"
    path.write_text(separator.join(f"This is document {i % 3} of some length." for i in range(50)))
    corpus = prepare_corpus(str(path), threshold=1, progress=False)
    assert sum(corpus.info["sentences_kept"].values()) == 50


@pytest.mark.parametrize(
    ("sample", "form"),
    [
        ("one line\nanother line\n", "lines"),
        (" \n = Title = \n \n Some text . \n", "headings"),
        ("a line .\n= x =\nanother line .\n", "lines"),
        ("= x =\na line .\n", "lines"),
        ("One paragraph.\n\n= x =\n\nA second document.\n", "blank lines"),
        ("One paragraph.\nAnother one.\n\nA second document.\n", "blank lines"),
        ("a text whose lines\nare wrapped at\nsome width.\n\nAnd so\non.\n", "wrapped"),
    ],
)
def test_formats_are_told_apart(sample, form):
    assert detect_format(sample) == form


def test_a_very_long_document_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("sparsecore.data.readers.BLOCK", 100)
    monkeypatch.setattr("sparsecore.data.readers.LONGEST", 300)
    path = tmp_path / "long.txt"
    path.write_bytes(b"word " * 1000)
    chunks = list(read_chunks(path))
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == "word " * 1000
    assert all(chunk.text.endswith(" ") for chunk in chunks)


BAD = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n \n", "has no words"),
    "binary": (b"good text\n" * 9 + b"\x00\x01", "line 10: a NUL character"),
    "latin": ("ein schöner Text\n".encode("latin-1"), "not utf-8 text: byte 0xf6 at offset 7"),
    "late": (b"plain text here\n" * 99 + b"\xff\n", "at offset 1584"),
    "xz": (lzma.compress(small_text().encode())[:-40], "damaged or cut short"),
    "gz": (gzip.compress(small_text().encode())[:-40], "damaged or cut short"),
    "zst": (b"\x28\xb5\x2f\xfd" + bytes(40), "packed with zstd, which is not read; unpack"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "packed with 7-Zip"),
    "Z": (b"\x1f\x9d\x90" + bytes(40), "packed with compress"),
    "lzma": (lzma.compress(b"a b", lzma.FORMAT_ALONE), "packed with LZMA without the frame"),
    "tar": (gzip.compress(bytes(512)), "is an archive of files; unpack the one"),
    "flipped": (b"\xfd7zXZ\0" + b"no such thing at all" * 9, "damaged or cut short"),
    "two": (b"Only one document.\nAnd another one.\n", "needs 3 or more"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_named_and_leave_nothing(tmp_path, kind):
    content, message = BAD[kind]
    path = tmp_path / (f"{kind}.txt" if kind != "tar" else "text.tar.gz")
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        prepare_corpus(str(path), threshold=1, progress=False)
    assert "\n" not in str(caught.value)
    assert not [name for name in written() if name.startswith(".")]
    assert list(cache_dir("corpora").iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 0}, "threshold must be at least 1, not 0"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"max_tokens": 5}, "max_tokens=5 is too small"),
        ({"max_types": 1}, "max_types must be at least 2 words, not 1"),
        ({"max_types": 9, "threshold": 2}, "give one of the two"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"threshold": 100_000}, r"threshold=100000 leaves no .* threshold=\d+ would keep"),
    ],
)
def test_bad_settings_are_named(text_file, settings, message):
    with pytest.raises(InputError, match=message):
        prepare_corpus(str(text_file), progress=False, **settings)
    assert list(cache_dir("corpora").iterdir()) == []


def test_the_threshold_that_is_advised_works(text_file):
    with pytest.raises(InputError) as caught:
        prepare_corpus(str(text_file), threshold=5000, progress=False)
    advised = int(str(caught.value).split("; threshold=")[1].split()[0])
    assert len(prepare_corpus(str(text_file), threshold=advised, progress=False).train)


def test_too_few_words(tmp_path):
    path = tmp_path / "same.txt"
    path.write_text("word\n" * 50)
    with pytest.raises(InputError, match="fewer than 2 words in the vocabulary"):
        prepare_corpus(str(path), threshold=1, progress=False)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ("embeded", "unknown corpus 'embeded' .did you mean 'embedded'"),
        ("wikitext2", "did you mean 'wikitext-2'"),
        ("wikitext-2", "sparsecore data fetch wikitext-2"),
        ("ud-english-ewt", "holds parts of speech, not language model"),
        ("no/such/file.txt", "does not exist"),
        ("", "must be a name or a path"),
    ],
)
def test_unknown_corpora_name_what_would_be_right(corpus, message):
    with pytest.raises(InputError, match=message):
        prepare_corpus(corpus, progress=False)


def test_folders_need_one_file_a_split(tmp_path):
    folder = folder_of(tmp_path / "half", train="a b .\n", test="a b .\n")
    with pytest.raises(InputError, match="has no valid file"):
        prepare_corpus(str(folder), progress=False)
    (folder / "valid.txt").write_text("a b .\n")
    (folder / "train.txt.xz").write_bytes(lzma.compress(b"a b .\n"))
    with pytest.raises(InputError, match=r"more than one train file: train.txt and train.txt.xz"):
        prepare_corpus(str(folder), progress=False)


def test_a_cache_that_cannot_be_written_is_named(text_file, tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("SPARSECORE_HOME", str(blocked / "home"))
    with pytest.raises(InputError, match="cannot create"):
        prepare_corpus(str(text_file), progress=False)


def test_tokenised_text_is_taken_as_it_is(tmp_path, text_file):
    """Words keep their case and their marks, each line ends in <eos>, an empty one too."""
    parts = {"train": "The U.S. can't <unk> N\n\nno no\n", "valid": "no N\n", "test": "The <unk>"}
    for split, text in parts.items():
        (tmp_path / f"{split}.txt").write_text(text)
    corpus = prepare_corpus(str(tmp_path), threshold=1, tokenised=True, progress=False)

    def words(ids):
        return " ".join(corpus.vocabulary.words[i] for i in ids)

    assert words(corpus.train) == "The U.S. can't <unk> N <eos> <eos> no no <eos>"
    assert words(corpus.valid) == "no N <eos>" and words(corpus.test) == "The <unk> <eos>"
    assert corpus.vocabulary.words[:3] == ["<unk>", "<eos>", "no"]
    with pytest.raises(InputError, match="tokenised=True needs a text whose words"):
        prepare_corpus("embedded", tokenised=True, progress=False)
    plain = prepare_corpus(str(text_file), threshold=1, progress=False)
    assert (
        plain.sha256
        != prepare_corpus(str(text_file), threshold=1, tokenised=True, progress=False).sha256
    )
