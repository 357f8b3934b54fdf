"""From documentation strings to plain sentences; one small environment, harvested."""

import ast
import inspect
import string
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.data import embedded
from sparsecore.data.docstrings import documentation_strings, paragraphs
from sparsecore.data.encode import EOS_ID
from sparsecore.data.language import load_tokens, prepare_corpus
from sparsecore.data.locate import content_hash, find_source
from sparsecore.data.prose import is_prose, sentences

NUMPYDOC = """Return the mean of the values along an axis.

    The sum is divided by the number of the values. See :func:`numpy.sum`, too.

    Parameters
    ----------
    values : array_like
        The numbers whose mean is wanted.
    axis : int, optional
        Along which of the axes the mean is taken.

    Returns
    -------
    mean : float
        The mean of the values that were given.

    Raises
    ------
    ValueError
        If there is not a single value.

    See Also
    --------
    median : The value that stands in the middle of them.

    Notes
    -----
    It is sensitive to outliers, in contrast to the median::

        This is code and not a sentence.

    ======  =======
    This is a table.
    ======  =======

    Examples
    --------
    >>> mean([1, 2])
    1.5
    """

GOOGLE = """Reads the lines of a file, one after the other.

    Args:
        path (str): Where the file is found on the disk.
        limit: How many of the lines are read, at most.

    Returns:
        The lines without their ends.

    Example:
        This is how it is not to be shown.
    """

FIELDS = """Open the connection to the server.

    .. versionadded:: 3.1
       This is not of interest.

    .. note:: It has to be closed by the caller.

    :param host: The name of the host to connect to.
    :type host: str
    :returns: A connection that is open.
    :raises OSError: If the host is not to be reached.
    """


def harvested(text):
    found = [(p.kind, s) for p in paragraphs(inspect.cleandoc(text)) for s in sentences(p.text)]
    return found


def test_numpydoc():
    assert harvested(NUMPYDOC) == [
        ("description", "Return the mean of the values along an axis."),
        ("description", "The sum is divided by the number of the values."),
        ("parameter", "The numbers whose mean is wanted."),
        ("parameter", "Along which of the axes the mean is taken."),
        ("returned", "The mean of the values that were given."),
        ("raised", "If there is not a single value."),
    ]


def test_google():
    assert harvested(GOOGLE) == [
        ("description", "Reads the lines of a file, one after the other."),
        ("parameter", "Where the file is found on the disk."),
        ("parameter", "How many of the lines are read, at most."),
        ("returned", "The lines without their ends."),
    ]


def test_fields_and_directives():
    assert harvested(FIELDS) == [
        ("description", "Open the connection to the server."),
        ("description", "It has to be closed by the caller."),
        ("parameter", "The name of the host to connect to."),
        ("returned", "A connection that is open."),
        ("raised", "If the host is not to be reached."),
    ]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("The *whole* of **this** is ``text``.", "The whole of this is text."),
        ("Like the :class:`~pandas.DataFrame` of pandas.", "Like the DataFrame of pandas."),
        ("See `the guide <https://example.org>`_ for more.", "See the guide for more."),
        ("As is shown in [the book](https://example.org).", "As is shown in the book."),
        ("It is the method of the paper [1]_.", "It is the method of the paper."),
        ("The file(s) to be read.", "The files to be read."),
    ],
)
def test_mark_up_is_taken_off(marked, plain):
    assert sentences(marked) == [plain]


@pytest.mark.parametrize(
    "text",
    [
        "numpy, scipy, pandas, and others.",
        "If x = 3 then the value is y.",
        "Use the method foo_bar for it.",
        "Call f(x) to get the value.",
        "It is in the file /usr/lib/python.",
        "the sentence begins in the middle.",
        "The sentence that has no end is one that goes on and on for so long that it is cut off",
        "Too short.",
        "The value of :math:`x^2` is positive.",
        "The notation that is used here follows [1]_.",
        "It is the method described in :cite:t:`smith`.",
        "See https://example.org for the details.",
        "One | of | the | rows | of a table.",
        "The bracket (is not closed here.",
        "It is done by calling numpy.mean on the array.",
        "Copyright Alice Smith Bob Jones Carol White and David Brown.",
    ],
)
def test_what_is_no_sentence_is_left_out(text):
    assert sentences(text) == []


