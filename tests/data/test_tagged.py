"""Tagged text: two file forms, parts set aside, silver labels, one clear line for what is wrong."""

import gzip
import lzma

import numpy as np
import pytest

from sparsecore.data import tagged
from sparsecore.data.tagged import PAD_ID, UNK_ID, prepare_tagged
from sparsecore.data.tagged_files import find_files, read_tagged
from sparsecore.errors import InputError

WORDS = "The dog saw the Dog .".split()
XPOS = "DT NN VBD DT NNP .".split()
UPOS = "DET NOUN VERB DET PROPN PUNCT".split()


def conllu(words=WORDS, upos=UPOS, xpos=XPOS):
    rows = [
        "\t".join([str(i), word, "_", u, x, "_", "0", "root", "_", "_"])
        for i, (word, u, x) in enumerate(zip(words, upos, xpos, strict=True), 1)
    ]
    return "# text\n" + "\n".join(rows) + "\n\n"


def pairs(words=WORDS, tags=XPOS, extra=""):
    return "".join(f"{w} {t}{extra}\n" for w, t in zip(words, tags, strict=True)) + "\n"


def folder_of(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return tmp_path


def test_conllu_and_word_tag_files_give_the_same(tmp_path):
    (tmp_path / "a.conllu").write_text(conllu() * 2)
    (tmp_path / "b.txt").write_text(pairs() * 2)
    (tmp_path / "c.txt").write_text(pairs(extra=" B-NP") * 2)
    (tmp_path / "d.txt").write_text(pairs().replace(" ", "\t") * 2)
    (tmp_path / "e.dat").write_text(conllu() * 2)  # told by its ten columns
    with lzma.open(tmp_path / "f.txt.xz", "wt") as file:
        file.write(pairs() * 2)
    with gzip.open(tmp_path / "g.conllu.gz", "wt") as file:
        file.write(conllu() * 2)
    for path in sorted(tmp_path.iterdir()):
        assert read_tagged(path) == [(WORDS, XPOS)] * 2, path.name
    assert read_tagged(tmp_path / "a.conllu", "upos") == [(WORDS, UPOS)] * 2


def test_ids_counts_and_splits(tmp_path):
    folder = folder_of(
        tmp_path,
        train__txt=pairs() * 3,
        dev__txt=pairs(["A", "dog", "."], ["DT", "NN", "."]),
        test__txt=pairs(["The", "cat"], ["DT", "XX"]) + pairs(),
    )
    corpus = prepare_tagged(str(folder))
    assert corpus.words[:2] == ["<pad>", "<unk>"]
    assert corpus.words[2:] == [".", "Dog", "The", "dog", "saw", "the"]  # all seen 3 times
    assert corpus.counts.tolist() == [0, 0, 3, 3, 3, 3, 3, 3]
    assert corpus.tags == sorted({*XPOS, "XX"})
    assert corpus.train.lengths.tolist() == [6, 6, 6] and len(corpus.test) == 2
    back = [corpus.words[i] for i in corpus.train.words[:6]]
    assert back == WORDS and [corpus.tags[i] for i in corpus.train.tags[:6]] == XPOS
    assert corpus.dev.words.tolist()[0] == UNK_ID and PAD_ID not in corpus.test.words
    assert corpus.info["tokens"] == {"train": 18, "dev": 3, "test": 8}
    assert corpus.info["unk_share"]["test"] == pytest.approx(1 / 8)
    again = prepare_tagged(str(folder))
    assert again.sha256 == corpus.sha256 and np.array_equal(again.train.tags, corpus.train.tags)
    assert prepare_tagged(str(folder), max_sentences=1).sha256 != corpus.sha256
    assert prepare_tagged(str(folder), max_sentences=1).train.lengths.tolist() == [6]


def numbered(count):
    return "".join(pairs([f"w{i}", "x"], ["N", "X"]) for i in range(count))


def test_a_missing_dev_part_is_the_end_of_train(tmp_path):
    folder = folder_of(tmp_path, train__txt=numbered(20), test__txt=numbered(5))
    corpus = prepare_tagged(str(folder))
    assert [len(corpus.train), len(corpus.dev), len(corpus.test)] == [18, 2, 5]
    assert (corpus.dev.words == UNK_ID).sum() == 2  # w18 and w19 are not in train
    assert corpus.info["dev"] == "set aside from the training text"


def test_one_file_gives_all_parts(tmp_path):
    (tmp_path / "all.txt").write_text(numbered(30))
    corpus = prepare_tagged(str(tmp_path / "all.txt"))
    assert [len(corpus.train), len(corpus.dev), len(corpus.test)] == [24, 3, 3]
    assert "w23" in corpus.words and "w24" not in corpus.words
    (tmp_path / "few.txt").write_text(numbered(5))
    with pytest.raises(InputError, match=r"corpus few has 5 sentences where 10 or more are needed"):
        prepare_tagged(str(tmp_path / "few.txt"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("The DT\ndog\n", r"bad.txt, line 2: a word and its tag are needed, got 'dog'"),
        ("The DT\ndog NN B-NP\n", r"bad.txt, line 2: 3 columns where the first line has 2"),
        ("The\tDT\n\tNN\n", r"bad.txt, line 2: a word and its tag are needed"),
        ("", r"bad.txt holds no tagged sentence"),
        (conllu() + "7\tx\n", r"bad.txt, line 9: 2 tab-separated columns where CoNLL-U has 10"),
    ],
)
def test_malformed_lines_are_named(tmp_path, text, message):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_tagged(tmp_path / "bad.txt")
    assert "\n" not in str(caught.value)


def test_damaged_files_and_empty_columns_are_refused(tmp_path):
    (tmp_path / "cut.txt.xz").write_bytes(lzma.compress(pairs().encode())[:-20])
    (tmp_path / "latin.txt").write_bytes("é X\n".encode("latin-1"))
    (tmp_path / "empty.conllu").write_text(conllu(xpos=["_"] * 6))
    for name, message in (
        ("cut.txt.xz", "is damaged or cut short"),
        ("latin.txt", "is not utf-8 text"),
        ("empty.conllu", "has no xpos tags .* try tags='upos'"),
    ):
        with pytest.raises(InputError, match=message):
            read_tagged(tmp_path / name)
    assert read_tagged(tmp_path / "empty.conllu", "upos")[0][1] == UPOS


def test_files_of_a_folder(tmp_path):
    folder_of(tmp_path, LICENSE__txt="", en_ewt__conllu="", train__txt="")
    with pytest.raises(InputError, match="has no test file; it needs a train and a test file"):
        find_files(tmp_path)
    folder_of(tmp_path, the_test__txt="", x_valid__txt="")
    assert {k: v.name for k, v in find_files(tmp_path).items()} == {
        "train": "train.txt", "dev": "x_valid.txt", "test": "the_test.txt",
    }  # fmt: skip
    folder_of(tmp_path, y_dev__txt="")
    with pytest.raises(InputError, match=r"more than one valid file: x_valid.txt and y_dev.txt"):
        find_files(tmp_path)


def test_a_release_folder_of_universal_dependencies(tmp_path):
    names = "LICENSE.txt README.md stats.xml en_ewt-ud-dev.txt en_ewt-ud-train.txt".split()
    for name in names:
        (tmp_path / name).write_text("")
    for split in ("train", "dev", "test"):
        (tmp_path / f"en_ewt-ud-{split}.conllu").write_text(conllu() * 2)
    assert {k: v.name for k, v in find_files(tmp_path).items()} == {
        split: f"en_ewt-ud-{split}.conllu" for split in ("train", "dev", "test")
    }
    (tmp_path / "en_ewt-ud-train.conllu").unlink()
    for part in "cm":
        (tmp_path / f"en_ewt-ud-train-{part}.conllu").write_text(conllu() * 3)
    assert len(prepare_tagged(str(tmp_path)).train) == 6  # both parts
    (tmp_path / "en_gum-ud-train.conllu").write_text(conllu())
    with pytest.raises(InputError, match="more than one train file"):
        find_files(tmp_path)


def test_lines_between_documents_are_left_out_counted_and_said(tmp_path, caplog):
    text = "-DOCSTART- -X- -X- O\n\n" + pairs(extra=" B-NP O") * 12
    (tmp_path / "all.txt").write_text(text)
    corpus = prepare_tagged(str(tmp_path / "all.txt"))
    assert corpus.info["dropped"] == {"lines of -DOCSTART-": 1} and "-X-" not in corpus.tags
    assert caplog.messages == ["all: left out 1 lines of -DOCSTART-"]


def test_a_line_between_documents_ends_a_sentence(tmp_path):
    (tmp_path / "all.txt").write_text("a A\nb B\n-DOCSTART- X\nc C\n")
    assert read_tagged(tmp_path / "all.txt") == [(["a", "b"], ["A", "B"]), (["c"], ["C"])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\tA\tO\tO\n2\tB\tO\tO\n\n1\tC\tO\tO\n", "the first column numbers the words"),
        ("0 A X\n1 B X\n\n", "the first column numbers the words"),
        ("#begin document (a); part 000\na 0 0 The DT\n", "CoNLL-2012, which is not read"),
    ],
)
def test_other_formats_are_not_taken_for_words_and_tags(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_tagged(tmp_path / "a.txt")


def test_words_may_hold_no_break_spaces(tmp_path):
    (tmp_path / "a.txt").write_text("10\u00a0000 CD\npeople NNS\n", encoding="utf-8")
    assert read_tagged(tmp_path / "a.txt") == [(["10\u00a0000", "people"], ["CD", "NNS"])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("embedded", "xpos"), "universal tags only .* use tags='upos'"),
        (("wikitext-2",), "wikitext-2 holds language model, not parts of speech"),
        (("ud-english-ewt",), "`sparsecore data fetch ud-english-ewt` does it"),
        (("ud-english-ewd",), r"did you mean 'ud-english-ewt'\?"),
        (("./nowhere",), "corpus path ./nowhere does not exist"),
        (("embedded", "xpo"), r"tags must be one of xpos, upos \(did you mean 'xpos'"),
    ],
)
def test_sources_that_cannot_be_had(arguments, message):
    with pytest.raises(InputError, match=message):
        prepare_tagged(*arguments, progress=False)
    with pytest.raises(InputError, match="max_sentences must be at least 1"):
        prepare_tagged("embedded", "upos", max_sentences=0)


def test_silver_labels_are_those_of_the_tagger(tmp_path, monkeypatch):
    from sparsecore.data.locate import Source

    text = "\n\n".join(f"The dog sees house {i}.\nIt runs." for i in range(40))
    (tmp_path / "text.txt").write_text(text)
    source = Source("embedded", {"all": tmp_path / "text.txt"}, "a test", form="sentences")
    monkeypatch.setattr(tagged, "find_source", lambda *_: source)
    corpus = prepare_tagged("embedded", "upos", max_sentences=20, progress=False)
    assert [len(corpus.train), len(corpus.dev), len(corpus.test)] == [20, 4, 4]
    assert "silver" in corpus.info["source"]
    found = {
        (corpus.words[w], corpus.tags[t])
        for w, t in zip(corpus.train.words, corpus.train.tags, strict=True)
    }
    assert {("the", "DET"), ("dog", "NOUN"), ("it", "PRON"), (".", "PUNCT")} <= found
