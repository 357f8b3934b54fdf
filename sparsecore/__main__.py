"""``python -m sparsecore`` is the command ``sparsecore``: what torchrun starts."""

import sys

from sparsecore.cli import main

if __name__ == "__main__":
    sys.exit(main())
