from __future__ import annotations

import gzip
import lzma
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
        ("a.conllu", b"\xff\xfe\x00", "cannot be read as CoNLL-U text"),
        ("a.conllu.xz", b"not xz", "cannot be read as CoNLL-U text"),
        ("a.conllu.gz", b"not gz", "cannot be read as CoNLL-U text"),
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
