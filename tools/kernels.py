"""Kernels that begin with the notebooks' packages already loaded.

Most of a short notebook's time goes into importing PyTorch, pandas, seaborn and the library. After
:func:`share_imports` one process, the fork server of :mod:`multiprocessing`, imports them once, and
each kernel is a fork of it, which starts in a fraction of a second. A kernel still has a process, a
name space and a session of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from multiprocessing import get_context, parent_process
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

FORKED = "forked-provisioner"
LOADED = (
    "ipykernel.kernelapp",
    "matplotlib.pyplot",
    "seaborn",
    "sparsecore.report.explorers",
    "sparsecore.report.figures",
    "sparsecore.report.pages.emergent",
    "sparsecore.report.pages.sentiment",
    "torch",
)


def share_imports() -> None:
    """Let kernels that this process starts from now on be forks, where forks are safe: on Linux.

    Elsewhere, and before this is called, a kernel is a Python started anew.
    """
    if sys.platform != "linux":
        return
    # as a kernel sets it, but before Matplotlib is imported, which reads it once
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    get_context("forkserver").set_forkserver_preload(list(LOADED))
    factory = KernelProvisionerFactory.instance()
    here = f"{__name__}:{ForkedProvisioner.__name__}"
    factory.provisioners[FORKED] = EntryPoint(FORKED, here, factory.GROUP_NAME)
    factory.default_provisioner_name = FORKED


class ForkedProvisioner(LocalProvisioner):
    """Starts a kernel as a fork; what follows is as for a process started anew."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel of ``cmd``, which is ``python … -m ipykernel_launcher ARGUMENTS``."""
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        self.cwd = kwargs.get("cwd") or os.getcwd()
        self.process: Any = ForkedKernel(arguments, kwargs.get("env") or os.environ, self.cwd)
        self.pid = self.pgid = self.process.pid
        return self.connection_info


class ForkedKernel:
    """A kernel's process with what :class:`LocalProvisioner` asks of a ``subprocess.Popen``."""

    stdin = stdout = stderr = None

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
        work = (list(arguments), dict(env), str(cwd))
        self._process = get_context("forkserver").Process(target=run_kernel, args=work)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def wait(self) -> int | None:
        """The exit code, once it has ended."""
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        if self.pid is not None and self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def run_kernel(arguments: list[str], env: dict[str, str], cwd: str) -> None:
    """In the fork: be the kernel until it is asked to end."""
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    IPKernelApp.launch_instance(argv=arguments)


def _end_with_starter() -> None:
    """A kernel whose starter was killed has nobody to talk to."""
    starter = parent_process()
    assert starter is not None
    starter.join()
    os._exit(1)
