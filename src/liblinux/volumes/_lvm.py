"""LVM2 physical volumes and volume groups, as far as they say where things are.

Each physical volume has a label in one of its first four sectors, which leads to
the areas of metadata on it; the metadata is a text, the same on all physical
volumes of a group, and has a number that grows with each change (lvm2's
`lib/format_text/layout.h` has the layout).
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from liblinux._errors import VolumeError
from liblinux.volumes._lvm_text import parse_metadata

if TYPE_CHECKING:
    from liblinux._kernel import Kernel
    from liblinux.volumes._device import Device

__all__ = ["Group", "Physical", "read_physical"]

_SECTOR = 512
_LABEL = struct.Struct("<8sQII8s")
_LABEL_MAGIC = b"LABELONE"
_LABEL_TYPE = b"LVM2 001"
_LABEL_SECTORS = 4
_CHECKED = 20  # the checksum of a label covers what comes after it
_HEADER = struct.Struct("<32sQ")
_LOCATION = struct.Struct("<QQ")
_AREA = struct.Struct("<I16sIQQ")
_AREA_MAGIC = b" LVM2 x[5A%r0N*>"
_AREA_LOCATION = struct.Struct("<QQII")
_AREA_BYTES = 512
_IGNORED = 1  # an old text that was left where it is
_CRC_START = 0xF597A6CF
_LARGEST_TEXT_BYTES = 64 << 20
_ADVICE = "the metadata is damaged; vgcfgrestore(8) writes a backup of it back"


class Physical(NamedTuple):
    """A physical volume, and what its metadata says of the group: None when it has no area of metadata."""

    device: Device
    uuid: str
    group: Group | None


class Group(NamedTuple):
    """A volume group, `metadata` as it stands there."""

    name: str
    uuid: str
    sequence: int
    extent_sectors: int
    physical: dict[str, dict[str, Any]]
    logical: dict[str, dict[str, Any]]


def read_physical(kernel: Kernel, device: Device) -> Physical:
    """The physical volume that a device is. VolumeError when it, or the metadata on it, is damaged."""
    descriptor = kernel.os.open(device.path, os.O_RDONLY)
    try:
        return _Reader(kernel, descriptor, device).read()
    except (LookupError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise VolumeError(
            errno.EBADMSG, f"{device}: its LVM metadata makes no sense: {error!r}", advice=_ADVICE
        ) from error
    finally:
        kernel.os.close(descriptor)


class _Reader:
    def __init__(self, kernel: Kernel, descriptor: int, device: Device) -> None:
        self._kernel = kernel
        self._descriptor = descriptor
        self._device = device

    def read(self) -> Physical:
        head = self._pread(0, _LABEL_SECTORS * _SECTOR)
        for sector in range(_LABEL_SECTORS):
            label = head[sector * _SECTOR : (sector + 1) * _SECTOR]
            magic, number, checksum, offset, kind = _LABEL.unpack_from(label)
            if magic == _LABEL_MAGIC and kind == _LABEL_TYPE and number == sector:
                if _crc(label[_CHECKED:]) != checksum:
                    raise self._refused("the checksum of its label is wrong")
                return self._read_header(label, offset)
        raise self._refused("it has no label of LVM2")

    def _read_header(self, label: bytes, start: int) -> Physical:
        raw, _ = _HEADER.unpack_from(label, start)
        start += _HEADER.size
        # Two lists, of data areas and of metadata areas, each with an end of its own.
        _, start = _locations(label, start)
        areas, _ = _locations(label, start)
        groups = [group for offset, size in areas if (group := self._read_area(offset, size)) is not None]
        newest = max(groups, key=lambda group: group.sequence, default=None)
        return Physical(self._device, raw.decode("ascii"), newest)

    def _read_area(self, start: int, size: int) -> Group | None:
        header = self._pread(start, _AREA_BYTES)
        checksum, magic, version, _, _ = _AREA.unpack_from(header)
        if magic != _AREA_MAGIC or version != 1 or _crc(header[4:]) != checksum:
            raise self._refused("the header of its metadata area is damaged")
        offset, length, text_checksum, flags = _AREA_LOCATION.unpack_from(header, _AREA.size)
        if not offset or flags & _IGNORED:
            return None
        if not _AREA_BYTES <= offset < size or not 0 < length <= min(size - _AREA_BYTES, _LARGEST_TEXT_BYTES):
            raise self._refused("its metadata is outside of its area")
        # The area is a ring: what does not fit before its end goes on behind its header.
        first = min(length, size - offset)
        text = self._pread(start + offset, first) + self._pread(start + _AREA_BYTES, length - first)
        if _crc(text) != text_checksum:
            raise self._refused("the checksum of its metadata is wrong")
        return _group(text.rstrip(b"\0"))

    def _pread(self, offset: int, length: int) -> bytes:
        data = self._kernel.os.pread(self._descriptor, length, offset)
        if len(data) < length:
            raise self._refused(f"it ends at byte {offset + len(data)}, before its metadata")
        return data

    def _refused(self, reason: str) -> VolumeError:
        return VolumeError(errno.EBADMSG, f"{self._device}: {reason}", advice=_ADVICE)


@lru_cache(maxsize=4)  # the same on all physical volumes of a group
def _group(raw: bytes) -> Group:
    text = raw.decode("utf-8", "surrogateescape")
    found = {name: value for name, value in parse_metadata(text).items() if isinstance(value, dict)}
    ((name, metadata),) = found.items()
    return Group(
        name,
        metadata["id"],
        int(metadata["seqno"]),
        int(metadata["extent_size"]),
        metadata.get("physical_volumes", {}),
        metadata.get("logical_volumes", {}),
    )


def _locations(raw: bytes, start: int) -> tuple[list[tuple[int, int]], int]:
    """Offsets and sizes, up to one that is zero, and where it goes on."""
    found: list[tuple[int, int]] = []
    while True:
        offset, size = _LOCATION.unpack_from(raw, start)
        start += _LOCATION.size
        if not offset:
            return found, start
        found.append((offset, size))


def _crc(data: bytes) -> int:
    """LVM's checksum is that of zlib, from another start and without the turning round at both ends."""
    return zlib.crc32(data, _CRC_START ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
