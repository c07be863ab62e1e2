"""An image that is open: a kernel of its own, and a process whose root directory is the image's.

`liblinux.open_image` and the commands of the command line stand on this. A link
of the image leads to a place in the image, wherever it says that it leads
(chroot(2)): an absolute one too, and one with any number of "..". Device nodes
are not opened (nodev).
"""

from __future__ import annotations

import errno
import os

from liblinux._kernel import Kernel
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux._os import Os

__all__ = ["MOUNTED", "UNTRUSTED_CPU_SECONDS", "ImageRoot"]

MOUNTED = "/mnt"
# Enough for every file of a large image, little for one that computes for ever.
UNTRUSTED_CPU_SECONDS = 600


class ImageRoot:
    """A file system of an image, mounted as the root of a process; close() or `with` ends it.

    Arguments are those of :func:`liblinux.open_image`, `writable` is its mode
    "r+". Attributes: `kernel`, the :class:`Kernel` that reads the image; `disk`,
    the :class:`Disk`; `mount`, the :class:`Mount`; `process`, the one in the
    image, and its `os`, the functions of `os` with the image as "/".

    Raises what Kernel(), attach() and mount() raise, and OSError (EROFS) when
    something cannot be written that was to be.
    """

    def __init__(
        self,
        source: Any,
        *,
        writable: bool = False,
        partition: int | None = None,
        untrusted: bool = False,
        type: str | None = None,
        options: str = "",
        sector_size: int = 512,
        version: str | None = None,
        memory: int | str = "64M",
        overlay: bool | None = None,
        cpu_seconds: int = UNTRUSTED_CPU_SECONDS,
    ) -> None:
        overlay = not writable if overlay is None else overlay
        self.writable = writable
        self.kernel = Kernel(memory, version=version, isolated=untrusted, cpu_seconds=cpu_seconds if untrusted else 0)
        try:
            self.disk = self.kernel.attach(
                source, readonly=not writable and not overlay, overlay=overlay, sector_size=sector_size
            )
            if writable and self.disk.readonly:
                raise OSError(errno.EROFS, "it was to be written, but the source cannot be: add overlay=True")
            options = ",".join(filter(None, ("nodev", options)))
            self.mount = self.kernel.mount(self.disk, MOUNTED, partition, type, options, readonly=not writable)
            self.process = self.kernel.process()
            self.process.syscall("chroot", MOUNTED)
            self.os: Os = self.process.os
            self.os.chdir("/")
            if writable and self.os.statvfs("/").f_flag & os.ST_RDONLY:
                raise OSError(errno.EROFS, "it was to be written, but this file system can only be read")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.kernel.closed

    def close(self) -> None:
        """Flush open files, write back, unmount and end the kernel. Twice does nothing.

        Raises the first OSError of writing back, when all the rest is done.
        """
        self.kernel.close()
