"""Images that fsspec has to find: by URL, read block by block as they are needed.

Blocks are kept by fsspec's own "blockcache" (the last ones used, each fetched
once); the kernel's page cache stands above it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import fsspec

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["BLOCK_BYTES", "CACHED_BLOCKS", "open_remote"]

# A round trip to a server costs about what sending this much does.
BLOCK_BYTES = 1 << 18
CACHED_BLOCKS = 128


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
    file = fs.open(
        path, "rb", block_size=BLOCK_BYTES, cache_type="blockcache", cache_options={"maxblocks": CACHED_BLOCKS}
    )
    if not file.seekable() or getattr(file, "size", 0) is None:
        file.close()
        raise OSError(29, f"{os.strerror(29)}: the server does not serve parts of it; fetch it first", url)
    return cast("BinaryIO", file)
