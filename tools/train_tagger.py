"""Train the small part-of-speech tagger that ships with the package.

    python -m tools.train_tagger TRAIN.conllu --dev DEV.conllu --test TEST.conllu \\
        --out FOLDER

A convolutional network over hashed features of each word (spaCy's ``Tagger`` on ``MultiHashEmbed``
and ``MaxoutWindowEncoder``), trained on lower-cased words and universal tags. Now and then a rare
word is replaced by ``<unk>``, because the corpora that are tagged later contain it. The same seed
and versions give the same weights.
"""

from __future__ import annotations

import hashlib
import platform
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from tqdm import tqdm

from sparsecore.data.conllu import Sentence, read_conllu
from sparsecore.data.tagging import UPOS, pipe_tagger
from sparsecore.data.text import EOS, UNK
from sparsecore.data.text_files import open_binary
from sparsecore.errors import InputError
from sparsecore.files import atomic_folder, write_text

if TYPE_CHECKING:
    from spacy.language import Language


FEATURES = {"NORM": 2000, "PREFIX": 500, "SUFFIX": 1500, "SHAPE": 200}  # rows of each hash table
WIDTH = 64
DEPTH = 2  # layers; each sees one more word to either side
LEARNING_RATE = 0.002
BATCH_WORDS = 1000
UNKNOWN = 0.3  # chance that a word seen once is replaced by <unk>; falls with 1/sqrt(count)

README = """\
# The tagger that ships with sparsecore

A small spaCy pipeline that gives lower-cased, tokenised English words their universal part of
speech (`token.tag_`). `sparsecore.data.tagging.load_tagger()` loads it; `spacy.load` of this folder
does too. The weights are plain arrays (msgpack): loading them runs no code.

|  |  |
|---|---|
| made by | `{command}` |
| seed, epochs, dropout | {seed}, {epochs}, {dropout} |
| versions | {versions} |
| accuracy, lower-cased words, gold tokens | dev {dev:.2%}, test {test:.2%} |
| size | {size:.2f} MB |
| trained on | {words:,} words of UD English-EWT |
| sha256 of the data | {hashes} |

## Licence

The weights are derived from the Universal Dependencies English Web Treebank (Silveira, Dozat, de
Marneffe, Bowman, Connor, Bauer and Manning 2014, *A Gold Standard Dependency Corpus for English*;
https://universaldependencies.org/treebanks/en_ewt), which is licensed
[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/). The contents of this folder are
under that licence too, not under the licence of the rest of the package.
"""


def train_tagger(
    train: Annotated[Path, tyro.conf.Positional],
    dev: Path,
    test: Path,
    out: Path,
    seed: int = 0,
    epochs: int = 10,
    dropout: float = 0.1,
) -> None:
    """Train on TRAIN, score on dev and test, and write the pipeline with a README to a new folder.

    Args:
        train: Treebank to learn from, CoNLL-U (also .xz, .gz, .bz2).
        dev: Treebank scored after every epoch.
        test: Treebank scored once, at the end.
        out: Folder to make; it must not exist.
        seed: Seed of the initial weights, the order of sentences, dropout and <unk>.
        epochs: Passes over the training text.
        dropout: Share of units dropped in training.
    """
    if out.exists():
        raise InputError(f"--out {out} exists already; name a new folder")
    if epochs < 1:
        raise InputError(f"--epochs must be at least 1; got {epochs}")
    texts = {"train": read_conllu(train), "dev": read_conllu(dev), "test": read_conllu(test)}
    shipped = fit(texts["train"], seed, epochs, dropout, texts["dev"])
    scores = {split: accuracy(shipped, texts[split]) for split in ("dev", "test")}
    tqdm.write(f"dev {scores['dev']:.4f}  test {scores['test']:.4f}")
    shipped.meta.update(
        name="sparsecore_tagger",
        version="1.0.0",
        spacy_version=">=3.8,<4",
        description="Universal parts of speech of lower-cased English words",
        license="CC BY-SA 4.0",
        sources=[{"name": "UD English-EWT", "license": "CC BY-SA 4.0"}],
        performance={f"tag_acc_{split}": round(score, 4) for split, score in scores.items()},
    )
    with atomic_folder(out) as folder:
        shipped.to_disk(folder)
        files = {"train": train, "dev": dev, "test": test}
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        hashes = ", ".join(f"{split} `{_sha256(path)}`" for split, path in files.items())
        readme = README.format(
            command=f"python -m tools.train_tagger {train.name} --dev {dev.name} "
            f"--test {test.name} --out {out.name if out.is_absolute() else out}",
            seed=seed,
            epochs=epochs,
            dropout=dropout,
            **scores,
            versions=_versions(),
            size=size / 1e6,
            words=sum(len(sentence.words) for sentence in texts["train"]),
            hashes=hashes,
        )
        write_text(folder / "README.md", readme)


