"""Reading tar: all that the standard library's `tarfile` knows, but nothing that is damaged.

`tarfile` takes a header that is damaged for the end of the archive, and an archive
without an end for a whole one; here both are errors. Times are read from their
decimal text, for `tarfile` makes floating-point numbers of them.
"""

from __future__ import annotations

import base64
import io
import os
import stat
import tarfile
from urllib.parse import unquote

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.archives._acl import ACL_ACCESS, ACL_DEFAULT, acl_from_text
from liblinux.archives._entry import SECOND, Entry, no_data, safe_path
from liblinux.archives._errors import ArchiveError
from liblinux.archives._streams import read_checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    NumberOf = Callable[[str, str], int | None]

__all__ = ["read_tar"]

_PIECE_BYTES = 1 << 20
_LONGEST_HEADER_BYTES = 64 << 20  # of names and attributes; Linux has none beyond 64 KiB
_VOLUME_LABEL, _DUMP_DIRECTORY = b"V", b"D"
_KINDS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.AREGTYPE: stat.S_IFREG,
    tarfile.CONTTYPE: stat.S_IFREG,
    tarfile.GNUTYPE_SPARSE: stat.S_IFREG,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.DIRTYPE: stat.S_IFDIR,
    _DUMP_DIRECTORY: stat.S_IFDIR,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}
_ACLS = {"SCHILY.acl.access": ACL_ACCESS, "SCHILY.acl.default": ACL_DEFAULT}
_SCHILY, _LIBARCHIVE = "SCHILY.xattr.", "LIBARCHIVE.xattr."


class _Member(tarfile.TarInfo):
    """A member whose header must be right."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # not in the type stubs
            raise  # the block of zeros at the end
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise ArchiveError("the archive is cut off: its end is missing") from None
        except tarfile.TruncatedHeaderError:  # type: ignore[attr-defined]
            raise ArchiveError("the archive is cut off in the middle of a header") from None
        except (tarfile.HeaderError, ValueError, IndexError) as error:
            where = archive.fileobj.tell() if archive.fileobj else 0
            raise ArchiveError(f"the archive is damaged at byte {where}: {error}") from None

    def _proc_member(self, archive: tarfile.TarFile) -> _Member:
        # To be overridden by subclasses, as tarfile says.
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, *_LONG_NAMES)
        if self.size < 0 or (self.type in extended and self.size > _LONGEST_HEADER_BYTES):
            raise ArchiveError(f"the archive is damaged: a header of {self.size} bytes")
        member: _Member = super()._proc_member(archive)  # type: ignore[misc]
        return member


_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def read_tar(file: IO[bytes], number_of: NumberOf | None = None) -> Iterator[Entry]:
    """The entries of an uncompressed tar, in its order; `data` of each is to be read before the next is taken.

    `number_of("user", "lisa")` is asked for the numbers of names in ACLs without one.
    Raises ArchiveError for what is damaged, cut off or names a place outside.
    """
    with _opened(file) as archive:
        while True:
            try:
                member = archive.next()
            except tarfile.TarError as error:
                raise ArchiveError(f"the archive is damaged or cut off: {error}") from None
            if member is None:
                read_checksum(file)
                return
            archive.members.clear()  # type: ignore[attr-defined]  # else it would remember all of a long archive
            if member.type != _VOLUME_LABEL:
                yield _entry(archive, member, number_of or _unknown)


def _opened(file: IO[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.TarFile(
            fileobj=_Forward(file),
            tarinfo=_Member,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except tarfile.TarError as error:
        raise ArchiveError(f"this is no tar archive: {error}") from None


class _Forward(io.RawIOBase):
    """A stream that can be read on and on, as tarfile wants it: with a position.

    tarfile's own, of mode "r|", copies all that it has read ahead for each header.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._read = file.read
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end."""
        data = self._read(size)
        self._position += len(data)
        return data

    def tell(self) -> int:
        """How much was read."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Read on to there; tarfile never goes back."""
        while self._position < offset and self.read(min(_PIECE_BYTES, offset - self._position)):
            pass
        return self._position


