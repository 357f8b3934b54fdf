"""Preparation of text: words to ids, parts of speech, the harvest of the embedded corpus.

The text is documentation of the installed packages, as many sentences as it takes, repeated. All
cores take part where the contestant's name does not say otherwise.

- sparsecore: ``encode_file``, the shipped tagger on shared word vectors, the whole harvest.
- a pattern: ``re.findall`` of words and marks, one dictionary.
- spaCy: its English tokenizer; for parts of speech ``nlp.pipe`` of the same tagger.
"""

from __future__ import annotations

import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared
from sparsecore.data.embedded import harvest, package_folders, read_modules, source_files
from sparsecore.data.encode import encode_file, new_index
from sparsecore.data.pool import parallel_map
from sparsecore.data.tagging import Tagger, count_tags, fast_tagger, load_tagger, pipe_tagger
from sparsecore.data.text import EOS, normalise, split_sentences, tokenize

DISTINCT = 100_000  # tokens before the text repeats
MODULES = 40  # whose sentences are held against the ones found in one process


def cases(device: torch.device, quick: bool) -> list[Case]:
    """A million tokens (50,000 where it is slow) and the harvest; quick: 300 tokens, no harvest."""
    del device  # text is prepared on the CPU
    lines = documentation(300 if quick else DISTINCT)
    many = lines * (1 if quick else 10)
    few = lines if quick else lines[: len(lines) // 2]
    all_tokens, some = count(many), count(few)
    found = [
        Case(
            f"text, {size(all_tokens)} tokens",
            lambda: words_to_ids(many),
            all_tokens,
            "token",
            helpers=True,
        ),
        Case(f"text, {size(some)} tokens, one process", lambda: beside_spacy(few), some, "token"),
        Case(f"parts of speech, {size(some)} tokens", lambda: parts_of_speech(few), some, "token"),
    ]
    if not quick:
        found.append(Case("harvest", harvested, 1, "harvest", rounds=1, helpers=True))
    return found


def count(lines: list[str]) -> int:
    """Tokens, ends of sentences included."""
    return sum(map(len, naive_sentences(lines)))


def size(tokens: int) -> str:
    """``1.0M``, ``52K`` or ``300``."""
    if tokens >= 1_000_000:
        return f"{tokens / 1e6:.1f}M"
    return f"{tokens / 1e3:.0f}K" if tokens >= 1000 else str(tokens)


def documentation(tokens: int) -> list[str]:
    """Sentences of the installed packages, a line each, of about so many tokens."""
    lines: list[str] = []
    count = 0
    for module, path, _ in source_files(package_folders()):
        for _, paragraphs in read_modules([(module, path)]):
            for _, sentences in paragraphs:
                lines += sentences
                count += sum(len(sentence.split()) for sentence in sentences)
        if count >= tokens:
            break
    return lines


def naive_sentences(lines: list[str]) -> Iterator[list[str]]:
    """The tokens of each sentence, line by line, with the mark of its end."""
    for line in lines:
        for sentence in split_sentences(normalise(line)).split("\n"):
            yield [*tokenize(sentence), EOS]


def naive_ids(lines: list[str], index: dict[str, int]) -> Tensor:
    """What ``encode_file`` writes, one word after the other."""
    ids = [
        index.setdefault(token, len(index)) for tokens in naive_sentences(lines) for token in tokens
    ]
    return torch.tensor(ids)


def words_to_ids(lines: list[str]) -> Prepared:
    """A file of text to a file of ids."""
    folder = tempfile.TemporaryDirectory()
    text, ids = Path(folder.name, "text.txt"), Path(folder.name, "text.ids")
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def contestant(workers: int | None) -> Contestant:
        def step() -> None:
            encode_file(text, new_index(), ids, form="lines", workers=workers)

        def values() -> dict[str, Tensor]:
            step()
            return {"ids": torch.from_numpy(np.fromfile(ids, "<i4"))}

        return Contestant(step, values)

    def pattern() -> None:
        index = new_index()
        found = re.findall(r"\w+|[^\w\s]|\n", text.read_text(encoding="utf-8").lower())
        np.array([index.setdefault(word, len(index)) for word in found], "<i4").tofile(ids)

    return Prepared(
        {
            REFERENCE: contestant(None),
            "one process": contestant(1),
            "a pattern, one process": Contestant(pattern),
        },
        lambda: {"ids": naive_ids(lines, new_index())},
        folder.cleanup,
    )


def beside_spacy(lines: list[str]) -> Prepared:
    """The tokens alone, in memory."""
    import spacy

    tokenizer = spacy.blank("en").tokenizer

    def own() -> list[str]:
        return tokenize(split_sentences(normalise("\n".join(lines))))

    def theirs() -> None:
        for line in lines:
            [token.lower_ for token in tokenizer(line)]

    def numbers(tokens: list[str]) -> dict[str, Tensor]:
        return {"tokens": fingerprints(EOS if token == "\n" else token for token in [*tokens, EOS])}

    def truth() -> dict[str, Tensor]:
        return {"tokens": fingerprints(t for tokens in naive_sentences(lines) for t in tokens)}

    return Prepared(
        {REFERENCE: Contestant(own, lambda: numbers(own())), "spaCy": Contestant(theirs)}, truth
    )


def parts_of_speech(lines: list[str]) -> Prepared:
    """The shipped tagger: how often each word has each tag."""
    index = new_index()
    ids, nlp = naive_ids(lines, index).numpy(), load_tagger()
    words = list(index)

    def contestant(make: Callable[[Any, list[str]], Tagger]) -> Contestant:
        def step() -> np.ndarray:
            return count_tags(make(nlp, words), ids, words)

        return Contestant(step, lambda: {"counts": torch.from_numpy(step())})

    plain = contestant(pipe_tagger)
    assert plain.values is not None
    return Prepared({REFERENCE: contestant(fast_tagger), "nlp.pipe": plain}, plain.values)


def harvested() -> Prepared:
    """The whole corpus, and the same once it is kept."""
    folder = tempfile.TemporaryDirectory()
    files = [(module, path) for module, path, _ in source_files(package_folders())[:MODULES]]

    def step() -> None:
        with home_in(folder.name):
            harvest(progress=False)

    def sentences(parts: list[Any]) -> dict[str, Tensor]:
        lines = (line for _, found in parts for _, lines in found for line in lines)
        return {"sentences": fingerprints(lines)}

    def values() -> dict[str, Tensor]:
        halves = [files[: MODULES // 2], files[MODULES // 2 :]]
        return sentences([part for parts in parallel_map(read_modules, halves) for part in parts])

    contestants = {REFERENCE: Contestant(step, values), "kept from before": Contestant(step)}
    return Prepared(contestants, lambda: sentences(read_modules(files)), folder.cleanup)


@contextmanager
def home_in(folder: str) -> Iterator[None]:
    """With ``SPARSECORE_HOME`` set to a folder."""
    before = os.environ.get("SPARSECORE_HOME")
    os.environ["SPARSECORE_HOME"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["SPARSECORE_HOME"]
        else:
            os.environ["SPARSECORE_HOME"] = before


def fingerprints(words: Any) -> Tensor:
    """A number for each word, to compare lists of them."""
    return torch.tensor([zlib.crc32(word.encode()) for word in words])
