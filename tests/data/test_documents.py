"""The documents of a text as they stand, in every format that readers know."""

import pytest

from sparsecore.data.readers import read_documents

HEADINGS = " = One = \n\n Text of one .\n = = Part = = \n\n More .\n = Two = \n\n Text of two .\n"


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("One line.\nAnother Line.\n", ["One line.", "Another Line."]),
        ("A sentence.\nIts next.\n\n\nAnother.\n", ["A sentence.\nIts next.", "Another."]),
        (HEADINGS, [HEADINGS[: HEADINGS.index(" = Two")], HEADINGS[HEADINGS.index(" = Two") :]]),
    ],
)
def test_documents_are_told_by_lines_blank_lines_or_headings(tmp_path, text, documents):
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    assert [one.strip("\n") for one in read_documents(path)] == [d.strip("\n") for d in documents]


def test_a_running_text_is_one_document_with_its_blank_lines(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffÜber A.\r\n\r\nB.\r\n".encode("utf-16-le"))
    assert list(read_documents(path, running=True)) == ["Über A.\n\nB.\n"]
