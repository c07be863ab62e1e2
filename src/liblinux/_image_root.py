"""An image that is open: a kernel of its own, and a process whose root directory is the image's.

`liblinux.open_image` and the commands of the command line stand on this. A link
of the image leads to a place in the image, wherever it says that it leads
(chroot(2)): an absolute one too, and one with any number of "..". Device nodes
are not opened (nodev).
"""

from __future__ import annotations

import errno
import os

from liblinux._image_disks import UNTRUSTED_CPU_SECONDS, ImageDisks
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, Unpack

    from liblinux._image_disks import Opening
    from liblinux._os import Os

__all__ = ["MOUNTED", "UNTRUSTED_CPU_SECONDS", "ImageRoot"]

MOUNTED = "/mnt"


class ImageRoot:
    """A file system of an image, mounted as the root of a process; close() or `with` ends it.

    Arguments are those of :func:`liblinux.open_image`; `writable` is its mode
    "r+", `opening` goes to :class:`ImageDisks`. Attributes: `kernel`, the
    :class:`Kernel` that reads the image; `disk`, the :class:`Disk`; `mount`, the
    :class:`Mount`; `process`, the one in the image, and its `os`, the functions of
    `os` with the image as "/"; `disks`, the :class:`ImageDisks`.

    Raises what Kernel(), attach() and mount() raise, FormatError and VolumeError,
    and OSError (EROFS) when something cannot be written that was to be.
    """

    def __init__(
        self,
        source: Any,
        *,
        writable: bool = False,
        partition: int | str | None = None,
        volume: str | None = None,
        type: str | None = None,
        options: str = "",
        **opening: Unpack[Opening],
    ) -> None:
        self.writable = writable
        self.disks = ImageDisks(source, writable=writable, **opening)
        try:
            self.kernel = self.disks.kernel
            self.disk = self.disks.disk
            device = self.disks.find_device(partition, volume)
            options = ",".join(filter(None, ("nodev", options)))
            self.mount = self.kernel.mount(device, MOUNTED, None, type, options, readonly=not writable)
            self.process = self.kernel.process()
            self.process.syscall("chroot", MOUNTED)
            self.os: Os = self.process.os
            self.os.chdir("/")
            if writable and self.os.statvfs("/").f_flag & os.ST_RDONLY:
                raise OSError(errno.EROFS, "it was to be written, but this file system can only be read")
        except BaseException as error:
            self.close()
            failure = self.disks.failure()
            if failure is not None and isinstance(error, OSError):
                raise error from failure
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
        self.disks.close()
