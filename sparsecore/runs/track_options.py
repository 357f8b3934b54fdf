"""The options of ``sparsecore track``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sparsecore.errors import InputError, check_installed

if TYPE_CHECKING:
    from sparsecore.runs.track import TrackedLM

USAGE = """\
Which words make which layers of a language model sparse? The text is read in windows; chi =
||v||2/||v||1 of the values of the layers (and, with --gradients, of the gradients of the loss) goes
to the mean of the word that is read and of the word that is predicted. The table is in the run
folder: word, frequency, layer, signal, role, chi, l1, count, surprisal.

  sparsecore track gpt2 --text my-text.txt
  sparsecore track ./my-model --text my-text.txt --layers '*.mlp.down_proj:input' --gradients
  sparsecore track EleutherAI/pythia-70m --revisions step1000,step10000,main --text wikitext-2"""

EPILOG = """\
A run that was killed goes on with the same command, and a finished one is not repeated. Put
patterns in quotes: the shell has a * of its own."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.description, parser.epilog = USAGE, EPILOG
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="MODEL",
        help="a folder, a GGUF file or a package with one, or a name on the hub;\n"
        "several (checkpoints, say) are compared",
    )
    add(
        "--text",
        required=True,
        help="a text file (plain or compressed), a folder with train, valid and test\n"
        "files, 'embedded', or a name of `sparsecore data list`",
    )
    add(
        "--layers",
        nargs="+",
        metavar="PATTERN",
        help="names or patterns of the model's modules, ':input' for what a layer\n"
        "reads; default: each block, which is the residual stream",
    )
    add(
        "--revisions",
        metavar="A,B,C",
        help="of a name on the hub, in turn: branches, tags, commits",
    )
    add(
        "--gradients", action="store_true", help="also go backward, which takes about twice as long"
    )
    add(
        "--words",
        default="every",
        metavar="RULE",
        help="which pieces of a word count for it: every, first, last; or pieces:\n"
        "each is a word of its own (default: every)",
    )
    add("--length", type=int, help="tokens of a window (default: 512, or what the model reads)")
    add("--stride", type=int, help="tokens from one window to the next (default: --length)")
    add("--batch-size", type=int, default=4, help="windows at once (default: %(default)s)")
    add("--max-tokens", type=int, help="read no more of the text")
    add("--split", default="train", help="of a text that has several (default: %(default)s)")
    add(
        "--running",
        action="store_true",
        help="read the text as one document; else each (separated by blank lines or\n"
        "headings, or each line of a file without) is read by itself",
    )
    add(
        "--measures",
        nargs="+",
        default=[],
        metavar="NAME",
        help="more columns: effective_units, hoyer, zero_share, near_zero_share,\n"
        "top_share, kurtosis",
    )
    add("--device", default="auto", help="cpu, cuda or auto (default: %(default)s)")
    add("--dtype", default="float32", help="of the weights (default: %(default)s)")
    add("--no-progress", action="store_true", help="show no bars")


def configs_of(chosen: argparse.Namespace) -> list[TrackedLM]:
    """What to track, one for each model and revision.

    Raises:
        InputError: an extra is missing, or a bad value.
    """
    check_installed("lm", "transformers", "filelock")
    from sparsecore.runs.track import TrackedLM

    named = chosen.revisions.split(",") if chosen.revisions else []
    revisions = [revision.strip() for revision in named] or [None]
    pairs = [(model, revision) for model in chosen.models for revision in revisions]
    if "" in revisions or len(set(pairs)) < len(pairs):
        raise InputError("a model or revision is empty or named twice: each is tracked once")
    shared: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(chosen).items()
        if name in TrackedLM.__dataclass_fields__
    }
    return [TrackedLM(model, chosen.text, revision=revision, **shared) for model, revision in pairs]
