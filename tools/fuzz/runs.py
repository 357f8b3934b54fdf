"""Readers of what the library itself wrote: caches, runs, checkpoints, tables, claims."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from sparsecore.cli import _dispatch
from sparsecore.data import embedded, sources
from sparsecore.data.contextual import contextual_vectors
from sparsecore.data.language import prepare_corpus
from sparsecore.data.ppmi import ppmi_vectors
from sparsecore.data.review_folds import embedded_folds
from sparsecore.data.reviews import prepare_reviews
from sparsecore.data.tagged import prepare_tagged
from sparsecore.data.vectors import word_vectors
from sparsecore.errors import InputError
from sparsecore.experiments.tagging.config import Tagging
from sparsecore.runs.claims import claims_text, read_claims
from sparsecore.runs.decide import decide_claims
from sparsecore.runs.reference import describe, read_provenance, read_summary, stacked
from sparsecore.runs.store import list_runs, open_run
from sparsecore.training.finished import results_of
from tools.fuzz import texts
from tools.fuzz.attempt import write
from tools.fuzz.campaign import Reader
from tools.fuzz.mutate import Draw, Files, damage


def home_only(files: Files, draw: Draw) -> Files:
    """Damage to what lies under the home alone."""
    return damage(files, draw, "home/")


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    """An empty folder whose ``home`` is SPARSECORE_HOME."""
    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.dict(os.environ, SPARSECORE_HOME=f"{name}/home"),
    ):
        yield Path(name)


def _files_of(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "hashes" not in path.parts
    }


def _prepared(files: Files, read: Callable[[Path], object]) -> Callable[[], Files]:
    """A sample: these files, and the caches that reading them leaves."""

    @functools.cache
    def sample() -> Files:
        with _home() as folder:
            write(files, folder)
            read(folder)
            return _files_of(folder)

    return sample


def _read_corpus(folder: Path) -> object:
    """Both stages: the tokens again too, as another threshold would read them."""
    corpora = []
    for threshold in (1, 2):
        corpus = prepare_corpus(str(folder / "a.txt"), threshold=threshold, progress=False)
        for ids in (corpus.train, corpus.valid, corpus.test):
            assert ids.min() >= 0 and ids.max() < len(corpus.vocabulary)
        assert len(corpus.train) == corpus.info["tokens"]["train"]
        corpora.append(corpus)
    return corpora


def _read_tagged(folder: Path) -> object:
    corpus = prepare_tagged(str(folder / "a.conllu"), progress=False)
    for part in (corpus.train, corpus.dev, corpus.test):
        assert part.lengths.sum() == len(part.words) == len(part.tags)
        assert part.words.max() < len(corpus.words) and part.tags.max() < len(corpus.tags)
    return corpus


def _read_reviews(folder: Path) -> object:
    corpus = prepare_reviews(str(folder / "a.tsv"), progress=False)
    for part in (corpus.train, corpus.dev, corpus.test):
        assert part.ends[-1] == len(part.ids) and len(part.labels) == len(part)
        assert part.ids.max() < len(corpus.words) and set(part.labels.tolist()) <= {0, 1}
        assert (part.lengths > 0).all()
    found = word_vectors(str(folder / "v.txt"), corpus.words, progress=False)
    assert found.table.shape == (len(corpus.words) + 3, found.width)
    assert np.isfinite(found.table).all()
    return corpus, found


def _read_encoded(folder: Path) -> object:
    corpus = prepare_reviews(str(folder / "reviews" / "all.tsv"), progress=False)
    found = contextual_vectors(str(folder / "encoder"), corpus, progress=False)
    assert len(found.table) == 1 + sum(
        int(s.ends[-1]) for s in (corpus.train, corpus.dev, corpus.test)
    )
    return found


def _read_embedded(_folder: Path) -> object:
    """The harvested text, from which everything embedded is made."""
    root = Path(embedded.__file__).parents[1]
    few = [(path.stem, str(path), 1) for path in sorted(root.rglob("*.py"))[:60]]
    with mock.patch.object(embedded, "source_files", return_value=few):
        corpus = prepare_corpus("embedded", threshold=1, progress=False)
        table, words, _ = ppmi_vectors(5, progress=False)
        assert table.shape == (len(words), 5)
        folder = embedded.harvest(progress=False)
        return corpus, table, embedded_folds(folder / "paragraphs.parquet", 0)


@functools.cache
def _run() -> Files:
    from tests import synthetic

    with _home() as folder:
        run = folder / "home/runs/emergent/abc"
        synthetic.write_run(run, epochs=1, count=60)
        timing = pd.DataFrame({"epoch": [0, 1], "seconds": [1.0, 2.0], "tokens": [9, 9]})
        timing.to_parquet(run / "timing.parquet")
        return _files_of(folder)


def _read_run(folder: Path) -> object:
    for run in list_runs():
        assert run.config is not None
    run = open_run("abc")
    table = run.statistics([-1], layer="lstm2", signal="gradient", role="target")
    return table, run.timing, describe([run]), stacked([run])


def _list_runs(_folder: Path) -> object:
    """As typed; what the command prints on standard output is its own affair."""
    with contextlib.redirect_stdout(io.StringIO()):
        return _dispatch(["runs"])


def _read_network(folder: Path) -> object:
    """The network of a finished run, for sentences of one's own."""
    from sparsecore.report.explorers import SentenceExplorer
    from sparsecore.report.pages.sentences import networks_of_run

    networks = networks_of_run(open_run("abc"))
    return SentenceExplorer(**networks.readable, samples=["the model reads ."])


