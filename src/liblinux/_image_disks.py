"""The disks of an image, in a kernel of their own, before anything of them is mounted.

An image file may be a container (qcow2), be found by a URL, have its volumes on
other images too (md, LVM), and be encrypted (LUKS). What comes of it is the path
of one device of the kernel, which :class:`liblinux._image_root.ImageRoot` mounts.
"""

from __future__ import annotations

import errno
import os

from liblinux._choose import choose_device
from liblinux._image_format import is_disk
from liblinux._kernel import Kernel
from liblinux._signatures import VOLUME_TYPES
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypedDict

    from liblinux._disk import Disk
    from liblinux.formats import Container
    from liblinux.volumes import Passphrase, Storage

    # Told the bytes that were unpacked, and all that are.
    Progress = Callable[[int, int], object]

    class Opening(TypedDict, total=False):
        """How an image is opened: the arguments of ImageDisks, but for `writable`."""

        overlay: bool | None
        format: str | None
        backing: Iterable[str | os.PathLike[str]]
        progress: Progress | None
        members: Sequence[Any]
        passphrase: Passphrase
        untrusted: bool
        sector_size: int
        version: str | None
        memory: int | str
        cpu_seconds: int


__all__ = ["UNTRUSTED_CPU_SECONDS", "ImageDisks"]

# Enough for every file of a large image, little for one that computes for ever.
UNTRUSTED_CPU_SECONDS = 600


class ImageDisks:
    """A kernel with the disks of an image attached; close() ends it.

    Arguments are those of :func:`liblinux.open_image`. Attributes: `kernel`;
    `disks`, those of the image and of `members`, in this order; `containers`, for
    each disk the :class:`Container` or None; `storage`, the volumes, None as long
    as nobody has looked for any.
    """

    def __init__(
        self,
        source: Any,
        *,
        writable: bool = False,
        overlay: bool | None = None,
        format: str | None = None,
        backing: Iterable[str | os.PathLike[str]] = (),
        progress: Progress | None = None,
        members: Sequence[Any] = (),
        passphrase: Passphrase = None,
        untrusted: bool = False,
        sector_size: int = 512,
        version: str | None = None,
        memory: int | str = "64M",
        cpu_seconds: int = UNTRUSTED_CPU_SECONDS,
    ) -> None:
        overlay = not writable if overlay is None else overlay
        self.containers: list[Container | None] = []
        self.disks: list[Disk] = []
        self.storage: Storage | None = None
        self._passphrase = passphrase
        self._readonly = not writable and not overlay
        self._in_place = writable and not overlay
        self._opened: list[Any] = []
        self._format = format
        self._backing = backing
        self._progress = progress
        # First, what may be refused without a kernel.
        try:
            devices = [self._open(each, in_place=self._in_place) for each in (source, *members)]
            limit = cpu_seconds if untrusted else 0
            self.kernel = Kernel(memory, version=version, isolated=untrusted, cpu_seconds=limit)
            for device in devices:
                disk = self.kernel.attach(device, readonly=self._readonly, overlay=overlay, sector_size=sector_size)
                self.disks.append(disk)
                if writable and disk.readonly:
                    raise OSError(errno.EROFS, "it was to be written, but the source cannot be: add overlay=True")
        except BaseException:
            self.close()
            raise

    @property
    def disk(self) -> Disk:
        """That of the image itself."""
        return self.disks[0]

    def find_device(self, partition: int | str | None, volume: str | None) -> str:
        """The path of the device that is meant; MountError or VolumeError when there is none, or more than one."""
        if volume is None and len(self.disks) == 1:
            content, partitions = self.disk.content, self.disk.partitions
            types = {content.type if content else None, *(each.type for each in partitions)}
            if types.isdisjoint(VOLUME_TYPES):
                return choose_device(self.disk, partition, partitions, content)
        return self.find_volumes(volume).choose(partition, volume)

    def find_volumes(self, wanted: str | None = None) -> Storage:
        """Look for volumes, and assemble those that need no pass phrase; of LVM only the one that is `wanted`."""
        if self.storage is None:
            from liblinux.volumes import Storage  # noqa: PLC0415 - few images have volumes

            self.storage = Storage(
                self.kernel,
                self.disks,
                self._passphrase,
                readonly=self._readonly,
                in_place=self._in_place,
                wanted=wanted,
            )
        return self.storage

    def failure(self) -> OSError | None:
        """Why a container could not be read, if that has happened; the kernel knows of it as EIO."""
        devices = (container.device for container in self.containers if container is not None)
        return next((device.failure for device in devices if getattr(device, "failure", None)), None)

    def close(self) -> None:
        """End the kernel, which writes back what it has, and close all files. Twice does nothing."""
        kernel = getattr(self, "kernel", None)
        try:
            if kernel is not None:
                kernel.close()
        finally:
            if kernel is None or kernel.closed:
                self._close_files()

    def _close_files(self) -> None:
        opened, self._opened = self._opened, []
        for file in reversed(opened):
            file.close()

    def _open(self, source: Any, *, in_place: bool) -> Any:
        """What attach() takes."""
        if isinstance(source, str) and "://" in source:
            from liblinux._remote import open_remote  # noqa: PLC0415 - imports fsspec

            source = open_remote(source, None, None, writable=in_place)
            self._opened.append(source)
        if self._format == "raw" or (self._format is None and is_disk(source)):
            self.containers.append(None)
            return source
        from liblinux.formats import open_source  # noqa: PLC0415 - most images are none

        container = open_source(source, format=self._format, backing=self._backing, progress=self._progress)
        self.containers.append(container)
        if container is None:
            return source
        self._opened.append(container)
        if in_place:
            raise container.refusal(source)
        return container.device
