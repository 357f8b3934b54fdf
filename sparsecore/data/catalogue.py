"""What can be downloaded, as ``catalogue.toml`` lists it: addresses, checksums, licences."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Remote:
    """One file to download: mirrors of the same bytes, tried in turn, and their SHA-256."""

    urls: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None  # bytes


@dataclass(frozen=True)
class DataSource:
    """A data set: what to download and which files of it to keep under which names."""

    name: str
    title: str
    kind: str  # "language model" | "parts of speech" | "word vectors" | "sentiment"
    remotes: tuple[Remote, ...]
    files: dict[str, str]  # name in our folder -> member of the archive, or name of the download
    licence: str
    citation: str
    homepage: str

    @property
    def size(self) -> int | None:
        """Bytes to download; None if unknown."""
        sizes = [remote.size for remote in self.remotes]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def separable(self) -> bool:
        """Whether each file is of use without the others, as each width of word vectors is."""
        return self.kind == "word vectors"

    @property
    def pinned(self) -> bool:
        """Whether every download has a published checksum."""
        return all(remote.sha256 for remote in self.remotes)


def _source(name: str, entry: dict[str, Any]) -> DataSource:
    remotes = [Remote(**{**remote, "urls": tuple(remote["urls"])}) for remote in entry["remotes"]]
    return DataSource(**{**entry, "name": name, "remotes": tuple(remotes)})


_CATALOGUE = Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8")

SOURCES = {name: _source(name, entry) for name, entry in tomllib.loads(_CATALOGUE).items()}
"""Every downloadable data set by name."""
