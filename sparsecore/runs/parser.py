"""Options of the command line whose mistakes are one line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from sparsecore.errors import InputError, near_match


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line, like all others."""

    def parse_args(self, *given: Any, **named: Any) -> Any:
        """What was chosen; an unknown option is told with the nearest one."""
        chosen, unknown = self.parse_known_args(*given, **named)
        if unknown:
            options = [name for name in self._option_string_actions if name.startswith("--")]
            hint = near_match(unknown[0].split("=")[0], options) if unknown[0][:2] == "--" else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return chosen

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments with one line."""
        raise InputError(f"{message} (see {self.prog} --help)")
