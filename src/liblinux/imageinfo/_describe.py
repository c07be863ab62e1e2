"""The image and its devices, as dictionaries that JSON can hold. Sizes are in bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from liblinux._errors import MountError
from liblinux._partition_table import table_kind
from liblinux._signatures import PROBE_BYTES
from liblinux.imageinfo._filesystem import describe_filesystem

if TYPE_CHECKING:
    from typing import Any

    from liblinux._image_disks import ImageDisks
    from liblinux._kernel import Kernel
    from liblinux.volumes._device import Device

__all__ = ["inspect"]


def inspect(disks: ImageDisks, source: str) -> dict[str, Any]:
    """All that is known of an image. File systems are mounted, read-only, one after the other.

    Keys: image, format, container, file_size, size, table, devices (each with its
    name, kind, size, type, label, uuid, and more where it has more), problems, and
    nothing_known, which says what it is not, if nothing was recognised.
    """
    storage = disks.find_volumes()
    kernel = disks.kernel
    container = disks.containers[0]
    head = _read_head(kernel, disks.disk.path)
    devices = [_describe_device(kernel, device) for device in storage.devices]
    return {
        "image": source,
        "format": container.format if container is not None else "raw",
        "container": container.details if container is not None else {},
        "file_size": _file_size(source),
        "size": disks.disk.size,
        "table": table_kind(head) if any(device.kind == "partition" for device in storage.devices) else "",
        "devices": devices,
        "problems": [str(problem.strerror) for problem in storage.problems],
        "nothing_known": "" if any(device["type"] for device in devices) else _what_it_is_not(head, devices),
    }


def _describe_device(kernel: Kernel, device: Device) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": device.name,
        "kind": device.kind,
        "type": device.type,
        "size": device.size,
        "label": device.fs_label,
        "uuid": device.fs_uuid,
        "on": [parent.name for parent in device.parents],
        **device.details,
    }
    if device.uuid:
        found["volume_uuid"] = device.uuid
    if device.partition is not None:
        partition = device.partition
        found |= {
            "number": partition.number,
            "start": partition.start,
            "part_label": partition.part_label,
            "part_uuid": partition.part_uuid,
        }
    if device.problem:
        found["problem"] = device.problem
    elif device.mountable:
        _add_filesystem(kernel, device, found)
    return found


def _add_filesystem(kernel: Kernel, device: Device, found: dict[str, Any]) -> None:
    try:
        filesystem = describe_filesystem(kernel, device.path, device.type, device.fs_uuid)
    except MountError as error:
        said = [record.text for record in error.log] or [str(error.strerror)]
        found["problem"] = f"cannot be mounted: {said[-1]}"
        return
    # Told by two bytes it may have been taken for another.
    found["type"] = filesystem.pop("type")
    found["label"] = filesystem.pop("label") or found["label"]
    found["filesystem"] = filesystem


def _file_size(source: str) -> int | None:
    """Of the file; None for what is no file of the host."""
    try:
        return os.stat(source).st_size
    except OSError:
        return None


def _read_head(kernel: Kernel, path: str) -> bytes:
    descriptor = kernel.os.open(path, os.O_RDONLY)
    try:
        return kernel.os.pread(descriptor, PROBE_BYTES, 0)
    finally:
        kernel.os.close(descriptor)


def _what_it_is_not(head: bytes, devices: list[dict[str, Any]]) -> str:
    if len(devices) > 1:
        return "none of the partitions holds a file system or volume that is known"
    known = "no partition table, no file system, no volume of LVM, LUKS or md, and no image format that is known"
    if not any(head):
        return f"{known}; its first {len(head)} bytes are zeros"
    return f"{known}; it begins with {head[:16].hex(' ')}"
