"""One copy: the order of its passes, and what is left when it does not end well.

A tree that is new at its target is made under a temporary name and renamed when
it is complete; what fails or is interrupted before that leaves nothing. Into a
tree that is there already each file comes by a rename of its own: what was
complete stays.
"""

from __future__ import annotations

import errno
import os
import stat as stat_modes
from array import array

from liblinux import _native
from liblinux._errors import LiblinuxError
from liblinux._fat_directory import why_directory_is_full
from liblinux._os_base import decode
from liblinux._typing import TYPE_CHECKING, Any, Literal, Value
from liblinux.copying._foresee import name_collisions, sample
from liblinux.copying._place import Place, isolated
from liblinux.copying._report import CopyFailed, CopyReport, Problems
from liblinux.copying._survey import DEV, INO, Survey

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["PRESERVE_ALL", "Copy", "CopyProgress", "copy_tree"]

# enum host_copy_keep
KEEP = {"owner": 1, "mode": 2, "times": 4, "xattrs": 8, "flags": 16}
PRESERVE_ALL = frozenset(KEEP)
_EMPTY, _FSYNC = 32, 64
# enum host_copy_pass, host_copy_sparse, host_copy_existing
_MAKE, _FINISH, _FLAGS, _REMOVE, COMPARE = range(5)
_SPARSE = {"auto": 0, "always": 1, "never": 2}
_EXISTING = {"replace": 0, "skip": 1, "refuse": 2}
# struct host_copy_note, and places in that of the top.
_NOTE_BYTES = 8
_MADE, _FRESH = 4, 5
_NO_TIME = 2**63 - 1
_NO_END = 2**64 - 1
_FULL = (errno.ENOSPC, errno.EDQUOT)


class CopyOptions(Value):
    """Numbers of kernel/host/copy.h."""

    keep: int = sum(KEEP.values())
    mode_mask: int = 0o7777
    sparse: int = 0
    existing: int = 0
    exact: bool = False
    most: int = _NO_END
    newest: int = _NO_TIME


class CopyProgress:
    """How far a copy is; of several copies, one after the other, of all of them.

    `total` are the bytes of all files, without holes, as far as they are known.
    """

    def __init__(self) -> None:
        self.total = 0
        self.counter = array("Q", [0])

    @property
    def done(self) -> int:
        """Bytes that were read."""
        return self.counter[0]


def copy_tree(
    source: Any,
    target: Any,
    *,
    source_os: Any = os,
    target_os: Any = os,
    preserve: Collection[str] = PRESERVE_ALL,
    mode_mask: int = 0o7777,
    sparse: Literal["auto", "always", "never"] = "auto",
    existing: Literal["replace", "skip", "refuse"] = "replace",
    strict: bool = False,
    follow_mounts: bool = True,
    by_name: bool = False,
    newest_ns: int | None = None,
    fsync: bool = False,
    progress: CopyProgress | None = None,
) -> CopyReport:
    """Copy a file or a tree to `target`, which is its new name, with all that belongs to it.

    `source_os` and `target_os` say where the paths are: the standard library's `os`
    is the host, `image.os`, `kernel.os` or `process.os` a kernel::

        with liblinux.open_image("disk.img") as image:
            liblinux.copy_tree("/etc", "etc-of-the-image", source_os=image.os)

    Kept are owners, modes with setuid bits, times to the nanosecond, extended
    attributes (user, trusted, security) and ACLs, flags of chattr(1), hard links
    within the tree, symbolic links, holes, device nodes, pipes, sockets and
    whiteouts; of these `preserve` may name fewer: "owner", "mode", "times", "xattrs",
    "flags". Modes are those of the source within `mode_mask`. Symbolic links are
    copied, never followed, those on the way below `target` neither.

    A directory at `target` is merged with; other `existing` files are replaced (by
    rename), skipped or refused. `sparse` "always" also makes holes of zeros. With
    follow_mounts=False mounts below the source are left out. by_name=True copies in the
    order of names, so that equal trees give equal images; later times than
    `newest_ns`, whole seconds, become it. With fsync=True each file is on the disk
    before it has its name. `progress` may be looked at by another thread
    while the copy runs.

    Returns a :class:`CopyReport`. What the target cannot hold is in its `losses`; with
    strict=True the first loss ends the copy. Raises OSError when nothing could be
    copied (ENOSPC says how much is missing), CopyFailed when some entries could not
    be, or with strict=True not as they are; KernelPanic and its like.
    """
    given = PRESERVE_ALL if preserve is PRESERVE_ALL else frozenset(preserve)
    if unknown := given - PRESERVE_ALL:
        raise ValueError(f"preserve: no {', '.join(sorted(unknown))}; there are {', '.join(sorted(PRESERVE_ALL))}")
    if sparse not in _SPARSE or existing not in _EXISTING:
        raise ValueError(f"sparse is one of {', '.join(_SPARSE)}, existing one of {', '.join(_EXISTING)}")
    options = CopyOptions(
        keep=sum(KEEP[name] for name in given) | (_FSYNC if fsync else 0),
        mode_mask=mode_mask,
        sparse=_SPARSE[sparse],
        existing=_EXISTING[existing],
        # A kernel that was taken over might read for ever.
        exact=isolated(source_os),
        newest=_NO_TIME if newest_ns is None else newest_ns // 10**9,
    )
    with Place(source_os, source) as start:
        survey = Survey(start, follow_mounts=follow_mounts)
        with _target(target_os, target, survey) as end:
            _check_apart(start, end, survey)
            copy = Copy(survey, start, end, options, strict=strict, progress=progress)
            indices: Sequence[int] = range(len(survey))
            return copy.run(survey.by_name(indices) if by_name else indices)


