"""What the fuzz campaigns found once: each is refused with a line that says what is wrong."""

import gzip
import io
import json
import zipfile

import pandas as pd
import pytest

from tools.fuzz import texts
from tools.fuzz.attempt import Limits, attempt
from tools.fuzz.mutate import zipped
from tools.fuzz.readers import READERS


def sample(name, changed):
    """The sample of a reader, with other bytes for the one file whose name ends so."""
    files = dict(READERS[name].sample())
    for ending, content in changed.items():
        (path,) = [path for path in files if path.endswith(ending)]
        files[path] = content(files[path]) if callable(content) else content
    return files


def shorter(content):
    return content[:-4]


def encrypted(content):
    """The flag alone makes zipfile ask for a password."""
    made = bytearray(content)
    for start in (made.index(b"PK\x03\x04") + 6, made.index(b"PK\x01\x02") + 8):
        made[start] |= 1
    return bytes(made)


def values(*given):
    return {"values.json": json.dumps(given).encode()}


def without(column):
    def change(content):
        sink = io.BytesIO()
        pd.read_parquet(io.BytesIO(content)).drop(columns=column).to_parquet(sink)
        return sink.getvalue()

    return change


def ids_outside(content):
    return b"\xff\xff\xff\x7f" + content[4:]


def swelling(form):
    members = {"toy/a.txt": b"\0" * 3_000_000, "toy/b.txt": b""}
    if form == "zip":
        return {"a.zip": zipped(members, zipfile.ZIP_DEFLATED)}
    return {"a.tar.gz": texts.tarred(members)}


