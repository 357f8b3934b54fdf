"""Kernels as forks of a process that has imported already."""

import sys

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
    factory = KernelProvisionerFactory.instance()
    monkeypatch.setattr(kernels, "LOADED", ("xml.dom.pulldom",))  # nothing else imports it
    monkeypatch.setattr(factory, "default_provisioner_name", factory.default_provisioner_name)
    monkeypatch.setenv("MPLBACKEND", "agg")
    kernels.share_imports()
    for script in notebooks.scripts():
        script.write_text(script.read_text() + PAGE)
        assert output(run(script))[-1] == "loaded True marked False\n"
