"""Readers of what users bring: texts, treebanks, reviews, vectors, encoders, archives."""

from __future__ import annotations

import functools
import gzip
import io
import lzma
import random
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sparsecore.data.conllu import read_conllu
from sparsecore.data.contextual import contextual_vectors
from sparsecore.data.download import extract
from sparsecore.data.language import prepare_corpus
from sparsecore.data.reviews import collection_of, prepare_reviews
from sparsecore.data.tagged import prepare_tagged
from sparsecore.data.tagging import OWN_FOLDER, fast_tagger, load_tagger
from sparsecore.data.vectors import word_vectors
from sparsecore.files import atomic_folder
from tools.fuzz.campaign import Reader
from tools.fuzz.mutate import Files, zipped

NOUNS = "model word layer network gradient unit text vector neuron corpus".split()
VERBS = "learns reads sees predicts returns keeps follows".split()


def text(lines: int = 90, seed: int = 0) -> bytes:
    """Sentences of few words, one a line."""
    draw = random.Random(seed)
    made = []
    for _ in range(lines):
        first, second = draw.choice(NOUNS), draw.choice(NOUNS)
        made.append(f"the {first} {draw.choice(VERBS)} a {second} .")
    return ("\n".join(made) + "\n").encode()


def conllu(sentences: int = 30) -> bytes:
    """A treebank of short sentences with a comment and a contraction."""
    made = []
    for number in range(sentences):
        noun = NOUNS[number % 10]
        made.append(
            f"# sent_id = {number}\n1\tThe\tthe\tDET\tDT\t_\t2\tdet\t_\t_\n"
            f"2-3\t{noun}'s\t_\t_\t_\t_\t_\t_\t_\t_\n2\t{noun}\t{noun}\tNOUN\tNN\t_\t0\troot\t_\t_\n"
            f"3\t's\t's\tPART\tPOS\t_\t2\tcase\t_\t_\n"
        )
    return ("\n".join(made) + "\n").encode()


def word_tags(sentences: int = 30) -> bytes:
    """A word and its tag a line."""
    made = [f"the DT\n{NOUNS[n % 10]} NN\nreads VB\n. .\n" for n in range(sentences)]
    return "\n".join(made).encode()


def reviews(number: int = 40, seed: int = 0) -> bytes:
    """label<TAB>text, a document a line."""
    draw = random.Random(seed)
    return "".join(
        f"{n % 2}\tit is {('bad', 'good')[n % 2]} {draw.choice(NOUNS)} number {seed}{n} .\n"
        for n in range(number)
    ).encode()


def amazon(label: str, number: int = 20) -> bytes:
    """Amazon's pseudo-XML."""
    return "".join(
        f"<review>\n<rating>\n{5.0 if label == 'good' else 1.0}\n</rating>\n<review_text>\n"
        f"It's a {label} {NOUNS[n % 10]}, number {n}!\n</review_text>\n</review>\n"
        for n in range(number)
    ).encode()


def vectors(width: int = 6) -> bytes:
    """Word vectors as GloVe writes them."""
    draw = random.Random(0)
    words = ["the", "it", "is", "good", "bad", *NOUNS]
    return "".join(
        f"{word} {' '.join(f'{draw.gauss(0, 1):.4f}' for _ in range(width))}\n" for word in words
    ).encode()


