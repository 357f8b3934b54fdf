"""The browser half of an explorer: several small ES modules put together as one.

JupyterLab and the pages without a kernel both run a widget's module from a text of its own, which
cannot import its neighbours. So the imports of ``./name.js`` are replaced by the files they name.
"""

from __future__ import annotations

import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.js)";\n', re.MULTILINE)


def module(name: str) -> str:
    """The module ``static/NAME`` and those it imports, each once, what is needed first."""
    texts: dict[str, str] = {}
    _collect(name, texts)
    return "\n".join(texts.values())


def worker(name: str) -> str:
    """The same as a script for a web worker, which exports nothing: ``new Worker`` of a blob."""
    return re.sub(r"^export ", "", module(name), flags=re.MULTILINE)


def style(*names: str) -> str:
    """The style sheets ``static/NAME``, one after the other."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


def _collect(name: str, texts: dict[str, str]) -> None:
    source = (STATIC / name).read_text(encoding="utf-8")
    for needed in _IMPORT.findall(source):
        if needed not in texts:
            _collect(needed, texts)
    texts[name] = _IMPORT.sub("", source)
