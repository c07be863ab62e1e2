"""Subvolumes and snapshots of a mounted Btrfs. Source: linux/btrfs.h, linux/btrfs_tree.h."""

from __future__ import annotations

import errno
import os
import posixpath
import struct
import uuid

from liblinux._errors import LiblinuxError
from liblinux._os_base import decode, encode
from liblinux._typing import TYPE_CHECKING, Value
from liblinux.upkeep import _ioctl as ioctl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux._image_root import ImageRoot

__all__ = ["Subvolume", "create", "delete", "snapshot", "subvolumes"]

_ROOT_TREE = 1
_FS_TREE = 5
_FIRST_FREE = 256
_LAST_FREE = (1 << 64) - 257
_ROOT_ITEM = 132
_ROOT_BACKREF = 144
_ALL = (1 << 64) - 1
_SEARCH_BYTES = 4096
# tree, objects, offsets, transactions from and to, types from and to, how many
_SEARCH_KEY = struct.Struct("<7Q3I36x")
# transaction, object, offset, type, length
_SEARCH_HEADER = struct.Struct("<3Q2I")
_BACKREF = struct.Struct("<2QH")  # directory, sequence, length of the name
_LOOKUP = struct.Struct("<2Q4080s")  # tree, object, name
_GENERATION_OFFSET = 160
_FLAGS_OFFSET = 208
_UUID_OFFSET = 247
_OTIME_OFFSET = 339
_OTIME = struct.Struct("<QI")
_READONLY = 1
_GIGA = 10**9


class Subvolume(Value):
    """A subvolume: number, path from the top of the file system, number of the one it is in.

    `parent_uuid` is that of the subvolume that it is a snapshot of, "" for none;
    `created_ns` counts nanoseconds since 1970.
    """

    id: int
    path: str
    parent: int
    readonly: bool
    generation: int
    uuid: str
    parent_uuid: str
    created_ns: int


def _need_btrfs(image: ImageRoot) -> None:
    if image.mount.type == "btrfs":
        return
    hints = {
        "nilfs2": "NILFS2 makes checkpoints by itself: mount one with --mount-options cp=NUMBER",
        "xfs": "XFS shares blocks of single files: liblinux cp makes such copies",
    }
    hint = hints.get(image.mount.type, "keep a copy of the image file: cp --reflink=auto")
    raise LiblinuxError(f"{image.mount.type} has no snapshots, Btrfs has; {hint}")


def _on_directory(image: ImageRoot, path: str, command: int, argument: bytes) -> bytearray:
    descriptor = image.os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return ioctl.call(image.os, descriptor, command, argument)
    except OSError as error:
        error.filename = path
        raise
    finally:
        image.os.close(descriptor)


def create(image: ImageRoot, path: str) -> None:
    """Make an empty subvolume. OSError as of mkdir(2); LiblinuxError without Btrfs."""
    _need_btrfs(image)
    above, name = _split(path)
    _on_directory(image, above, ioctl.BTRFS_IOC_SUBVOL_CREATE_V2, ioctl.BTRFS_VOL_ARGS_V2.pack(0, 0, 0, name))


def snapshot(image: ImageRoot, source: str, path: str, *, readonly: bool) -> None:
    """Make a snapshot of the subvolume `source`. OSError: EINVAL when that is none."""
    _need_btrfs(image)
    above, name = _split(path)
    descriptor = image.os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if image.os.fstat(descriptor).st_ino != _FIRST_FREE:
            raise OSError(errno.EINVAL, "this is a directory and no subvolume", source)
        flags = ioctl.BTRFS_SUBVOL_RDONLY if readonly else 0
        argument = ioctl.BTRFS_VOL_ARGS_V2.pack(descriptor, 0, flags, name)
        _on_directory(image, above, ioctl.BTRFS_IOC_SNAP_CREATE_V2, argument)
    finally:
        image.os.close(descriptor)


