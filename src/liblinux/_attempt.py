"""A mount that fails leaves the image as it was, whatever it has written by then.

A file system replays its journal before it looks at the rest of the image, so
one that is damaged elsewhere has been written to when the mount fails. While a
mount is tried, the host side keeps what is overwritten on the device (see
kernel/host/undo.c), and writes it back if the kernel says no.

Not for devices that are in use already: a second mount of one replays nothing,
and what is written there meanwhile must stay. Not for objects that are devices
by themselves, which are promised to be asked what the kernel asks and no more.
And not for a file system that is on further devices as well: one of them as it
was before beside others that are not would be the end of it.
"""

from __future__ import annotations

import os
import struct

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux._disk import Disk
    from liblinux._kernel import Kernel
    from liblinux._os import Os

__all__ = ["Attempt"]

_BLKFLSBUF = 0x1261  # of linux/fs.h

# Options of ext4, XFS and Btrfs that name further devices.
_NAME_OTHERS = ("journal_dev", "journal_path", "logdev", "rtdev", "device")
# Where superblocks are: of ext4 and F2FS, of JFS, of Btrfs (offset and length in bytes).
_SUPERBLOCKS = ((1024, 2304), (32768, 64), (65536, 160))
_EXT4_MAGIC, _EXT4_HAS_JOURNAL = 0xEF53, 4
_F2FS_MAGIC, _F2FS_DEVICES_AT = 0xF2F52010, 2201
_JFS_MAGIC, _JFS_INLINE_LOG = b"JFS1", 0x800
_BTRFS_MAGIC = b"_BHRfS_M"


class Attempt:
    """One call of mount(2) on a device: what it writes is taken back unless `succeeded` is set in the `with` block.

    `restored` says afterwards whether it was: the device is as it was before. `error` is why it could not be.
    """

    def __init__(self, kernel: Kernel, device: str, options: str) -> None:
        self.succeeded = False
        self.restored = False
        self.error: OSError | None = None
        self._kernel = kernel
        self._device = device
        self._options = options
        self._disk: Disk | None = None

    def __enter__(self) -> Self:
        disk = _disk_of(self._kernel, self._device)
        if disk is not None and disk._undone and self._is_free() and not self._has_others():
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
        restore = False
        try:
            # Interrupted at the very end it may be mounted all the same.
            restore = not self.succeeded and (self._kernel.dead is not None or self._is_free(flush=True))
        finally:
            self._end(disk, restore)
            disk._trying.release()
        if self.error is not None and value is not None:
            value.add_note(self.not_restored)

    @property
    def not_restored(self) -> str:
        """What to say when the device could not be put back, or ""."""
        if self.error is None:
            return ""
        return (
            f"what the mount has written to {self._device} could not all be put back ({self.error.strerror}): "
            "the image is changed; `liblinux fsck` checks it"
        )

    def _end(self, disk: Disk, restore: bool) -> None:
        try:
            disk._native.undo_end(restore)
            self.restored = restore
        except OSError as error:
            self.error = error

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

    def _has_others(self) -> bool:
        """Whether the file system is on further devices too, by its options or its superblock."""
        if any(option.partition("=")[0] in _NAME_OTHERS for option in self._options.split(",")):
            return True
        system = self._kernel.os
        descriptor = system.open(self._device, os.O_RDONLY)
        try:
            blocks = [_read(system, descriptor, *place) for place in _SUPERBLOCKS]
        finally:
            system.close(descriptor)
        return _is_spread(*blocks)


def _read(system: Os, descriptor: int, offset: int, length: int) -> bytes:
    """Zeros for what cannot be read: it says nothing then."""
    try:
        data = system.pread(descriptor, length, offset)
    except OSError:
        data = b""
    return data.ljust(length, b"\0")


def _is_spread(first: bytes, jfs: bytes, btrfs: bytes) -> bool:
    """What superblocks say: Btrfs and F2FS of several devices, ext4 and JFS with a journal elsewhere."""
    (magic,) = struct.unpack_from("<H", first, 0x38)
    features, inode = struct.unpack_from("<I128xI", first, 0x5C)
    if magic == _EXT4_MAGIC and features & _EXT4_HAS_JOURNAL and not inode:
        return True
    if struct.unpack_from("<I", first)[0] == _F2FS_MAGIC and first[_F2FS_DEVICES_AT]:
        return True
    if jfs.startswith(_JFS_MAGIC) and not struct.unpack_from("<I", jfs, 36)[0] & _JFS_INLINE_LOG:
        return True
    return btrfs[0x40:0x48] == _BTRFS_MAGIC and struct.unpack_from("<Q", btrfs, 0x88)[0] > 1


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
