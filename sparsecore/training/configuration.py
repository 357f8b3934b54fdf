"""What every experiment's configuration, a frozen dataclass, can do: presets, checks, identity."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from sparsecore.errors import InputError, near_match

Config = TypeVar("Config")


def from_preset(
    kind: type[Config],
    presets: Mapping[str, Mapping[str, Any]],
    preset: str,
    overrides: Mapping[str, Any],
) -> Config:
    """The named preset, with other fields where given (None leaves the preset's).

    Raises:
        InputError: unknown preset or field, with the nearest name.
    """
    if preset not in presets:
        raise InputError(f"unknown preset {preset!r}{near_match(preset, presets)}")
    fields = {field.name for field in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    for name in overrides:
        if name not in fields:
            raise InputError(f"unknown parameter {name!r}{near_match(name, fields)}")
    given = {name: value for name, value in overrides.items() if value is not None}
    return kind(**{**presets[preset], **given})


def require(config: Any, name: str, condition: bool, right: str) -> None:
    """An :class:`InputError` that names the field, its value and what would be right."""
    if not condition:
        raise InputError(f"{name} must be {right}, got {getattr(config, name)!r}")


def identity_of(config: Any, version: int, content: str) -> dict[str, Any]:
    """What a run's numbers depend on: every field, the hash of its text, its kind of device.

    Args:
        config: the configuration.
        version: of the run folder's format.
        content: hash of the prepared text.
    """
    from sparsecore.training.device import resolve_device

    fields = dataclasses.asdict(config)
    fields["corpus"] = content
    fields["device"] = resolve_device(config.device).type
    return {"experiment": config.name, "format": version, **fields}
