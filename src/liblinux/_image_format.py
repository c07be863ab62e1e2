"""The format of an image file, told by its first bytes and never by its name.

A raw disk may begin with whatever its owner writes there, so a container that
names other files (a backing file, an extent) is held to a directory, see
`formats/_files.py`; and `format="raw"` believes nothing.
"""

from __future__ import annotations

import os
import stat

from liblinux._backing import is_device_object
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

__all__ = ["FORMATS", "HEAD_BYTES", "PACKED_FORMATS", "is_disk", "tell_format"]

HEAD_BYTES = 4096

_VDI_OFFSET = 64
_DESCRIPTOR = b"# disk descriptorfile"
_MAGIC = (
    ("qcow2", 0, b"QFI\xfb"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"COWD"),
    ("vdi", _VDI_OFFSET, b"\x7f\x10\xda\xbe"),
    ("gzip", 0, b"\x1f\x8b\x08"),
    ("xz", 0, b"\xfd7zXZ\0"),
    ("zstd", 0, b"\x28\xb5\x2f\xfd"),
    ("bzip2", 0, b"BZh"),
    ("vhdx", 0, b"vhdxfile"),
    ("vhd", 0, b"conectix"),
    ("parallels", 0, b"WithoutFreeSpace"),
    ("parallels", 0, b"WithouFreSpacExt"),
    ("lzip", 0, b"LZIP"),
    ("lz4", 0, b"\x04\x22\x4d\x18"),
    ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("zip", 0, b"PK\x03\x04"),
    ("dmg", 0, b"encrcdsa"),
)
# The third byte of "BZh" is a digit, and the magic of a first block follows.
_BZIP2_BLOCK = b"1AY&SY"

PACKED_FORMATS = ("gzip", "bzip2", "xz", "zstd")
FORMATS = ("raw", "qcow2", "vmdk", "vdi", *PACKED_FORMATS)


def tell_format(head: bytes) -> str:
    """The name of the format of a file that begins with `head`, HEAD_BYTES of it; "raw" if it is none that is known.

    Also names formats that are not in FORMATS, for the sake of the message.
    """
    for name, offset, magic in _MAGIC:
        if head.startswith(magic, offset) and (name != "bzip2" or head.startswith(_BZIP2_BLOCK, 4)):
            return name
    return "vmdk" if head[:64].lstrip().lower().startswith(_DESCRIPTOR) else "raw"


def is_disk(source: Any) -> bool:
    """Whether a source holds the bytes of a disk: the usual case, without importing any of the readers.

    What is no file at all is one too: Kernel.attach() knows how to say so.
    """
    if is_device_object(source):
        return True
    if not isinstance(source, str | os.PathLike):
        from liblinux.formats._files import open_bytes  # noqa: PLC0415

        opened = open_bytes(source)
        return opened is None or tell_format(opened.read(0, HEAD_BYTES)) == "raw"
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            return True
        return tell_format(os.pread(descriptor, HEAD_BYTES, 0)) == "raw"
    finally:
        os.close(descriptor)
