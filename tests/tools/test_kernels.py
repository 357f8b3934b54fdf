"""Kernels as forks of a process that has imported already."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest
from jupyter_client.provisioning import KernelProvisionerFactory

from tests.tools.test_notebooks import HEADER, output, place, run  # noqa: F401
from tools import kernels, notebooks

PAGE = """
# %%
import builtins, sys

print("loaded", "xml.dom.pulldom" in sys.modules, "marked", hasattr(builtins, "marked"))
builtins.marked = True
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")
def test_kernels_share_imports_and_nothing_else(place, monkeypatch):  # noqa: F811
    forkserver._forkserver._stop()  # one that runs already has not imported what this one shall
    factory = KernelProvisionerFactory.instance()
    monkeypatch.setattr(kernels, "LOADED", ("xml.dom.pulldom",))  # nothing else imports it
    monkeypatch.setattr(factory, "default_provisioner_name", factory.default_provisioner_name)
    monkeypatch.setenv("MPLBACKEND", "agg")
    kernels.share_imports()
    for script in notebooks.scripts():
        script.write_text(script.read_text() + PAGE)
        assert output(run(script))[-1] == "loaded True marked False\n"


STARTER = """
import os, sys, time
from tools import kernels

kernels.LOADED = ("ipykernel.kernelapp",)
if __name__ == "__main__":  # the fork server imports this file too
    kernels.share_imports()
    kernel = kernels.ForkedKernel(["-f", sys.argv[1]], os.environ, os.getcwd())
    print(kernel.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")
def test_a_kernel_ends_when_its_starter_is_killed(tmp_path):
    script = tmp_path / "starter.py"
    script.write_text(STARTER)
    command = [sys.executable, str(script), str(tmp_path / "connection.json")]
    root = str(Path(__file__).parents[2])
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    assert started.stdout is not None
    with started, started.stdout:
        kernel = Path("/proc") / started.stdout.readline().strip()
        assert kernel.is_dir()
        started.kill()
    for _ in range(600):
        if not kernel.is_dir() or "(zombie)" in (kernel / "status").read_text():
            return
        time.sleep(0.1)
    os.kill(int(kernel.name), signal.SIGKILL)
    pytest.fail("the kernel outlives the process that started it")
