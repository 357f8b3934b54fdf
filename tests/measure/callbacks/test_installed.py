"""What is missing is said in one line, and the library does without it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

BLOCKED = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name in {packages} else find(name, *a)
import sparsecore as sc
assert not {packages} & sys.modules.keys(), "loaded with the library"
try:
    sc.{name}
except sc.InputError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize(
    ("name", "packages", "hint"),
    [
        ("TrainerTracker", {"accelerate"}, "needs accelerate: pip install .*trainer"),
        ("LightningTracker", {"pytorch_lightning"}, "needs pytorch_lightning: .*lightning"),
    ],
)
def test_a_missing_trainer_is_one_line(name, packages, hint):
    code = BLOCKED.format(name=name, packages=packages)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert re.search(hint, line)
