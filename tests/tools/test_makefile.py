"""`make help` tells of every target, and of nothing that is not there."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_help_lists_every_target():
    phony = re.findall(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)
    targets = {name for line in phony for name in line.split()}
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make ([a-z-]+) ", told.stdout, re.MULTILINE)) == targets


def test_every_recipe_is_a_line_one_could_type():
    recipes = [line for line in MAKEFILE.splitlines() if line.startswith("\t")]
    assert recipes
    assert not any(line.endswith("\\") for line in recipes)


def test_ci_calls_make_test():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in script
    assert script.rstrip().endswith("make test")


def test_the_book_is_served_to_this_machine_alone():
    (recipe,) = re.findall(r"^serve:.*\n\t(.*)$", MAKEFILE, re.MULTILINE)
    assert "--bind 127.0.0.1" in recipe
