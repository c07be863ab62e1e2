"""What is on a disk or partition, told from the first bytes of its content.

A guess that decides the order in which file systems are tried and that fills
`Partition.type`; whether a file system can be mounted is for the kernel to say.
Offsets and magic numbers are those of the on-disk formats
(kernel header `linux/magic.h` and the file systems' own super blocks).
"""

from __future__ import annotations

import struct

from liblinux._typing import Value

__all__ = ["PROBE_BYTES", "Content", "identify"]

# Reaches behind the last magic number, that of Btrfs at 64 KiB.
PROBE_BYTES = 68 * 1024

_EXT_COMPAT_JOURNAL = 0x0004
_EXT_INCOMPAT_OF_EXT3 = 0x0002 | 0x0004 | 0x0010  # filetype, recover, meta_bg
_EXT_RO_COMPAT_OF_EXT3 = 0x0001 | 0x0002 | 0x0004  # sparse_super, large_file, btree_dir


class Content(Value):
    """A recognised content: the kernel's name of the type, and the label in its super block."""

    type: str
    label: str = ""
    mountable: bool = True


class _Signature(Value):
    type: str
    offset: int
    magic: bytes
    label_offset: int = 0
    label_bytes: int = 0
    label_encoding: str = "utf-8"
    mountable: bool = True


_SIGNATURES = (
    # Containers first: what they hold may look like a file system.
    _Signature("crypto_LUKS", 0, b"LUKS\xba\xbe", mountable=False),
    _Signature("LVM2_member", 512, b"LABELONE", mountable=False),
    _Signature("linux_raid_member", 4096, b"\xfc\x4e\x2b\xa9", mountable=False),
    _Signature("linux_raid_member", 0, b"\xfc\x4e\x2b\xa9", mountable=False),
    _Signature("swap", 4086, b"SWAPSPACE2", 1052, 16, mountable=False),
    _Signature("xfs", 0, b"XFSB", 108, 12),
    _Signature("squashfs", 0, b"hsqs"),
    _Signature("romfs", 0, b"-rom1fs-", 16, 16),
    _Signature("cramfs", 0, b"\x45\x3d\xcd\x28", 48, 16),
    _Signature("exfat", 3, b"EXFAT   "),
    _Signature("ntfs3", 3, b"NTFS    "),
    _Signature("btrfs", 65536 + 64, b"_BHRfS_M", 65536 + 299, 256),
    _Signature("erofs", 1024, b"\xe2\xe1\xf5\xe0", 1024 + 64, 16),
    _Signature("f2fs", 1024, b"\x10\x20\xf5\xf2", 1024 + 124, 1024, "utf-16-le"),
    _Signature("hfsplus", 1024, b"H+\x00\x04"),
    _Signature("hfsplus", 1024, b"HX\x00\x05"),
    _Signature("hfs", 1024, b"BD", 1024 + 37, 27),
    _Signature("ext", 1024 + 56, b"\x53\xef", 1024 + 120, 16),
    _Signature("nilfs2", 1024 + 6, b"\x34\x34", 1024 + 168, 80),
    _Signature("jfs", 32768, b"JFS1", 32768 + 152, 16),
    # UDF before ISO 9660: a bridge disc has both, and UDF says more.
    _Signature("udf", 32769, b"BEA01"),
    _Signature("udf", 34817, b"BEA01"),
    _Signature("udf", 36865, b"BEA01"),
    _Signature("udf", 38913, b"BEA01"),
    _Signature("iso9660", 32769, b"CD001", 32808, 32),
    _Signature("vfat", 82, b"FAT32", 71, 11),
    _Signature("vfat", 54, b"FAT1", 43, 11),
    _Signature("vfat", 54, b"FAT ", 43, 11),
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
            return Content(_type(signature, head), _label(signature, head), signature.mountable)
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