@functools.cache
def _language_run() -> Files:
    """A run folder whose network is there; its words are those of the text."""
    import torch
    from safetensors.torch import save

    from sparsecore.experiments.emergent.config import Emergent
    from sparsecore.experiments.emergent.task import build_model

    words = pd.DataFrame({"word": ["<unk>", "<eos>", "the", "model", "."], "frequency": 9})
    config = Emergent(embedding_size=4, hidden_size=4, num_layers=1)
    torch.manual_seed(0)
    weights = build_model(config, len(words)).state_dict()
    folder = "home/runs/emergent/abc"
    return {
        f"{folder}/config.json": json.dumps(vars(config)).encode(),
        f"{folder}/environment.json": b'{"identity": {"experiment": "emergent"}}',
        f"{folder}/words.parquet": words.to_parquet(),
        f"{folder}/weights.safetensors": save({k: v.contiguous() for k, v in weights.items()}),
    }


@functools.cache
def _checkpoint() -> Files:
    import torch

    from sparsecore.training.checkpoint import save_checkpoint

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "checkpoint.safetensors"
        state = {"epoch": 3, "loss": 0.5, "moments": {0: (torch.ones(2), None)}}
        save_checkpoint(path, {"model": {"a": torch.ones(3, 2)}, "loop": state})
        return _files_of(Path(name))


def _read_checkpoint(folder: Path) -> object:
    from sparsecore.training.checkpoint import load_checkpoint

    return load_checkpoint(folder / "checkpoint.safetensors")


@functools.cache
def _reference() -> Files:
    """Reference tables of a study, a long one as Parquet, and the claims they decide."""
    verdicts = pd.DataFrame(
        {
            "finding": [1, 1, 2],
            "part": ["a", "b", "c"],
            "method": "mean",
            "value": 0.5,
            "low": 0.1,
            "high": 0.9,
            "outcome": ["yes", "no", "unsure"],
            "seeds": 3,
            "kind": "essential",
            "effect": 0.3,
            "condition": "met",
        }
    )
    provenance = {
        "experiment": "emergent",
        "corpus": {"name": "toy", "tokens": 9},
        "seeds": [0, 1],
        "settings": {"epochs": 5, "threshold": 8},
        "varied": {},
        "runs": ["a"],
        "minutes": [1.0, None],
        "devices": ["cpu"],
        "environment": {"torch": "2"},
        "started": ["2026"],
        "tables": {
            "verdicts": "verdicts.csv",
            "words": "words.parquet",
        },
    }
    claim = 'id = "emergent-{}"\npaper = "p"\nwhere = "Fig. {}"\nclaim = "c"\nstatistic = "s"\n'
    claim += (
        'rule = "r"\npaper_value = "0.5"\nverdict = "holds"\nvalue = 0.5\ninterval = [0.1, 1]\n'
    )
    claim += 'corpus = "toy"\npreset = "small"\nseeds = [0, 1]\n'
    claim += 'parts = [{{part = "a", outcome = "yes"}}]\n'
    return {
        "tables/verdicts.csv": verdicts.to_csv(index=False).encode(),
        "tables/words.parquet": pd.DataFrame({"word": ["a", "nan"], "chi": 0.1}).to_parquet(),
        "tables/provenance.json": json.dumps(provenance).encode(),
        "claims.toml": "\n".join("[[claim]]\n" + claim.format(n, n) for n in (1, 2)).encode(),
    }


