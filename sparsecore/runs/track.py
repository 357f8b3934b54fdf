"""A language model of Hugging Face tracked on a text, as a run folder like any other.

Each model, or revision of one, is a run of its own: ``table.parquet`` (what ``sc.track_lm`` gives)
and ``results.parquet`` (a row per layer, signal and role). A sweep over checkpoints has a folder
with the tables of all, and a column ``revision``.
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sparsecore.data.cache import settings_hash
from sparsecore.data.causal_lm import lm_content, lm_name, load_lm
from sparsecore.data.locate import find_source
from sparsecore.data.readers import read_documents
from sparsecore.errors import InputError, check_installed, near_match
from sparsecore.runs.environment import describe_environment
from sparsecore.runs.execute import begin, end, locked, out_of_memory_is_one_line, said
from sparsecore.runs.store import TRACK, run_of
from sparsecore.training.checkpoint import CheckpointManager
from sparsecore.training.device import resolve_device
from sparsecore.training.run_folder import Run
from sparsecore.training.stopping import defer_signals
from sparsecore.training.tables import write_table

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackedLM:
    """What to track: a model, a text, layers.

    Attributes:
        model, revision: as for :func:`sparsecore.load_lm`.
        corpus: a text as everywhere: a file, a folder, ``embedded`` or the name of a download.
        split: which part of a corpus that has some.
        running: the text is one document; else its documents are read each by itself.
        dtype: of the weights.
        layers, gradients, words, length, stride, batch_size, max_tokens, measures: as for
            :func:`sparsecore.track_lm`.
    """

    name: ClassVar[str] = TRACK
    format: ClassVar[int] = 2

    model: str
    corpus: str
    layers: tuple[str, ...] | None = None
    revision: str | None = None
    gradients: bool = False
    words: str = "every"
    length: int | None = None
    stride: int | None = None
    batch_size: int = 4
    max_tokens: int | None = None
    measures: tuple[str, ...] = ()
    split: str = "train"
    running: bool = False
    device: str = "auto"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        from sparsecore.measure.measures import find_measures
        from sparsecore.measure.pieces import WORDS

        if self.words not in WORDS:
            raise InputError(f"words must be a rule{near_match(self.words, WORDS)}")
        for name in ("length", "stride", "batch_size", "max_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        find_measures(self.measures)


@dataclass(frozen=True)
class Inputs:
    """The text of a run: what ``environment.json`` says of it, and where it is."""

    name: str
    sha256: str
    path: Path
    form: str | None
    info: dict[str, Any] = field(default_factory=dict)


def track_run(config: TrackedLM, progress: bool = True) -> Run:
    """Track a model, or return its run if it is finished; one that was killed goes on.

    Raises:
        InputError: bad input, or a model that cannot be had.
        TrainingError: the memory is used up.
        Stopped: a signal asked the command line to stop.
    """
    check_installed("lm", "transformers", "filelock")
    with out_of_memory_is_one_line(config):
        inputs = _text_of(config, progress)
        identity = _identity(config, inputs)
        run = run_of(config.name, identity)
        if run.done:
            return run
        device = resolve_device(config.device)
        model, tokenizer = load_lm(config.model, config.revision, device=device, dtype=config.dtype)
        with locked(run), said(run):
            if not run.done:
                begin(run.path, config, describe_environment(identity, inputs))
                _compute(run.path, config, inputs, model, tokenizer, progress)
                end(run.path)
    return run


def track_sweep(configs: Sequence[TrackedLM], progress: bool = True) -> Run:
    """Several models or revisions in turn, and one folder with the tables of all.

    Raises:
        InputError: as :func:`track_run`; finished runs stay. A model or revision that cannot be had
            is refused before any is tracked.
    """
    import pandas as pd

    check_installed("lm", "transformers", "filelock")
    for config in configs:
        lm_content(config.model, config.revision)
    runs = [track_run(config, progress) for config in configs]
    labels = revision_labels(configs)
    identity = {
        "experiment": TRACK,
        "runs": [[one, run.path.name] for one, run in zip(labels, runs, strict=True)],
    }
    whole = run_of(TRACK, identity)
    if not whole.done:
        first = configs[0]
        names = {"model": [config.model for config in configs], "revision": labels}
        with locked(whole):
            about = {**dataclasses.asdict(first), **names, "runs": [run.path.name for run in runs]}
            begin(whole.path, about, {**runs[-1].environment, "identity": identity})
            for name in ("results", "table"):
                tables = [run.table(name) for run in runs]
                for label, table in zip(labels, tables, strict=True):
                    table.insert(0, "revision", label)
                both = pd.concat(tables, ignore_index=True)
                write_table(whole.path / f"{name}.parquet", both)
            end(whole.path)
    return whole


def revision_labels(configs: Sequence[TrackedLM]) -> list[str]:
    """How the runs of a sweep are told apart: by revision, else by the model's name or path."""
    short = [config.revision or lm_name(config.model) for config in configs]
    if len(set(short)) == len(short):
        return short
    return [
        f"{config.model}@{config.revision}" if config.revision else config.model
        for config in configs
    ]


