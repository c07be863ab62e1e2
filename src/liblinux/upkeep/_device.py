"""The device with a file system of an image, not mounted: its type, its size, and itself as a file of the host."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile

from liblinux._disk import probe
from liblinux._errors import LiblinuxError
from liblinux._image_disks import ImageDisks
from liblinux._image_format import is_disk
from liblinux._typing import TYPE_CHECKING
from liblinux.commands._image import refusing
from liblinux.upkeep import _ioctl as ioctl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from liblinux._disk import Partition
    from liblinux.commands._image import ImageOptions

__all__ = ["Device"]

_DISTURBING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_CHUNK_BYTES = 1 << 20
_ZEROS = bytes(_CHUNK_BYTES)
_PLACE = "/mnt"


class Device:
    """A device of an image, opened as the options say, for the time of a `with` block.

    Without `writable` what is written to it stays in memory. Attributes: `kernel`,
    `path` of the device in it, `type` of the content ("" when it is not known),
    `size` in bytes, `partition` that it is, or None.
    """

    def __init__(self, options: ImageOptions, image: str, *, writable: bool = False) -> None:
        self.image = image
        self.committed = False
        self._kept = False
        self._options = options
        with refusing(image):
            self._disks = ImageDisks(image, writable=writable, **options.opening())
        try:
            self.kernel = self._disks.kernel
            self.path = self._disks.find_device(options.partition, options.volume)
            content = probe(self.kernel, self.path)
            self.type = options.fs_type or (content.type if content else "")
            self.partition = self._find_partition()
            self.size = self._find_size()
        except BaseException:
            self._disks.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disks.close()

    @property
    def is_whole_file(self) -> bool:
        """Whether the image file, as it is, is this device: another program can work on it in place."""
        return self.path == self._disks.disk.path and self.is_raw_file

    @property
    def is_raw_file(self) -> bool:
        """Whether the image file, as it is, is the disk."""
        return os.path.exists(self.image) and self._disks.containers[0] is None and is_disk(self.image)

    def changes(self) -> int:
        """How many bytes differ from the image by now."""
        return sum(disk.changes() for disk in self._disks.disks)

    def mount_once(self, *, readonly: bool = True) -> None:
        """Mount and unmount it: the kernel replays its journal. OSError or LiblinuxError when it cannot."""
        self.kernel.mount(self.path, _PLACE, None, self.type or None, self._options.mount_options, readonly=readonly)
        self.kernel.umount(_PLACE)

    def _find_partition(self) -> Partition | None:
        return next((each for each in self._disks.disk.partitions if each.path == self.path), None)

    def _find_size(self) -> int:
        descriptor = self.kernel.os.open(self.path, os.O_RDONLY)
        try:
            return int.from_bytes(ioctl.call(self.kernel.os, descriptor, ioctl.BLKGETSIZE64, bytes(8)), "little")
        finally:
            self.kernel.os.close(descriptor)

    # ---- as a file of the host -------------------------------------------

    @contextlib.contextmanager
    def as_file(self, *, write_back: bool = False) -> Iterator[str]:
        """A file of the host with its content; with `write_back` what was changed in it comes back.

        It comes back only when the block ends without an exception, and then no
        signal of the terminal is in the way. Where the host cannot write all of
        it, the file is kept and the LiblinuxError names it. `committed` is true
        as soon as writing has begun.
        """
        directory = os.path.dirname(os.path.abspath(self.image))
        place = directory if os.access(directory, os.W_OK) else None
        descriptor, path = tempfile.mkstemp(".img", ".liblinux-", place)
        try:
            self._copy_to(descriptor)
            yield path
            if write_back:
                with _undisturbed():
                    self._bring_back(descriptor, path)
        finally:
            os.close(descriptor)
            if not self._kept:
                os.unlink(path)

    def _bring_back(self, source: int, path: str) -> None:
        size = os.fstat(source).st_size
        if size > self.size:
            raise LiblinuxError(f"the file system in {self.image} came back with {size} bytes, too many for its place")
        self.committed = True
        try:
            self._copy_changes_from(source)
        except OSError as error:
            self._kept = True
            raise LiblinuxError(
                f"{self.image}: not all could be written ({error.strerror}); the whole file system is in {path}"
            ) from error

    def _copy_to(self, target: int) -> None:
        os.ftruncate(target, self.size)
        for offset, data in self._chunks():
            if not _ZEROS.startswith(data):
                os.pwrite(target, data, offset)

    def _copy_changes_from(self, source: int) -> None:
        descriptor = self.kernel.os.open(self.path, os.O_WRONLY)
        try:
            for offset, data in self._chunks():
                changed = os.pread(source, len(data), offset)
                if changed != data[: len(changed)]:  # resize2fs cuts its file
                    self.kernel.os.pwrite(descriptor, changed, offset)
            self.kernel.os.fsync(descriptor)
        finally:
            self.kernel.os.close(descriptor)

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        descriptor = self.kernel.os.open(self.path, os.O_RDONLY)
        try:
            for offset in range(0, self.size, _CHUNK_BYTES):
                yield offset, self.kernel.os.pread(descriptor, min(_CHUNK_BYTES, self.size - offset), offset)
        finally:
            self.kernel.os.close(descriptor)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals that would end this process wait until the block has ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _DISTURBING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