def test_a_short_paragraph_gets_its_full_stop():
    assert sentences("Return the number of words") == ["Return the number of words."]
    assert sentences("Register a hook which is called after") == []


def test_a_description_may_begin_small():
    assert sentences("the name of the file to be read.", fragment=True) == [
        "The name of the file to be read."
    ]


@given(st.text(alphabet=string.printable, max_size=200))
def test_any_text_is_taken(text):
    for paragraph in paragraphs(text):
        for sentence in sentences(paragraph.text):
            assert is_prose(sentence)
            assert not set(sentence) & set("\\{}|=<>_`\n")


def test_documentation_strings_equal_those_of_the_parser():
    """Against ``ast``, on modules of the standard library."""
    for module in (string, inspect, ast):
        source = Path(inspect.getsourcefile(module) or "").read_text(encoding="utf-8")
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        expected = {
            text
            for node in ast.walk(ast.parse(source))
            if isinstance(node, documented)
            and (text := ast.get_docstring(node)) is not None
            and len(text) > 20
            and "\\" not in text
        }
        # One-line strings in single quotes are the only ones that are passed over.
        missing = expected - {inspect.cleandoc(text) for text in documentation_strings(source)}
        assert len(missing) <= 0.02 * len(expected)


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Three small packages and a library of one module in place of the installed ones."""
    site = tmp_path / "site"
    for name, text in (("one", NUMPYDOC), ("two", GOOGLE), ("three", FIELDS)):
        package = site / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f'def function():\n    """{text}"""\n')
        (site / f"{name}-1.0.dist-info").mkdir()
    (site / "one" / "tests").mkdir()
    (site / "one" / "tests" / "thing.py").write_text(f'"""{GOOGLE.replace("lines", "tests")}"""\n')
    library = tmp_path / "library"
    library.mkdir()
    (library / "four.py").write_text(f'"""{GOOGLE}"""\n')
    folders = {"": library, **{name: site / name for name in ("one", "two", "three")}}
    monkeypatch.setattr(embedded, "package_folders", lambda: folders)
    return site


def test_harvest(environment):
    folder = embedded.harvest(progress=False)
    documents = (folder / "text.txt").read_text().strip().split("\n\n")
    lines = [line for document in documents for line in document.split("\n")]
    assert len(documents) == 3  # the fourth says nothing new
    assert len(lines) == len(set(lines)) > 12
    assert all(map(is_prose, lines))
    assert not any("tests" in line for line in lines)
    table = pd.read_parquet(folder / "paragraphs.parquet")
    assert set(table.kind) == {"description", "parameter", "returned", "raised"}
    assert embedded.harvest(progress=False) == folder


def test_another_version_is_another_harvest_and_another_package_is_not(environment):
    before = embedded.harvest(progress=False)
    (environment / "five-2.0.dist-info").mkdir()
    assert embedded.harvest(progress=False) == before
    (environment / "one-1.0.dist-info").rename(environment / "one-1.1.dist-info")
    assert embedded.harvest(progress=False) != before


def test_every_package_is_found_where_it_is_installed():
    folders = embedded.package_folders()
    assert set(folders) == {"", *embedded.PACKAGES}
    assert all((folder / "__init__.py").exists() for name, folder in folders.items() if name)
    assert (folders[""] / "json" / "__init__.py").exists()
    named = [version.split("-")[0] for version in embedded.versions(folders)]
    assert named == sorted(embedded.PACKAGES)


def test_the_embedded_source_keeps_each_sentence(environment):
    source = find_source("embedded", progress=False)
    assert source.licence == "that of each package"
    assert "3 installed packages" in source.description
    content = {"all": content_hash(source.files["all"])}
    tokens, _, _ = load_tokens(source, content, progress=False)
    lines = [line for line in source.files["all"].read_text().split("\n") if line]
    assert (tokens["all"].ids == EOS_ID).sum() == len(lines)
    assert len(tokens["all"].documents) == 3


@pytest.mark.slow
def test_the_real_environment_has_half_a_million_tokens():
    corpus = prepare_corpus("embedded", threshold=1, progress=False)
    assert sum(corpus.info["tokens"].values()) >= 500_000
