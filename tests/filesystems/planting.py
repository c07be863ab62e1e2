"""Writing the tree of the file-system tests, and reading it back.

`system` is `os`, or the `os` of a kernel: they have the same functions.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from trees import MIB, PLAN, Content, Entry, Holds, Tree

_NAMESPACES = ("user.", "trusted.", "security.", "system.posix_acl_")
# XFS shows root its ACLs a second time, as it stores them.
_INTERNAL = ("trusted.SGI_ACL_", "security.selinux")
_XATTR_NAMES = sorted({name for entry in PLAN.values() for name, _ in entry.xattrs})


def write(system: Any, root: str, holds: Holds | None, plan: Mapping[bytes, Entry] = PLAN) -> None:
    """Write a plan through `system` (`os`, or the `os` of a kernel).

    Raises OSError if what `holds` has fails; with None, as much as possible will do.
    """
    system.mkdir(root)
    kept = holds.keep(plan) if holds else {}
    for path, entry in plan.items():
        with contextlib.nullcontext() if path in kept else contextlib.suppress(OSError):
            _create(system, os.fsencode(root) + b"/" + path, os.fsencode(root), entry)
    # Times last and from the inside out: every other change would set them anew.
    for path in reversed(list(plan)):
        whole = os.fsencode(root) + b"/" + path
        entry = plan[path]
        if path in kept or holds is None:
            _set_attributes(system, whole, entry, kept.get(path))
            with contextlib.nullcontext() if path in kept else contextlib.suppress(OSError):
                system.utime(whole, ns=(entry.accessed or 0, entry.modified), follow_symlinks=False)


def _create(system: Any, path: bytes, root: bytes, entry: Entry) -> None:
    kind = stat.S_IFMT(entry.mode)
    if kind == stat.S_IFDIR:
        system.mkdir(path)
    elif kind == stat.S_IFLNK:
        system.symlink(entry.target, path)
    elif entry.same_as is not None:
        system.link(root + b"/" + entry.same_as, path)
    elif entry.content is None:
        system.mknod(path, entry.mode, entry.device)
    else:
        fd = system.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        try:
            for offset, data in entry.content.pieces:
                assert system.pwrite(fd, data, offset) == len(data)
            system.ftruncate(fd, entry.content.size)
        finally:
            system.close(fd)


def _set_attributes(system: Any, path: bytes, entry: Entry, kept: Entry | None) -> None:
    with contextlib.nullcontext() if kept and kept.owner == entry.owner else contextlib.suppress(OSError):
        system.chown(path, *entry.owner, follow_symlinks=False)
    if not stat.S_ISLNK(entry.mode):
        with contextlib.nullcontext() if kept and kept.mode == entry.mode else contextlib.suppress(OSError):
            system.chmod(path, stat.S_IMODE(entry.mode))
    for xattr in entry.xattrs:
        with contextlib.nullcontext() if kept and xattr in kept.xattrs else contextlib.suppress(OSError):
            system.setxattr(path, *xattr, follow_symlinks=False)


def read(system: Any, root: str, holds: Holds | None = None) -> Tree:
    """All of a tree as it is found, by paths below `root`; `holds` says what to leave out, and how to ask."""
    holds = holds or Holds()
    unlisted = () if holds.xattrs_listed else _XATTR_NAMES
    tree: Tree = {}
    inodes: dict[int, bytes] = {}
    top = os.fsencode(root)
    for path in _paths(system, top):
        status = system.lstat(path)
        name = path[len(top) + 1 :]
        several = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
        first = inodes.setdefault(status.st_ino, name) if several else name
        data = _read_file(system, path) if stat.S_ISREG(status.st_mode) else None
        tree[name] = Entry(
            mode=status.st_mode,
            owner=(status.st_uid, status.st_gid),
            modified=status.st_mtime_ns,
            accessed=status.st_atime_ns if holds.accessed_step else None,
            content=data,
            sparse=data is not None and status.st_size - status.st_blocks * 512 > MIB,
            target=system.readlink(path) if stat.S_ISLNK(status.st_mode) else None,
            device=status.st_rdev,
            same_as=None if first == name else first,
            xattrs=_read_xattrs(system, path, unlisted),
        )
    return tree


def _paths(system: Any, directory: bytes) -> Iterator[bytes]:
    for name in sorted(system.listdir(directory)):
        path = directory + b"/" + name
        yield path
        if stat.S_ISDIR(system.lstat(path).st_mode):
            yield from _paths(system, path)


def _read_file(system: Any, path: bytes) -> Content:
    digest = hashlib.sha256()
    size = 0
    fd = system.open(path, os.O_RDONLY)
    try:
        while data := system.read(fd, MIB):
            digest.update(data)
            size += len(data)
    finally:
        system.close(fd)
    return Content(size, digest.hexdigest())


def _read_xattrs(system: Any, path: bytes, unlisted: Iterable[str]) -> tuple[tuple[str, bytes], ...]:
    found: dict[str, bytes] = {}
    with contextlib.suppress(OSError):  # a file system without any
        for name in system.listxattr(path, follow_symlinks=False):
            if name.startswith(_NAMESPACES) and not name.startswith(_INTERNAL):
                found[name] = system.getxattr(path, name, follow_symlinks=False)
    for name in unlisted:
        with contextlib.suppress(OSError):
            found[name] = system.getxattr(path, name, follow_symlinks=False)
    return tuple(sorted(found.items()))


def differences(found: Mapping[bytes, Entry], wanted: Mapping[bytes, Entry]) -> list[str]:
    """What two trees differ in, one line each; an empty list when they are the same."""
    lines = [f"missing: {os.fsdecode(path)}" for path in wanted.keys() - found.keys()]
    lines += [f"unexpected: {os.fsdecode(path)}" for path in found.keys() - wanted.keys()]
    for path in found.keys() & wanted.keys():
        for attribute in fields(Entry):
            got, want = getattr(found[path], attribute.name), getattr(wanted[path], attribute.name)
            if got != want:
                lines.append(f"{os.fsdecode(path)}: {attribute.name} is {got!r:.200}, not {want!r:.200}")
    return sorted(lines)


def churn(system: Any, root: str) -> None:
    """Make, rename, shorten, rewrite and remove files, so that space is taken and given back."""
    system.mkdir(root)
    system.mkdir(f"{root}/old")
    for number in range(40):
        fd = system.open(f"{root}/old/file-{number}", os.O_CREAT | os.O_RDWR, 0o644)
        system.write(fd, bytes([number]) * 30_000)
        system.ftruncate(fd, number * 500)
        system.pwrite(fd, b"again", number * 1000)
        system.close(fd)
    for number in range(0, 40, 2):
        system.unlink(f"{root}/old/file-{number}")
    system.rename(f"{root}/old", f"{root}/new")
    for number in range(1, 40, 2):
        system.rename(f"{root}/new/file-{number}", f"{root}/moved-{number}")
    system.rmdir(f"{root}/new")
    for number in range(1, 40, 2):
        system.unlink(f"{root}/moved-{number}")
    system.rmdir(root)
