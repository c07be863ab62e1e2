"""Numbers of the users and groups that ACLs of an archive name: from the /etc/passwd of the tree itself."""

from __future__ import annotations

import os

from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["numbers_of"]

_FILES = {"user": b"/etc/passwd", "group": b"/etc/group"}


def numbers_of(system: Any) -> Callable[[str, str], int | None]:
    """A function: the number of a "user" or "group" by name, or None."""
    tables: dict[str, dict[str, int]] = {}

    def number(kind: str, name: str) -> int | None:
        if kind not in tables:
            tables[kind] = _table(system, _FILES[kind])
        return tables[kind].get(name)

    return number


def _table(system: Any, path: bytes) -> dict[str, int]:
    try:
        # A pipe in its place would be waited for.
        descriptor = system.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return {}  # there is no such file in most images; whoever asks says what that means
    try:
        text = system.read(descriptor, 1 << 24).decode("utf-8", "surrogateescape")
    finally:
        system.close(descriptor)
    fields = (line.split(":") for line in text.splitlines())
    return {parts[0]: int(parts[2]) for parts in fields if len(parts) > 2 and parts[2].isdecimal()}
