"""What the tests of the GPU kernels share: where they run, and machine code without a GPU."""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

CAPABILITIES = (80, 90, 100)  # A100, H100, B200

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed (extra: gpu)"
)


def on_a_gpu(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that runs a kernel on a device."""
    needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    return pytest.mark.gpu(needs_triton(needs_gpu(test)))


def interpreted(*functions: Callable[[], None]) -> None:
    """Call functions of a test module in a process where Triton interprets its kernels."""
    script = "".join(
        f"from {function.__module__} import {function.__name__} as run; run()\n"
        for function in functions
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def assert_compiles(
    kernel: Any,
    constants: Mapping[str, Any],
    types: Mapping[str, str],
    others: str,
    **options: Any,
) -> None:
    """Down to machine code that keeps all in registers: sm_80, sm_90 and sm_100.

    Args:
        kernel: what ``triton.jit`` made.
        constants: values of its constant arguments; those that it has not are left out.
        types: of the other arguments, in Triton's words; ``others``: of those not named there.
        options: of the launch.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = kernel.arg_names
    constants = {name: value for name, value in constants.items() if name in names}
    known = {**types, **dict.fromkeys(constants, "constexpr")}
    source = ASTSource(
        fn=kernel,
        signature={name: known.get(name, others) for name in names},
        constexprs={(names.index(name),): value for name, value in constants.items()},
    )
    for capability in CAPABILITIES:
        target = GPUTarget("cuda", capability, 32)
        compiled = triton.compile(source, target=target, options=options).asm["cubin"]
        assert spilled(compiled) == 0, (kernel.__name__, capability)


def spilled(cubin: bytes) -> int:
    """Bytes of local memory that a thread of a kernel needs: what did not fit into registers."""
    import triton

    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [tool, "--dump-resource-usage", file.name]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    usage = re.search(r"REG:(\d+) STACK:(\d+)", said)
    assert usage and int(usage[1]) > 0, said
    return int(usage[2])
