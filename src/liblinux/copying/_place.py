"""Where a tree is or shall be: a path of the host, or of a process of a kernel."""

from __future__ import annotations

import os
import stat as stat_modes

from liblinux._os import Os
from liblinux._os_base import encode
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux import _native

__all__ = ["Place", "isolated", "native_of"]

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def native_of(system: Any) -> _native.Process | None:
    """The process behind an os-shaped namespace; None for the standard library's `os`, the host."""
    if system is os:
        return None
    if isinstance(system, Os):
        return system._native
    raise TypeError(f"`os` or the os of an image, a kernel or a process is wanted, not {type(system).__name__}")


def isolated(system: Any) -> bool:
    """Whether it is of a kernel in a process of its own, which is not believed."""
    process = native_of(system)
    return process is not None and process.kernel.isolated


class Place:
    """The place of one tree: the directory that it is in, open, and its name there.

    `name` may be changed before the copy begins: a tree is made under another name
    than it shall have. Close it, or use it in a `with` statement.
    """

    def __init__(self, system: Any, path: Any, *, below: bool = False) -> None:
        """With `below` the path is a directory that is there, a link to one too, and its name is "."."""
        self.system = system
        self.native = native_of(system)
        self.path = encode(path)
        if below:
            directory, self.name = self.path, b"."
        else:
            directory, self.name = os.path.split(self.path.rstrip(b"/") or b"/")
            if self.name in (b"", b".", b".."):
                directory, self.name = self.path, b"."
        self.directory = directory or b"."
        self.top = -1
        self.dir = int(system.open(self.directory, _DIRECTORY))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def here(self) -> bytes:
        """The path of the tree itself, as it is named now."""
        return os.path.join(self.directory, self.name)

    @property
    def end(self) -> tuple[_native.Process | None, int, bytes, bytes, int]:
        """This end, as `_native.copy` wants it."""
        above = self.directory if self.native is None else os.path.join(self.system.getcwdb(), self.directory)
        return self.native, self.dir, above, self.name, self.top

    def enter(self) -> None:
        """Open the tree itself, which is a directory."""
        self.top = int(self.system.open(self.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self.dir))

    def leave(self) -> None:
        """Close the tree itself."""
        if self.top >= 0 and not getattr(self.system, "closed", False):
            self.system.close(self.top)
        self.top = -1

    def status(self) -> os.stat_result | None:
        """The status of what is there under the name, or None."""
        try:
            found: os.stat_result = self.system.stat(self.name, dir_fd=self.dir, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found

    def is_directory(self) -> bool:
        """Whether a directory is there under the name."""
        status = self.status()
        return status is not None and stat_modes.S_ISDIR(status.st_mode)

    def rename(self, name: bytes) -> None:
        """Give what is there another name."""
        self.system.rename(self.name, name, src_dir_fd=self.dir, dst_dir_fd=self.dir)
        self.name = name

    def close(self) -> None:
        """Close what is open; of a kernel that is dead or closed there is nothing left to close."""
        self.leave()
        if self.dir >= 0 and not getattr(self.system, "closed", False):
            self.system.close(self.dir)
        self.dir = -1
