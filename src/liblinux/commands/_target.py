"""Targets: `disk.img:/path`, a path inside an image; anything without ":/" is a path of the host.

The colon that counts is the first one with a slash, or nothing, behind it. That of
a URL does not ("https://host/disk.img:/etc"), nor does one of a name that begins
with "./" or "/" up to an existing file of that very name.
"""

from __future__ import annotations

import os
import re

import click

from liblinux._typing import TYPE_CHECKING, Value
from liblinux.commands import _inside

if TYPE_CHECKING:
    from typing import Any

__all__ = ["ImageOrTarget", "Target", "TargetOrText", "TargetType", "is_target", "parse_target"]

_COLON = re.compile(r":(?=/(?!/)|$)")


class Target(Value):
    """A path inside an image."""

    image: str
    path: str

    def __str__(self) -> str:
        return f"{self.image}:{self.path}"


def parse_target(text: str) -> Target | None:
    """The image and the path, from its root, that `text` names; None when it names no image.

    Inside of an image (`liblinux shell`) every text names a path of it.
    """
    if _inside.current is not None:
        return Target(_inside.current.name, _inside.current.absolute(text))
    if os.path.lexists(text):
        return None
    found = _COLON.search(text)
    if found is None or not found.start():
        return None
    return Target(text[: found.start()], text[found.end() :] or "/")


def is_target(text: str) -> bool:
    """Whether `text` names a path inside an image."""
    return parse_target(text) is not None


def _as_target(text: str) -> str:
    """What was probably meant: the root of an image, or a path that lacks its slash."""
    file, colon, path = text.rpartition(":")
    return f"{file}:/{path}" if colon and os.path.isfile(file) else f"{text}:/"


class TargetType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """An argument of click that must be `IMAGE:/PATH`."""

    name = "target"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        """The Target; wrong usage when there is no colon."""
        if isinstance(value, Target):
            return value
        target = parse_target(value)
        if target is None:
            self.fail(f"{value!r} names no path inside an image; write it as {_as_target(value)}", param, ctx)
        return target

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Files of the host up to the colon, names in the image behind it."""
        from liblinux.commands._completion import complete_target  # noqa: PLC0415 - only a shell asks

        return complete_target(ctx, incomplete)


class ImageOrTarget(TargetType):
    """The same, where an image alone means its root directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        """The Target."""
        if isinstance(value, Target):
            return value
        return parse_target(value) or Target(value, "/")


class TargetOrText(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """Any text, completed as a target is."""

    name = "text"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Files of the host up to the colon, names in the image behind it."""
        from liblinux.commands._completion import complete_target  # noqa: PLC0415 - only a shell asks

        return complete_target(ctx, incomplete)
