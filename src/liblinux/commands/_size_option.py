"""Sizes as people write them on a command line: "4G", "+512M", "-1G", "max"."""

from __future__ import annotations

import re

import click

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["SizeChange"]

_FORM = re.compile(r"([+-]?)(\d+(?:\.\d+)?)([KMGTP]?)(?:i?B)?", re.IGNORECASE)
_UNITS = "KMGTP"


class SizeChange(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """An argument that becomes a function: of the present size to the wanted one, None for "max"."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Callable[[int], int | None]:
        """The function; wrong usage for what is no size."""
        if callable(value):
            return value  # type: ignore[no-any-return]  # click converts twice
        if value == "max":
            return lambda present: None
        found = _FORM.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no size; write 4G, +512M, -1G or max", param, ctx)
        sign, number, unit = found.groups()
        size = int(float(number) * (1 << 10 * (_UNITS.index(unit.upper()) + 1 if unit else 0)))
        if not sign:
            return lambda present: size
        return lambda present: present + size if sign == "+" else present - size