def _text_of(config: TrackedLM, progress: bool) -> Inputs:
    source = find_source(config.corpus, progress)
    split = "all" if "all" in source.files else config.split
    if split not in source.files:
        raise InputError(f"{source.name} has no split {split!r}{near_match(split, source.files)}")
    sha256 = settings_hash([source.content()[split], source.form])
    info = {"source": source.description, "licence": source.licence, "split": split}
    return Inputs(source.name, sha256, source.files[split], source.form, info)


def _identity(config: TrackedLM, inputs: Inputs) -> dict[str, Any]:
    """What a run's numbers depend on."""
    return {
        "experiment": config.name,
        "format": config.format,
        **dataclasses.asdict(config),
        "model": lm_content(config.model, config.revision),
        "corpus": inputs.sha256,
        "device": resolve_device(config.device).type,
    }


def _compute(
    folder: Path, config: TrackedLM, inputs: Inputs, model: Any, tokenizer: Any, progress: bool
) -> None:
    from sparsecore.measure.track_lm import LMTracking, check_options, windows_of

    check_options(model, config.layers)
    texts = read_documents(inputs.path, form=inputs.form, running=config.running)
    how = config.words, config.length, config.stride, config.batch_size, config.max_tokens
    windows = windows_of(model, tokenizer, texts, *how)
    manager = CheckpointManager(folder)
    tracking = LMTracking(model, windows, config.layers, config.gradients, measures=config.measures)
    with _warnings_are_lines(), defer_signals(), tracking:
        parts = {"tracking": tracking}
        manager.load(parts, resolve_device(config.device))

        def after_step() -> None:
            if manager.due():
                manager.save(parts)

        tracking.run(progress, after_step)
        table = tracking.table()
        read = {"tokens": len(windows.pieces.ids), "perplexity": tracking.perplexity()}
    write_table(folder / "table.parquet", table)
    write_table(folder / "results.parquet", results_of(table).assign(**read))


def results_of(table: pd.DataFrame) -> pd.DataFrame:
    """A row per layer, signal and role of a table of :func:`sparsecore.track_lm`.

    Columns: layer, signal, role, words, chi (mean over positions), rho: Spearman's correlation of a
    word's mean chi with its frequency.
    """
    from sparsecore.stats.correlation import frequency_correlation

    groups = ["layer", "signal", "role"]
    rows = table.assign(total=table["chi"] * table["count"]).groupby(groups, sort=False)
    sums = rows[["total", "count"]].sum()
    found = rows.size().rename("words").to_frame()
    found["chi"] = sums["total"] / sums["count"]
    rho = frequency_correlation(table, groups, ["spearman"], n_boot=0)
    return found.join(rho.set_index(groups)["rho"]).reset_index()


@contextmanager
def _warnings_are_lines() -> Iterator[None]:
    """What the tracker warns of becomes a line of the log."""
    from sparsecore.measure.unseen import TrackingWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrackingWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, TrackingWarning):
            log.warning("%s", warning.message)
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
