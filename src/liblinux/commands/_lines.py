"""Many lines on standard output, in large pieces, and names of files in them."""

from __future__ import annotations

import sys

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["print_lines", "shown"]

_PIECE_LINES = 512


def print_lines(lines: Iterable[str], end: str = "\n") -> None:
    """Print lines that may hold names; those that are not UTF-8 come out as the bytes that they were."""
    sys.stdout.flush()
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        if len(piece) == _PIECE_LINES:
            _write(piece, end)
            piece = []
    if piece:
        _write(piece, end)
    sys.stdout.buffer.flush()


def _write(piece: list[str], end: str) -> None:
    sys.stdout.buffer.write((end.join(piece) + end).encode("utf-8", "surrogateescape"))


def shown(name: str) -> str:
    """A name as it may be shown: on a terminal "?" for each character that would steer it.

    An image that somebody else made could else write to the terminal whatever it
    likes. In a pipe or a file a name is what it is.
    """
    if name.isprintable() or not sys.stdout.isatty():
        return name
    return "".join(character if character.isprintable() else "?" for character in name)
