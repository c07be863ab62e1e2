"""POSIX access control lists, from the extended attribute that the kernel shows them in.

Source: include/uapi/linux/posix_acl_xattr.h: a version and entries of tag,
permissions and number, little-endian. The text is that of getfacl(1).
"""

from __future__ import annotations

import struct

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux.commands._owners import Owners

__all__ = ["ACL_ACCESS", "ACL_DEFAULT", "acl_entries"]

ACL_ACCESS = "system.posix_acl_access"
ACL_DEFAULT = "system.posix_acl_default"

_VERSION = 2
_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_USER, _GROUP = 0x02, 0x08
_TAGS = {0x01: "user", _USER: "user", 0x04: "group", _GROUP: "group", 0x10: "mask", 0x20: "other"}


def acl_entries(value: bytes, owners: Owners) -> list[str]:
    """Entries as "user:alice:rw-". Raises ValueError for a value that is none."""
    if len(value) < _HEADER.size or _HEADER.unpack_from(value)[0] != _VERSION:
        raise ValueError(f"this is no access control list: {value[:16].hex()}")
    entries = []
    for tag, permissions, number in _ENTRY.iter_unpack(value[_HEADER.size :]):
        if tag not in _TAGS:
            raise ValueError(f"an access control list with an entry of unknown kind {tag}")
        name = owners.user(number) if tag == _USER else owners.group(number) if tag == _GROUP else ""
        letters = "".join(letter if permissions & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        entries.append(f"{_TAGS[tag]}:{name}:{letters}")
    return entries