def _target(system: Any, path: Any, survey: Survey) -> Place:
    """The place of the target. A directory that is there may be named by a link."""
    place = Place(system, path)
    if not stat_modes.S_ISDIR(survey.modes[0]):
        if place.is_directory():
            place.close()
            raise IsADirectoryError(errno.EISDIR, "a directory is in the way of the file", path)
        return place
    if system.path.isdir(path):
        place.close()
        return Place(system, path, below=True)
    return place


def _check_apart(source: Place, target: Place, survey: Survey) -> None:
    """Refuse to copy a file onto itself, or a directory into itself."""
    if source.native is not target.native:
        return
    inodes, devices = survey.column(INO), survey.column(DEV)
    found = target.status()
    if found is not None and (found.st_ino, found.st_dev) == (inodes[0], devices[0]):
        raise OSError(errno.EINVAL, "the source and the target are the same", decode(target.path))
    above = {(inodes[index], devices[index]) for index in survey.directories()}
    status = target.system.stat(target.dir)
    if (status.st_ino, status.st_dev) in above:
        raise OSError(errno.EINVAL, "a directory cannot be copied into itself", decode(target.path))


class Copy:
    """A copy of the entries of a survey, from one place to another."""

    def __init__(
        self,
        survey: Survey,
        source: Place,
        target: Place,
        options: CopyOptions,
        *,
        strict: bool = False,
        progress: CopyProgress | None = None,
        temporary: bytes | None = None,
        keep_partial: bool = False,
    ) -> None:
        """`temporary` is the name that a new tree, and files on their way, have until they are complete."""
        self.survey = survey
        self.source = source
        self.target = target
        self.problems = Problems(survey, source.path)
        self.progress = progress or CopyProgress()
        self._options = options
        self._strict = strict
        self._keep_partial = keep_partial
        self._notes = bytearray(_NOTE_BYTES * len(survey))
        self._before = self.progress.done
        self._temporary = temporary or b".liblinux-%s.partial" % os.urandom(6).hex().encode()

    def run(self, indices: Sequence[int]) -> CopyReport:
        """Copy those entries, every directory before its content; returns what has come of it."""
        refused = dict(name_collisions(self.survey, self.target, indices))
        self.problems.refuse(refused)
        indices = [index for index in indices if index not in refused]
        if self._strict:
            self._foresee()
        self.progress.total += self.survey.data_bytes(indices)
        name = self.target.name
        is_tree = stat_modes.S_ISDIR(self.survey.modes[0])
        fresh = is_tree and self.target.status() is None
        if fresh:
            self.target.name = self._temporary
        try:
            self._make(indices, is_tree=is_tree)
            if fresh:
                self.target.rename(name)
        except BaseException:
            if not self._keep_partial:
                self._remove(indices)
            raise
        self.call(_FLAGS, self._flagged(indices))
        return self._finished(len(indices))

    def _foresee(self) -> None:
        """Copy one empty entry of each kind, and remove them again; CopyFailed when something is lost."""
        options = CopyOptions(self._options.keep | _EMPTY, self._options.mode_mask, newest=self._options.newest)
        with Place(self.target.system, os.path.join(self.target.directory, self._temporary)) as place:
            trial = Copy(self.survey, self.source, place, options)
            indices = sample(self.survey, self.source)
            try:
                trial._make(indices, is_tree=stat_modes.S_ISDIR(self.survey.modes[0]))
                trial.call(_FLAGS, trial._flagged(indices))
            finally:
                trial._remove(indices)
                self.source.leave()
            if lost := next(trial.problems.losses(), None):
                raise CopyFailed(f"{lost}; nothing was copied (strict)", trial.report(0))

    def _make(self, indices: Sequence[int], *, is_tree: bool) -> None:
        made = array("q", indices)
        links = self.survey.links(indices)
        if is_tree:
            self.call(_MAKE, made[:1], links[:1])
            if self.problems.errors and not self._notes[_MADE]:
                raise CopyFailed(str(self.problems.errors[-1]), self.report(0))
            self.source.enter()
            self.target.enter()
            if self._is_empty():
                self._notes[_FRESH] = 1
            made, links = made[1:], links[1:]
        self.call(_MAKE, made, links)
        modes = self.survey.modes
        self.call(_FINISH, array("q", [at for at in reversed(indices) if stat_modes.S_ISDIR(modes[at])]))

    def _is_empty(self) -> bool:
        """Whether the top is an empty directory of a kernel: nobody else sees what is half done there."""
        return self.target.native is not None and not self.target.system.listdir(self.target.here)

    def _flagged(self, indices: Sequence[int]) -> array[int]:
        """Entries that have flags of chattr(1), what is in a directory before itself."""
        flags = memoryview(self._notes).cast("Q")
        return array("q", [at for at in reversed(indices) if flags[at] & 0xFFFFFFFF])

    def call(self, step: int, indices: array[int], links: array[int] | None = None) -> None:
        """One pass over those entries."""
        if not indices:
            return
        how = self._options
        done, fatal, problems, texts = _native.copy(
            self.survey.listing,
            self.source.end,
            self.target.end,
            self._notes,
            indices,
            links if links is not None else b"",
            self.progress.counter,
            (
                step,
                how.keep,
                how.mode_mask,
                how.sparse,
                how.existing,
                how.exact,
                how.most,
                how.newest,
                self._temporary,
            ),
        )
        if step == _REMOVE:
            return
        self.problems.add(problems, texts)
        if fatal:
            self._full(fatal, indices[done:])
        if self._strict and (lost := next(self.problems.losses(), None)):
            raise CopyFailed(f"{lost} (strict)", self.report(0))

    def _full(self, number: int, left: Sequence[int]) -> None:
        """Say how much of what is left does not fit."""
        space = self.target.system.statvfs(self.target.dir)
        reason = os.strerror(number)
        directory = why_directory_is_full(self.target.system, self._directory_of(left[0])) if left else None
        if number in _FULL and directory:
            reason += f": {directory}"
        elif number in _FULL and space.f_favail == 0 and space.f_files:
            reason += f": there is no room for {len(left):,} more files, whatever their size"
        elif number in _FULL:
            wanted = self.survey.allocated(left)
            missing = max(wanted - space.f_bavail * space.f_frsize, space.f_frsize)
            reason += f": {wanted:,} of {self.survey.allocated(range(len(self.survey))):,} bytes are left to be written"
            reason += f", at least {missing:,} more are needed"
        raise OSError(number, reason, decode(self.target.path))

    def _directory_of(self, index: int) -> bytes:
        """Where an entry was to be made."""
        below = self.survey.path(index)
        return os.path.join(self.target.here, os.path.dirname(below)) if below else self.target.directory

    def _remove(self, indices: Sequence[int]) -> None:
        """Take away what was created; a kernel that is dead needs nothing taken away."""
        try:
            if self.target.name == self._temporary and self.target.status() is None:
                return  # it is complete and has its name: Ctrl-C came right after that; or nothing was made
            self.call(_REMOVE, array("q", reversed(indices)))
        except (OSError, LiblinuxError):
            if self.target.native is None:
                raise

    def report(self, entries: int) -> CopyReport:
        """What has come of it, so far."""
        return CopyReport(
            entries, self.progress.done - self._before, tuple(self.problems.losses()), self.problems.errors
        )

    def _finished(self, entries: int) -> CopyReport:
        report = self.report(entries)
        if report.errors:
            more = f" (and {len(report.errors) - 1:,} more)" if len(report.errors) > 1 else ""
            raise CopyFailed(f"not copied: {report.errors[0]}{more}", report)
        return report
