"""What the processes of a test would each import: imported once, by the server that forks them."""

import importlib

import numba.core.registry
import numba.typed
import pyarrow.dataset  # noqa: F401
import spacy.lang.en  # noqa: F401
import torch._dynamo  # noqa: F401
import tyro  # noqa: F401

import sparsecore.cli
import sparsecore.runs.execute  # noqa: F401

EXPERIMENTS = ("emergent", "language", "reciting", "tagging", "sentiment")

for name in EXPERIMENTS:
    importlib.import_module(f"sparsecore.experiments.{name}.task")
numba.core.registry.cpu_target.target_context.refresh()  # imports what compiled functions need
