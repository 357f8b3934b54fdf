"""What the tables of claims call a text, a round of runs, and the size of the runs."""

from __future__ import annotations

import re
from typing import Any

from sparsecore.report.figures.causes import arm_in_words

TEXTS = {
    "enwiki": "Wikipedia",
    "wikitext-2": "WikiText-2",
    "ptb": "Penn Treebank",
    "ud-english-ewt": "English Web Treebank",
    "amazon-reviews": "Amazon reviews",
}
ROUNDS = {  # of registrations whose runs were made in parts, with tables of their own
    "ud-english-ewt-2": "second round",
    "ud-english-ewt-3": "second round",
    "ptb-3500": "second round",
    "ptb-3500-2": "second round",
    "ptb-3500-3": "second round",
    "ptb-50k": "third round",
    "ptb-50k-2": "third round",
}


def part_in_words(part: str) -> str:
    """The name of a part of a finding, as a reader understands it who has seen no code.

    >>> part_in_words("a third: sparse RNN minus dense")
    'with the parameters of a third of the widths: sparse RNN minus dense'
    >>> part_in_words("sparse minus dense, size 2")
    'sparse minus dense, 2 values a word'
    """
    told = re.sub(r"^a half: ", "with the parameters of half the widths: ", part)
    told = re.sub(r"^a third: ", "with the parameters of a third of the widths: ", told)
    told = told.replace("SGD 20 minus SGD 5", "SGD at 20 minus SGD at 5, held out")
    told = told.replace("first step cut", "first cut of the learning rate")
    return arm_in_words(re.sub(r"\bsize (\d+)\b", r"\1 values a word", told))


def run_size(provenance: dict[str, Any], seeds: int) -> str:
    """``wikitext-2, 0.73 million words, 12 passes, 3 seeds``, as far as it is known."""
    corpus, settings = provenance["corpus"], provenance["settings"]
    words, limit = (corpus.get("tokens") or {}).get("train"), settings.get("max_tokens")
    documents = (corpus.get("documents") or {}).get("train")
    told = [text_name(str(corpus.get("name", "")))]
    if documents:
        told.append(f"{documents:,} documents of each kind")
    elif words:
        count = min(words, limit or words)
        if updates := settings.get("num_updates"):  # which may end before the text does
            count = min(count, updates * settings["batch_size"] * settings["sequence_length"])
        told.append(f"{count / 1e6:.3g} million words" if count >= 1e5 else f"{count:,} words")
    if settings.get("epochs", 1) > 1 and "num_updates" not in settings:
        further = settings.get("finetune_epochs") or 0  # fewer if nothing is gained any more
        told.append(f"{'at most ' * (further > 0)}{settings['epochs'] + further:,} passes")
    return ", ".join([*told, "one seed" if seeds == 1 else f"{seeds} seeds"])


def label_of(result: dict[str, Any]) -> str:
    """The text that a result is of, told from other runs on the same text.

    >>> label_of({"corpus": "wikitext-2", "tables": "wikitext-2-lr20"})
    'WikiText-2, rate 20'
    """
    corpus, tables = str(result.get("corpus", "")), str(result.get("tables", ""))
    return ", ".join(filter(None, [text_name(corpus), round_of(corpus, tables)]))


def round_of(corpus: str, tables: str) -> str:
    """Which of the runs on a text a folder of tables has; empty where its name does not tell.

    >>> round_of("enwiki", "enwiki"), round_of("enwiki", "enwiki-2-networks")
    ('first round', 'round 2, networks')
    >>> round_of("ptb", "ptb-3500-2"), round_of("enwiki", "enwiki-7m-lr20")
    ('second round', 'rate 20')
    """
    if tables in ROUNDS:
        return ROUNDS[tables]
    if tables == corpus:
        return "first round"
    told = re.sub(r"-\d+m\b", "", tables)  # without how many million tokens were read
    rest = told.removeprefix(corpus).lstrip("-").split("-") if told.startswith(corpus) else []
    named = [re.sub(r"^(\d+)$", r"round \1", re.sub(r"^lr(?=\d)", "rate ", word)) for word in rest]
    return ", ".join(named)


def text_name(corpus: str) -> str:
    """A corpus by the name that readers know."""
    return TEXTS.get(corpus, corpus)
