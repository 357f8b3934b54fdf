"""Build the book: the notebooks that changed, then every page, warnings as errors.

A second build with nothing changed stops after the fingerprints. `python -m tools.book --help`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sparsecore.files import write_text
from tools.notebooks import (
    EXECUTED,
    ROOT,
    argument_parser,
    files,
    given_parameters,
    one_at_a_time,
    report,
    run_notebooks,
)
from tools.tidy import COLOURS, NotebookFailure

BUILD = ROOT / "_build"
HTML = BUILD / "html"
NEXT = BUILD / "next"  # the book under way takes the place of the last one when it is whole
STAMP = BUILD / "book.sha256"
LOG = BUILD / "book.log"
PAGES = (sys.executable, "-m", "tools.pages")  # in a process of its own, for what it prints

_TOP = ("_config.yml", "_toc.yml", "CHANGELOG.md", "CITATION.cff", "requirements.lock")
_TROUBLE = re.compile(r"(WARNING|ERROR|CRITICAL|Error|Exception)\b")


def fingerprint() -> str:
    """SHA-256 of everything that the pages are made of."""
    digest = hashlib.sha256()
    made_of = [path for name in _TOP if (path := ROOT / name).exists()]
    for folder in (ROOT / "book", EXECUTED, ROOT / "sparsecore"):
        made_of += files(folder)
    for path in made_of:
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def is_fresh(mark: str) -> bool:
    """Whether the book as it stands was built from what carries the fingerprint ``mark``."""
    return (
        (HTML / "index.html").exists()
        and STAMP.exists()
        and STAMP.read_text(encoding="utf-8") == mark
    )


def build() -> bool:
    """Build every page where anything changed; return whether it did.

    Warnings are errors: :class:`NotebookFailure` names them, and the last good book stays.
    """
    with one_at_a_time():
        mark = fingerprint()
        return not is_fresh(mark) and _build(mark)


def _build(mark: str) -> bool:
    shutil.rmtree(NEXT, ignore_errors=True)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*PAGES, str(NEXT)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    log = COLOURS.sub("", done.stdout + done.stderr)
    write_text(LOG, log)
    if done.returncode:
        trouble = [f"  {_short(line)}" for line in log.splitlines() if _TROUBLE.search(line)]
        told = "\n".join(trouble) or log[-2000:]
        raise NotebookFailure(f"The book was not built:\n{told}\n  (all of it: {_short(LOG)})")
    STAMP.unlink(missing_ok=True)
    shutil.rmtree(HTML, ignore_errors=True)
    (NEXT / "html").rename(HTML)
    write_text(STAMP, mark)
    return True


def _short(text: str | Path) -> str:
    return str(text).replace(f"{ROOT}/", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: notebooks, then the book, then the page to open."""
    options = argument_parser("Build the book.").parse_args(arguments)

    def work() -> None:
        print("Notebooks …", flush=True)
        run_notebooks(given_parameters(options.parameters), jobs=options.jobs)
        print("Pages …", flush=True)
        build()
        print(f"\nThe book is ready. Open it in a browser:\n  {HTML / 'index.html'}")

    return report(work)


if __name__ == "__main__":
    sys.exit(main())
