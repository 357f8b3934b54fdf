"""Results of runs that are finished on this machine, for a choice among them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.home import runs_dir
from sparsecore.training.run_folder import DONE, Run


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
    for done in sorted(runs_dir(name).glob(f"*/{DONE}")):
        run = Run(done.parent)
        index = wanted.get(_key(run.config))
        if index is not None:
            found[index] = run.table("results").assign(**{f: run.config[f] for f in fields})
    if len(found) < len(configs):
        raise InputError(
            f"{len(found)} of the {len(configs)} runs that choose the {purpose} are finished; make "
            f"them first, with the same options: sparsecore sweep {name} --stage tune"
        )
    return pd.concat([found[index] for index in range(len(configs))], ignore_index=True)


def _key(fields: dict[str, Any]) -> str:
    """A configuration without the device: the same run wherever it was made."""
    return json.dumps({k: v for k, v in fields.items() if k != "device"}, sort_keys=True)
