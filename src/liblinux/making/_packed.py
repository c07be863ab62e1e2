"""File systems that are only read: SquashFS, EROFS and ISO 9660, packed by their own tools.

SquashFS takes a tar stream, and so everything that a tar holds, from any source. The
others want a directory of the host: the tree is written there first, and what the
host does not let a user make (owners, devices) is lost, and said.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
import threading
from itertools import chain

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING
from liblinux.archives._entry import SECOND
from liblinux.archives._sink import TreeWriter
from liblinux.archives._tar_out import TarWriter
from liblinux.making._programs import find_program, run_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from liblinux.archives._entry import Entry
    from liblinux.archives._lost import Losses
    from liblinux.making._plan import Plan
    from liblinux.making._sources import Source

__all__ = ["pack", "stored_owner"]

_ACLS = "system.posix_acl"


def pack(
    filesystem: str,
    entries: Source,
    plan: Plan,
    path: str,
    losses: Losses,
    *,
    label: str,
    uuid: str | None,
    owner: tuple[int, int] | None,
    epoch: int | None,
    options: Sequence[str],
) -> None:
    """Write the file system to the file `path`, which is there and empty. What it raises: see make_image().

    `owner` of everything is set by the tool where it has an option for that.
    """
    if filesystem == "squashfs":
        if label or uuid:
            raise LiblinuxError("SquashFS has neither a label nor a UUID")
        _squashfs(entries, plan, path, losses, epoch, options)
        return
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path) or ".", prefix=".liblinux-") as directory:
        top = os.path.join(directory, "tree")
        os.mkdir(top)
        writer = TreeWriter(os, os.fsencode(top), losses)
        try:
            planned = plan.of(entries())
            for entry in _for_iso(planned, losses, epoch) if filesystem == "iso9660" else planned:
                writer.add(entry)
            writer.finish()
        finally:
            writer.abandon()
        if filesystem == "erofs":
            given = [] if owner is None else [f"--force-uid={owner[0]}", f"--force-gid={owner[1]}"]
            _erofs(top, path, label, uuid, epoch, [*given, *options])
        else:
            given = [] if owner is None else ["-uid", str(owner[0]), "-gid", str(owner[1])]
            _iso(top, path, label, epoch, [*given, *options])
        _make_removable(top)


def stored_owner(filesystem: str, owner: tuple[int, int] | None) -> tuple[int, int] | None:
    """The owner of what is written: where the tool changes it later, whoever is allowed to be it."""
    return owner if owner is None or filesystem == "squashfs" else (os.geteuid(), os.getegid())


def _squashfs(
    entries: Source, plan: Plan, path: str, losses: Losses, epoch: int | None, options: Sequence[str]
) -> None:
    os.unlink(path)  # it would be added to
    planned = _for_squashfs(plan.of(entries()), losses)
    first = next(planned, None)
    program = find_program("sqfstar", "squashfs-tools")
    command = [program, *_root_options(first), *options, "-quiet", "-no-progress", path]
    environment = {**os.environ, "TZ": "UTC"}
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = str(epoch)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        said: list[bytes] = []
        reader = threading.Thread(target=lambda stream=process.stdout: said.append(stream.read()))
        reader.start()
        try:
            writer = TarWriter(process.stdin)
            for entry in chain(filter(None, [first]), planned):
                if stat.S_ISSOCK(entry.mode):
                    losses.add("sockets", "sqfstar takes none", entry)
                    continue
                writer.add(entry)
            writer.close()
            process.stdin.close()
        except BrokenPipeError:
            pass  # it ended with an error, and says which
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            reader.join()
    if process.returncode:
        raise LiblinuxError(
            f"sqfstar failed ({process.returncode}): {b''.join(said).decode('utf-8', 'replace').strip()}"
        )


def _for_squashfs(entries: Iterable[Entry], losses: Losses) -> Iterator[Entry]:
    """The entries; what SquashFS has no place for, or sqfstar does not take, is noted."""
    for entry in entries:
        if entry.same_as is None:
            if any(name.startswith(_ACLS) for name in entry.xattrs):
                losses.add("access control lists", "SquashFS has none", entry)
            _note_time(entry, losses)
        yield entry


def _for_iso(entries: Iterable[Entry], losses: Losses, epoch: int | None) -> Iterator[Entry]:
    """The entries; what ISO 9660 with Rock Ridge has no place for in Linux is noted."""
    why = "ISO 9660 has none"
    for entry in entries:
        if entry.same_as is not None:
            losses.add("hard links (they are files of their own now)", "Linux finds none in ISO 9660", entry)
        for name in entry.xattrs:
            losses.add("access control lists" if name.startswith(_ACLS) else f"extended attribute {name}", why, entry)
        # The host's mode bits say what is left of an ACL: xorriso takes them from there.
        entry.xattrs = {name: value for name, value in entry.xattrs.items() if name.startswith(_ACLS)}
        if entry.same_as is None and epoch is None:  # else all times are that one
            _note_time(entry, losses)
        yield entry


def _note_time(entry: Entry, losses: Losses) -> None:
    if (entry.mtime or 0) % SECOND:
        losses.add("times", "the target rounds them", entry)


def _root_options(first: Entry | None) -> list[str]:
    """sqfstar does not look at the entry of the directory at the top, and gives it no permissions worth having."""
    if first is None or first.path:
        return ["-root-mode", "755", "-root-uid", "0", "-root-gid", "0"]
    options = ["-root-mode", f"{first.mode & 0o7777:o}", "-root-uid", str(first.uid), "-root-gid", str(first.gid)]
    return [*options, "-root-time", str(max(0, (first.mtime or 0) // SECOND))]


def _erofs(top: str, path: str, label: str, uuid: str | None, epoch: int | None, options: Sequence[str]) -> None:
    command = ["mkfs.erofs", *options]
    if label:
        raise LiblinuxError("mkfs.erofs of Debian 12 knows no labels")
    if uuid is not None or epoch is not None:
        command += ["-U", uuid or "00000000-0000-0000-0000-000000000000"]
    if epoch is not None:
        command += ["-T", str(epoch)]
    run_program([*command, path, top], "erofs-utils", epoch=epoch)


def _iso(top: str, path: str, label: str, epoch: int | None, options: Sequence[str]) -> None:
    os.unlink(path)  # xorriso would take it for a disc to go on with
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", *(["-V", label] if label else []), *options]
    if epoch is not None:
        stamp = _stamp(epoch)
        command += ["--modification-date=" + stamp, "--set_all_file_dates", stamp]
    run_program([*command, "-o", path, top], "xorriso", epoch=epoch)


def _stamp(epoch: int) -> str:
    import time  # noqa: PLC0415 - only here

    return time.strftime("%Y%m%d%H%M%S00", time.gmtime(epoch))


def _make_removable(top: str) -> None:
    """Directories that may not be written can else not be emptied by a normal user."""
    for directory, _, _ in os.walk(top):
        os.chmod(directory, 0o700)
