"""Every page of the book, a process a core: what Jupyter Book's own command cannot be asked for.

`python -m tools.pages FOLDER` writes below FOLDER/html; warnings are errors. See `tools.book`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jupyter_book.sphinx import build_sphinx

ROOT = Path(__file__).resolve().parent.parent


def main(folder: str) -> int:
    """Build the pages; return the exit status."""
    status = build_sphinx(
        ROOT,
        Path(folder) / "html",
        noconfig=True,
        path_config=ROOT / "_config.yml",
        confoverrides={
            "external_toc_path": str(ROOT / "_toc.yml"),
            "latex_individualpages": False,
            "nitpicky": True,
        },
        warningiserror=True,
        keep_going=True,
        jobs=os.cpu_count() or 1,
    )
    return status if isinstance(status, int) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
