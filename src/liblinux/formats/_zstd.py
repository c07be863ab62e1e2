"""Zstandard, by the package `zstandard`: the standard library has it only since Python 3.14."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["ZstdError", "decompress_zstd", "unpack_zstd"]

ZstdError = zstandard.ZstdError
_CHUNK_BYTES = 1 << 20
# Frames of `zstd --long=31` need that much; others none of it.
_LARGEST_WINDOW_BYTES = 1 << 31


def decompress_zstd(packed: bytes, length: int) -> bytes:
    """The first `length` bytes of one frame, which what follows it does not disturb. ValueError if damaged."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES)
    try:
        with unpacker.stream_reader(packed) as reader:
            return reader.read(length)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def unpack_zstd(file: BinaryIO) -> Iterator[bytes]:
    """All frames of a file, in pieces. ZstdError if damaged, EOFError if it ends early."""
    # Not by stream_reader(): it takes a frame that ends too early for one that ends.
    unpacker = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES)
    packed = file.read(_CHUNK_BYTES)
    while packed:
        frame = unpacker.decompressobj(write_size=_CHUNK_BYTES)
        while not frame.eof:
            if not packed:
                raise EOFError("the stream ends early")
            yield frame.decompress(packed)
            packed = frame.unused_data if frame.eof else file.read(_CHUNK_BYTES)
        packed = packed or file.read(_CHUNK_BYTES)
