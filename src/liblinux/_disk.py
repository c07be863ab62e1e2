"""Disks: block devices of the kernel over an image, and what is on them."""

from __future__ import annotations

import _thread
import os

from liblinux._backing import (
    DeviceObject,
    FileAdapter,
    check_size,
    is_device_object,
    is_file_object,
    lock_image,
    open_image_file,
    plain_descriptor,
)
from liblinux._deep_labels import DEEP_TYPES, deep_label
from liblinux._partition_table import part_uuids
from liblinux._raid_superblock import find_superblock
from liblinux._signatures import PROBE_BYTES, RAID_TYPE, Content, format_uuid, identify
from liblinux._typing import TYPE_CHECKING, Any, Value

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux import _native
    from liblinux._kernel import Kernel

__all__ = ["Disk", "Partition", "attach", "partitions_of", "probe"]

SYSFS_SECTOR_BYTES = 512  # sysfs counts in these, whatever the disk's own sectors are
SECTOR_SIZES = (512, 1024, 2048, 4096)


class Partition(Value):
    """A partition as the kernel found it.

    `number` counts from 1; `type` is what its first bytes look like ("ext4",
    "vfat", "swap"), or None; `label` is its name in a GPT, else the label of the
    file system; `start` and `size` are in bytes; `path` is its device node.
    `part_label` and `part_uuid` are those of the partition table, `fs_label` and
    `fs_uuid` those of its content, all written as blkid(8) does, or "".
    """

    number: int
    type: str | None
    label: str
    start: int
    size: int
    path: str
    mountable: bool = True
    part_label: str = ""
    part_uuid: str = ""
    fs_label: str = ""
    fs_uuid: str = ""

    def __str__(self) -> str:
        label = f" {self.label!r}" if self.label else ""
        if self.fs_label and self.fs_label != self.label:
            label += f" with LABEL={self.fs_label!r}"
        return f"partition {self.number}: {self.type or 'unknown content'}{label}, {self.size} bytes"


class Disk:
    """A block device of a kernel; made by :meth:`Kernel.attach`."""

    def __init__(self, kernel: Kernel, native: _native.Disk, source: object, *, readonly: bool) -> None:
        self._kernel = kernel
        self._native = native
        # A buffer or file object must live as long as the kernel may use it.
        self._source = source
        self._attached = True
        # The kernel's name of the device, "lda"; it outlives the device.
        self.name: str = native.name
        self.readonly = readonly
        # Whether a mount that fails is taken back, one after the other; see _attempt.py.
        self._undone = not is_device_object(source)
        self._trying = _thread.allocate_lock()

    def __repr__(self) -> str:
        state = f" of {self.size} bytes" if self._attached and not self._kernel.closed else " detached"
        return f"<liblinux.Disk {self.path}{' readonly' * self.readonly}{state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    @property
    def path(self) -> str:
        """The device node inside the kernel, "/dev/lda"."""
        return f"/dev/{self.name}"

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._native.size

    @property
    def partitions(self) -> list[Partition]:
        """The partitions that the kernel found, by number; empty when there is no table."""
        return partitions_of(self._kernel, self.name)

    @property
    def content(self) -> Content | None:
        """What the disk as a whole looks like: a file system without a partition table."""
        return probe(self._kernel, self.path)

    def changes(self) -> int:
        """How many bytes of an overlay are in memory; 0 without an overlay."""
        return self._native.changes()

    def resize(self, size: int) -> None:
        """Tell the kernel that the backing has another size, in bytes."""
        self._native.resize(size)

    def detach(self) -> None:
        """Remove the device; what was written reaches the backing first. Detaching twice does nothing.

        Raises OSError (EBUSY) while it is mounted.
        """
        if not self._attached or self._kernel.closed:
            self._attached = False
            return
        self._native.detach()
        self._attached = False
        self._kernel._forget_disk(self)
        if isinstance(self._source, FileAdapter):
            self._source.flush()
        self._source = None

    def _forget(self) -> None:
        """The kernel was put back to an instant before it was attached."""
        if self._attached:
            self._native.forget()
        self._attached = False
        self._source = None


def partitions_of(kernel: Kernel, name: str) -> list[Partition]:
    """The partitions that the kernel found on a device, "lda" or "md0", by number."""
    directory = f"/sys/block/{name}"
    names = [
        each
        for each in kernel.os.listdir(directory)
        if each.startswith(name) and kernel.os.path.exists(f"{directory}/{each}/partition")
    ]
    uuids = part_uuids(kernel, f"/dev/{name}") if names else {}
    found = [_read_partition(kernel, f"{directory}/{each}", each, uuids) for each in names]
    return sorted(found, key=lambda partition: partition.number)


