"""Files appear whole or not at all, and a disk that refuses is one clear line."""

import resource
import subprocess
import sys

import pytest

from sparsecore.errors import InputError
from sparsecore.files import atomic_folder, atomic_path, sha256_file, write_json, write_text
from sparsecore.home import cache_dir
from tests.conftest import small_text


def test_old_content_stays_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    write_json(path, {"é": 1})
    assert path.read_text() == '{\n  "é": 1\n}\n'


def test_folder_is_kept_where_another_process_was_first(tmp_path):
    target = tmp_path / "made"
    with atomic_folder(target) as temporary:
        (temporary / "x").write_text("second")
        target.mkdir()
        (target / "x").write_text("first")
    assert (target / "x").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["made"]


def test_read_only_places_are_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"cannot write .*file/x"):
        write_text(tmp_path / "file" / "x", "text")
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set SPARSECORE_HOME to a writable folder"):
        cache_dir("corpora")


def test_sha256(tmp_path):
    (tmp_path / "empty").touch()
    assert sha256_file(tmp_path / "empty").startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize("kibibytes", [1, 12, 60])
def test_full_disk_ends_in_one_line(tmp_path, own_home, kibibytes):
    """Files may not grow past a limit, as on a full disk, wherever in the run that hits."""
    (tmp_path / "text.txt").write_text(small_text(2000))
    command = "run emergent --threshold 2 --class-threshold 2 --epochs 1 --no-progress --corpus"
    limit = kibibytes * 1024
    done = subprocess.run(
        [sys.executable, "-m", "sparsecore.cli", *command.split(), str(tmp_path / "text.txt")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.startswith("error: cannot write")
    assert done.stderr.count("\n") == 1
    assert not list(own_home.rglob("*.tmp")) and not list(own_home.rglob("DONE"))
