"""Give a file of an image new content in one step, and leave all else of it as it is.

The content is written to a new file beside it, which gets owner, mode, extended
attributes and flags of the old one and then its name: whatever happens, there is
either the old file or the new one.
"""

from __future__ import annotations

import errno
import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import no_space

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["replace_content"]

_CHUNK_BYTES = 1 << 20
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602
# Of chattr(1), what users set and another file can have: no dump, no access time, synchronous, compressed, no COW.
_KEPT_FLAGS = 0x40 | 0x80 | 0x8 | 0x4 | 0x800000
_NO_FLAGS = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL)
_LONGEST_NAME_BYTES = 200


def replace_content(image: ImageRoot, path: str, content: bytes) -> None:
    """Replace the content of the regular file `path`, which is no link.

    Raises OSError; what was begun is removed then. ENOSPC says how much is missing.
    """
    directory, _, name = path.rpartition("/")
    short = name.encode("utf-8", "surrogateescape")[:_LONGEST_NAME_BYTES].decode("utf-8", "surrogateescape")
    temporary = f"{directory}/.{short}.liblinux-{os.getpid()}"
    descriptor = image.os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            _write(image, descriptor, path, content)
            _copy_metadata(image, path, descriptor)
            image.os.fsync(descriptor)
        finally:
            image.os.close(descriptor)
        image.os.rename(temporary, path)
    except BaseException:
        if image.kernel.dead is None:
            image.os.unlink(temporary)
        raise


def _write(image: ImageRoot, descriptor: int, path: str, content: bytes) -> None:
    view = memoryview(content)
    try:
        while view:
            view = view[image.os.write(descriptor, view[:_CHUNK_BYTES]) :]
        image.os.fsync(descriptor)  # delayed allocation finds out only now
    except OSError as error:
        if error.errno == errno.ENOSPC:
            image.os.ftruncate(descriptor, 0)  # so that what is free is what was free before
            image.os.fsync(descriptor)
            raise no_space(image, path, len(content)) from None
        raise


def _copy_metadata(image: ImageRoot, path: str, descriptor: int) -> None:
    """Owner first: a change of it takes setuid and capabilities away."""
    status = image.os.lstat(path)
    if (status.st_uid, status.st_gid) != (0, 0):
        image.os.fchown(descriptor, status.st_uid, status.st_gid)
    image.os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    try:
        names = image.os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        names = []
    for name in names:
        image.os.setxattr(descriptor, name, image.os.getxattr(path, name, follow_symlinks=False))
    _copy_flags(image, path, descriptor)


def _copy_flags(image: ImageRoot, path: str, descriptor: int) -> None:
    old, new = bytearray(8), bytearray(8)
    source = image.os.open(path, os.O_RDONLY)
    try:
        result = image.os.call("ioctl", source, _FS_IOC_GETFLAGS, old)
    finally:
        image.os.close(source)
    if result >= 0:
        result = image.os.call("ioctl", descriptor, _FS_IOC_GETFLAGS, new)
    if result >= 0:
        kept = int.from_bytes(old[:4], "little") & _KEPT_FLAGS
        flags = int.from_bytes(new[:4], "little")
        if flags & _KEPT_FLAGS == kept:
            return
        result = image.os.call(
            "ioctl", descriptor, _FS_IOC_SETFLAGS, (flags & ~_KEPT_FLAGS | kept).to_bytes(8, "little")
        )
    if result < 0 and -result not in _NO_FLAGS:
        raise OSError(-result, os.strerror(-result), path)
