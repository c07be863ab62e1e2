"""The headers of LUKS1 and LUKS2: where the keys are, and how what they open is encrypted."""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import struct
from typing import TYPE_CHECKING, NamedTuple

from liblinux._errors import VolumeError

if TYPE_CHECKING:
    from typing import Any

__all__ = ["HEADER_BYTES", "Digest", "KeySlot", "LuksHeader", "hash_name", "pbkdf2", "read_header"]

# As far as the JSON of a LUKS2 header can reach.
HEADER_BYTES = 4 << 20

_MAGIC, _MAGIC_OF_COPY = b"LUKS\xba\xbe", b"SKUL\xba\xbe"
_VERSION = struct.Struct(">6xH")
_LUKS1 = struct.Struct(">6xH32s32s32sII20s32sI40s")
_LUKS1_SLOT = struct.Struct(">II32sII")
_LUKS1_SLOTS = 8
_LUKS1_SLOT_USED = 0x00AC71F3
_LUKS1_DIGEST_BYTES = 20
_LUKS2 = struct.Struct(">6xHQQ48s32s64s40s48sQ184x64s")
_LUKS2_BINARY_BYTES = 4096
_LUKS2_CHECKSUM = slice(448, 512)
_LUKS2_SIZES = tuple(0x4000 << power for power in range(9))
_SECTOR = 512
_MOST_STRIPES = 1 << 16
# Two minutes of computing that nothing can interrupt; cryptsetup chooses two seconds.
_MOST_PBKDF2_ITERATIONS = 200_000_000
_LARGEST_KEY_BYTES = 512
_SECTOR_SIZES = (512, 1024, 2048, 4096)
_ADVICE = "the header is damaged; cryptsetup luksHeaderRestore puts a saved one back"
# The names that OpenSSL has, where they are others.
_HASHES = {"blake2b-512": "blake2b512", "blake2s-256": "blake2s256"}


class KeySlot(NamedTuple):
    """A place where the volume's key is kept, encrypted; sizes and offsets in bytes, memory in KiB."""

    name: str
    key_bytes: int
    cipher: str
    area_key_bytes: int
    offset: int
    stripes: int
    af_hash: str
    kdf: str
    hash: str
    salt: bytes
    iterations: int
    memory_kib: int = 0
    lanes: int = 0


class Digest(NamedTuple):
    """Tells whether a key is the right one, for these slots."""

    slots: tuple[str, ...]
    hash: str
    salt: bytes
    iterations: int
    value: bytes

    def fits(self, key: bytes) -> bool:
        """Whether it is the volume's key."""
        made = pbkdf2(self.hash, key, self.salt, self.iterations, len(self.value))
        return hmac.compare_digest(made, self.value)


class LuksHeader(NamedTuple):
    """What is known of a volume: offset and size in bytes (0: up to the end), `tweak` in sectors."""

    version: int
    uuid: str
    label: str
    cipher: str
    offset: int
    size: int
    tweak: int
    sector_size: int
    slots: tuple[KeySlot, ...]
    digests: tuple[Digest, ...]


def read_header(head: bytes, device_bytes: int, name: str) -> LuksHeader:
    """The header, of the first HEADER_BYTES of a device; VolumeError if it is damaged or not supported."""
    try:
        header = _luks1(head) if _is_luks1(head) else _luks2(head)
        _check(header, device_bytes)
    except VolumeError as error:
        raise VolumeError(error.errno or 0, f"{name}: {error.strerror}", advice=error.advice) from None
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise VolumeError(
            errno.EBADMSG, f"{name}: its LUKS header makes no sense: {error!r}", advice=_ADVICE
        ) from error
    return header