def delete(image: ImageRoot, path: str) -> None:
    """Delete a subvolume or snapshot with all that is in it, but for other subvolumes (ENOTEMPTY)."""
    _need_btrfs(image)
    if image.os.stat(path).st_ino != _FIRST_FREE:
        raise OSError(errno.EINVAL, "this is no subvolume; liblinux rm removes directories", path)
    above, name = _split(path)
    _on_directory(image, above, ioctl.BTRFS_IOC_SNAP_DESTROY, ioctl.BTRFS_VOL_ARGS.pack(0, name))


def _split(path: str) -> tuple[str, bytes]:
    above, name = posixpath.split(path.rstrip("/"))
    if not name:
        raise OSError(errno.EINVAL, "this is the top of the file system", path or "/")
    return above or "/", encode(name)


# ---- listing -----------------------------------------------------------


def subvolumes(image: ImageRoot) -> list[Subvolume]:
    """All subvolumes, by number. LiblinuxError without Btrfs."""
    _need_btrfs(image)
    roots = {object: data for object, _, data in _search(image, _ROOT_ITEM)}
    names: dict[int, tuple[int, str]] = {}
    for object, parent, data in _search(image, _ROOT_BACKREF):
        directory, _, length = _BACKREF.unpack_from(data)
        name = decode(bytes(data[_BACKREF.size : _BACKREF.size + length]))
        names[object] = (parent, _directory_path(image, parent, directory) + name)
    return [_described(number, roots[number], names) for number in sorted(names) if number in roots]


def _described(number: int, item: bytes, names: dict[int, tuple[int, str]]) -> Subvolume:
    parent, path = names[number]
    above = parent
    while above in names:
        above, start = names[above]
        path = f"{start}/{path}"
    (generation,) = struct.unpack_from("<Q", item, _GENERATION_OFFSET)
    (flags,) = struct.unpack_from("<Q", item, _FLAGS_OFFSET)
    seconds, nanoseconds = _OTIME.unpack_from(item, _OTIME_OFFSET)
    return Subvolume(
        number, path, parent, bool(flags & _READONLY), generation,
        _uuid(item, _UUID_OFFSET), _uuid(item, _UUID_OFFSET + 16), seconds * _GIGA + nanoseconds,
    )  # fmt: skip


def _uuid(item: bytes, offset: int) -> str:
    raw = bytes(item[offset : offset + 16])
    return str(uuid.UUID(bytes=raw)) if any(raw) else ""


def _directory_path(image: ImageRoot, tree: int, directory: int) -> str:
    """The path of a directory below its subvolume, with a slash at its end if it is not empty."""
    answer = _on_directory(image, "/", ioctl.BTRFS_IOC_INO_LOOKUP, _LOOKUP.pack(tree, directory, b""))
    return decode(_LOOKUP.unpack(answer)[2].split(b"\0", 1)[0])


def _search(image: ImageRoot, type: int) -> Iterator[tuple[int, int, bytes]]:
    """Object, offset and content of all items of a type in the tree of trees."""
    at, offset = _FIRST_FREE, 0
    while True:
        key = _SEARCH_KEY.pack(_ROOT_TREE, at, _LAST_FREE, offset, _ALL, 0, _ALL, type, type, 4096)
        answer = _on_directory(image, "/", ioctl.BTRFS_IOC_TREE_SEARCH, key.ljust(_SEARCH_BYTES, b"\0"))
        count = _SEARCH_KEY.unpack_from(answer)[9]
        if not count:
            return
        position = _SEARCH_KEY.size
        for _ in range(count):
            _, object, found_offset, found, length = _SEARCH_HEADER.unpack_from(answer, position)
            position += _SEARCH_HEADER.size
            # Keys are compared as a whole, so that others come as well.
            if found == type:
                yield object, found_offset, bytes(answer[position : position + length])
            position += length
            # On behind the last key, which is an object, a type and an offset, in this order.
            at, offset = (object + 1, 0) if found > type else (object, found_offset + 1 if found == type else 0)