def fit(
    sentences: list[Sentence],
    seed: int,
    epochs: int,
    dropout: float,
    dev: list[Sentence] | None = None,
) -> Language:
    """The trained pipeline, with the running averages of the weights of all steps.

    Prints the loss and, with ``dev``, the accuracy after every epoch.
    """
    from spacy.util import fix_random_seed
    from thinc.api import Adam

    fix_random_seed(seed)
    rng = random.Random(seed)
    nlp = _blank()
    seen = Counter(word.lower() for sentence in sentences for word in sentence.words)
    nlp.initialize(lambda: _examples(nlp, sentences, seen, None))
    optimizer = Adam(LEARNING_RATE, L2=0.01, grad_clip=1.0, use_averages=True)
    for epoch in range(epochs):
        examples = _examples(nlp, sentences, seen, rng)
        rng.shuffle(examples)
        losses: dict[str, float] = {}
        for batch in _batches(examples):
            nlp.update(batch, sgd=optimizer, drop=dropout, losses=losses)
        line = f"epoch {epoch + 1}  loss {losses['tagger']:.0f}"
        if dev:
            with nlp.use_params(optimizer.averages):
                line += f"  dev {accuracy(nlp, dev):.4f}"
        tqdm.write(line)
    with nlp.use_params(optimizer.averages):
        return _without_training_words(nlp)


def accuracy(nlp: Language, sentences: Sequence[Sentence]) -> float:
    """Share of words, lower-cased and in gold tokenisation, whose part of speech ``nlp`` finds."""
    if not sentences:
        raise InputError("accuracy needs at least one tagged sentence")
    texts = [[word.lower() for word in sentence.words] for sentence in sentences]
    words = [*sorted({word for text in texts for word in text}), EOS]
    index = {word: i for i, word in enumerate(words)}
    ids = np.array([index[word] for text in texts for word in [*text, EOS]])
    found = pipe_tagger(nlp, words)(ids)[ids != index[EOS]]
    gold = np.array([UPOS.index(tag) for sentence in sentences for tag in sentence.upos])
    return float((found == gold).mean())


def _blank() -> Language:
    import spacy

    nlp = spacy.blank("en")
    tok2vec = {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": {
            "@architectures": "spacy.MultiHashEmbed.v2",
            "width": WIDTH,
            "attrs": list(FEATURES),
            "rows": list(FEATURES.values()),
            "include_static_vectors": False,
        },
        "encode": {
            "@architectures": "spacy.MaxoutWindowEncoder.v2",
            "width": WIDTH,
            "window_size": 1,
            "maxout_pieces": 3,
            "depth": DEPTH,
        },
    }
    model = {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec, "nO": None}
    tagger: Any = nlp.add_pipe("tagger", config={"model": model})
    for tag in UPOS:
        tagger.add_label(tag)
    return nlp


def _examples(
    nlp: Language, sentences: list[Sentence], seen: Counter[str], rng: random.Random | None
) -> list[Any]:
    from spacy.tokens import Doc
    from spacy.training import Example

    examples = []
    for sentence in sentences:
        words = [word.lower() for word in sentence.words]
        if rng:
            words = [UNK if rng.random() < UNKNOWN / seen[w] ** 0.5 else w for w in words]
        gold = Doc(nlp.vocab, words=words, tags=sentence.upos)
        examples.append(Example(Doc(nlp.vocab, words=words), gold))
    return examples


def _batches(examples: list[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    words = 0
    for example in examples:
        batch.append(example)
        words += len(example.reference)
        if words >= BATCH_WORDS:
            yield batch
            batch, words = [], 0
    if batch:
        yield batch


def _without_training_words(nlp: Language) -> Language:
    """A copy whose vocabulary does not list the words of the training text."""
    copy = _blank()
    # pyrefly: ignore[missing-attribute]
    weights = nlp.get_pipe("tagger").to_bytes(exclude=["vocab"])
    # pyrefly: ignore[missing-attribute]
    copy.get_pipe("tagger").from_bytes(weights, exclude=["vocab"])
    return copy


def _sha256(path: Path) -> str:
    """Hash of the uncompressed treebank, whichever way it is stored."""
    with open_binary(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _versions() -> str:
    import spacy
    import thinc

    python = platform.python_version()
    return (
        f"Python {python}, spaCy {spacy.__version__}, thinc {thinc.__version__}, "
        f"NumPy {np.__version__}"
    )


if __name__ == "__main__":
    try:
        tyro.cli(train_tagger)
    except InputError as error:
        sys.exit(f"error: {error}")
