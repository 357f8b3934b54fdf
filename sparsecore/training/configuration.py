"""What every experiment's configuration, a frozen dataclass, can do: presets, checks, identity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sparsecore.errors import InputError, check_choice, near_match


def from_preset(kind: Any, preset: str, **overrides: Any) -> Any:
    """The preset of that name, with fields of your own where given (None leaves the preset's).

    Raises:
        InputError: unknown preset or field, with the nearest name.
    """
    presets: Mapping[str, Mapping[str, Any]] = kind.presets
    if not isinstance(preset, str) or preset not in presets:
        raise InputError(f"unknown preset {preset!r}{near_match(preset, presets)}")
    fields = {field.name for field in dataclasses.fields(kind)}
    for name in overrides:
        check_choice("parameter", name, fields)
    given = {name: value for name, value in overrides.items() if value is not None}
    return kind(**{**presets[preset], **given})


def check_kinds(config: Any) -> None:
    """Each field of a configuration is of the type that its class says, and within reason.

    Whole numbers are no floats and no truth values, floats are finite, sizes are such that a list
    of so many numbers fits into memory, and seeds what every random generator takes.

    Raises:
        InputError: names the field, its value and what would be right.
    """
    for field in dataclasses.fields(config):
        value: Any = getattr(config, field.name)
        kind, _, optional = str(field.type).partition(" | ")
        fits, right = _KINDS[kind]
        if value is None:
            require(config, field.name, optional == "None", right)
            continue
        require(config, field.name, fits(value), f"{right}{', or none' if optional else ''}")
        if field.name == "seed":
            require(config, "seed", 0 <= value < 1 << 63, "from 0 to 2^63 − 1")
        elif kind == "int":
            most = MOST.get(field.name, LARGEST)
            require(config, field.name, value <= most, f"at most {most:,}")
        elif kind == "float":
            require(config, field.name, abs(value) <= FLOATS, f"at most {FLOATS:g} in size")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


LARGEST = 2**31 - 1
FLOATS = 3e38  # what float32 can hold
MOST = {"num_blocks": 10_000, "num_bins": 10_000, "embedding_bins": 10_000, "num_layers": 100}
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_is_whole, "a whole number"),
    "float": (_is_finite, "a finite number"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
    "str": (lambda value: isinstance(value, str), "text"),
}


Range = tuple[str, Callable[[float], bool]]

AT_LEAST_1: Range = ("at least 1", lambda value: value >= 1)
AT_LEAST_0: Range = ("at least 0", lambda value: value >= 0)
ABOVE_0: Range = ("above 0", lambda value: value > 0)
BELOW_1: Range = ("in [0, 1)", lambda value: 0 <= value < 1)


def require_range(config: Any, within: Range, names: str) -> None:
    """Each of these fields lies within a range, or is None where it may be.

    Raises:
        InputError: names the field, its value and what would be right.
    """
    right, fits = within
    optional = {f.name for f in dataclasses.fields(config) if str(f.type).endswith("| None")}
    for name in names.split():
        value = getattr(config, name)
        fine = fits(value) if value is not None else name in optional
        require(config, name, fine, f"{right}, or none" if name in optional else right)


def require(config: Any, name: str, condition: bool, right: str) -> None:
    """An :class:`InputError` that names the field, its value and what would be right."""
    if not condition:
        raise InputError(f"{name} must be {right}, got {getattr(config, name)!r}")


def require_whole(config: Any) -> None:
    """An :class:`InputError` if sentences would be both kept (``max_types``) and left out."""
    whole = config.max_types is None or config.threshold == 1
    require(config, "threshold", whole, "1 with max_types, which leaves no sentence out")


def refuse_varied(overrides: Mapping[str, Any], names: Iterable[str]) -> None:
    """An :class:`InputError` if a study is given one of the fields that it varies itself."""
    for name in names:
        if overrides.get(name) is not None:
            raise InputError(f"{name} is one of what the study varies; sweep it with --grid")


def identity_of(config: Any, content: str) -> dict[str, Any]:
    """What a run's numbers depend on: every field, the hash of its text, its kind of device.

    Args:
        config: the configuration, with ``name`` and the ``format`` of its run folder.
        content: hash of the prepared inputs.
    """
    from sparsecore.training.device import resolve_device

    fields = dataclasses.asdict(config)
    fields["corpus"] = content
    fields["device"] = resolve_device(config.device).type
    return {"experiment": config.name, "format": config.format, **fields}
