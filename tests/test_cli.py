"""The command line as a user types it: what it prints, exit codes, start-up."""

import os
import subprocess
import sys

import pytest

from sparsecore.cli import main
from sparsecore.errors import TrainingError
from tests.conftest import small_text

SMALL = (
    "--threshold 2 --class-threshold 2 --hidden-size 8 --embedding-size 8 --batch-size 4 "
    "--epochs 1 --device cpu --max-tokens none --no-progress"
).split()


def test_run_runs_and_open_again(tmp_path, capsys):
    text = tmp_path / "mine.txt"
    text.write_text(small_text())
    command = ["run", "emergent", "--corpus", str(text), *SMALL]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert "valid_perplexity" in first and "run folder:" in first
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert main(["runs"]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("emergent/") and "done" in listed and "seed 0" in listed


def test_nothing_yet(capsys):
    assert main(["runs"]) == 0
    assert "no runs yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["run"],
        ["run", "emergent", "--help"],
        ["data", "--help"],
        ["data", "list"],
        ["bench", "--help"],
        ["track", "--help"],
    ],
)
def test_help_is_friendly(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 0 and len(captured.out) > 100 and not captured.err


@pytest.mark.parametrize("columns", ["0", "1", "-5", "39", "wide"])
def test_help_in_a_narrow_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["run", "emergent", "--help"]) == 0
    assert "--hidden-size" in capsys.readouterr().out and os.environ["COLUMNS"] == columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "unknown command 'rnu' (did you mean 'run'?)"),
        (["run", "emergnt"], "unknown experiment 'emergnt' (did you mean 'emergent'?)"),
        (["run", "emergent", "--preset", "quik"], "unknown preset 'quik' (did you mean 'quick'?)"),
        (["run", "emergent", "--preset"], "expected one argument"),
        (["run", "emergent", "--sede", "3"], "unknown option --sede (did you mean '--seed'?)"),
        (["run", "emergent", "--seed", "x"], "Error parsing --seed: invalid literal for int()"),
        (["run", "emergent", "--epochs", "0"], "epochs must be at least 1, got 0"),
        (["run", "emergent", "--corpus", "wikitext-22"], "unknown corpus 'wikitext-22'"),
        (["run", "emergent", "--corpus", "missing/file.txt"], "missing/file.txt"),
        (["data", "inof", "ptb"], "invalid choice: 'inof'"),
        (["data", "info", "pbt"], "'ptb'"),
        (["reference", "123", "--out", "x"], "there is no run '123'"),
        (["claims", "--file", "none.toml"], "none.toml"),
        (["reproduce", "--jobs", "0"], "--jobs must be a whole number of 1 or more, not 0"),
        (["bench", "--seconds", "nan"], "seconds must be a number of 0 or more, got nan"),
        (["bench", "--seconds", "-1"], "seconds must be a number of 0 or more, got -1.0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and message in captured.err
    assert captured.err.count("\n") == 1 and not captured.out


def test_a_failed_run_exits_with_1(monkeypatch, capsys):
    def diverge(*_, **__):
        raise TrainingError("training diverged in epoch 1")

    monkeypatch.setattr("sparsecore.runs.execute.execute", diverge)
    assert main(["run", "emergent"]) == 1
    assert capsys.readouterr().err == "error: training diverged in epoch 1\n"


def test_a_file_whose_name_is_no_utf8_can_be_used(tmp_path, capsys):
    text = tmp_path / os.fsdecode(b"caf\xe9.txt")
    text.write_text(small_text(), encoding="utf-8")
    assert main(["run", "emergent", "--corpus", str(text), *SMALL]) == 0
    assert main(["runs"]) == 0
    assert "caf\\udce9.txt" in capsys.readouterr().out


def test_a_damaged_run_is_listed_as_such(own_home, capsys):
    for name, content in (("a", "{}"), ("b", "[")):
        (own_home / "runs" / "emergent" / name).mkdir(parents=True)
        (own_home / "runs" / "emergent" / name / "config.json").write_text(content)
    assert main(["runs"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("\n") == 2 and "emergent/b  damaged" in listed


@pytest.mark.parametrize("kind", [MemoryError, RuntimeError])
def test_no_room_is_one_line(kind, monkeypatch, capsys):
    def swell(*_, **__):
        raise kind("DefaultCPUAllocator: can't allocate memory:\nyou tried 16 TB")

    monkeypatch.setattr("sparsecore.runs.execute.execute", swell)
    assert main(["run", "emergent"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: out of memory: ") and told.count("\n") == 1


def test_an_error_of_our_own_is_not_hidden(monkeypatch):
    monkeypatch.setattr("sparsecore.runs.execute.execute", lambda *_, **__: {}["a bug"])
    with pytest.raises(KeyError, match="a bug"):
        main(["run", "emergent"])


def test_a_folder_that_a_variable_names_and_nobody_can_use_is_one_line(monkeypatch, capsys):
    def load(*_, **__):  # as PyTorch does
        os.makedirs(os.environ["TORCHINDUCTOR_CACHE_DIR"])

    monkeypatch.setattr("sparsecore.runs.execute.execute", load)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", f"{os.devnull}/x")
    assert main(["run", "emergent"]) == 2
    told = capsys.readouterr().err
    assert told == f"error: cannot use TORCHINDUCTOR_CACHE_DIR='{os.devnull}/x': Not a directory\n"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr("sparsecore.runs.execute.execute", lambda *_, **__: os.stat("missing"))
    with pytest.raises(FileNotFoundError):
        main(["run", "emergent"])


READABLE = {name: x for name, x in os.environ.items() if not name.startswith(("TORCH_", "TQDM_"))}


@pytest.mark.parametrize(
    ("name", "package"), [("TORCH_LOGS", "torch"), ("TQDM_MININTERVAL", "tqdm")]
)
def test_a_variable_that_a_library_cannot_read_is_one_line(name, package):
    done = command("run", "emergent", "--epochs", "1", env=READABLE | {name: "nonsense"})
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {package} cannot be loaded; is {name} right? ")
    assert "nonsense" in done.stderr and done.stderr.count("\n") == 1


def test_a_closed_pipe_is_no_error():
    command = [sys.executable, "-m", "sparsecore.cli", "data", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0


def test_import_and_help_stay_light():
    """Neither loads PyTorch, pandas, spaCy or plotting (what takes seconds)."""
    script = (
        "import sys, sparsecore; from sparsecore.cli import main; main(['--help']); "
        "main(['run']); heavy = {'torch', 'pandas', 'numpy', 'scipy', 'spacy', 'seaborn', "
        "'matplotlib'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def command(*arguments, **options):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sparsecore", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_standard_output_is_one_line():
    for arguments in (["data", "list"], ["run", "emergent", "--help"]):
        with open("/dev/full", "w") as full:
            done = command(*arguments, stdout=full)
        assert done.returncode == 1
        assert done.stderr == "error: cannot write the output: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_standard_error_keeps_the_exit_code():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "sparsecore", "bogus"], stderr=full)
    assert done.returncode == 2


def test_help_without_docstrings():
    done = subprocess.run([sys.executable, "-OO", "-m", "sparsecore"], capture_output=True)
    assert done.returncode == 0 and b"usage: sparsecore COMMAND" in done.stdout and not done.stderr


def test_a_user_without_a_home_is_one_line(monkeypatch, capsys):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SPARSECORE_HOME")
    monkeypatch.setattr("pathlib.Path.home", home)
    assert main(["runs"]) == 2
    assert "set SPARSECORE_HOME to a writable folder" in capsys.readouterr().err


def test_a_deleted_current_folder_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["run", "emergent"]) == 2
    assert capsys.readouterr().err.startswith("error: the current folder was deleted")


def test_closed_standard_streams_lead_nowhere():
    shell = f"'{sys.executable}' -m sparsecore"
    done = subprocess.run(f"{shell} --help >&- <&-; {shell} bogus >&- 2>&-", shell=True)
    assert done.returncode == 2
    done = subprocess.run(f"{shell} --help >&-", shell=True, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "1",
    "RANK": "0",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"MASTER_PORT": "abc"}, "MASTER_PORT='abc' is not a whole number from 1 to 65535"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT='70000' is not"),
        ({"RANK": "2"}, "RANK='2' is not a whole number from 0 to 1"),
        ({"WORLD_SIZE": "-1"}, "WORLD_SIZE='-1' is not a whole number from 1"),
        ({"LOCAL_RANK": "x"}, "LOCAL_RANK='x' is not"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR='' is not the name of a host"),
        ({"MASTER_ADDR": "no such host"}, "MASTER_ADDR='no such host' is not the name"),
    ],
)
def test_malformed_variables_of_torchrun_are_one_line(changes, message, monkeypatch, capsys):
    for name, value in (TORCHRUN | changes).items():
        monkeypatch.setenv(name, value)
    assert main(["run", "emergent"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
