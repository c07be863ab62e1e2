"""Which partition is meant: by number, label or UUID, or the only one that can be.

A name is written as in fstab(5), "LABEL=root", "UUID=...", "PARTLABEL=...",
"PARTUUID=...", or alone, and then may be any of the four. UUIDs are compared
without regard to case, labels are not.
"""

from __future__ import annotations

import errno

from liblinux._errors import MountError
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux._disk import Disk, Partition
    from liblinux._signatures import Content

__all__ = ["choose_device", "find_partition", "has_name"]

# Whole-disk formats that carry a partition table for the benefit of boot firmware.
_HYBRID_TYPES = ("iso9660", "udf")
# The key of fstab(5): the attribute of a Partition, and whether case counts.
_KEYS = {
    "LABEL": ("fs_label", True),
    "UUID": ("fs_uuid", False),
    "PARTLABEL": ("part_label", True),
    "PARTUUID": ("part_uuid", False),
}


def choose_device(
    disk: Disk, wanted: int | str | None, partitions: list[Partition] | None = None, content: Content | None = None
) -> str:
    """The device node of the partition that is meant, or of the whole disk; MountError when that is not clear.

    `partitions` and `content` are those of the disk, if they are known already.
    """
    number = as_number(wanted)
    if number == 0:
        return disk.path
    if partitions is None:
        partitions, content = disk.partitions, disk.content
    if number is None:
        return _choose_default(disk, partitions, content)
    if isinstance(number, str) and not partitions and _names_whole(content, number):
        return disk.path
    return find_partition(partitions, number, disk.path).path


def as_number(wanted: int | str | None) -> int | str | None:
    """ "2" is the second partition, as the number is."""
    return int(wanted) if isinstance(wanted, str) and wanted.isascii() and wanted.isdecimal() else wanted


def find_partition(partitions: Iterable[Partition], wanted: int | str, device: str) -> Partition:
    """The one partition of that number or name; MountError, with those that are there, if there is none or several."""
    partitions = tuple(partitions)
    found = [
        each for each in partitions if wanted == each.number or (isinstance(wanted, str) and has_name(each, wanted))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        numbers = ", ".join(str(each.number) for each in found)
        reason = f"several partitions are called {wanted!r}: {numbers}"
    else:
        reason = f"the disk has no partition {wanted}" if partitions else "the disk has no partition table"
    advice = "leave out partition= to mount the whole disk" if not partitions else "name one of these"
    raise MountError(errno.ENXIO, reason, device, partitions=partitions, advice=advice)


def has_name(thing: object, wanted: str) -> bool:
    """Whether a Partition, or what has its attributes, is called so."""
    key, equals, name = wanted.partition("=")
    keys = (_KEYS[key],) if equals and key in _KEYS else _KEYS.values()
    name = name.strip('"') if equals and key in _KEYS else wanted
    return any(_is_same(getattr(thing, attribute), name, exact) for attribute, exact in keys)


def _is_same(value: str, name: str, exact: bool) -> bool:
    return bool(value) and (value == name or (not exact and value.casefold() == name.casefold()))


class _Whole:
    """The content of a disk without partitions, named as a partition is."""

    part_label = part_uuid = ""

    def __init__(self, content: Content) -> None:
        self.fs_label = content.label
        self.fs_uuid = content.uuid


def _names_whole(content: Content | None, wanted: str) -> bool:
    return content is not None and has_name(_Whole(content), wanted)


def _choose_default(disk: Disk, partitions: list[Partition], content: Content | None) -> str:
    if not partitions or (content is not None and content.type in _HYBRID_TYPES):
        return disk.path
    known = [partition for partition in partitions if partition.type and partition.mountable]
    if len(known) == 1:
        return known[0].path
    if len(partitions) == 1 and partitions[0].mountable:
        return partitions[0].path
    reason = "several partitions can be mounted" if known else "no partition holds a known file system"
    raise MountError(
        errno.EINVAL,
        reason,
        disk.path,
        partitions=partitions,
        advice="name one, as partition=1; partition=0 is the whole disk",
    )
