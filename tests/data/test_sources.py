"""The registry and its downloads, from a server on this machine that serves files made here."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sparsecore.data import commands, download, sources
from sparsecore.data.download import Remote
from sparsecore.data.language import prepare_corpus
from sparsecore.data.sources import SOURCES, DataSource
from sparsecore.data.vectors import word_vectors
from sparsecore.errors import InputError


class Server:
    """Bytes, or an address to redirect to, by path; and which paths were asked for."""

    def __init__(self) -> None:
        self.content: dict[str, bytes | str] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answer = outer.content.get(self.path)
                if isinstance(answer, bytes):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                elif answer is not None:
                    self.send_response(302)
                    self.send_header("Location", answer)
                    self.end_headers()
                else:
                    self.send_error(404)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "SCHEMES", frozenset({"http"}))
    running = Server()
    yield running
    running.stop()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, bytes | str]) -> bytes:
    """A .tar.gz; a text value makes a symbolic link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                packed.addfile(entry)
            else:
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


TEXTS = {f"toy/{split}.tokens": f"{split} text\n".encode() for split in ("train", "valid", "test")}


def add(
    monkeypatch: pytest.MonkeyPatch,
    *remotes: Remote,
    files: dict[str, str] | None = None,
) -> None:
    wanted = files or {
        f"{split}.txt": f"toy/{split}.tokens" for split in ("train", "valid", "test")
    }
    toy = DataSource("toy", "A toy", "language model", remotes, wanted, "CC0", "Nobody 1999", "x")
    monkeypatch.setitem(SOURCES, "toy", toy)


