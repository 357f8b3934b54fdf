"""Files appear whole or not at all, and a disk that refuses is one clear line."""

import json
import os
import resource
import subprocess
import sys
import threading

import pytest

from sparsecore.cli import main
from sparsecore.errors import InputError
from sparsecore.files import (
    atomic_folder,
    atomic_path,
    remove_leftovers,
    sha256_file,
    write_json,
    write_text,
)
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


def test_folder_is_kept_where_another_process_was_first_by_a_hair(tmp_path, monkeypatch):
    target, replace = tmp_path / "made", os.replace

    def late(source, to):
        target.mkdir()
        (target / "x").write_text("first")
        replace(source, to)

    monkeypatch.setattr(os, "replace", late)
    with atomic_folder(target) as temporary:
        (temporary / "x").write_text("second")
    assert (target / "x").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["made"]


KILLED = """
import os, signal, sys
from sparsecore.files import atomic_folder, atomic_path
with atomic_path(sys.argv[1] + "/a.txt") as file, atomic_folder(sys.argv[1] + "/b") as folder:
    file.write_text("half")
    (folder / "part").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_with_the_next_file(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 2 and all(name.endswith(".tmp") for name in left)
    with atomic_path(tmp_path / "mine.txt") as mine:
        mine.write_text("of a living process")
        write_text(tmp_path / "c.txt", "whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == [mine.name, "c.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.txt", "mine.txt"]


def test_what_another_machine_may_still_write_goes_only_under_the_lock(tmp_path):
    with atomic_path(tmp_path / "x") as temporary:
        temporary.touch()
        machine = temporary.name.split(".")[-2].split("-")[0]
    other = f"{int(machine, 16) ^ 1:08x}"
    left = [tmp_path / f".a.{other}-1-abcdef.tmp", tmp_path / "in" / f".b.{other}-1-abcdef.tmp"]
    foreign = [tmp_path / ".mine.tmp", tmp_path / ".x.1.tmp", tmp_path / "notes.tmp"]
    (tmp_path / "in").mkdir()
    for path in [*left, *foreign]:
        path.touch()
    (tmp_path / f".huge.{machine}-999999999-abcdef.tmp").touch()
    remove_leftovers(tmp_path)
    assert all(path.exists() for path in [*left, *foreign])
    assert not list(tmp_path.glob(".huge*"))
    remove_leftovers(tmp_path, every=True)
    assert not any(path.exists() for path in left) and all(path.exists() for path in foreign)


def test_threads_may_write_one_file_at_once(tmp_path):
    gate, problems = threading.Barrier(4), []

    def write(number):
        try:
            for _ in range(20):
                gate.wait()
                write_text(tmp_path / "x", str(number) * 1000)
        except Exception as error:
            problems.append(error)
            gate.abort()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and os.listdir(tmp_path) == ["x"]
    text = (tmp_path / "x").read_text()
    assert len(text) == 1000 and len(set(text)) == 1


def test_json_holds_file_names_of_any_bytes(tmp_path):
    name = os.fsdecode(b"caf\xe9-\xc3\xa9")
    write_json(tmp_path / "a.json", {"name": name})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": name}
    assert "é" in (tmp_path / "a.json").read_text(encoding="utf-8")


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
def test_full_disk_ends_in_one_line(tmp_path, own_home, capsys, kibibytes):
    """Files may not grow past a limit, as on a full disk, wherever in the run that hits."""
    (tmp_path / "text.txt").write_text(small_text(2000))
    command = "run emergent --threshold 2 --class-threshold 2 --epochs 1 --no-progress --corpus"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kibibytes * 1024, hard))
    try:
        code = main([*command.split(), str(tmp_path / "text.txt")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().err
    assert code == 2 and said.startswith("error: cannot write") and said.count("\n") == 1
    assert not list(own_home.rglob("*.tmp")) and not list(own_home.rglob("DONE"))
