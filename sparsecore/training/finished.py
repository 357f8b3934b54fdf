"""Results of runs that are finished on this machine, for a choice among them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.files import read_json, reading
from sparsecore.home import RECOMPUTE, runs_dir


def results_of(configs: Sequence[Any], fields: Sequence[str], purpose: str) -> pd.DataFrame:
    """The results of these configurations' finished runs, in their order, with these ``fields``.

    Args:
        configs: of one experiment.
        fields: of the configurations, to stand beside the results.
        purpose: what the runs choose, for the message.

    Raises:
        InputError: not all of them are finished.
    """
    name = configs[0].name
    wanted = {_key(dataclasses.asdict(config)): index for index, config in enumerate(configs)}
    found: dict[int, pd.DataFrame] = {}
    for done in sorted(runs_dir(name).glob("*/DONE")):
        given = read_json(done.parent / "config.json", RECOMPUTE)
        index = wanted.get(_key(given))
        if index is not None:
            with reading(done.parent, RECOMPUTE):
                results = pd.read_parquet(done.parent / "results.parquet")
            found[index] = results.assign(**{field: given[field] for field in fields})
    if len(found) < len(configs):
        raise InputError(
            f"{len(found)} of the {len(configs)} runs that choose the {purpose} are finished; make "
            f"them first, with the same options: sparsecore sweep {name} --stage tune"
        )
    return pd.concat([found[index] for index in range(len(configs))], ignore_index=True)


def _key(fields: dict[str, Any]) -> str:
    """A configuration without the device: the same run wherever it was made."""
    return json.dumps({k: v for k, v in fields.items() if k != "device"}, sort_keys=True)