def left(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


def test_every_source_is_complete() -> None:
    assert {
        "wikitext-2",
        "wikitext-103",
        "ptb",
        "ud-english-ewt",
        "glove-6b",
        "amazon-reviews",
    } <= {*SOURCES}
    for name, source in SOURCES.items():
        assert name == source.name
        assert source.licence and source.citation and source.title and source.files
        names = {remote.file for remote in source.remotes}
        for target, member in source.files.items():
            assert ".." not in target and not target.startswith("/")
            assert member in names or any(download.is_archive(file) for file in names)
        for remote in source.remotes:
            assert all(urlsplit(url).scheme == "https" for url in remote.urls)
            assert remote.sha256 is None or (len(remote.sha256) == 64 and int(remote.sha256, 16))
    assert [name for name, source in SOURCES.items() if not source.pinned] == ["amazon-reviews"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_fetch_unpacks_checks_and_records(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    dotted = {f"./{name}": content for name, content in TEXTS.items()}
    packed = zipped(TEXTS) if kind == "zip" else tarred({**dotted})
    server.content[f"/toy.{kind}"] = packed
    add(monkeypatch, Remote((f"{server.url}/toy.{kind}",), sha(packed), len(packed)))
    assert sources.resolve("toy") is None
    with pytest.raises(InputError, match=r"toy is not downloaded; `sparsecore data fetch toy`"):
        sources.require("toy")

    folder = sources.fetch("toy", progress=False)
    assert folder == sources.resolve("toy") == sources.require("toy")
    assert {path.name: path.read_text() for path in folder.glob("*.txt")} == {
        f"{split}.txt": f"{split} text\n" for split in ("train", "valid", "test")
    }
    record = json.loads((folder / "source.json").read_text())
    assert record["downloads"][0]["sha256"] == sha(packed)
    assert record["files"][0] == {"name": "train.txt", "size": 11, "sha256": sha(b"train text\n")}
    assert len(left(tmp_path)) == 4  # the archive is gone, nothing was pinned

    sources.fetch("toy", progress=False)
    assert len(server.asked) == 1
    (folder / "train.txt").write_text("cut")
    assert sources.resolve("toy") is None
    assert (sources.fetch("toy", progress=False) / "train.txt").read_text() == "train text\n"


def test_copies_of_ones_own_take_the_place_of_a_download(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add(monkeypatch, Remote((f"{server.url}/toy.zip",), "0" * 64, 10))
    copies = tmp_path / "my copies"
    copies.mkdir()
    names = list(sources.find("toy").files.items())
    (copies / Path(names[0][1]).name).write_bytes(b"as the publisher names it\n")
    (copies / f"{names[1][0]}.xz").write_bytes(lzma.compress(b"packed\n"))
    with pytest.raises(InputError, match=rf"has no {names[2][0]} or .*, plain or as \.xz"):
        sources.take("toy", copies)
    assert sources.resolve("toy") is None and not server.asked
    (copies / names[2][0]).write_bytes(b"plain\n")
    folder = sources.take("toy", copies)
    assert folder == sources.require("toy") == sources.fetch("toy", progress=False)
    texts = [(folder / target).read_text() for target, _ in names]
    assert texts == ["as the publisher names it\n", "packed\n", "plain\n"]
    assert json.loads((folder / "source.json").read_text())["downloads"] == []
    (folder / names[0][0]).write_text("changed by hand, and longer than it was before\n")
    assert sources.take("toy", copies) == folder == sources.resolve("toy")
    assert not server.asked


def test_one_width_of_word_vectors_is_enough_of_ones_own(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    with pytest.raises(InputError, match=r"has no glove\.6B\.50d\.txt, plain or as \.xz"):
        sources.take("glove-6b", copies)
    packed = lzma.compress(b"the 0.5 0.25\nof 1 0\n")
    (copies / "glove.6B.50d.txt.xz").write_bytes(packed)
    folder = sources.take("glove-6b", copies)
    assert folder == sources.resolve("glove-6b")
    vectors = word_vectors("glove-6b", ["of"], 50, progress=False)
    assert vectors.table[1].tolist() == [1, 0]
    with pytest.raises(InputError, match=r"vector_size=100: .* has glove\.6B\.50d\.txt alone"):
        word_vectors("glove-6b", ["of"], 100, progress=False)


def test_plain_files_are_renamed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content |= {"/a.txt": b"one\n", "/b.txt": b"two\n"}
    remotes = [Remote((f"{server.url}/{x}.txt",), None, None) for x in "ab"]
    add(monkeypatch, *remotes, files={"train.txt": "a.txt", "test.txt": "b.txt"})
    folder = sources.fetch("toy", progress=False)
    assert (folder / "train.txt").read_bytes() + (folder / "test.txt").read_bytes() == b"one\ntwo\n"


def test_a_wrong_hash_leaves_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.content["/toy.zip"] = zipped(TEXTS)
    add(monkeypatch, Remote((f"{server.url}/toy.zip",), "0" * 64, None))
    with pytest.raises(
        InputError, match=r"toy\.zip .*wrong sha256, expected 000.*nothing was kept"
    ):
        sources.fetch("toy", progress=False)
    assert left(tmp_path) == [] and sources.resolve("toy") is None


def test_the_next_mirror_is_tried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    good = zipped(TEXTS)
    server.content |= {"/forged/toy.zip": zipped({"x": b""}), "/good/toy.zip": good}
    urls = tuple(f"{server.url}/{mirror}/toy.zip" for mirror in ("missing", "forged", "good"))
    add(monkeypatch, Remote(urls, sha(good), None))
    assert (sources.fetch("toy", progress=False) / "test.txt").read_text() == "test text\n"
    assert len(server.asked) == 3


def test_without_a_published_hash_the_first_download_is_pinned(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    first = tarred({**TEXTS})
    server.content["/toy.tar.gz"] = first
    add(monkeypatch, Remote((f"{server.url}/toy.tar.gz",), None, None))
    commands.info("toy")
    assert "no published sha256: pinned at first download" in capsys.readouterr().out
    folder = sources.fetch("toy", progress=False)
    commands.info("toy")
    assert sha(first) in capsys.readouterr().out

    (folder / "source.json").unlink()
    server.content["/toy.tar.gz"] = tarred({**TEXTS, "toy/train.tokens": b"other\n"})
    with pytest.raises(InputError, match=f"wrong sha256, expected {sha(first)}"):
        sources.fetch("toy", progress=False)
    server.content["/toy.tar.gz"] = first
    assert sources.fetch("toy", progress=False) == folder


def test_a_server_that_fails_gets_one_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add(monkeypatch, Remote((f"{server.url}/none.zip",), "0" * 64, None))
    with pytest.raises(InputError, match=r"cannot download none.zip \(127.0.0.1: status 404\)"):
        sources.fetch("toy", progress=False)
    add(monkeypatch, Remote(("http://127.0.0.1:9/toy.zip",), "0" * 64, None))
    with pytest.raises(InputError, match="no connection") as error:
        sources.fetch("toy", progress=False)
    assert "\n" not in str(error.value) and left(tmp_path) == []


def test_only_https_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(download, "SCHEMES", frozenset({"https"}))
    server.content["/toy.zip"] = zipped(TEXTS)
    add(monkeypatch, Remote((f"{server.url}/toy.zip",), None, None))
    with pytest.raises(InputError, match="is not an https address"):
        sources.fetch("toy", progress=False)
    assert server.asked == [] and left(tmp_path) == []


def test_a_redirection_may_not_leave_the_scheme(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.content |= {"/a.zip": f"{server.url}/b.zip", "/b.zip": "ftp://127.0.0.1/c.zip"}
    add(monkeypatch, Remote((f"{server.url}/a.zip",), None, None))
    with pytest.raises(InputError, match=r"ftp://127.0.0.1/c.zip is not an https address"):
        sources.fetch("toy", progress=False)
    assert server.asked == ["/a.zip", "/b.zip"] and left(tmp_path) == []


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "toy/../../evil.txt", "C:/evil.txt"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_archives_that_leave_their_folder_are_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, pack
) -> None:
    packed = pack({**TEXTS, name: b"evil"})
    server.content["/toy.zip"] = packed
    add(monkeypatch, Remote((f"{server.url}/toy.zip",), sha(packed), None))
    with pytest.raises(InputError, match="unsafe name"):
        sources.fetch("toy", progress=False)
    assert left(tmp_path) == []


def test_links_missing_members_and_broken_archives_are_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path.parent / "secret").write_text("secret")
    for packed, message in (
        (
            tarred({**TEXTS, "toy/train.tokens": "../../../secret"}),
            "train.tokens .*not a plain file",
        ),
        (tarred({"toy/train.tokens": b"x"}), r"toy.tgz has no toy/valid.tokens"),
        (zipped({"toy/train.tokens": b"x"}), r"toy.tgz has no toy/valid.tokens"),
        (b"<html>not found</html>", "not a sound zip or tar archive"),
        (zipped(TEXTS)[:-30], "not a sound zip or tar archive"),
        (tarred({**TEXTS})[:-30], "not a sound zip or tar archive"),
    ):
        server.content["/toy.tgz"] = packed
        add(monkeypatch, Remote((f"{server.url}/toy.tgz",), None, None))
        with pytest.raises(InputError, match=message) as error:
            sources.fetch("toy", progress=False)
        assert "\n" not in str(error.value) and left(tmp_path) == []


def test_a_full_disk_is_said_before_and_during(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.content["/toy.zip"] = zipped(TEXTS)
    add(monkeypatch, Remote((f"{server.url}/toy.zip",), None, 1 << 60))
    with pytest.raises(InputError, match="MB free; make room or set SPARSECORE_HOME"):
        sources.fetch("toy", progress=False)
    assert server.asked == []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    add(monkeypatch, Remote((f"{server.url}/toy.zip",), None, None))
    with monkeypatch.context() as patch:
        patch.setattr(download, "_copy", full)
        with pytest.raises(InputError, match="No space left on device"):
            sources.fetch("toy", progress=False)
    assert left(tmp_path) == []


def test_a_fetched_corpus_can_be_prepared(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"the cat sat on the mat .\nthe dog sat on the cat .\n" * 20
    packed = zipped(dict.fromkeys(TEXTS, text))
    server.content["/toy.zip"] = packed
    add(monkeypatch, Remote((f"{server.url}/toy.zip",), sha(packed), len(packed)))
    with pytest.raises(InputError, match="`sparsecore data fetch toy` does it"):
        prepare_corpus("toy", threshold=1, progress=False)
    sources.fetch("toy", progress=False)
    corpus = prepare_corpus("toy", threshold=1, progress=False)
    assert corpus.name == "toy" and corpus.info["licence"] == "CC0"
    assert len(corpus.train) == len(corpus.valid) == 320
    with pytest.raises(InputError, match="did you mean 'wikitext-2'"):
        prepare_corpus("wikitext2", progress=False)


def test_an_unknown_name_gets_its_near_match() -> None:
    for function in (sources.fetch, sources.resolve, sources.describe, commands.info):
        with pytest.raises(InputError, match=r"'wikitext2' \(did you mean 'wikitext-2'\?\)"):
            function("wikitext2")


def test_tables_and_commands_name_every_source(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    packed = zipped(TEXTS)
    server.content["/toy.zip"] = packed
    add(monkeypatch, Remote((f"{server.url}/toy.zip",), sha(packed), len(packed)))
    commands.fetch("toy", progress=False)
    assert "licence: CC0" in capsys.readouterr().out
    commands.list_sources()
    listed = capsys.readouterr().out
    assert all(name in listed for name in [*SOURCES, "embedded"])
    assert any(line.startswith("toy ") and "downloaded" in line for line in listed.splitlines())
    commands.info("toy")
    said = capsys.readouterr().out
    assert sha(packed) in said and "Nobody 1999" in said and "CC0" in said
    assert max(map(len, said.splitlines())) <= 120
