"""How each file system gets another size: by the kernel while it is mounted, or by its own tool on a copy."""

from __future__ import annotations

import errno
import os

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Value
from liblinux.upkeep import _ioctl as ioctl
from liblinux.upkeep._checkers import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._image_root import ImageRoot

__all__ = ["METHODS", "Method", "Offline", "Online"]

_KIB = 1024
_F2FS_BLOCK_BYTES = 4096
_SECTOR_BYTES = 512


class Online(Value):
    """Done by the kernel on the mounted file system; gets the image and the size in bytes."""

    resize: Callable[[ImageRoot, int], None]


class Offline(Value):
    """Done by programs on a file of the host; gets its path and the size in bytes."""

    resize: Callable[[str, int], None]


class Method(Value):
    """What makes a file system larger and smaller; without one, why not."""

    grow: Online | Offline | None = None
    shrink: Online | Offline | None = None
    why_not: str = ""


def _directory_ioctl(image: ImageRoot, command: int, argument: bytes) -> bytearray:
    descriptor = image.os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        return ioctl.call(image.os, descriptor, command, argument)
    finally:
        image.os.close(descriptor)


def _blocks(size: int, block: int) -> bytes:
    return (size // block).to_bytes(8, "little")


def _ext(image: ImageRoot, size: int) -> None:
    _directory_ioctl(image, ioctl.EXT4_IOC_RESIZE_FS, _blocks(size, image.os.statvfs("/").f_bsize))


def _xfs(image: ImageRoot, size: int) -> None:
    block, share, _ = ioctl.XFS_GEOMETRY.unpack(
        _directory_ioctl(image, ioctl.XFS_IOC_FSGEOMETRY_V1, bytes(ioctl.XFS_GEOMETRY.size))
    )
    _directory_ioctl(image, ioctl.XFS_IOC_FSGROWFSDATA, ioctl.XFS_GROWFS_DATA.pack(size // block, share))


def _btrfs(image: ImageRoot, size: int) -> None:
    _directory_ioctl(image, ioctl.BTRFS_IOC_RESIZE, ioctl.BTRFS_VOL_ARGS.pack(0, b"1:%d" % size))


def _nilfs(image: ImageRoot, size: int) -> None:
    _directory_ioctl(image, ioctl.NILFS_IOCTL_RESIZE, size.to_bytes(8, "little"))


def _jfs(image: ImageRoot, size: int) -> None:
    blocks = size // image.os.statvfs("/").f_bsize
    image.kernel.mount(image.mount.source, image.mount.target, None, "jfs", f"remount,nodev,resize={blocks}")


def _tool(package: str, command: tuple[str, ...], *arguments: str) -> None:
    code, printed = run_tool(command, package, *arguments, show=False)
    if code:
        raise LiblinuxError(f"{' '.join(command)} ended with code {code}:\n{printed.strip()}")


def _resize2fs(path: str, size: int) -> None:
    code, printed = run_tool(("e2fsck", "-f", "-y"), "e2fsprogs", path, show=False)
    if code & ~3:
        raise LiblinuxError(f"e2fsck ended with code {code}; repair it first:\n{printed.strip()}")
    _tool("e2fsprogs", ("resize2fs",), path, f"{size // _KIB}K")


def _resize_f2fs(path: str, size: int) -> None:
    _tool("f2fs-tools", ("resize.f2fs", "-t", str(size // _SECTOR_BYTES)), path)


def _ntfsresize(path: str, size: int) -> None:
    _tool("ntfs-3g", ("ntfsresize", "-f", "-f", "-P", "-s", str(size)), path)


_EXT = Method(Online(_ext), Offline(_resize2fs))
_BOTH = {"btrfs": _btrfs, "nilfs2": _nilfs}
_NO_TOOL = "Linux has nothing that resizes {}; make a new one with liblinux mkimage and copy"

METHODS = {
    "ext2": _EXT,
    "ext3": _EXT,
    "ext4": _EXT,
    "xfs": Method(Online(_xfs), None, "XFS cannot be made smaller; make a new one and copy"),
    "f2fs": Method(Offline(_resize_f2fs), None, "F2FS is not made smaller here; make a new one and copy"),
    "jfs": Method(Online(_jfs), None, "JFS cannot be made smaller; make a new one and copy"),
    "ntfs3": Method(Offline(_ntfsresize), Offline(_ntfsresize)),
    **{type: Method(Online(function), Online(function)) for type, function in _BOTH.items()},
    **{type: Method(why_not=_NO_TOOL.format(type)) for type in ("vfat", "exfat", "hfs", "hfsplus", "minix", "udf")},
}


def explain(error: OSError, type: str, size: int) -> None:
    """Put into an error what it means for a resize."""
    if error.errno == errno.ENOSPC:
        error.strerror = f"what is in the {type} does not fit into {size:,} bytes"
    elif error.errno == errno.EINVAL:
        least = " (the kernel makes none smaller than 256 MiB)" if type == "btrfs" else ""
        error.strerror = f"{type} cannot have {size:,} bytes{least}"
