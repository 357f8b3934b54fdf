"""Readers of values: fields of the experiments, options, a notebook's parameters, widgets' traits.

Their sample is one JSON file, so that a finding is a file too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import traitlets

from sparsecore.cli import _dispatch
from sparsecore.data.language import prepare_corpus
from sparsecore.data.locate import EMBEDDED
from sparsecore.experiments.registry import EXPERIMENTS, experiment_class, prepare
from sparsecore.live.text import saved
from sparsecore.runs.notebook import check_parameters
from sparsecore.runs.options import parse_experiment
from sparsecore.training.device import precision_of, resolve_device
from tools.fuzz.campaign import Reader
from tools.fuzz.hostile import VALUES, WORDS
from tools.fuzz.mutate import Draw, Files

FILE = "values.json"
TYPED = (
    "x",
    "none",
    "None",
    "True",
    "1e3",
    "1.5",
    "-1",
    "0",
    "1",
    "7",
    "0.3",
    "nan",
    "inf",
    "1e400",
    "quick",
    "2,2",
    "0,0,0,9",
    "cpu",
    "cuda:99",
    "meta",
    "mps",
    "embedded",
    "../..",
    "\udce9",
    *WORDS,
)
NUMBERS = (
    0,
    1,
    2,
    7,
    10**6,
    10**7,
    2**31,
    2**63,
    10**25,
    -1,
    0.5,
    1e-300,
    1e300,
    float("nan"),
    float("inf"),
)


def _saved(value: Any) -> Files:
    return {FILE: json.dumps(value).encode()}


def _given(folder: Path) -> Any:
    return json.loads((folder / FILE).read_text(encoding="utf-8"))


def _experiments() -> dict[str, list[str]]:
    return {
        name: [field.name for field in dataclasses.fields(experiment_class(name))]
        for name in EXPERIMENTS
    }


# --- fields, as a notebook or a program gives them ---


def _fields(_files: Files, draw: Draw) -> Files:
    every = _experiments()
    name = draw.choice(sorted(every))
    fields = draw.sample(every[name], draw.choice((1, 1, 2, 4)))
    preset = draw.choice(("quick", "small", "paper") * 4 + VALUES[:20])
    return _saved([name, preset, {field: draw.choice((*VALUES, *NUMBERS)) for field in fields}])


def _read_fields(folder: Path) -> object:
    """The configuration, and what is checked before any file is read."""
    name, preset, fields = _given(folder)
    config = experiment_class(name).preset(preset, **fields)
    json.dumps(dataclasses.asdict(config))  # what names the run
    device = resolve_device(config.device)
    if hasattr(config, "precision"):
        with precision_of(config.precision, device):
            pass
    if config.corpus != EMBEDDED:
        prepare(config, progress=False)
    return config


# --- words on the command line ---


def _options(_files: Files, draw: Draw) -> Files:
    every = _experiments()
    name = draw.choice([*sorted(every), *WORDS[:4], "emergnt"])
    fields = every.get(name, ["seed", "corpus"])
    words: list[str] = []
    for field in draw.sample(fields, min(len(fields), draw.choice((1, 1, 2, 3)))):
        words += [f"--{field.replace('_', draw.choice('-_-'))}", draw.choice(TYPED)]
        if draw.random() < 0.1:
            value = words.pop()
            words[-1] += f"={value}"
    if draw.random() < 0.2:
        words.insert(
            draw.randint(0, len(words)),
            draw.choice((*TYPED, "--", "-x", "--preset", "--nix", "@x")),
        )
    if draw.random() < 0.3:
        words += ["--preset", draw.choice(("small", "paper", "quik", ""))]
    return _saved([name, *words])


def _commands(_files: Files, draw: Draw) -> Files:
    """Any command with options that exist and words that may not fit."""
    options = {
        "run": ["--preset", "--seed", "--no-progress"],
        "sweep": [
            "--preset",
            "--grid",
            "--seeds",
            "--jobs",
            "--stage",
            "--out",
            "--seed",
            "--no-progress",
        ],
        "runs": [],
        "data": ["list", "info", "fetch"],
        "reference": ["--out", "r"],
        "claims": ["--decide", "--file"],
        "bench": ["--suite", "--device", "--threads", "--seconds", "--quick", "--out"],
    }
    command = draw.choice([*options] * 3 + ["", "nix"])
    words = [command]
    if command in ("run", "sweep"):
        words.append(draw.choice(("emergent", "tagging", "language", "sentiment", "reciting", "x")))
    values = (
        *TYPED,
        "seed=1,2",
        "seed=x",
        "=",
        "epochs=",
        "nix=1",
        "seed=1,1",
        "ptb",
        "all",
        "999999999",
    )
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        if options.get(command) and draw.random() < 0.9:
            words.append(draw.choice(options[command]))
        if draw.random() < 0.9:
            words.append(draw.choice(values))
    return _saved(words)


def _read_command(folder: Path) -> object:
    """As ``sparsecore …`` would be typed, with nothing trained, timed or downloaded."""
    nothing = mock.Mock(side_effect=_Began)
    with (
        mock.patch("sparsecore.runs.execute.execute", nothing),
        mock.patch("sparsecore.runs.sweep.sweep", nothing),
        mock.patch("sparsecore.runs.studies.run_all", nothing),
        mock.patch("sparsecore.bench.run.run_suites", nothing),
        mock.patch("sparsecore.data.sources.fetch", nothing),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            return _dispatch(_given(folder))
        except _Began:
            return None
        except SystemExit as stop:
            if stop.code:
                raise RuntimeError(f"exit code {stop.code}") from stop
            return None


class _Began(Exception):
    """The arguments were good: work would begin."""


# --- a notebook's parameters ---


def _cells(_files: Files, draw: Draw) -> Files:
    declared = 'preset = "quick"\ncorpus = None\nseed = 0\nrate = 0.5\nfast = True'
    lines = []
    for _ in range(draw.choice((1, 2, 3))):
        name = draw.choice(("preset", "corpus", "seed", "rate", "fast", "sede", *WORDS[:8]))
        lines.append(f"{name} = {draw.choice((*VALUES, *NUMBERS))!r}")
    if draw.random() < 0.2:
        lines.append(
            draw.choice(
                ("x = " + "[" * 500, "x = " + "-" * 3000 + "1", "\0", "%magic", "(", "é = ½")
            )
        )
    return _saved([declared, "\n".join(lines), draw.choice(VALUES)])


def _read_cells(folder: Path) -> object:
    declared, injected, preset = _given(folder)
    cells = ["", declared, f"# Parameters\n{injected}", "check_parameters(globals())"]
    return check_parameters({"In": cells, "preset": preset})


# --- what a browser may send to a live widget ---


def _traits(_files: Files, draw: Draw) -> Files:
    names = (
        "words",
        "signal",
        "epoch",
        "matched",
        "network",
        "difference",
        "word",
        "text",
        "threshold",
        "i",
        "gamma",
        "cell",
        "data",
    )
    state = {
        draw.choice(names): draw.choice((*VALUES, *NUMBERS)) for _ in range(draw.choice((1, 1, 3)))
    }
    return _saved([draw.choice(("chi", "sentence", "masks", "automata")), state])


def _widget(kind: str) -> Any:
    import numpy as np
    import pandas as pd

    from sparsecore.report.explorers import (
        AutomataReader,
        ChiExplorer,
        MaskExplorer,
        SentenceExplorer,
    )

    if kind == "masks":
        return MaskExplorer()
    if kind == "chi":
        table = pd.DataFrame(
            {
                "word": ["a", "b"],
                "frequency": [9, 8],
                "word_class": "open",
                "sample": True,
                "epoch": 0,
                "chi_lstm2_gradient_target": [0.1, 0.2],
            }
        )
        return ChiExplorer(table, words=["a"])
    draw = np.random.default_rng(0)
    if kind == "sentence":
        rows = dict.fromkeys(("embedding.weight", "decoder.weight"), draw.normal(size=(2, 1)))
        layer = dict.fromkeys(("weight_ih_l0", "weight_hh_l0"), draw.normal(size=(4, 1)))
        layer |= dict.fromkeys(("bias_ih_l0", "bias_hh_l0"), draw.normal(size=4))
        weights = {**rows, **{f"lstm1.{name}": values for name, values in layer.items()}}
        weights["decoder.bias"] = draw.normal(size=2)
        return SentenceExplorer(["<unk>", "<eos>"], [1, 1], {"trained": weights}, ["a"])
    return AutomataReader(
        [2],
        draw.normal(size=(2, 1)),
        draw.normal(size=(2, 1)),
        np.ones(2),
        np.ones(1),
        0.0,
        ["no", "yes"],
        ["a"],
    )


def _read_traits(folder: Path) -> object:
    """A state as the browser sends it: taken, or refused by the trait; the rest stays as it was."""
    kind, state = _given(folder)
    widget = _widget(kind)
    try:
        widget.set_state(state)
        json.dumps(widget.get_state(), default=lambda _: None)
    finally:
        widget.close()
    return None


def _upload(_files: Files, draw: Draw) -> Files:
    content = draw.choice(
        (b"", b"\0", b"a b\n" * 9, b"\xff" * 99, draw.randbytes(300), "é\n".encode() * 99)
    )
    return _saved([content.hex(), draw.choice(WORDS)])


def _read_upload(folder: Path) -> object:
    content, name = _given(folder)
    path = saved([{"name": name, "content": memoryview(bytes.fromhex(content))}])
    assert Path(path).parent.name == "uploads"
    return prepare_corpus(path, threshold=1, progress=False)


def _reader(
    name: str,
    value: Any,
    read: Callable[[Path], object],
    make: Callable[[Files, Draw], Files],
    **more: Any,
) -> Reader:
    return Reader(name, lambda: _saved(value), read, make, **more)


READERS = (
    _reader("fields", ["emergent", "quick", {"seed": 1}], _read_fields, _fields, share=3),
    _reader(
        "options",
        ["emergent", "--seed", "1"],
        lambda folder: parse_experiment(_given(folder)),
        _options,
        share=1.5,
    ),
    _reader("commands", ["data", "list"], _read_command, _commands, share=2),
    _reader("parameters", ["seed = 0", "seed = 1", "quick"], _read_cells, _cells, share=2),
    _reader(
        "widgets", ["chi", {"epoch": 0}], _read_traits, _traits, refusals=(traitlets.TraitError,)
    ),
    _reader(
        "uploads",
        [("the model reads .\n" * 30).encode().hex(), "a.txt"],
        _read_upload,
        _upload,
        share=0.2,
    ),
)