MENDED = {
    "a gzip stream that breaks off inside a treebank": (
        "tagged-conllu",
        lambda: sample("tagged-conllu", {"dev.conllu.gz": lambda c: c[:40] + b"\xff" * 9 + c[49:]}),
        "is damaged or cut short",
    ),
    "a line without end": (
        "conllu",
        lambda: {"a.conllu": b"1\t" * 700_000},
        "line 1: more than 1,000,000 characters",
    ),
    "reviews that swell": (
        "reviews-lines",
        lambda: sample("reviews-lines", {"dev.tsv.gz": gzip.compress(b"1\tgood\n" * 900_000)}),
        "unpacks to more than 200 times its size",
    ),
    "a vector of other width between double blanks": (
        "vectors",
        lambda: {"v.txt": b"the 1 2 3\nit 1  2\n"},
        "line 2: 2 numbers where the lines before have 3",
    ),
    "a number too large to be squared": (
        "vectors",
        lambda: {"v.txt": b"it 1e30 2\n"},
        "not below 1e",
    ),
    "vectors in an encrypted zip": (
        "vectors-zip",
        lambda: sample("vectors-zip", {"v.zip": encrypted}),
        "is damaged",
    ),
    "a zip that swells": ("archive-zip", lambda: swelling("zip"), "more than 200 times its size"),
    "a tar that swells": (
        "archive-tar-gz",
        lambda: swelling("tar"),
        "more than 200 times its size",
    ),
    "an encrypted archive": (
        "archive-zip",
        lambda: sample("archive-zip", {"a.zip": encrypted}),
        "not a sound zip or tar archive",
    ),
    "prepared text that was cut": (
        "cache-corpus",
        lambda: cut_corpus(shorter),
        "is damaged",
    ),
    "prepared text with a word that is none": (
        "cache-corpus",
        lambda: cut_corpus(ids_outside),
        "ids outside the",
    ),
    "a run's table without a column": (
        "run",
        lambda: sample("run", {"epochs.parquet": without("epoch")}),
        "no 'epoch'",
    ),
    "a run's configuration cut short": (
        "run",
        lambda: sample("run", {"config.json": shorter}),
        "config.json is damaged",
    ),
    "weights of another network": (
        "network",
        lambda: sample("network", {"weights.safetensors": b"\x02" + bytes(7) + b"{}"}),
        "delete the folder of the run",
    ),
    "a table outside the folder": (
        "reference",
        lambda: sample(
            "reference",
            {"provenance.json": lambda c: c.replace(b"verdicts.csv", b"../claims.toml")},
        ),
        "names a table outside",
    ),
    "claims in another encoding": (
        "claims",
        lambda: sample("claims", {"claims.toml": lambda c: c.decode().encode("utf-16")}),
        "is not UTF-8 text",
    ),
    "claims nested without end": (
        "claims",
        lambda: {"claims.toml": b"a = " + b"[" * 50_000},
        "not",
    ),
    "a claim that is no table": (
        "claims",
        lambda: {"claims.toml": b"claim = [1]"},
        "claim 1 must be a",
    ),
    "pins that are no hashes": (
        "downloads",
        lambda: sample("downloads", {"pinned.json": b'{"a": 1}'}),
        "remove it to pin downloads anew",
    ),
    "a field of another type": (
        "fields",
        lambda: values("emergent", "quick", {"dropout": "x"}),
        "dropout must be a finite number, got 'x'",
    ),
    "a truth value for a number": (
        "fields",
        lambda: values("sentiment", "quick", {"max_epochs": True}),
        "max_epochs must be a whole number, got True",
    ),
    "a preset that is a list": ("fields", lambda: values("tagging", [], {}), "unknown preset []"),
    "blocks without number": (
        "fields",
        lambda: values("emergent", "quick", {"num_blocks": 10**9, "hidden_size": 10**9}),
        "num_blocks must be at most 10,000",
    ),
    "a rate beyond float32": (
        "fields",
        lambda: values("emergent", "quick", {"learning_rate": 1e300}),
        "learning_rate must be at most 3e+38 in size, got 1e+300",
    ),
    "a seed beyond all generators": (
        "fields",
        lambda: values("language", "quick", {"seed": 10**30}),
        "seed must be from 0 to",
    ),
    "a home that nobody has": (
        "fields",
        lambda: values("emergent", "quick", {"corpus": "~nobody-here/x"}),
        "Could not determine home directory",
    ),
    "a name longer than names are": (
        "fields",
        lambda: values("sentiment", "quick", {"corpus": "x" * 5000}),
        "File name too long",
    ),
    "seeds without number": (
        "commands",
        lambda: values("sweep", "emergent", "--seeds", "999999999"),
        "at most 100,000",
    ),
    "runs of another folder": (
        "commands",
        lambda: values("runs", "../.."),
        "unknown experiment '../..'",
    ),
    "a cell nested without end": (
        "parameters",
        lambda: values("seed = 0", "x = " + "[" * 500, "nix"),
        "unknown preset 'nix'",
    ),
}


def cut_corpus(change):
    """The prepared corpus with one split of its last stage changed."""
    files = dict(READERS["cache-corpus"].sample())
    path = next(path for path in sorted(files) if path.endswith("valid.bin"))
    files[path] = change(files[path])
    return files


@pytest.mark.parametrize("case", MENDED)
def test_it_is_refused_with_one_line(case):
    reader, files, message = MENDED[case]
    found = attempt(READERS[reader].read, files(), Limits(), READERS[reader].refusals)
    assert found.outcome == "refused", f"{found.outcome}: {found.told}"
    assert message in found.told


@pytest.mark.parametrize("sign", [".", "a-", " ", "a.", '" '])
def test_a_run_of_one_sign_is_read_in_linear_time(sign):
    """Quadratic would be minutes; the limit is far above what linear takes."""
    content = texts.text() + (sign * 200_000).encode()[:200_000] + b"\t\n" + texts.text(9)
    found = attempt(READERS["text"].read, {"a.txt": content}, Limits(seconds=30))
    assert found.outcome in ("read", "refused"), found.told


def test_line_breaks_do_not_fill_the_memory():
    content = texts.text() + b"\n" * 900_000 + texts.text(9)
    found = attempt(READERS["text"].read, {"a.txt": content}, Limits(30, 250))
    assert found.outcome in ("read", "refused"), found.told
