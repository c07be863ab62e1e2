"""What is on a disk or partition, told from the first bytes of its content.

A guess that decides the order in which file systems are tried and that fills
`Partition.type`; whether a file system can be mounted is for the kernel to say.
Offsets and magic numbers are those of the on-disk formats
(kernel header `linux/magic.h` and the file systems' own super blocks).
"""

from __future__ import annotations

import struct

from liblinux._typing import Value

__all__ = ["PROBE_BYTES", "RAID_TYPE", "VOLUME_TYPES", "Content", "format_uuid", "identify"]

# What holds volumes rather than files.
RAID_TYPE = "linux_raid_member"
VOLUME_TYPES = ("crypto_LUKS", "LVM2_member", RAID_TYPE)
# Reaches behind the last magic number, that of Btrfs at 64 KiB.
PROBE_BYTES = 68 * 1024

# How the texts of some UUIDs are divided; that of ISO 9660 is the date when it was made.
_TEXT_PARTS = {"lvm": (6, 4, 4, 4, 4, 4, 6), "date": (4, 2, 2, 2, 2, 2, 2)}

_EXT_COMPAT_JOURNAL = 0x0004
_EXT_INCOMPAT_OF_EXT3 = 0x0002 | 0x0004 | 0x0010  # filetype, recover, meta_bg
_EXT_RO_COMPAT_OF_EXT3 = 0x0001 | 0x0002 | 0x0004  # sparse_super, large_file, btree_dir


class Content(Value):
    """A recognised content: the kernel's name of the type, and the label and the UUID in its super block.

    The UUID is written as blkid(8) writes it; "" where the format has none, or
    keeps it elsewhere.
    """

    type: str
    label: str = ""
    mountable: bool = True
    uuid: str = ""


class _Signature(Value):
    type: str
    offset: int
    magic: bytes
    label_offset: int = 0
    label_bytes: int = 0
    label_encoding: str = "utf-8"
    mountable: bool = True
    uuid_offset: int = 0
    uuid_kind: str = "binary"


_SIGNATURES = (
    # Containers first: what they hold may look like a file system.
    _Signature("crypto_LUKS", 0, b"LUKS\xba\xbe", mountable=False, uuid_offset=168, uuid_kind="text"),
    _Signature("LVM2_member", 512, b"LABELONE", mountable=False, uuid_offset=512 + 32, uuid_kind="lvm"),
    _Signature(RAID_TYPE, 4096, b"\xfc\x4e\x2b\xa9", 4096 + 32, 32, mountable=False, uuid_offset=4096 + 16),
    _Signature(RAID_TYPE, 0, b"\xfc\x4e\x2b\xa9", 32, 32, mountable=False, uuid_offset=16),
    _Signature("swap", 4086, b"SWAPSPACE2", 1052, 16, mountable=False, uuid_offset=1036),
    _Signature("xfs", 0, b"XFSB", 108, 12, uuid_offset=32),
    _Signature("squashfs", 0, b"hsqs"),
    _Signature("romfs", 0, b"-rom1fs-", 16, 16),
    _Signature("cramfs", 0, b"\x45\x3d\xcd\x28", 48, 16),
    _Signature("exfat", 3, b"EXFAT   ", uuid_offset=100, uuid_kind="serial"),
    _Signature("ntfs3", 3, b"NTFS    ", uuid_offset=72, uuid_kind="long serial"),
    _Signature("btrfs", 65536 + 64, b"_BHRfS_M", 65536 + 299, 256, uuid_offset=65536 + 32),
    _Signature("erofs", 1024, b"\xe2\xe1\xf5\xe0", 1024 + 64, 16, uuid_offset=1024 + 48),
    _Signature("f2fs", 1024, b"\x10\x20\xf5\xf2", 1024 + 124, 1024, "utf-16-le", uuid_offset=1024 + 108),
    _Signature("hfsplus", 1024, b"H+\x00\x04"),
    _Signature("hfsplus", 1024, b"HX\x00\x05"),
    _Signature("hfs", 1024, b"BD", 1024 + 37, 27),
    _Signature("ext", 1024 + 56, b"\x53\xef", 1024 + 120, 16, uuid_offset=1024 + 104),
    _Signature("nilfs2", 1024 + 6, b"\x34\x34", 1024 + 168, 80, uuid_offset=1024 + 152),
    _Signature("jfs", 32768, b"JFS1", 32768 + 152, 16, uuid_offset=32768 + 136),
    # UDF before ISO 9660: a bridge disc has both, and UDF says more.
    _Signature("udf", 32769, b"BEA01"),
    _Signature("udf", 34817, b"BEA01"),
    _Signature("udf", 36865, b"BEA01"),
    _Signature("udf", 38913, b"BEA01"),
    _Signature("iso9660", 32769, b"CD001", 32808, 32, uuid_offset=32768 + 813, uuid_kind="date"),
    _Signature("vfat", 82, b"FAT32", 71, 11, uuid_offset=67, uuid_kind="serial"),
    _Signature("vfat", 54, b"FAT1", 43, 11, uuid_offset=39, uuid_kind="serial"),
    _Signature("vfat", 54, b"FAT ", 43, 11, uuid_offset=39, uuid_kind="serial"),
    # Two bytes say little; so last.
    _Signature("minix", 1024 + 16, b"\x7f\x13"),
    _Signature("minix", 1024 + 16, b"\x8f\x13"),
    _Signature("minix", 1024 + 16, b"\x68\x24"),
    _Signature("minix", 1024 + 16, b"\x78\x24"),
    _Signature("minix", 1024 + 24, b"\x5a\x4d"),
)


