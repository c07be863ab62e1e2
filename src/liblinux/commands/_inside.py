"""The image that a shell is in: there, arguments of commands are paths in it, and it is open already.

`liblinux shell` runs the commands of the command line themselves. While it does,
`current` is set: a target is then any path, from the working directory, and
opening the image gives the one that is open.
"""

from __future__ import annotations

import contextlib
import errno

from liblinux._image_root import ImageRoot
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Inside", "LiteralPath", "current", "entered"]

current: Inside | None = None


class LiteralPath(str):
    """A path that was quoted: what looks like a pattern in it is none."""

    __slots__ = ()


class Inside:
    """An open image, the name by which commands know it, and the directory that paths start from."""

    def __init__(self, name: str, image: ImageRoot) -> None:
        self.name = name
        self.image = image
        self.directory = "/"

    def absolute(self, text: str) -> str:
        """A path from the root; what was quoted stays literal."""
        if text in {"", "."}:
            return self.directory
        path = text if text.startswith("/") else self.directory.rstrip("/") + "/" + text.removeprefix("./")
        return LiteralPath(path) if isinstance(text, LiteralPath) else path

    def borrow(self, *, writable: bool) -> ImageRoot:
        """The image, for one command; OSError (EROFS) when that wants to write and the shell does not."""
        if writable and not self.image.writable:
            raise OSError(errno.EROFS, "this shell only reads; start it with --rw", self.name)
        return _Borrowed(self.image)


class _Borrowed(ImageRoot):
    """An image that is not closed by who uses it."""

    def __init__(self, image: ImageRoot) -> None:
        vars(self).update(vars(image))

    def close(self) -> None:
        """Nothing: it is the shell's."""


@contextlib.contextmanager
def entered(inside: Inside) -> Iterator[None]:
    """Commands act inside of this image for the time of a `with` block."""
    global current  # noqa: PLW0603 - commands have no other way to learn of it: click builds them once
    before, current = current, inside
    try:
        yield
    finally:
        current = before
