"""make_image(): measure the source, make the file system, let Linux write the tree, put it in its place."""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import ExitStack, suppress
from glob import escape
from uuid import UUID, uuid4, uuid5

from liblinux._arrival import arriving
from liblinux._errors import LiblinuxError
from liblinux._kernel import Kernel
from liblinux._typing import TYPE_CHECKING, Any, Literal, Value
from liblinux.archives._choice import Choice
from liblinux.archives._lost import Losses
from liblinux.archives._sink import TreeWriter
from liblinux.archives._space import Room
from liblinux.making._formats import FORMATS, READ_ONLY, Identity
from liblinux.making._mtree import Mtree
from liblinux.making._plan import Plan
from liblinux.making._programs import Fixed, run_program
from liblinux.making._sources import open_source
from liblinux.making._table import ALIGNMENT_BYTES, PARTITION_START_BYTES, SECTOR_BYTES, TABLE_BYTES, place_in_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from liblinux.copying import Loss
    from liblinux.making._formats import Amount, Format
    from liblinux.making._sources import Source

    Progress = Callable[[int, int], object]

__all__ = ["make_image"]

_SECOND = 10**9
_MOUNTED = b"/mnt"
CONTENT_SUFFIX = ".fs"  # of the file that holds a file system before there is a partition around it
_SIZE = re.compile(r"(\+?)(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?|(\+)(\d+(?:\.\d+)?)%", re.IGNORECASE)
_UNITS = {unit: 1 << 10 * power for power, unit in enumerate(("", "K", "M", "G", "T"))}
_GROWTH = 1.3
_ATTEMPTS = 8
_NTFS_OF_6_1 = (
    "NTFS of Linux 6.1 cannot let its table of files grow; make it with --kernel 6.12, "
    "or with --mkfs-options '-c 2097152' and a --size of 2 MiB for each of up to 2,000 files"
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_HOST_RESERVE_BYTES = 64 << 10  # a file system with less is full
_SMALL_BLOCKS_BELOW = 16 << 20
_NAMESPACE = UUID("6ba30e8a-2c12-4f6c-8a3b-1f0d6f6c6978")  # of identifiers that are made of contents


class _Wanted(Value):
    """What was asked for, checked."""

    format: Format
    table: str | None
    size: str | int
    label: str
    uuid: UUID | None
    epoch: int | None
    mkfs_options: tuple[str, ...]
    mount_options: str
    partition_type: str | None
    strict: bool
    version: str | None
    memory: int | str


def make_image(
    source: str | os.PathLike[str],
    image: str | os.PathLike[str],
    filesystem: str = "ext4",
    *,
    table: Literal["gpt", "dos"] | None = "gpt",
    size: int | str = "auto",
    label: str = "",
    uuid: str | None = None,
    owner: tuple[int, int] | None = None,
    mtree: str | os.PathLike[str] | None = None,
    exclude: Iterable[str] = (),
    source_os: Any = os,
    kind: Literal["directory", "tar", "cpio", "oci"] | None = None,
    platform: str | None = None,
    reference: str | None = None,
    mkfs_options: Sequence[str] = (),
    mount_options: str = "",
    partition_type: str | None = None,
    epoch: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    version: str | None = None,
    memory: int | str = "128M",
) -> list[Loss]:
    """Make a disk image that holds a tree. No rights are needed, whoever owns what is in it.

    `source` is a directory, a tar or cpio archive (compressed or not), a container
    image (an OCI layout or what `docker save` wrote), or "-" for an archive on standard
    input; `kind` says which if its content does not. With `source_os`, the `os` of an
    image, a kernel or a process, it is a tree in there.
    `platform` ("linux/arm64") and `reference` (a name with its tag) choose among container images.

    `filesystem` is one of the keys of `liblinux.making._formats.FORMATS`: ext2, ext3,
    ext4, xfs, btrfs, f2fs, vfat, exfat, ntfs3, hfsplus, udf, minix, nilfs2, jfs; or
    "squashfs", "erofs", "iso9660", which are packed by their own tools. `table` is the
    partition table around it, None for none. `size` of the image in bytes or as "2G";
    "auto" is what the tree takes, "+20%" and "+100M" add to that.

    `owner` (uid, gid) is that of everything; `mtree` a file in the form of mtree(5)
    that says more about single entries and adds some. `exclude` as for tar().
    `label` and `uuid` are the file system's. `mkfs_options` go to its tool,
    `mount_options` to mount, `partition_type` to sfdisk.

    With an `epoch` (SOURCE_DATE_EPOCH, seconds since 1970), the same input gives the
    same bytes: no time is later, identifiers are made of names, sizes, owners and times,
    and tools of file systems are run with a fixed clock. `progress` is called with bytes
    written and bytes in all.

    The image appears under its name when it is complete; where that is inside of
    `source` it is left out. Returns what the file
    system could not hold; with `strict` the first of it raises LostError. Raises
    OSError (ENOSPC, with how much is missing, when it is too small), ArchiveError for
    sources that are damaged or hold absolute paths or "..", LiblinuxError when a
    program is missing or fails, ValueError for arguments that make no sense.
    """
    parse_size(size)
    if os.path.lexists(image) and not os.path.isfile(image):
        raise OSError(errno.EINVAL, "an image is made in a file, and this is none", os.fspath(image))
    losses = Losses(strict=strict)
    specification = None if mtree is None else Mtree.load(os.fspath(mtree))
    newest = None if epoch is None else epoch * _SECOND
    with arriving(image) as path, ExitStack() as stack:
        itself = _itself(os.fspath(source), os.fspath(image), path) if source_os is os else []
        choice = Choice([*exclude, *itself])
        entries = stack.enter_context(open_source(os.fspath(source), choice, source_os, kind, platform, reference))
        if filesystem in READ_ONLY:
            from liblinux.making._packed import pack, stored_owner  # noqa: PLC0415 - not every time

            plan = Plan(choice, stored_owner(filesystem, owner), newest, specification)
            pack(
                filesystem,
                entries,
                plan,
                path,
                losses,
                label=label,
                uuid=uuid,
                owner=owner,
                epoch=epoch,
                options=mkfs_options,
            )
            return losses.all()
        plan = Plan(choice, owner, newest, specification)
        wanted = _Wanted(
            _format(filesystem, uuid, table),
            table,
            size,
            label,
            None if uuid is None else UUID(uuid),
            epoch,
            tuple(mkfs_options),
            mount_options,
            partition_type,
            strict,
            version,
            memory,
        )
        return _Making(wanted, entries, plan, path, progress).run()


def _itself(source: str, image: str, path: str) -> list[str]:
    """Patterns for the image, old and new, where it is made inside of the directory that goes into it."""
    top = os.path.realpath(source)
    names = [os.path.relpath(os.path.realpath(name), top) for name in (image, path, path + CONTENT_SUFFIX)]
    return [f"/{escape(name)}" for name in names if not name.startswith("../") and os.path.isdir(source)]


def _format(filesystem: str, identifier: str | None, table: str | None) -> Format:
    """The file system of that name; ValueError when there is none, or it cannot be what is wanted."""
    if filesystem not in FORMATS:
        known = ", ".join([*FORMATS, *READ_ONLY])
        raise ValueError(f"there is no file system {filesystem!r} to make; there are {known}")
    if table not in (None, "gpt", "dos"):
        raise ValueError(f"table is 'gpt', 'dos' or None, not {table!r}")
    format = FORMATS[filesystem]
    if identifier is not None and not format.has_uuid:
        raise ValueError(f"the tool of {filesystem} cannot be told a UUID")
    return format


def parse_size(size: int | str) -> tuple[int, float, bool]:
    """(bytes, factor, whether both are added to what is needed); ValueError for what is no size."""
    if isinstance(size, int):
        return size, 0.0, False
    if size == "auto":
        return 0, 0.0, True
    found = _SIZE.fullmatch(size)
    if found is None:
        raise ValueError(f"{size!r} is no size; write auto, 2G, 512M, +20% or +100M")
    if found[5]:
        return 0, float(found[5]) / 100, True
    return int(float(found[2]) * _UNITS[found[3].upper()]), 0.0, bool(found[1])


class _Making:
    """One image on its way."""

    def __init__(self, wanted: _Wanted, entries: Source, plan: Plan, path: str, progress: Progress | None) -> None:
        self._wanted = wanted
        self._entries = entries
        self._plan = plan
        self._path = path
        self._progress = progress
        self._content = path + CONTENT_SUFFIX
        self._amount, self._digest = plan.measure(entries())

    def run(self) -> list[Loss]:
        """Make it, larger and larger where the size is ours to choose."""
        wanted = self._wanted
        fixed_bytes, factor, added = parse_size(wanted.size)
        size = self._needed() if added else fixed_bytes
        size += int(size * factor) + (fixed_bytes if added else 0)
        for attempt in range(_ATTEMPTS):
            try:
                return self._attempt(size, last=not added or attempt == _ATTEMPTS - 1)
            except _TooSmall:
                size = int(size * _GROWTH)
        raise AssertionError("the last attempt raises something else")

    def _needed(self) -> int:
        format = self._wanted.format
        return max(format.estimate(self._amount), format.minimum) + (TABLE_BYTES if self._wanted.table else 0)

    def _attempt(self, size: int, *, last: bool) -> list[Loss]:
        size -= size % ALIGNMENT_BYTES if size > ALIGNMENT_BYTES else size % SECTOR_BYTES
        self._make_filesystem(size)
        # Whoever asks for the same again gets the same, and two that are asked for differ.
        seed = self._digest if self._wanted.epoch is not None else None
        now = self._wanted.epoch * _SECOND if self._wanted.epoch is not None else time.time_ns()
        with Kernel(
            self._wanted.memory, clock="virtual", seed=seed, realtime=now, version=self._wanted.version
        ) as kernel:
            disk = kernel.attach(self._path)
            options = ",".join(filter(None, (self._wanted.format.mount_options, self._wanted.mount_options)))
            partition = 1 if self._wanted.table else 0
            kernel.mount(disk, _MOUNTED.decode(), partition, self._wanted.format.type, options, readonly=False)
            losses = self._fill(kernel, last=last)
        if self._wanted.format.afterwards is not None:
            self._wanted.format.afterwards(self._path, PARTITION_START_BYTES if self._wanted.table else 0)
        return losses.all()

    def _fill(self, kernel: Kernel, *, last: bool) -> Losses:
        wanted = self._wanted
        losses = Losses(strict=wanted.strict)
        room = Room(kernel.os, _MOUNTED)
        writer = TreeWriter(kernel.os, _MOUNTED, losses, self._meter())
        entries = self._plan.of(self._entries())
        try:
            for entry in entries:
                room.count(entry)
                writer.add(entry)
            writer.finish()
            kernel.umount(_MOUNTED.decode())
        except OSError as error:
            self._check_host(error)
            if error.errno in _FULL and not last:
                raise _TooSmall from None
            if error.errno in _FULL and wanted.format.type == "ntfs3" and kernel.release.startswith("6.1."):
                raise OSError(error.errno, _NTFS_OF_6_1, error.filename) from None
            raise room.explained(error, entries) from None
        return losses

    def _check_host(self, error: OSError) -> None:
        """Raise what is the matter where it is the host that is full: the kernel knows of it as an I/O error."""
        directory = os.path.dirname(os.path.abspath(self._path))
        space = os.statvfs(directory)
        free = space.f_bavail * space.f_frsize
        if error.errno not in (*_FULL, errno.EIO, errno.EROFS) or free >= _HOST_RESERVE_BYTES:
            return
        missing = max(self._amount.bytes - os.stat(self._path).st_blocks * SECTOR_BYTES, _HOST_RESERVE_BYTES)
        reason = f"no space left on the host: the image needs at least {missing:,} bytes more than the {free:,} free"
        raise OSError(errno.ENOSPC, reason, directory) from None

    def _meter(self) -> Callable[[int], object] | None:
        progress, total, done = self._progress, self._amount.bytes, 0
        if progress is None:
            return None

        def written(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        return written

    # ---- the empty file system

    def _make_filesystem(self, size: int) -> None:
        wanted = self._wanted
        format = wanted.format
        start = PARTITION_START_BYTES if wanted.table else 0
        content_size = size - (TABLE_BYTES if wanted.table else 0)
        if content_size < format.minimum:
            raise LiblinuxError(
                f"the image is too small: {format.name} needs at least {format.minimum:,} bytes"
                f"{' and the partition table 2 MiB' if wanted.table else ''}, and it would have {size:,}"
            )
        path = self._content if wanted.table else self._path
        try:
            with open(path, "wb") as file:
                file.truncate(content_size)
            self._mkfs(path, start, content_size)
            if wanted.table:
                place_in_table(
                    self._path, path, wanted.table, format, self._identity, wanted.label, wanted.partition_type
                )
                os.unlink(path)
        except BaseException:
            if wanted.table:
                with suppress(FileNotFoundError):
                    os.unlink(path)
            raise

    @property
    def _identity(self) -> UUID:
        if self._wanted.uuid is not None:
            return self._wanted.uuid
        if self._wanted.epoch is None:
            return uuid4()
        return uuid5(_NAMESPACE, f"{self._digest.hex()} {self._wanted.format.name} {self._wanted.label}")

    def _mkfs(self, path: str, start: int, size: int) -> None:
        wanted = self._wanted
        format = wanted.format
        fixed = None
        if wanted.epoch is not None and not format.fixed:
            fixed = Fixed(wanted.epoch, int.from_bytes(self._digest[:8], "big"))
        named = wanted.uuid is not None or wanted.epoch is not None
        options = list(wanted.mkfs_options)
        if format.package == "e2fsprogs":
            # Not mke2fs.conf's choice, which differs from host to host.
            options[:0] = ["-b", "1024" if size < _SMALL_BLOCKS_BELOW else "4096"]
        identity = Identity(
            self._identity if named and format.has_uuid else None,
            wanted.label,
            start // SECTOR_BYTES,
            _inodes(self._amount, size),
            self._amount.fat_entries,
        )
        run_program(format.command(path, identity, options), format.package, fixed=fixed, epoch=wanted.epoch)


def _inodes(amount: Amount, size: int) -> int:
    """How many inodes ext4 gets: one for 16 KiB, and enough for the tree. mke2fs.conf differs from host to host."""
    return max(amount.entries + amount.entries // 10 + 64, size // 16384)


class _TooSmall(Exception):
    """It did not fit, and the size was ours."""