def _read_reference(folder: Path) -> object:
    return read_summary(folder / "tables"), read_provenance(folder / "tables")


def _read_claims(folder: Path) -> object:
    return claims_text(read_claims(folder / "claims.toml"))


def _decide(folder: Path) -> object:
    """A decision that is refused leaves the file as it was."""
    path = folder / "claims.toml"
    before = path.read_bytes() if path.is_file() else b""
    try:
        return decide_claims([folder / "tables"], path, because="another rule")
    except InputError:
        assert not before or path.read_bytes() == before
        raise


def _downloads() -> Files:
    manifest = {
        "name": "wikitext-2",
        "files": [{"name": f"{name}.txt", "size": 4} for name in texts.SPLITS],
    }
    files = {f"home/cache/downloads/wikitext-2/{name}.txt": b"text" for name in texts.SPLITS}
    return {
        **files,
        "home/cache/downloads/wikitext-2/source.json": json.dumps(manifest).encode(),
        "home/cache/downloads/pinned.json": b'{"amazon-reviews/a.tar.gz": "0"}',
    }


def _read_downloads(_folder: Path) -> object:
    names = ("wikitext-2", "amazon-reviews")
    return [(sources.resolve(name), sources.describe(name)) for name in names]


def _finished() -> Files:
    """Tuning runs of the tagging experiment, as the study that follows reads them."""
    files = {}
    for number in range(2):
        folder = f"home/runs/tagging/{number}"
        config = Tagging(seed=number)
        files[f"{folder}/config.json"] = json.dumps(dataclasses.asdict(config)).encode()
        files[f"{folder}/results.parquet"] = pd.DataFrame({"dev_accuracy": [0.5]}).to_parquet()
        files[f"{folder}/DONE"] = b"x"
    return files


def _read_finished(_folder: Path) -> object:
    return results_of([Tagging(seed=0), Tagging(seed=1)], ["density", "seed"], "dropouts")


SENTIMENT = {"a.tsv": texts.reviews(), "v.txt": texts.vectors()}

READERS = (
    Reader(
        "cache-corpus", _prepared({"a.txt": texts.text()}, _read_corpus), _read_corpus, home_only
    ),
    Reader(
        "cache-tagged",
        _prepared({"a.conllu": texts.conllu()}, _read_tagged),
        _read_tagged,
        home_only,
    ),
    Reader("cache-reviews", _prepared(SENTIMENT, _read_reviews), _read_reviews, home_only),
    Reader(
        "cache-encoded",
        lambda: _prepared(texts._encoder(), _read_encoded)(),
        _read_encoded,
        home_only,
        share=0.3,
    ),
    Reader("cache-embedded", _prepared({}, _read_embedded), _read_embedded, home_only, share=0.3),
    Reader("downloads", _downloads, _read_downloads),
    Reader("run", _run, _read_run),
    Reader("runs-command", _run, _list_runs),
    Reader("finished", _finished, _read_finished),
    Reader("network", _language_run, _read_network),
    Reader("checkpoint", _checkpoint, _read_checkpoint, share=2),
    Reader("reference", _reference, _read_reference),
    Reader("claims", _reference, _read_claims, lambda files, draw: damage(files, draw, "claims")),
    Reader("claims-decide", _reference, _decide),
)
