"""What is fuzzed: an image, and how the kernel shall mount it."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass

import liblinux
from liblinux._signatures import PROBE_BYTES, identify

__all__ = ["Target", "attributes_of"]

# What an image may demand of the kernel in its super block, and what is asked for instead: ext4 can be told
# to panic at the first error, which would be found again and again.
_OPTIONS = {"ext2": "errors=continue", "ext3": "errors=continue", "ext4": "errors=continue", "vfat": "errors=continue"}


@dataclass(frozen=True)
class Target:
    """An image file, the file system's type, the mount options, and the kernel's memory and version."""

    image: str
    type: str
    options: str = ""
    memory: str = "64M"
    version: str | None = None

    @classmethod
    def of(
        cls,
        image: str | os.PathLike[str],
        *,
        type: str | None = None,
        options: str | None = None,
        memory: str = "64M",
        version: str | None = None,
    ) -> Target:
        """The target that an image is: what is not given is told from its content.

        Raises OSError when it cannot be read, ValueError when it holds no file system that is known.
        """
        path = os.path.abspath(image)
        if type is None:
            with open(path, "rb") as file:
                content = identify(file.read(PROBE_BYTES))
            if content is None or not content.mountable:
                found = "no file system that is known" if content is None else f"{content.type}, no file system"
                raise ValueError(
                    f"{path} holds {found}; what is damaged is an image without a partition table, as "
                    "`liblinux mkimage --no-partition-table` makes them; if it is one, name its type, as --type ext4"
                )
            type = content.type
        return cls(path, type, _OPTIONS.get(type, "") if options is None else options, memory, version)

    def kernel(self) -> liblinux.Kernel:
        """A kernel for one image; all of them are alike."""
        return liblinux.Kernel(
            self.memory, clock="virtual", seed=0, version=self.version, realtime=1_700_000_000 * 10**9
        )

    @contextlib.contextmanager
    def buffer(self) -> Iterator[mmap.mmap]:
        """The image as memory that can be changed without changing the file; padded to whole blocks."""
        with open(self.image, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as buffer:
            yield buffer


def attributes_of(kernel: liblinux.Kernel, path: str | bytes) -> int:
    """Read all extended attributes of a file; how many bytes they have."""
    names = kernel.os.listxattr(path, follow_symlinks=False)
    return sum(len(kernel.os.getxattr(path, name, follow_symlinks=False)) for name in names)