def _unknown(kind: str, name: str) -> int | None:
    return None


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, number_of: NumberOf) -> Entry:
    path = safe_path(_raw(member.name))
    mode, uid, gid = member.mode & 0o7777, member.uid & 0xFFFFFFFF, member.gid & 0xFFFFFFFF
    mtime = _time(member)
    if member.type == tarfile.LNKTYPE:
        return Entry(path, stat.S_IFREG | mode, uid, gid, mtime, same_as=safe_path(_raw(member.linkname)))
    kind = _KINDS.get(member.type)
    if kind is None:
        raise ArchiveError(f"the archive holds {member.name!r}, of a type that is not known: {member.type!r}")
    xattrs = _xattrs(member, number_of) if member.pax_headers else {}
    entry = Entry(path, kind | mode, uid, gid, mtime, xattrs=xattrs)
    if kind == stat.S_IFREG:
        entry.size = member.size
        sparse = getattr(member, "sparse", None)
        if sparse is not None:
            entry.extents = _checked(sparse, member)
        entry.data = _content(archive, member, entry.extents) if member.size else no_data
    elif kind == stat.S_IFLNK:
        entry.link = _raw(member.linkname)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        entry.rdev = os.makedev(member.devmajor & 0xFFF, member.devminor & 0xFFFFF)
    return entry


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _time(member: tarfile.TarInfo) -> int:
    """In nanoseconds, without a detour by floating point."""
    text = member.pax_headers.get("mtime")
    if text is None:
        return int(member.mtime) * SECOND
    whole, _, digits = text.partition(".")
    try:
        seconds = int(whole or "0")
        nanoseconds = int((digits + "0" * 9)[:9])
    except ValueError:
        raise ArchiveError(f"the archive is damaged: {member.name!r} has the time {text!r}") from None
    return seconds * SECOND + (-nanoseconds if whole.startswith("-") else nanoseconds)


def _checked(sparse: list[tuple[int, int]], member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """The extents of a sparse file, which must be in order and inside of it."""
    end = 0
    for start, length in sparse:
        if start < end or length < 0 or start + length > member.size:
            raise ArchiveError(f"the archive is damaged: the map of the sparse file {member.name!r} is wrong")
        end = start + length
    return [(start, length) for start, length in sparse if length]


def _content(
    archive: tarfile.TarFile, member: tarfile.TarInfo, extents: list[tuple[int, int]] | None
) -> Callable[[], Iterator[tuple[int, bytes]]]:
    def pieces() -> Iterator[tuple[int, bytes]]:
        file: Any = archive.fileobj
        file.seek(member.offset_data)
        for start, length in extents if extents is not None else [(0, member.size)]:
            done = 0
            while done < length:
                data = file.read(min(_PIECE_BYTES, length - done))
                if not data:
                    raise ArchiveError(f"the archive is cut off in the middle of {member.name!r}")
                yield start + done, data
                done += len(data)

    return pieces


def _xattrs(member: tarfile.TarInfo, number_of: NumberOf) -> dict[str, bytes]:
    """Attributes and ACLs, as GNU tar, star, bsdtar and the tools of containers write them."""
    found: dict[str, bytes] = {}
    for key, value in member.pax_headers.items():
        if key.startswith(_LIBARCHIVE):
            name = unquote(key.removeprefix(_LIBARCHIVE), "utf-8", "surrogateescape")
            # Without padding at the end; Python wants it.
            found.setdefault(name, base64.b64decode(value + "=" * (-len(value) % 4)))
        elif key.startswith(_SCHILY):
            name = key.removeprefix(_SCHILY).replace("%3D", "=").replace("%25", "%")
            found[name] = _raw(value)
        elif key in _ACLS:
            found[_ACLS[key]] = acl_from_text(value, number_of)
        elif key == "RHT.security.selinux":
            found["security.selinux"] = _raw(value).rstrip(b"\0") + b"\0"
    return found
