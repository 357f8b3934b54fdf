from __future__ import annotations

import gzip
import lzma
from collections import Counter
from pathlib import Path

import pytest

from sparsecore.data.conllu import read_conllu
from sparsecore.errors import InputError

LINE = "{}\t{}\t_\t{}\t{}\t_\t0\troot\t_\t_"
TEXT = "\n".join(
    [
        "# text = They don't.",
        LINE.format("1", "They", "PRON", "PRP"),
        LINE.format("2-3", "don't", "_", "_"),
        LINE.format("2", "do", "AUX", "VBP"),
        LINE.format("3", "n't", "PART", "RB"),
        LINE.format("3.1", "know", "VERB", "VB"),
        LINE.format("4", ".", "PUNCT", "."),
        "",
        "# text = Oh",
        LINE.format("1", "Oh", "INTJ", "UH"),
    ]
)


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz"])
def test_words_are_syntactic_words(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.conllu{suffix}"
    pack = {"": bytes, ".xz": lzma.compress, ".gz": gzip.compress}[suffix]
    path.write_bytes(pack(TEXT.encode()))
    first, second = read_conllu(path)
    assert first.words == ["They", "do", "n't", "."]
    assert first.upos == ["PRON", "AUX", "PART", "PUNCT"]
    assert first.xpos == ["PRP", "VBP", "RB", "."]
    assert second == (["Oh"], ["INTJ"], ["UH"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.conllu", b"", "holds no CoNLL-U sentence"),
        ("a.conllu", b"1\tThe\tthe\n", "line 1: 3 tab-separated columns where CoNLL-U has 10"),
        ("a.conllu", b"\xff\xfe\x00", "is not utf-16.* text"),
        ("a.conllu", b"\xff", "is not utf-8 text"),
        ("a.conllu", b"1\x00\t", "line 1: a NUL character"),
        ("a.conllu.xz", b"not xz", "is damaged"),
        ("a.conllu.gz", b"not gz", "is damaged"),
        ("a.conllu", ("1a" + "\tx" * 9).encode(), "line 1: the number of a word is 1, 1-2 or 1.1"),
        ("a.conllu", ("2" + "\tx" * 9 + "\n1" + "\tx" * 9).encode(), "line 2: word 1 after word 2"),
        ("a.conllu", ("1" + "\t_" * 9).encode(), "leaves its words out"),
        ("a.cupt", ("1" + "\tx" * 10).encode(), "11 tab-separated columns where CoNLL-U has 10"),
    ],
)
def test_bad_files_get_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_conllu(path)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no CoNLL-U file at"):
        read_conllu(tmp_path / "missing.conllu")


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(TEXT)
    dropped: Counter[str] = Counter()
    read_conllu(tmp_path / "a.conllu", dropped)
    assert dropped == {"surface forms of contractions": 1, "words that are not written": 1}


def test_columns_of_conllu_plus_and_conll_2009(tmp_path: Path) -> None:
    plus = "# global.columns = ID FORM XPOS OWN\n# text = a b\n1\ta\tX\t?\n2\tb\tY\t?\n"
    (tmp_path / "a.conllup").write_text(plus)
    assert read_conllu(tmp_path / "a.conllup") == [(["a", "b"], ["_", "_"], ["X", "Y"])]
    (tmp_path / "b.conllup").write_text("# global.columns = ID LEMMA UPOS\n1\ta\tX\n")
    with pytest.raises(InputError, match="line 1: the columns ID LEMMA UPOS lack FORM"):
        read_conllu(tmp_path / "b.conllup")
    row = "{}\t{}\tlemma\tlemma\t{}\tZZ" + "\t_" * 8
    text = row.format(1, "Dogs", "NNS") + "\n" + row.format(2, "bark", "VB") + "\t_\n"
    (tmp_path / "c.txt").write_text(text)  # a column more for a predicate
    assert read_conllu(tmp_path / "c.txt") == [(["Dogs", "bark"], ["_", "_"], ["NNS", "VB"])]