def tarred(files: dict[str, bytes], mode: Literal["w", "w:gz"] = "w:gz") -> bytes:
    """A tar archive."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return sink.getvalue()


# --- what is read, and how ---


def _corpus(name: str, folder: Path, tokenised: bool = False) -> object:
    path = str(folder / name)
    corpus = prepare_corpus(path, threshold=1, tokenised=tokenised, progress=False)
    assert corpus.train.max() < len(corpus.vocabulary)
    return corpus


def _tagged(name: str, column: str, folder: Path) -> object:
    return prepare_tagged(str(folder / name), column, progress=False)


def _reviews(category: str | None, folder: Path) -> object:
    path = str(folder / "reviews")
    corpus = prepare_reviews(path, category, max_length=50, progress=False)
    return corpus, collection_of(path, progress=False)


def _vectors(name: str, folder: Path) -> object:
    found = word_vectors(str(folder / name), ["it", "good", "unheard-of"], progress=False)
    assert found.table.shape == (6, found.width)
    return found


@functools.cache
def _encoder() -> Files:
    """A tiny random BERT as ``save_pretrained`` writes it, and reviews for it to read."""
    import torch
    import transformers

    kit: Any = transformers  # its names are made when they are asked for
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "is", "good", "bad", "##a", "b"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
        kit.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(pieces), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=8, max_position_embeddings=24,
        )  # fmt: skip
        transformers.BertModel(config).save_pretrained(folder)
        files = {f"encoder/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    return {**files, "reviews/all.tsv": reviews(12)}


def _read_encoder(folder: Path) -> object:
    corpus = prepare_reviews(str(folder / "reviews" / "all.tsv"), progress=False)
    return contextual_vectors(str(folder / "encoder"), corpus, progress=False)


@functools.cache
def _tagger() -> Files:
    """The tagger that ships with the package."""
    return {
        f"tagger/{path.relative_to(OWN_FOLDER)}": path.read_bytes()
        for path in sorted(OWN_FOLDER.rglob("*"))
        if path.is_file() and path.suffix != ".md"
    }


def _read_tagger(folder: Path) -> object:
    nlp = load_tagger(str(folder / "tagger"))
    return fast_tagger(nlp, ["the", "cat"])


def _archive(name: str, folder: Path) -> None:
    members = {"train.txt": "toy/a.txt", "deep/test.txt": "toy/b.txt"}
    with atomic_folder(folder / "home" / "unpacked") as temporary:
        extract(folder / name, members, temporary)
    outside = [p for p in folder.rglob("*") if p.is_file() and "unpacked" not in p.parts]
    assert outside == [folder / name], "a file outside the folder"


PLUS = b"# global.columns = ID FORM UPOS\n"


def _row(number: int, *columns: int) -> bytes:
    """A line of a treebank, in sentences of three words; a blank line before each."""
    values = ("", NOUNS[number % 10], "_", "NOUN", "NN")
    end = "" if number % 3 else "\n"
    return "\t".join([f"{end}{number % 3 + 1}", *(values[c] for c in columns)]).encode()


SPLITS = ("train", "valid", "test")
PACKED = {"toy/a.txt": b"one\n" * 40, "toy/b.txt": b"two\n" * 40, "toy/c": b""}

READERS = (
    Reader("text", lambda: {"a.txt": text()}, partial(_corpus, "a.txt")),
    Reader(
        "text-utf16", lambda: {"a.txt": text().decode().encode("utf-16")}, partial(_corpus, "a.txt")
    ),
    Reader("text-tokenised", lambda: {"a.txt": text()}, partial(_corpus, "a.txt", tokenised=True)),
    Reader(
        "text-folder",
        lambda: {
            "text/train.txt": text(),
            "text/valid.txt.gz": gzip.compress(text(9, 1)),
            "text/test.txt.xz": lzma.compress(text(9, 2)),
        },
        partial(_corpus, "text"),
    ),
    Reader(
        "conllu",
        lambda: {"a.conllu": conllu()},
        lambda folder: read_conllu(folder / "a.conllu"),
        share=2,
    ),
    Reader(
        "tagged-conllu",
        lambda: {
            "tags/train.conllu": conllu(),
            "tags/dev.conllu.gz": gzip.compress(conllu(4)),
            "tags/test.conllu": conllu(4),
        },
        partial(_tagged, "tags", "xpos"),
    ),
    Reader(
        "tagged-plus",
        lambda: {"tags.conllup": PLUS + b"\n".join(_row(n, 1, 3) for n in range(90))},
        partial(_tagged, "tags.conllup", "upos"),
    ),
    Reader(
        "tagged-2009",
        lambda: {"tags.txt": b"\n".join(_row(n, 1, 1, 4, *[1] * 10) for n in range(90))},
        partial(_tagged, "tags.txt", "xpos"),
    ),
    Reader("tagged-words", lambda: {"tags.txt": word_tags()}, partial(_tagged, "tags.txt", "upos")),
    Reader(
        "reviews-amazon",
        lambda: {
            "reviews/kitchen/positive.review": amazon("good"),
            "reviews/kitchen/negative.review.xz": lzma.compress(amazon("bad")),
            "reviews/dvd/positive.review": amazon("good"),
            "reviews/dvd/negative.review": amazon("bad"),
        },
        partial(_reviews, "kitchen"),
    ),
    Reader(
        "reviews-lines",
        lambda: {
            "reviews/train.tsv": reviews(),
            "reviews/dev.tsv.gz": gzip.compress(reviews(8, 1)),
            "reviews/test.tsv": reviews(8, 2),
        },
        partial(_reviews, None),
    ),
    Reader(
        "reviews-domains",
        lambda: {
            f"reviews/{name}.task.{split}": reviews(20, number)
            for number, (name, split) in enumerate(
                (n, s) for n in ("books", "dvd") for s in ("train", "test")
            )
        },
        partial(_reviews, "mix"),
    ),
    Reader("vectors", lambda: {"v.txt": vectors()}, partial(_vectors, "v.txt"), share=2),
    Reader(
        "vectors-gz", lambda: {"v.txt.gz": gzip.compress(vectors())}, partial(_vectors, "v.txt.gz")
    ),
    Reader(
        "vectors-xz", lambda: {"v.txt.xz": lzma.compress(vectors())}, partial(_vectors, "v.txt.xz")
    ),
    Reader(
        "vectors-zip", lambda: {"v.zip": zipped({"v.txt": vectors()})}, partial(_vectors, "v.zip")
    ),
    Reader("encoder", _encoder, _read_encoder, share=0.5),
    Reader("tagger", _tagger, _read_tagger, share=0.1),
    Reader("archive-zip", lambda: {"a.zip": zipped(PACKED)}, partial(_archive, "a.zip"), share=2),
    Reader(
        "archive-tar", lambda: {"a.tar": tarred(PACKED, "w")}, partial(_archive, "a.tar"), share=2
    ),
    Reader("archive-tar-gz", lambda: {"a.tar.gz": tarred(PACKED)}, partial(_archive, "a.tar.gz")),
)
