"""A mode as an argument or option of a command."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._modes import host_umask, parse_mode

if TYPE_CHECKING:
    from typing import Any

    from liblinux.commands._modes import ModeChange

__all__ = ["Mode"]


class Mode(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """What chmod(1) takes: 0755, u=rwx,go+rX."""

    name = "mode"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ModeChange:
        """The change that it means; wrong usage when it means none."""
        if not isinstance(value, str):
            change: ModeChange = value
            return change
        try:
            return parse_mode(value, host_umask())
        except ValueError as error:
            self.fail(str(error), param, ctx)
