"""The three lists of packages say the same: pyproject.toml, requirements.lock, environment.yml."""

import re
import tomllib
from pathlib import Path

import yaml

from tools.lock import ENVIRONMENT, LOCK, tidy

ROOT = Path(__file__).parent.parent
PINS = tidy(LOCK.read_text(encoding="utf-8"))


def name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_every_package_is_pinned_and_no_host_is_named():
    text = LOCK.read_text(encoding="utf-8")
    assert "://" not in text and "--" not in text
    assert all(re.match(r"[\w.-]+(\[\w+\])?==[\w.]+( ;|$)", pin) for pin in PINS)
    assert "torch==2.13.0" in PINS


def test_conda_environment_equals_the_lock():
    environment = yaml.safe_load(ENVIRONMENT.read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert pip["pip"] == [*PINS, "-e ."]
    assert [name(package) for package in conda] == ["python", "pip"]


def test_the_lock_holds_every_dependency_of_the_book_and_the_tests():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["book"] + extras["dev"]
    wanted = [*wanted, *(p for e in ("experiments", "cluster", "cpu") for p in extras[e])]
    assert {name(p) for p in wanted} - {project["name"]} <= {name(pin) for pin in PINS}