def _read_partition(kernel: Kernel, directory: str, name: str, uuids: dict[int, str]) -> Partition:
    def read(attribute: str) -> str:
        return kernel._read_text(f"{directory}/{attribute}")

    uevent = dict(line.partition("=")[::2] for line in read("uevent").splitlines())
    content = probe(kernel, f"/dev/{name}")
    number = int(read("partition"))
    label = uevent.get("PARTNAME", "")
    return Partition(
        number=number,
        type=content.type if content else None,
        label=label or (content.label if content else ""),
        start=int(read("start")) * SYSFS_SECTOR_BYTES,
        size=int(read("size")) * SYSFS_SECTOR_BYTES,
        path=f"/dev/{name}",
        mountable=content is None or content.mountable,
        part_label=label,
        part_uuid=uuids.get(number, ""),
        fs_label=content.label if content else "",
        fs_uuid=content.uuid if content else "",
    )


def probe(kernel: Kernel, path: str) -> Content | None:
    """Recognise the content of a block device of the kernel; None if it cannot be read or told."""
    try:
        descriptor = kernel.os.open(path, os.O_RDONLY)
    except OSError:
        return None

    def read(length: int, offset: int) -> bytes:
        return kernel.os.pread(descriptor, length, offset)

    try:
        head = read(PROBE_BYTES, 0)
        content = identify(head)
        if content is None or content.type != RAID_TYPE:
            # A member of an array may look like what is on the array.
            found = find_superblock(read, kernel.os.lseek(descriptor, 0, os.SEEK_END))
            if found is not None:
                return Content(RAID_TYPE, found.name, mountable=False, uuid=format_uuid(found.uuid))
        if content is not None and content.type in DEEP_TYPES:
            return Content(content.type, deep_label(content.type, head, read), uuid=content.uuid)
        return content
    except OSError:
        return None
    finally:
        kernel.os.close(descriptor)


def attach(kernel: Kernel, source: Any, *, readonly: bool, overlay: bool, sector_size: int, lock: bool) -> Disk:
    """Make a disk of `source`; see :meth:`Kernel.attach`."""
    if sector_size not in SECTOR_SIZES:
        raise ValueError(f"sector_size must be one of {SECTOR_SIZES}, not {sector_size!r}")
    if isinstance(source, str | os.PathLike):
        return _attach_path(kernel, os.fspath(source), sector_size, readonly, overlay, lock)
    try:
        view = memoryview(source)
    except TypeError:
        if is_device_object(source):
            return _attach_device(kernel, source, sector_size, readonly, overlay)
        if not is_file_object(source):
            raise TypeError(
                "a disk is made of a path, a bytes-like object, a binary file object with seek(), "
                f"or an object with size, pread, pwrite, flush and discard, not of {type(source).__name__}"
            ) from None
        return _attach_file(kernel, source, sector_size, readonly, overlay)
    return _attach_buffer(kernel, view, sector_size, readonly, overlay)


def _attach_path(kernel: Kernel, path: str | bytes, sector: int, readonly: bool, overlay: bool, lock: bool) -> Disk:
    writes = not readonly and not overlay
    descriptor = open_image_file(path, writable=writes)
    try:
        if lock:
            lock_image(descriptor, path, exclusive=writes)
        size = os.lseek(descriptor, 0, os.SEEK_END)
        check_size(size, sector, os.fsdecode(path))
        native = kernel._native.attach_fd(descriptor, size, sector, readonly=readonly and not overlay, overlay=overlay)
    finally:
        os.close(descriptor)  # the native layer has its own, and the lock with it
    return Disk(kernel, native, path, readonly=readonly)


def _attach_buffer(kernel: Kernel, view: memoryview, sector: int, readonly: bool, overlay: bool) -> Disk:
    check_size(view.nbytes, sector, f"the {type(view.obj).__name__} object")
    readonly = readonly or (view.readonly and not overlay)
    native = kernel._native.attach_buffer(view.cast("B"), sector, readonly=readonly and not overlay, overlay=overlay)
    return Disk(kernel, native, view, readonly=readonly)


def _attach_device(kernel: Kernel, source: DeviceObject, sector: int, readonly: bool, overlay: bool) -> Disk:
    check_size(source.size, sector, f"the {type(source).__name__} object")
    readonly = readonly and not overlay
    native = kernel._native.attach_object(source, source.size, sector, readonly=readonly, overlay=overlay, discard=True)
    return Disk(kernel, native, source, readonly=readonly)


def _attach_file(kernel: Kernel, source: Any, sector: int, readonly: bool, overlay: bool) -> Disk:
    adapter = FileAdapter(source)
    if not readonly and not overlay and not adapter.writable:
        raise PermissionError("the file object is not open for writing; attach it with readonly=True or overlay=True")
    size = adapter.size()
    check_size(size, sector, f"the {type(source).__name__} object")
    descriptor = plain_descriptor(source)
    options = {"readonly": readonly and not overlay, "overlay": overlay}
    if descriptor is not None:
        native = kernel._native.attach_fd(descriptor, size, sector, **options)
    else:
        native = kernel._native.attach_object(adapter, size, sector, **options)
    return Disk(kernel, native, adapter, readonly=readonly)
