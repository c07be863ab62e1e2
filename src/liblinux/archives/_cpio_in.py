"""Reading cpio: "newc" and "crc", one archive or several after the other, as Linux takes an initramfs.

What follows the end of an archive may be compressed, as behind the microcode that
distributions put before their initramfs. Source: Linux
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.archives._entry import SECOND, Entry, no_data, safe_path
from liblinux.archives._errors import ArchiveError
from liblinux.archives._streams import decompressed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

__all__ = ["read_cpio"]

_HEADER_BYTES = 110
_PIECE_BYTES = 1 << 20
_LONGEST_NAME_BYTES = 1 << 16
_LONGEST_LINK_BYTES = 4095
_NEWC, _CRC = b"070701", b"070702"
_OTHERS = {b"070707": "odc", b"\xc7\x71": "binary", b"\x71\xc7": "binary"}


def read_cpio(file: IO[bytes]) -> Iterator[Entry]:
    """The entries of a stream, uncompressed or compressed; `data` is to be read before the next is taken.

    Raises ArchiveError for what is damaged, cut off or names a place outside.
    """
    while True:
        with decompressed(file) as stream:
            archive = _Archive(stream)
            yield from archive.entries()
            # Other archives may follow, also compressed in another way.
            if not archive.skip_zeros():
                return
            file = archive.rest()


class _Archive:
    """One archive of a stream, up to its trailer."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._position = 0
        self._ahead = b""
        self._first: dict[tuple[int, int, int], bytes] = {}  # names of files with several, by their inode
        self._empty: dict[tuple[int, int, int], list[Entry]] = {}  # those that came before the content

    def entries(self) -> Iterator[Entry]:
        while True:
            header = self._read(_HEADER_BYTES)
            magic = header[:6]
            if magic not in (_NEWC, _CRC):
                raise ArchiveError(_no_archive(header, self._position - len(header)))
            try:
                fields = [int(header[at : at + 8], 16) for at in range(6, _HEADER_BYTES, 8)]
            except ValueError:
                raise ArchiveError(f"the archive is damaged: no header at byte {self._position}") from None
            name_bytes = fields[11]
            if not 0 < name_bytes <= _LONGEST_NAME_BYTES:
                raise ArchiveError(f"the archive is damaged: a name of {name_bytes} bytes")
            name = self._read(name_bytes)
            self._align()
            if name[-1:] != b"\0":
                raise ArchiveError(f"the archive is damaged: a name without an end at byte {self._position}")
            if name == b"TRAILER!!!\0":
                yield from self._left()
                return
            yield from self._member(safe_path(name[:-1]), fields, check=magic == _CRC)

    def _member(self, path: bytes, fields: list[int], *, check: bool) -> Iterator[Entry]:
        inode, mode, uid, gid, names, mtime, size, major, minor, rmajor, rminor, _, checksum = fields
        entry = Entry(path, mode, uid, gid, mtime * SECOND)
        kind = stat.S_IFMT(mode)
        if kind == stat.S_IFLNK:
            if size > _LONGEST_LINK_BYTES:
                raise ArchiveError(f"the archive is damaged: the link {entry.name} says {size} bytes")
            entry.link = self._read(size)
            self._align()
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            entry.rdev = os.makedev(rmajor & 0xFFF, rminor & 0xFFFFF)
        elif kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFSOCK):
            raise ArchiveError(f"the archive is damaged: {entry.name} has the mode {mode:o}")
        if kind != stat.S_IFREG:
            yield entry
            return
        entry.size = size
        several = names > 1
        key = (major, minor, inode)
        if several and key in self._first and not size:
            entry.same_as = self._first[key]
            yield entry
            return
        if several and not size:
            self._empty.setdefault(key, []).append(entry)
            return
        yield from self._with_content(entry, checksum if check else None)
        if several:
            self._first[key] = path
            yield from self._others(key, path)

    def _with_content(self, entry: Entry, checksum: int | None) -> Iterator[Entry]:
        """The entry, and whatever of its content nobody wanted is passed over."""
        end = self._position + entry.size
        if entry.size:

            def pieces() -> Iterator[tuple[int, bytes]]:
                offset = total = 0
                while offset < entry.size:
                    data = self._read(min(_PIECE_BYTES, entry.size - offset))
                    total += sum(data) if checksum is not None else 0
                    yield offset, data
                    offset += len(data)
                if checksum is not None and total & 0xFFFFFFFF != checksum:
                    raise ArchiveError(f"the archive is damaged: the checksum of {entry.name} is wrong")

            entry.data = pieces
        yield entry
        entry.data = no_data
        while self._position < end:
            self._read(min(_PIECE_BYTES, end - self._position))
        self._align()

    def _others(self, key: tuple[int, int, int], first: bytes) -> Iterator[Entry]:
        for other in self._empty.pop(key, ()):
            other.same_as = first
            yield other

    def _left(self) -> Iterator[Entry]:
        """Empty files with several names."""
        for key in list(self._empty):
            first, *others = self._empty.pop(key)
            yield first
            for other in others:
                other.same_as = first.path
                yield other

    def _read(self, size: int) -> bytes:
        parts = [self._ahead[:size]]
        self._ahead = self._ahead[size:]
        missing = size - len(parts[0])
        while missing:
            data = self._stream.read(missing)
            if not data:
                raise ArchiveError(f"the archive is cut off at byte {self._position + size - missing}")
            parts.append(data)
            missing -= len(data)
        self._position += size
        return b"".join(parts)

    def _align(self) -> None:
        self._read(-self._position % 4)

    def skip_zeros(self) -> bool:
        """Go to what is no zero; False when nothing comes any more."""
        while not self._ahead:
            data = self._stream.read(_PIECE_BYTES)
            if not data:
                return False
            self._ahead = data.lstrip(b"\0")
        return True

    def rest(self) -> Any:
        """A stream of all that is left."""
        return _Joined(self._ahead, self._stream)


class _Joined:
    """Bytes that were read already, then the stream that they are from."""

    def __init__(self, ahead: bytes, stream: Any) -> None:
        self._ahead = ahead
        self._stream = stream

    def peek(self, size: int) -> bytes:
        """What comes, without taking it."""
        while len(self._ahead) < size and (data := self._stream.read(_PIECE_BYTES)):
            self._ahead += data
        return self._ahead

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""
        if not self._ahead:
            data: bytes = self._stream.read(size)
            return data
        data = self._ahead if size < 0 else self._ahead[:size]
        self._ahead = self._ahead[len(data) :]
        return data + self._stream.read() if size < 0 else data

    read1 = read

    def seekable(self) -> bool:
        """It cannot go back."""
        return False


def _no_archive(header: bytes, position: int) -> str:
    for magic, name in _OTHERS.items():
        if header.startswith(magic):
            return f"this is cpio in the format {name!r}; only newc and crc can be read: convert it with bsdcpio"
    if position:
        return f"the archive is damaged: no header at byte {position}"
    return "this is no cpio archive of the format newc or crc"
