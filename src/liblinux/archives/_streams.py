"""Compressed streams: told by their first bytes when read, by name or option when written.

gzip, bzip2 and xz by the standard library; zstd by `zstandard`, since Python's own
came with 3.14.
"""

from __future__ import annotations

import contextlib
import io
import os

from liblinux._errors import LiblinuxError
from liblinux._typing import IO, TYPE_CHECKING, Any
from liblinux.archives._errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COMPRESSIONS", "compression_of_name", "compressor", "decompressed", "read_checksum"]

_MAGIC = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\0", "zstd": b"\x28\xb5\x2f\xfd"}
_SUFFIXES = {
    ".gz": "gzip",
    ".tgz": "gzip",
    ".bz2": "bzip2",
    ".tbz2": "bzip2",
    ".xz": "xz",
    ".txz": "xz",
    ".zst": "zstd",
    ".tzst": "zstd",
}
COMPRESSIONS = tuple(_MAGIC)
_LONGEST_MAGIC = 6
_BUFFER_BYTES = 1 << 20


def compression_of_name(name: str) -> str | None:
    """The compression that the name of a file stands for, or None."""
    return _SUFFIXES.get(os.path.splitext(name)[1].lower())


@contextlib.contextmanager
def compressor(file: Any, compression: str | None, level: int | None = None) -> Iterator[Any]:
    """A stream that writes to `file`, compressed; ended but not closed. The same input gives the same bytes."""
    if compression is None:
        yield file
        return
    stream = _compressing(file, compression, level)
    yield stream
    stream.close()


def _compressing(file: Any, compression: str, level: int | None) -> Any:
    if compression == "gzip":
        import gzip  # noqa: PLC0415 - only when it is asked for, here and below

        return gzip.GzipFile("", "wb", 6 if level is None else level, file, mtime=0)
    if compression == "bzip2":
        import bz2  # noqa: PLC0415

        return bz2.BZ2File(file, "wb", compresslevel=9 if level is None else level)
    if compression == "xz":
        import lzma  # noqa: PLC0415

        return lzma.LZMAFile(file, "wb", preset=level, check=lzma.CHECK_CRC32)
    import zstandard  # noqa: PLC0415

    writer = zstandard.ZstdCompressor(level=3 if level is None else level, write_checksum=True)
    return writer.stream_writer(file, closefd=False)


@contextlib.contextmanager
def decompressed(file: IO[bytes], what: str = "the archive") -> Iterator[IO[bytes]]:
    """A stream of what is in `file`, whatever of gzip, bzip2, xz and zstd it is compressed with, or nothing.

    Inside of the block errors of the decompression become ArchiveError, and so does
    the end of a file that ends too early.
    """
    buffered: Any = file if hasattr(file, "peek") else io.BufferedReader(file, _BUFFER_BYTES)
    start: bytes = buffered.peek(_LONGEST_MAGIC)
    found = next((name for name, magic in _MAGIC.items() if start.startswith(magic)), None)
    if found is None:
        yield buffered
        return
    with _damage_of(found, what), _decompressing(buffered, found) as stream:
        yield stream


def read_checksum(stream: IO[bytes]) -> None:
    """After the last that is wanted of a stream of decompressed(): what it ends with is compared as well.

    The checksum is behind it, and damage may be in what an archive is filled up with.
    """
    if isinstance(stream, io.BufferedReader) and not isinstance(stream.raw, _Zstd):
        return  # it is not compressed
    while stream.read(_BUFFER_BYTES):
        pass


@contextlib.contextmanager
def _damage_of(compression: str, what: str) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise ArchiveError(f"{what} is cut off: its {compression} stream ends too early") from None
    except OSError as error:
        # gzip and bz2 say OSError without a number of what the kernel has nothing to do with.
        if error.errno is not None:
            raise
        raise ArchiveError(f"{what} is damaged: {compression}: {error}") from None
    except LiblinuxError:
        raise
    except Exception as error:
        if type(error).__name__ not in ("LZMAError", "ZstdError", "error"):
            raise
        raise ArchiveError(f"{what} is damaged: {compression}: {error}") from None


def _decompressing(file: Any, compression: str) -> Any:
    if compression == "gzip":
        import gzip  # noqa: PLC0415

        return gzip.GzipFile(fileobj=file, mode="rb")
    if compression == "bzip2":
        import bz2  # noqa: PLC0415

        return bz2.BZ2File(file, "rb")
    if compression == "xz":
        import lzma  # noqa: PLC0415

        return lzma.LZMAFile(file, "rb")
    import zstandard  # noqa: PLC0415

    return io.BufferedReader(_Zstd(zstandard, file), _BUFFER_BYTES)


class _Zstd(io.RawIOBase):
    """All frames of a zstd stream; a last one that is cut off is an EOFError.

    zstandard's own stream reader takes a stream that ends in the middle of a frame
    for one that ends.
    """

    def __init__(self, zstandard: Any, file: Any) -> None:
        super().__init__()
        self._zstandard = zstandard
        self._file = file
        self._frame: Any = None
        self._input = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._output:
            if not self._more():
                return 0
        count = min(len(buffer), len(self._output))
        buffer[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def _more(self) -> bool:
        """Decompress another piece; False at the end."""
        data = self._input or self._file.read1(_BUFFER_BYTES // 8)
        self._input = b""
        if not data:
            if self._frame is not None:
                raise EOFError
            return False
        if self._frame is None:
            self._frame = self._zstandard.ZstdDecompressor().decompressobj()
        self._output = memoryview(self._frame.decompress(data))
        if self._frame.eof:
            self._input = self._frame.unused_data
            self._frame = None
        return True
