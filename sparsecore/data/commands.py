"""``sparsecore data list|info|fetch``."""

from __future__ import annotations

import sys
import textwrap

from sparsecore.data import sources


def list_sources() -> None:
    """List the data sets that can be named, and which of them are on this machine."""
    width = max(len(name) for name in sources.SOURCES)
    lines = [f"{'embedded':<{width}}  nothing to download  English of the installed packages"]
    for name, source in sources.SOURCES.items():
        state = "downloaded" if sources.resolve(name) else source.size
        lines.append(f"{name:<{width}}  {state:<19}  {source.title}")
    lines += [
        "",
        "sparsecore data info NAME   licence, citation, addresses, checksums",
        "sparsecore data fetch NAME  download it (--from FOLDER: use copies of your own)",
        "A path of your own can be given wherever a name can: a text file, or a folder with train,",
        "valid and test files.",
    ]
    _say("\n".join(lines))


def info(name: str) -> None:
    """Describe one data set: size, licence, citation, addresses, checksums, where it is."""
    if name == "embedded":
        _say(
            "English sentences from the documentation of Python, NumPy, pandas, SciPy, SymPy and "
            "NetworkX, as they are installed.\n"
            "Nothing to download; the text is collected on first use."
        )
        return
    facts = sources.describe(name)
    width = max(map(len, facts))
    lines = []
    for key, value in facts.items():
        lines += textwrap.wrap(
            f"{key:<{width}}  {value}",
            width=100,
            subsequent_indent=" " * (width + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
    _say("\n".join(lines))


def fetch(name: str, copies: str | None = None, progress: bool = True) -> None:
    """Download one data set over https, check it and unpack it; or take it from ``copies``."""
    if name == "embedded":
        _say("embedded needs no download")
        return
    source = sources.find(name)
    there = sources.resolve(name)
    if there is None:
        _say(f"{source.title}\nlicence: {source.licence}")
        if not source.pinned and copies is None:
            _say(sources.UNPINNED)
        there = sources.take(name, copies) if copies else sources.fetch(name, progress)
    _say(f"{name}: {there}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
