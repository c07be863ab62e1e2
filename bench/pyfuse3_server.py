"""The least that serves an image through pyfuse3, for two figures: python pyfuse3_server.py IMAGE MOUNTPOINT.

It has no bookkeeping of hard links, subvolumes and forgotten nodes, so that a server that may
be used would be slower. Reads are as ours, by O_DIRECT. From Debian's python3-pyfuse3, or pip.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# Debian's modules are not in a virtual environment; behind all others.
sys.path.append("/usr/lib/python3/dist-packages")
import pyfuse3
import trio

from liblinux._image_root import ImageRoot

_READ_BYTES = 1 << 20
_FOREVER = 1e7


class _Server(pyfuse3.Operations):  # type: ignore[misc]  # pyfuse3 has no types
    def __init__(self, image: ImageRoot) -> None:
        super().__init__()
        self._native: Any = image.process._process
        self._paths = {pyfuse3.ROOT_INODE: b"/"}
        self._listings: dict[int, tuple[bytes, Any]] = {}
        self._buffer = image.process.mmap(None, _READ_BYTES, shared=False)
        self._buffer[:] = bytes(_READ_BYTES)

    def _entry(self, path: bytes, raw: tuple[int, ...]) -> Any:
        entry = pyfuse3.EntryAttributes()
        (
            entry.st_mode, entry.st_ino, _, entry.st_nlink, entry.st_uid, entry.st_gid, entry.st_size,
            entry.st_atime_ns, entry.st_mtime_ns, entry.st_ctime_ns, entry.st_blksize, entry.st_blocks, entry.st_rdev,
            _, _,
        ) = raw  # fmt: skip
        if path == b"/":
            entry.st_ino = pyfuse3.ROOT_INODE
        entry.entry_timeout = entry.attr_timeout = _FOREVER
        self._paths[entry.st_ino] = path
        return entry

    def _status(self, path: bytes) -> Any:
        try:
            return self._entry(path, self._native.stat(path, follow_symlinks=False))
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from None

    async def getattr(self, inode: int, ctx: object = None) -> Any:
        return self._status(self._paths[inode])

    async def lookup(self, parent_inode: int, name: bytes, ctx: object = None) -> Any:
        return self._status(os.path.join(self._paths[parent_inode], name))

    async def opendir(self, inode: int, ctx: object) -> int:
        path = self._paths[inode]
        descriptor: int = self._native.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._listings[descriptor] = path, self._native.listdir(descriptor)
        return descriptor

    async def readdir(self, fh: int, start_id: int, token: object) -> None:
        path, entries = self._listings[fh]
        for index in range(start_id, len(entries)):
            name = entries[index][0]
            raw = self._native.stat(name, dir_fd=fh, follow_symlinks=False)
            if not pyfuse3.readdir_reply(token, name, self._entry(os.path.join(path, name), raw), index + 1):
                return

    async def releasedir(self, fh: int) -> None:
        self._native.close(fh)
        del self._listings[fh]

    async def open(self, inode: int, flags: int, ctx: object) -> Any:
        descriptor = self._native.open(self._paths[inode], os.O_RDONLY | os.O_DIRECT)
        return pyfuse3.FileInfo(fh=descriptor, keep_cache=True)

    async def read(self, fh: int, off: int, size: int) -> memoryview:
        buffer = self._buffer[:size]
        return buffer[: self._native.preadinto(fh, buffer, off)]

    async def release(self, fh: int) -> None:
        self._native.close(fh)


def main(image: str, mountpoint: str) -> None:
    """Serve until it is unmounted."""
    with ImageRoot(image) as opened:
        pyfuse3.init(_Server(opened), mountpoint, {*pyfuse3.default_options, "ro"})
        try:
            trio.run(pyfuse3.main)
        finally:
            pyfuse3.close(unmount=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
