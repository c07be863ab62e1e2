"""The tree of the file-system tests: what is to be written, and what is to be found.

`PLAN` has everything that a POSIX file system can hold. `planting.write` tries all
of it through an `os`-shaped namespace, the host's or a kernel's; `Holds` says what a
file system keeps, and `Holds.find` what must then be there. What it does not keep
is tried all the same and must be absent: a wrong `Holds` fails its test.
"""

from __future__ import annotations

import hashlib
import os
import random
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

KIB = 1 << 10
MIB = 1 << 20
SECOND = 10**9
DAY = 86400 * SECOND
FOREVER = 1 << 63

# An ordinary moment, with nanoseconds, and one behind the 32-bit signed clock (in the year 2099).
MOMENT = 1_700_000_001_123_456_789
FAR_MOMENT = 4_090_000_003_987_654_321

ACL_ACCESS = "system.posix_acl_access"
ACL_DEFAULT = "system.posix_acl_default"
_random = random.Random("the tree of the file-system tests")


@dataclass(frozen=True)
class Content:
    """What is in a file, compared by size and hash; `pieces` are (offset, bytes) between holes."""

    size: int
    digest: str
    pieces: tuple[tuple[int, bytes], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Entry:
    """A file, directory, link or node, with all attributes that are compared."""

    mode: int  # with the bits of the type
    owner: tuple[int, int] = (0, 0)
    modified: int = MOMENT  # in nanoseconds since 1970
    accessed: int | None = MOMENT - DAY
    content: Content | None = None
    sparse: bool = False  # whether holes take no space
    target: bytes | None = None  # what a symbolic link says
    device: int = 0
    same_as: bytes | None = None  # the first name of a file that has several
    xattrs: tuple[tuple[str, bytes], ...] = ()


Tree = dict[bytes, Entry]


def same_mode(mode: int) -> int:
    """The mode of a file system that has all bits of it."""
    return mode


def open_mode(mode: int) -> int:
    """The mode of a file system that only knows whether a file may be written."""
    return stat.S_IFMT(mode) | (0o755 if mode & 0o200 else 0o555)


@dataclass(frozen=True)
class Holds:
    """What a file system can hold. The default is everything."""

    name_bytes: int = 255
    raw_names: Literal["kept", "refused", "replaced"] = "kept"  # names that are not UTF-8
    wide_characters: bool = True  # beyond the first 65536 of Unicode
    folds_case: bool = False
    mode_of: Callable[[int], int] = same_mode
    owner_bits: tuple[int, int] = (32, 32)  # of user and group
    modified_step: int = 1  # nanoseconds; 0: no time is kept
    accessed_step: int = 1
    latest: int = FOREVER
    symlinks: bool = True
    link_bytes: int = 4095
    links_like_names: bool = True  # what a link says goes through the same conversion
    hard_links: Literal["kept", "refused", "copied"] = "kept"
    nodes: bool = True
    wide_devices: bool = True  # device numbers of more than 8 bits
    device_numbers: bool = True
    xattrs: tuple[str, ...] = ("user.", "trusted.", "security.")
    xattr_bytes: int = 600
    xattrs_listed: bool = True
    acls: bool = True
    holes: bool = True

    def keep(self, tree: Mapping[bytes, Entry]) -> Tree:
        """What is kept of `tree`, by the paths it was written with."""
        return {path: self._entry(entry) for path, entry in tree.items() if self._has(path, entry)}

    def find(self, tree: Mapping[bytes, Entry]) -> Tree:
        """What is found of `tree` after it was written."""
        return {self._name(path): entry for path, entry in self.keep(tree).items()}

    def _name(self, name: bytes) -> bytes:
        """How a name is given back: byte by byte as question marks if it cannot be kept."""
        wide = is_utf8(name) and any(ord(character) > 0xFFFF for character in name.decode())
        if (self.raw_names == "replaced" and not is_utf8(name)) or (wide and not self.wide_characters):
            return name.decode("ascii", "replace").replace("\ufffd", "?").encode()
        return name

    def _has(self, path: bytes, entry: Entry) -> bool:
        kind = stat.S_IFMT(entry.mode)
        if any(len(name) > self.name_bytes for name in path.split(b"/")):
            return False
        raw = self.raw_names != "refused"
        if not (raw or is_utf8(path)):
            return False
        if kind == stat.S_IFLNK:
            target = entry.target or b""
            return self.symlinks and len(target) <= self.link_bytes and (raw or is_utf8(target))
        if entry.same_as is not None:
            return self.hard_links != "refused"
        return kind in (stat.S_IFREG, stat.S_IFDIR) or (self.nodes and (self.wide_devices or entry.device < 1 << 16))

    def _entry(self, entry: Entry) -> Entry:
        return replace(
            entry,
            mode=self.mode_of(entry.mode),
            owner=(_fit(entry.owner[0], self.owner_bits[0]), _fit(entry.owner[1], self.owner_bits[1])),
            modified=self._time(entry.modified, self.modified_step),
            accessed=self._time(entry.accessed, self.accessed_step) if entry.accessed and self.accessed_step else None,
            same_as=entry.same_as if self.hard_links == "kept" else None,
            sparse=entry.sparse and self.holes,
            target=self._name(entry.target) if entry.target and self.links_like_names else entry.target,
            device=entry.device if self.device_numbers else 0,
            xattrs=tuple((name, value) for name, value in entry.xattrs if self._has_xattr(name, value)),
        )

    def _time(self, time: int, step: int) -> int:
        time = min(time, self.latest * SECOND) if self.latest != FOREVER else time
        return time // step * step if step else 0

    def _has_xattr(self, name: str, value: bytes) -> bool:
        if name in (ACL_ACCESS, ACL_DEFAULT):
            return self.acls
        return name.startswith(self.xattrs or ("none",)) and len(value) <= self.xattr_bytes


def _fit(owner: int, bits: int) -> int:
    """An owner as stored in so many bits: the kernel makes 65534 of what is above 16 of them."""
    return min(owner, 65534) & (1 << bits) - 1 if bits < 32 else owner


def is_utf8(name: bytes) -> bool:
    """Whether a name can be written in the file systems whose names are UTF-16."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


# ---- the plan ----------------------------------------------------------------


def content(*pieces: tuple[int, bytes], size: int | None = None) -> Content:
    """A file of pieces at their offsets; `size` when there is a hole behind the last."""
    end = max((offset + len(data) for offset, data in pieces), default=0)
    whole = bytearray(end if size is None else size)
    for offset, data in pieces:
        whole[offset : offset + len(data)] = data
    return Content(len(whole), hashlib.sha256(whole).hexdigest(), pieces)


def acl(*entries: tuple[int, int, int]) -> bytes:
    """A POSIX ACL as acl(5) and the kernel's posix_acl_xattr.h have it: (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


_NOBODY = 0xFFFFFFFF
_ACL_OF_FILE = acl(
    (1, 6, _NOBODY), (2, 4, 70_000), (4, 4, _NOBODY), (8, 6, 70_001), (0x10, 6, _NOBODY), (0x20, 0, _NOBODY)
)
_ACL_OF_NEW = acl((1, 7, _NOBODY), (2, 5, 70_000), (4, 5, _NOBODY), (0x10, 5, _NOBODY), (0x20, 0, _NOBODY))

_DIRECTORY = Entry(stat.S_IFDIR | 0o755)
_SMALL = Entry(stat.S_IFREG | 0o644, content=content((0, b"a small file\n")))
_NODE_TIME = MOMENT + 77 * SECOND


def _plan() -> Tree:
    tree: Tree = {b"names": _DIRECTORY, b"many": _DIRECTORY, b"data": _DIRECTORY, b"kinds": _DIRECTORY}
    tree |= _names() | _deep() | _data() | _kinds() | _attributes()
    tree |= {f"many/entry-{number:03}".encode(): _SMALL for number in range(150)}
    return dict(sorted(tree.items()))


def _names() -> Tree:
    names: list[bytes] = [b"n" * length for length in (14, 15, 30, 31, 60, 61, 200, 247, 254, 255)]
    names += [
        "Grüße-日本語".encode(),
        "penguin-🐧".encode(),
        b"raw-\xff\xfe-\xe4",
        b"with space",
        b".hidden",
        b"a+b=c,[d]",
    ]
    return {b"names/" + name: _SMALL for name in names}


def _deep() -> Tree:
    path = b"deep"
    tree = {path: _DIRECTORY}
    for level in range(30):
        path += b"/level-%02d" % level
        tree[path] = _DIRECTORY
    tree[path + b"/bottom"] = _SMALL
    return tree


def _data() -> Tree:
    noise = _random.randbytes
    holes = content((0, b"start"), (1 * MIB + 123, noise(5000)), (4 * MIB - 17, noise(64 * KIB)), size=6 * MIB)
    files = {
        b"empty": content(),
        b"one-byte": content((0, b"x")),
        b"odd": content((0, noise(12_345))),
        b"large": content((0, noise(3 * MIB + 511))),
        b"text": content((0, b"a line of text that compresses well\n" * 20_000)),
        b"holes": holes,
    }
    return {
        b"data/" + name: Entry(stat.S_IFREG | 0o640, content=data, sparse=name == b"holes")
        for name, data in files.items()
    }


def _kinds() -> Tree:
    link = Entry(stat.S_IFLNK | 0o777)
    return {
        b"kinds/first-name": replace(_SMALL, content=content((0, b"a file with two names\n"))),
        b"kinds/second-name": replace(
            _SMALL, content=content((0, b"a file with two names\n")), same_as=b"kinds/first-name"
        ),
        b"kinds/link": replace(link, target=b"first-name"),
        b"kinds/link-long": replace(link, target=b"/".join([b"component"] * 60)),
        b"kinds/link-longer": replace(link, target=b"/".join([b"component"] * 400)),
        b"kinds/link-raw": replace(link, target=b"nowhere/\xff\xfe"),
        b"kinds/fifo": Entry(stat.S_IFIFO | 0o622, modified=_NODE_TIME),
        b"kinds/socket": Entry(stat.S_IFSOCK | 0o700, modified=_NODE_TIME),
        b"kinds/null": Entry(stat.S_IFCHR | 0o666, device=os.makedev(1, 3), modified=_NODE_TIME),
        b"kinds/disk": Entry(stat.S_IFBLK | 0o660, device=os.makedev(8, 17), modified=_NODE_TIME),
        b"kinds/wide": Entry(stat.S_IFCHR | 0o600, device=os.makedev(300, 70_000), modified=_NODE_TIME),
    }


def _attributes() -> Tree:
    xattrs = (
        ("security.test", b"of the kernel"),
        ("trusted.test", b"\0binary\xff"),
        ("user.large", _random.randbytes(600)),
        ("user.huge", _random.randbytes(16_000)),
        ("user.short", b"value"),
    )
    tree = {
        b"set": replace(_DIRECTORY, mode=stat.S_IFDIR | 0o1777),
        b"set/read-only": replace(_SMALL, mode=stat.S_IFREG | 0o555),
        b"set/set-user": replace(_SMALL, mode=stat.S_IFREG | 0o4711, owner=(1234, 321)),
        b"set/high-owner": replace(_SMALL, owner=(70_000, 4_000_000_000)),
        b"set/far-time": replace(_SMALL, modified=FAR_MOMENT),
        b"set/xattrs": replace(_SMALL, xattrs=tuple(sorted(xattrs))),
        b"set/acl": replace(_SMALL, mode=stat.S_IFREG | 0o660, xattrs=((ACL_ACCESS, _ACL_OF_FILE),)),
        b"set/acl-directory": replace(_DIRECTORY, mode=stat.S_IFDIR | 0o750, xattrs=((ACL_DEFAULT, _ACL_OF_NEW),)),
    }
    # cramfs makes one inode of equal files, with the attributes of one of them; so no two are equal.
    return {
        path: replace(entry, content=content((0, path))) if entry.content else entry for path, entry in tree.items()
    }


PLAN = _plan()
