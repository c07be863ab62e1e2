"""POSIX ACLs: the kernel's form in an extended attribute, and the text that archives hold.

Sources: Linux include/uapi/linux/posix_acl_xattr.h; acl(5), "short text form";
star(5) and libarchive's tar(5) for SCHILY.acl.access, whose entries may end with
the number of a named user ("user:lisa:r-x:502").
"""

from __future__ import annotations

import struct

from liblinux._typing import TYPE_CHECKING
from liblinux.archives._errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ACL_ACCESS", "ACL_DEFAULT", "acl_from_text", "acl_to_text"]

ACL_ACCESS = "system.posix_acl_access"
ACL_DEFAULT = "system.posix_acl_default"
_VERSION = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_NOBODY = 0xFFFFFFFF
_USER, _GROUP, _MASK, _OTHER = 0x02, 0x08, 0x10, 0x20
# Tag of the entry of the owner, and of one that names somebody.
_TAGS = {"user": (0x01, _USER), "group": (0x04, _GROUP), "mask": (_MASK, _MASK), "other": (_OTHER, _OTHER)}
_WORDS = {0x01: "user", _USER: "user", 0x04: "group", _GROUP: "group", _MASK: "mask", _OTHER: "other"}
_SHORT = {"u": "user", "g": "group", "m": "mask", "o": "other"}


def acl_to_text(raw: bytes) -> str:
    """The text of an ACL, with numbers for names: "user::rw-,user:70000:r--,mask::r--,…"."""
    if len(raw) < _VERSION.size or _VERSION.unpack_from(raw)[0] != 2 or (len(raw) - _VERSION.size) % _ENTRY.size:
        raise ValueError("not an ACL of version 2")
    entries = []
    for tag, bits, who in _ENTRY.iter_unpack(raw[_VERSION.size :]):
        name = str(who) if tag in (_USER, _GROUP) else ""
        shown = "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        entries.append(f"{_WORDS[tag]}:{name}:{shown}")
    return ",".join(entries)


def acl_from_text(text: str, number_of: Callable[[str, str], int | None]) -> bytes:
    """The kernel's form of a text; `number_of("user", "lisa")` is asked for names without a number.

    Raises ArchiveError for what is no ACL, or when a name has no number.
    """
    entries = [_entry(part.strip(), number_of) for part in text.replace("\n", ",").split(",") if part.strip()]
    return _VERSION.pack(2) + b"".join(_ENTRY.pack(*entry) for entry in sorted(entries, key=_order))


def _order(entry: tuple[int, int, int]) -> tuple[int, int]:
    """As the kernel wants them: by tag, then by number."""
    return entry[0], entry[2]


def _entry(text: str, number_of: Callable[[str, str], int | None]) -> tuple[int, int, int]:
    fields = text.partition("#")[0].strip().split(":")
    kind = _SHORT.get(fields[0], fields[0])
    if kind in ("mask", "other") and len(fields) == 2:
        fields.insert(1, "")
    if kind not in _TAGS or len(fields) < 3:
        raise ArchiveError(f"{text!r} is no entry of an access control list")
    name, shown = fields[1], fields[2]
    bits = sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in shown)
    owner, named = _TAGS[kind]
    if not name:
        return owner, bits, _NOBODY
    if len(fields) > 3 and fields[3].isdecimal():
        return named, bits, int(fields[3])
    number = int(name) if name.isdecimal() else number_of(kind, name)
    if number is None:
        raise ArchiveError(f"the access control list names the {kind} {name!r}, whose number is not known here")
    return named, bits, number
