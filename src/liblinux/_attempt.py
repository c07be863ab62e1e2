"""A mount that fails leaves the image as it was, whatever it has written by then.

A file system replays its journal before it looks at the rest of the image, so
one that is damaged elsewhere has been written to when the mount fails. While a
mount is tried, the host side keeps what is overwritten on the device (see
kernel/host/undo.c), and writes it back if the kernel says no.

Not for devices that are in use already: a second mount of one replays nothing,
and what is written there meanwhile must stay. Not for objects that are devices
by themselves, which are promised to be asked what the kernel asks and no more.
"""

from __future__ import annotations

import os

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux._disk import Disk
    from liblinux._kernel import Kernel

__all__ = ["Attempt"]

_BLKFLSBUF = 0x1261  # of linux/fs.h


class Attempt:
    """One call of mount(2) on a device: what it writes is taken back unless `succeeded` is set in the `with` block."""

    def __init__(self, kernel: Kernel, device: str) -> None:
        self.succeeded = False
        self._kernel = kernel
        self._device = device
        self._disk: Disk | None = None

    def __enter__(self) -> Self:
        disk = _disk_of(self._kernel, self._device)
        if disk is not None and disk._undone and self._is_free():
            disk._trying.acquire()
            try:
                disk._native.undo_begin(*_stretch(self._kernel, disk, self._device))
            except BaseException:
                disk._trying.release()
                raise
            self._disk = disk
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        disk = self._disk
        if disk is None:
            return
        try:
            # Interrupted at the very end it may be mounted all the same.
            restore = not self.succeeded and (self._kernel.dead is not None or self._is_free(flush=True))
            disk._native.undo_end(restore)
        finally:
            disk._trying.release()

    def _is_free(self, *, flush: bool = False) -> bool:
        """Whether nobody has the device; its cached blocks are written and forgotten, if told to."""
        system = self._kernel.os
        descriptor = system.call("open", self._device, os.O_RDONLY | os.O_EXCL, 0)
        if descriptor < 0:
            return False
        if flush:
            system.call("ioctl", descriptor, _BLKFLSBUF, 0)
        system.close(descriptor)
        return True


def _disk_of(kernel: Kernel, device: str) -> Disk | None:
    """The attached disk that a device is, or is a partition of: "/dev/lda1" of "/dev/lda"."""
    for disk in kernel.disks:
        rest = device.removeprefix(disk.path)
        if rest != device and (not rest or rest.isdecimal()):
            return disk
    return None


def _stretch(kernel: Kernel, disk: Disk, device: str) -> tuple[int, int]:
    """Where a device lies on its disk: start and length in bytes."""
    if device == disk.path:
        return 0, disk.size
    directory = f"/sys/block/{disk.name}/{device.removeprefix('/dev/')}"
    start, size = (int(kernel._read_text(f"{directory}/{name}")) * 512 for name in ("start", "size"))
    return start, size
