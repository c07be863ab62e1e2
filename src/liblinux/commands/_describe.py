"""All that there is to say of one file: for --json, and as the lines of `liblinux stat`."""

from __future__ import annotations

import errno
import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._acl import ACL_ACCESS, ACL_DEFAULT, acl_entries
from liblinux.commands._capabilities import capabilities
from liblinux.commands._entries import Entry, record
from liblinux.commands._extents import extents
from liblinux.commands._lines import shown
from liblinux.commands._long import selinux_label
from liblinux.commands._statx import attributes, birth_time, flag_letters
from liblinux.commands._times import iso_time, local_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from liblinux._image_root import ImageRoot
    from liblinux.commands._owners import Owners

__all__ = ["describe_file", "described_lines"]

_CAPABILITY = "security.capability"


def describe_file(name: str, image: ImageRoot, entry: Entry, owners: Owners) -> dict[str, Any]:
    """The record of the entry, and what only `stat` asks for; keys that do not apply are left out."""
    found = record(name, image, entry, owners)
    born = birth_time(image, entry.path)
    if born is not None:
        found |= {"btime": iso_time(born), "btime_ns": born}
    found["block_size"] = entry.status.st_blksize
    descriptor = _open(image, entry)
    try:
        flags = attributes(image, entry.path, descriptor)
        found |= {"flags": flags, "flag_letters": flag_letters(flags)}
        if descriptor is not None and stat.S_ISREG(entry.status.st_mode):
            found["extents"] = _count(image, descriptor, entry.path)
    finally:
        if descriptor is not None:
            image.os.close(descriptor)
    _add_attributes(found, image, entry.path, owners)
    return found


def _open(image: ImageRoot, entry: Entry) -> int | None:
    """A descriptor of a file or directory; others cannot be asked for flags and extents."""
    if not (entry.is_directory or stat.S_ISREG(entry.status.st_mode)):
        return None
    try:
        return image.os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOKEY, errno.EACCES, errno.EPERM):
            return None  # encrypted, and its key is not here: what is known without it is shown
        raise


def _count(image: ImageRoot, descriptor: int, path: str) -> int | None:
    try:
        return len(extents(image, descriptor, path))
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return None  # the file system does not say
        raise


def _add_attributes(found: dict[str, Any], image: ImageRoot, path: str, owners: Owners) -> None:
    """Extended attributes, and what is known of their meaning."""
    try:
        names = image.os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return
        raise
    values = {name: image.os.getxattr(path, name, follow_symlinks=False) for name in names}
    for attribute, key in ((ACL_ACCESS, "acl"), (ACL_DEFAULT, "default_acl")):
        if attribute in values:
            found[key] = acl_entries(values[attribute], owners)
    label = selinux_label(image, path)
    if label is not None:
        found["selinux"] = label
    if _CAPABILITY in values:
        found["capabilities"] = capabilities(values[_CAPABILITY])
    found["xattrs"] = {name: _value(value) for name, value in values.items()}


def _value(value: bytes) -> dict[str, str]:
    """Exact as hexadecimal, and as text where it is one."""
    try:
        text = value.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}
    return {"hex": value.hex(), "text": text} if text.isprintable() else {"hex": value.hex()}


def described_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    for title, text in _fields(found):
        yield f"{title + ':':>10} {shown(text)}"


def _fields(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "File", found["path"]
    if "target" in found:
        yield "Link to", found["target"]
    kind = found["type"]
    if "device" in found:
        kind += " {}, {}".format(*found["device"])
    yield "Type", kind
    yield "Size", f"{found['size']} bytes, {found['allocated']} allocated"
    if found.get("extents") is not None:
        yield "Extents", str(found["extents"])
    yield "Inode", f"{found['inode']}, {found['links']} link{'s' * (found['links'] != 1)}"
    yield "Mode", f"{found['mode']} {stat.filemode(_mode(found))[1:]}"
    yield "Owner", f"{found['uid']} {found['user']}, group {found['gid']} {found['group']}"
    for title, name in (("Access", "atime"), ("Modify", "mtime"), ("Change", "ctime"), ("Birth", "btime")):
        if f"{name}_ns" in found:
            yield title, local_time(found[f"{name}_ns"])
    if found["flags"]:
        yield "Flags", f"{found['flag_letters']} ({', '.join(found['flags'])})"
    for title, key in (("ACL", "acl"), ("Default", "default_acl")):
        if key in found:
            yield title, ",".join(found[key])
    if "selinux" in found:
        yield "SELinux", found["selinux"]
    if "capabilities" in found:
        yield "Rights", found["capabilities"]
    for name, value in found.get("xattrs", {}).items():
        yield "Attribute", f"{name}={value['text'] if 'text' in value else '0x' + value['hex']}"


def _mode(found: dict[str, Any]) -> int:
    return int(found["mode"], 8)
