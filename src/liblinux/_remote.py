"""Images that fsspec has to find: by URL, read block by block as they are needed.

Blocks are kept by fsspec's own "blockcache" (the last ones used, each fetched
once); the kernel's page cache stands above it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, cast

import fsspec

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["BLOCK_BYTES", "CACHED_BLOCKS", "open_remote"]

# A round trip to a server costs about what sending this much does.
BLOCK_BYTES = 1 << 18
CACHED_BLOCKS = 128
_LAST_BYTES = 512


def open_remote(url: str, protocol: str | None, options: dict[str, Any] | None, *, writable: bool) -> BinaryIO:
    """Open what `url` names, chained or not; `options` are those of its file system.

    Raises what that file system raises, and OSError when it cannot be read in any place but its start.
    """
    if protocol is not None:
        fs, path = fsspec.filesystem(protocol, **(options or {})), url
    else:
        fs, path = fsspec.core.url_to_fs(url, **(options or {}))
    if writable:
        return cast("BinaryIO", fs.open(path, "r+b"))
    if isinstance(fs, fsspec.get_filesystem_class("blockcache")):
        file = fs.open(path, "rb")  # the link of the chain that keeps blocks
    else:
        options = {"cache_type": "blockcache", "cache_options": {"maxblocks": CACHED_BLOCKS}}
        file = fs.open(path, "rb", block_size=BLOCK_BYTES, **options)
    try:
        _check(file, url)
    except BaseException:
        file.close()
        raise
    return cast("BinaryIO", file)


def _check(file: Any, url: str) -> None:
    """Refuse a file of which the server only sends all. What is fetched is needed anyway: a GPT has its copy there."""
    try:
        served = file.seekable() and getattr(file, "size", 0) is not None
        if served:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - _LAST_BYTES, 0))
            file.read(_LAST_BYTES)
            file.seek(0)
    except ValueError:  # fsspec's, for more bytes than were asked for
        served = False
    if not served:
        raise OSError(errno.ESPIPE, "the server does not send parts of it; fetch it first", url)
