"""tar(), untar(), cpio(), uncpio(): whole trees to and from streams."""

from __future__ import annotations

import os
import stat

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.archives._choice import Choice
from liblinux.archives._lost import Losses
from liblinux.archives._source import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Literal

    from liblinux.archives._entry import Entry
    from liblinux.copying import Loss

    Compression = Literal["gzip", "bzip2", "xz", "zstd"]
    Progress = Callable[[int], object]


__all__ = ["cpio", "tar", "uncpio", "unpack", "untar"]


def tar(
    system: Any,
    path: str | bytes,
    file: IO[bytes],
    *,
    compression: Compression | None = None,
    exclude: Iterable[str] = (),
    strict: bool = False,
    progress: Progress | None = None,
) -> list[Loss]:
    """Write the tree at `path` to `file`, in order of its names, as POSIX tar (PAX).

    `system` is the `os` of an image, a kernel or a process (or the host's). Kept are
    owners, modes, times of modification to the nanosecond, links, devices, holes,
    extended attributes and ACLs; the same tree gives the same bytes. Owners are
    numbers. Patterns of `exclude` are those of a shell, at any depth. `progress` is
    called with bytes of content.

    Returns what tar cannot hold: sockets are left out. With `strict` the first of
    them raises LostError. Raises OSError, ArchiveError for a tree that changes.
    """
    from liblinux.archives._streams import compressor  # noqa: PLC0415 - re is not needed to start quickly
    from liblinux.archives._tar_out import TarWriter  # noqa: PLC0415

    losses = Losses(strict=strict)
    with compressor(file, compression) as stream:
        writer = TarWriter(stream)
        for entry in read_tree(system, path, Choice(exclude)):
            if stat.S_ISSOCK(entry.mode):
                losses.add("sockets", "tar has no type for them", entry)
                continue
            writer.add(entry)
            if progress is not None:
                progress(entry.size)
        writer.close()
    return losses.all()


def cpio(
    system: Any,
    path: str | bytes,
    file: IO[bytes],
    *,
    compression: Compression | None = None,
    exclude: Iterable[str] = (),
    strict: bool = False,
    progress: Progress | None = None,
) -> list[Loss]:
    """Write the tree at `path` to `file` as cpio in the format newc, which Linux takes as an initramfs.

    Arguments and result are those of tar(). Lost are extended attributes, ACLs and
    parts of seconds; holes are filled. Files have less than 4 GiB. The same tree
    gives the same bytes: inodes are numbered in the order of names. xz is written with
    the checksum that Linux can check.
    """
    from liblinux.archives._cpio_out import CpioWriter  # noqa: PLC0415
    from liblinux.archives._streams import compressor  # noqa: PLC0415

    losses = Losses(strict=strict)
    with compressor(file, compression) as stream:
        writer = CpioWriter(stream, losses)
        for entry in read_tree(system, path, Choice(exclude)):
            writer.add(entry)
            if progress is not None:
                progress(entry.size)
        writer.close()
    return losses.all()


def uncpio(
    system: Any,
    path: str | bytes,
    file: IO[bytes],
    *,
    exclude: Iterable[str] = (),
    strip_components: int = 0,
    strict: bool = False,
    progress: Progress | None = None,
) -> list[Loss]:
    """Unpack cpio (newc or crc), compressed or not, into the directory `path`; all of it, or nothing.

    Several archives may follow each other, as in an initramfs with microcode before
    it. Arguments, result and what is raised are those of untar().
    """
    from liblinux.archives._cpio_in import read_cpio  # noqa: PLC0415

    entries = chosen(read_cpio(file), Choice(exclude, strip_components))
    return unpack(system, path, entries, strict=strict, progress=progress)


def untar(
    system: Any,
    path: str | bytes,
    file: IO[bytes],
    *,
    exclude: Iterable[str] = (),
    strip_components: int = 0,
    strict: bool = False,
    progress: Progress | None = None,
) -> list[Loss]:
    """Unpack a tar, compressed or not, into the directory `path`; all of it, or nothing.

    It is unpacked into a new directory inside of `path` first. When it is whole, its
    files are moved to their places, where they replace files of the same name;
    directories are merged. So there must be room for both. Owners are numbers, names
    are not looked at (but for names in ACLs, which the tree's own /etc/passwd
    explains). `progress` is called with bytes of content.

    Returns what the file system cannot hold: owners, modes, attributes, special
    files. With `strict` the first of it raises LostError. Raises ArchiveError for an
    archive that is damaged, cut off, or holds absolute paths or "..", and for a file
    where a directory is or the other way round; OSError when a name cannot be held
    or, with how much is missing, there is no room. Nothing was changed then.
    """
    from liblinux.archives._numbers import numbers_of  # noqa: PLC0415
    from liblinux.archives._streams import decompressed  # noqa: PLC0415
    from liblinux.archives._tar_in import read_tar  # noqa: PLC0415

    with decompressed(file) as stream:
        entries = read_tar(stream, numbers_of(system))
        choice = Choice(exclude, strip_components)
        return unpack(system, path, chosen(entries, choice), strict=strict, progress=progress)


def chosen(entries: Iterable[Entry], choice: Choice) -> Iterator[Entry]:
    """Those that are wanted, under the names that they get."""
    for entry in entries:
        path = choice.renamed(entry.path)
        if path is None:
            continue
        entry.path = path
        if entry.same_as is not None:
            first = choice.renamed(entry.same_as)
            # Its first name was left out: whatever writes it says so.
            entry.same_as = entry.same_as if first is None else first
        yield entry


def unpack(
    system: Any, path: str | bytes, entries: Iterator[Entry], *, strict: bool, progress: Progress | None
) -> list[Loss]:
    """Write entries below a directory by way of a stage; see untar()."""
    from liblinux.archives._sink import TreeWriter  # noqa: PLC0415
    from liblinux.archives._space import Room  # noqa: PLC0415
    from liblinux.archives._stage import Stage  # noqa: PLC0415

    top = os.fsencode(path)
    losses = Losses(strict=strict)
    room = Room(system, top)
    stage = Stage(system, top)
    try:
        writer = TreeWriter(system, stage.path, losses, progress)
        try:
            for entry in entries:
                room.count(entry)
                writer.add(entry)
            writer.finish()
        except OSError as error:
            raise room.explained(error, entries) from None
        finally:
            writer.abandon()
        try:
            stage.move(writer)
        except OSError as error:
            raise room.explained(error, ()) from None
    except BaseException:
        stage.remove()
        raise
    return losses.all()