def identify(head: bytes) -> Content | None:
    """Recognise the content of a disk or partition by its first PROBE_BYTES bytes."""
    for signature in _SIGNATURES:
        if head.startswith(signature.magic, signature.offset):
            return Content(_type(signature, head), _label(signature, head), signature.mountable, _uuid(signature, head))
    return None


def _type(signature: _Signature, head: bytes) -> str:
    if signature.type != "ext":
        return signature.type
    compat, incompat, ro_compat = struct.unpack("<III", head[1024 + 92 : 1024 + 104].ljust(12, b"\0"))
    if incompat & ~_EXT_INCOMPAT_OF_EXT3 or ro_compat & ~_EXT_RO_COMPAT_OF_EXT3:
        return "ext4"
    return "ext3" if compat & _EXT_COMPAT_JOURNAL else "ext2"


def _label(signature: _Signature, head: bytes) -> str:
    raw = head[signature.label_offset : signature.label_offset + signature.label_bytes]
    text = raw.decode(signature.label_encoding, "replace").partition("\0")[0].strip()
    return "" if signature.type == "vfat" and text == "NO NAME" else text


def _uuid(signature: _Signature, head: bytes) -> str:
    offset = signature.uuid_offset
    if not offset:
        return ""
    kind = signature.uuid_kind
    if kind == "binary":
        raw = head[offset : offset + 16]
        return format_uuid(raw) if any(raw) else ""
    if kind == "serial":
        number = int.from_bytes(head[offset : offset + 4], "little")
        return f"{number >> 16:04X}-{number & 0xFFFF:04X}" if number else ""
    if kind == "long serial":
        return f"{int.from_bytes(head[offset : offset + 8], 'little'):016X}"
    text = head[offset : offset + 40].decode("ascii", "replace").partition("\0")[0]
    return _split(text, _TEXT_PARTS[kind]) if kind in _TEXT_PARTS else text


def format_uuid(raw: bytes) -> str:
    """16 bytes as they are mostly written, "8-4-4-4-12"."""
    return _split(raw.hex(), (8, 4, 4, 4, 12))


def _split(text: str, parts: tuple[int, ...]) -> str:
    pieces = []
    for length in parts:
        pieces.append(text[:length])
        text = text[length:]
    return "-".join(pieces)
