"""LUKS volumes: a pass phrase becomes a key, and the kernel's dm-crypt has the rest to do.

By the specifications "LUKS1 On-Disk Format 1.2.3" and "LUKS2 On-Disk Format
1.1.2". A key slot is decrypted by dm-crypt too, through a device over the area of
its key, so all ciphers of the kernel are at hand and none is here.

Keys are derived with hashlib (PBKDF2) and argon2-cffi, the binding to the
reference implementation (Argon2). Refused: volumes with integrity, in the midst of
reencryption, of several segments, and detached headers.
"""

from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING

from liblinux._errors import VolumeError
from liblinux.volumes._luks_header import HEADER_BYTES, KeySlot, LuksHeader, hash_name, pbkdf2, read_header
from liblinux.volumes._mapper import SECTOR, Target

if TYPE_CHECKING:
    from liblinux._kernel import Kernel
    from liblinux.volumes._device import Device
    from liblinux.volumes._mapper import Mapper

__all__ = ["open_luks"]

# LUKS2 allows no more; a damaged header could ask for any.
_LARGEST_ARGON_KIB = 4 << 20
_MOST_ARGON_LANES = 16


def open_luks(kernel: Kernel, mapper: Mapper, device: Device, passphrase: bytes, *, readonly: bool) -> str | None:
    """Open the volume on `device`; returns the path of the node, or None for a wrong pass phrase.

    VolumeError when the header is damaged, or asks for what is not supported.
    """
    header = read_header(_read_head(kernel, device.path), device.size, str(device))
    for slot in header.slots:
        key = _open_slot(kernel, mapper, device, slot, passphrase)
        if key is not None and any(digest.fits(key) for digest in header.digests if slot.name in digest.slots):
            return mapper.make(f"luks-{header.uuid}", [_table(header, device, key)], readonly=readonly)
    return None


def _read_head(kernel: Kernel, path: str) -> bytes:
    descriptor = kernel.os.open(path, os.O_RDONLY)
    try:
        return kernel.os.pread(descriptor, HEADER_BYTES, 0)
    finally:
        kernel.os.close(descriptor)


def _table(header: LuksHeader, device: Device, key: bytes) -> Target:
    size = header.size or device.size - header.offset
    options = f" 1 sector_size:{header.sector_size}" if header.sector_size != SECTOR else ""
    start = header.offset // SECTOR
    arguments = f"{header.cipher} {key.hex()} {header.tweak} {device.path} {start}{options}"
    return Target(0, size // SECTOR, "crypt", arguments)


def _open_slot(kernel: Kernel, mapper: Mapper, device: Device, slot: KeySlot, passphrase: bytes) -> bytes | None:
    """The key in a slot, if the pass phrase is that of the slot; else any bytes."""
    derived = _derive(slot, passphrase, str(device))
    length = slot.key_bytes * slot.stripes
    sectors = -(-length // SECTOR)
    arguments = f"{slot.cipher} {derived.hex()} 0 {device.path} {slot.offset // SECTOR}"
    path = mapper.make("luks-slot", [Target(0, sectors, "crypt", arguments)], readonly=True)
    try:
        descriptor = kernel.os.open(path, os.O_RDONLY)
        try:
            material = kernel.os.pread(descriptor, length, 0)
        finally:
            kernel.os.close(descriptor)
    finally:
        mapper.remove("luks-slot")
    return _merge(material, slot)


def _derive(slot: KeySlot, passphrase: bytes, name: str) -> bytes:
    if slot.kdf == "pbkdf2":
        return pbkdf2(slot.hash, passphrase, slot.salt, slot.iterations, slot.area_key_bytes)
    from argon2.low_level import Type, hash_secret_raw  # noqa: PLC0415 - LUKS1 has none

    kind = {"argon2i": Type.I, "argon2id": Type.ID}.get(slot.kdf)
    if kind is None or slot.memory_kib > _LARGEST_ARGON_KIB or slot.lanes > _MOST_ARGON_LANES:
        raise VolumeError(
            errno.EBADMSG, f"{name}: its header asks for {slot.kdf} with {slot.memory_kib} KiB, which no LUKS has"
        )
    return hash_secret_raw(
        passphrase, slot.salt, slot.iterations, slot.memory_kib, slot.lanes, slot.area_key_bytes, kind
    )


def _merge(material: bytes, slot: KeySlot) -> bytes:
    """The anti-forensic splitter backwards: all stripes are needed for the key."""
    length = slot.key_bytes
    mixed = 0
    for stripe in range(slot.stripes):
        mixed ^= int.from_bytes(material[stripe * length : (stripe + 1) * length], "big")
        if stripe < slot.stripes - 1:
            mixed = int.from_bytes(_diffuse(mixed.to_bytes(length, "big"), slot.af_hash), "big")
    return mixed.to_bytes(length, "big")


def _diffuse(block: bytes, name: str) -> bytes:
    name = hash_name(name)
    step = hashlib.new(name).digest_size
    pieces = []
    for index, start in enumerate(range(0, len(block), step)):
        piece = block[start : start + step]
        pieces.append(hashlib.new(name, index.to_bytes(4, "big") + piece).digest()[: len(piece)])
    return b"".join(pieces)