def pbkdf2(name: str, secret: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    """PBKDF2 with HMAC, by OpenSSL."""
    if iterations > _MOST_PBKDF2_ITERATIONS:
        raise VolumeError(errno.EBADMSG, f"its header asks for {iterations} iterations of PBKDF2", advice=_ADVICE)
    try:
        return hashlib.pbkdf2_hmac(hash_name(name), secret, salt, iterations, length)
    except (ValueError, OverflowError) as error:
        raise VolumeError(errno.EOPNOTSUPP, f"PBKDF2 with the hash {name!r} is not to be had: {error}") from error


def hash_name(name: str) -> str:
    """The name that OpenSSL has for a hash of LUKS."""
    return _HASHES.get(name.lower(), name.lower())


def _is_luks1(head: bytes) -> bool:
    return head.startswith(_MAGIC) and _VERSION.unpack_from(head)[0] == 1


def _luks1(head: bytes) -> LuksHeader:
    (
        _, cipher, mode, hash, payload, key_bytes, digest, digest_salt, digest_iterations, uuid
    ) = _LUKS1.unpack_from(head)  # fmt: skip
    name = f"{_text(cipher)}-{_text(mode)}"
    slots = []
    for number in range(_LUKS1_SLOTS):
        used, iterations, salt, offset, stripes = _LUKS1_SLOT.unpack_from(head, _LUKS1.size + number * _LUKS1_SLOT.size)
        if used == _LUKS1_SLOT_USED:
            how = (_text(hash), "pbkdf2", _text(hash), salt, iterations)
            slots.append(KeySlot(str(number), key_bytes, name, key_bytes, offset * _SECTOR, stripes, *how))
    all_slots = tuple(slot.name for slot in slots)
    check = Digest(all_slots, _text(hash), digest_salt, digest_iterations, digest)
    return LuksHeader(1, _text(uuid), "", name, payload * _SECTOR, 0, 0, _SECTOR, tuple(slots), (check,))


def _luks2(head: bytes) -> LuksHeader:
    for start in (0, *_LUKS2_SIZES):
        magic = _MAGIC_OF_COPY if start else _MAGIC
        if head.startswith(magic, start) and (found := _luks2_copy(head, start)) is not None:
            return _luks2_volume(*found)
    raise _refused(errno.EBADMSG, "neither of the two copies of its LUKS2 header has the right checksum", _ADVICE)


def _luks2_copy(head: bytes, start: int) -> tuple[str, str, dict[str, Any]] | None:
    """UUID, label and metadata of a copy of the header, if it is whole."""
    binary = bytearray(head[start : start + _LUKS2_BINARY_BYTES])
    version, size, _, label, algorithm, _, uuid, _, _, checksum = _LUKS2.unpack_from(binary)
    if version != 2 or size not in _LUKS2_SIZES or len(head) < start + size:
        return None
    text = head[start + _LUKS2_BINARY_BYTES : start + size]
    binary[_LUKS2_CHECKSUM] = bytes(64)
    made = hashlib.new(hash_name(_text(algorithm)), binary + text).digest()
    if checksum[: len(made)] != made:
        return None
    return _text(uuid), _text(label), json.loads(text.partition(b"\0")[0])


def _luks2_volume(uuid: str, label: str, metadata: dict[str, Any]) -> LuksHeader:
    needs = metadata["config"].get("requirements", {}).get("mandatory", [])
    if needs:
        raise _refused(errno.EOPNOTSUPP, f"the volume needs {', '.join(needs)}, which is not supported")
    segments = metadata["segments"]
    segment = segments.get("0", {})
    if len(segments) != 1 or segment.get("type") != "crypt":
        raise _refused(errno.EOPNOTSUPP, "a volume of several segments, in the midst of reencryption, is not supported")
    if "integrity" in segment:
        raise _refused(errno.EOPNOTSUPP, "a volume with integrity protection is not supported")
    slots = [_luks2_slot(name, slot) for name, slot in sorted(metadata["keyslots"].items()) if slot["type"] == "luks2"]
    digests = [_luks2_digest(digest) for digest in metadata["digests"].values() if "0" in digest["segments"]]
    size = 0 if segment["size"] == "dynamic" else int(segment["size"])
    return LuksHeader(
        2, uuid, label, segment["encryption"], int(segment["offset"]), size,
        int(segment["iv_tweak"]), segment["sector_size"], tuple(slots), tuple(digests),
    )  # fmt: skip


def _luks2_slot(name: str, slot: dict[str, Any]) -> KeySlot:
    area, kdf = slot["area"], slot["kdf"]
    return KeySlot(
        name, slot["key_size"], area["encryption"], area["key_size"], int(area["offset"]),
        slot["af"]["stripes"], slot["af"]["hash"], kdf["type"], kdf.get("hash", ""), base64.b64decode(kdf["salt"]),
        kdf["iterations"] if kdf["type"] == "pbkdf2" else kdf["time"], kdf.get("memory", 0), kdf.get("cpus", 0),
    )  # fmt: skip


def _luks2_digest(digest: dict[str, Any]) -> Digest:
    return Digest(
        tuple(digest["keyslots"]),
        digest["hash"],
        base64.b64decode(digest["salt"]),
        digest["iterations"],
        base64.b64decode(digest["digest"]),
    )


def _check(header: LuksHeader, device_bytes: int) -> None:
    """What goes into tables of the device mapper must be what it claims to be."""
    if header.sector_size not in _SECTOR_SIZES or header.offset % _SECTOR or header.size % header.sector_size:
        raise ValueError("its sectors are of no size that there is")
    if not header.offset < device_bytes or header.offset + header.size > device_bytes:
        raise _refused(
            errno.EBADMSG,
            f"the volume reaches to byte {header.offset + header.size}, and the device has {device_bytes}",
            "the image is truncated, or its header is detached, which is not supported",
        )
    for cipher in (header.cipher, *(slot.cipher for slot in header.slots)):
        if not cipher.isprintable() or " " in cipher:
            raise ValueError(f"no cipher is called {cipher!r}")
    for slot in header.slots:
        sizes = 0 < slot.key_bytes <= _LARGEST_KEY_BYTES and 0 < slot.area_key_bytes <= _LARGEST_KEY_BYTES
        if not sizes or not 0 < slot.stripes <= _MOST_STRIPES or slot.offset % _SECTOR:
            raise ValueError(f"its key slot {slot.name} has impossible sizes")
        if slot.offset + slot.key_bytes * slot.stripes > device_bytes:
            raise _refused(errno.EBADMSG, f"its key slot {slot.name} is behind the end of the device", _ADVICE)


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("ascii")


def _refused(number: int, reason: str, advice: str = "") -> VolumeError:
    return VolumeError(number, reason, advice=advice)
