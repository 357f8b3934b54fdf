"""What a run costs: speeds as they were measured, and the time that larger texts would take.

Speeds come from finished runs (provenance of the committed tables) and from benchmarks. A time for
another text is an extrapolation: tokens × passes / speed, for the same model and vocabulary.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

SUITE, OURS = "lm", "sparsecore"


def measured_speeds(root: Path) -> pd.DataFrame:
    """How fast the language model of the emergent part was trained, with all its statistics.

    ``root``: of a checkout. One row a set of runs and a benchmark: source (``run`` or
    ``benchmark``), name, device_name, threads, runs, tokens_per_second; of runs over all passes,
    untrained epoch 0 and validation included, from the median of their times.
    """
    rows = [*_of_runs(root / "book" / "results" / "emergent")]
    rows += _of_benchmarks(root / "benchmarks" / "results")
    columns = ["source", "name", "device_name", "threads", "runs", "tokens_per_second"]
    return pd.DataFrame(rows, columns=columns)


def passes(config: Any) -> int:
    """Over the training text: the epochs, and the untrained epoch 0."""
    return int(config["epochs"] if isinstance(config, dict) else config.epochs) + 1


def extrapolated_hours(tokens: float, passes: int, tokens_per_second: float) -> float:
    """Hours of one run.

    >>> extrapolated_hours(7.2e6, 50, 1000)
    100.0
    """
    return tokens * passes / tokens_per_second / 3600


def _of_runs(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*/provenance.json")):
        provenance = json.loads(path.read_text(encoding="utf-8"))
        minutes = [value for value in provenance["minutes"] if value]
        if minutes:
            work = provenance["corpus"]["tokens"]["train"] * passes(provenance["settings"])
            yield {
                "source": "run",
                "name": f"{path.parent.name}, {provenance['corpus']['types']:,} words",
                "device_name": ", ".join(provenance["devices"]),
                "threads": provenance["environment"]["threads"],
                "runs": len(minutes),
                "tokens_per_second": work / (60 * statistics.median(minutes)),
            }


def _of_benchmarks(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*/results.parquet")):
        machine = json.loads((path.parent / "environment.json").read_text(encoding="utf-8"))
        table = pd.read_parquet(path)
        own = table[(table["suite"] == SUITE) & (table["contestant"] == OURS)]
        for row in own.to_dict("records"):
            if not machine["quick"]:
                yield {
                    "source": "benchmark",
                    "name": row["case"],
                    "device_name": machine["device_name"],
                    "threads": row["threads"],
                    "runs": row["rounds"],
                    "tokens_per_second": row["per_second"],
                }
