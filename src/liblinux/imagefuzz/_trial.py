"""One image in one kernel: attach, mount, walk, read, write, unmount.

Every OSError is an answer that a damaged image deserves. What is looked for is
everything else: a kernel that panics or waits for ever, warns in its log, or an
exception of Python that is not one of those.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import liblinux
from liblinux.imagefuzz._target import Target, attributes_of

__all__ = ["FINDINGS", "RESULTS", "STEPS", "Outcome", "Result", "try_image"]

STEPS = ("boot", "attach", "mount", "walk", "read", "write", "unmount", "detach", "close")
Result = Literal["refused", "passed", "panic", "stuck", "error", "death", "hang"]
RESULTS: tuple[Result, ...] = ("refused", "passed", "panic", "stuck", "error", "death", "hang")
# Results that somebody should look at.
FINDINGS = RESULTS[2:]

# A damaged directory can have any number of entries, and a damaged file any size.
_ENTRIES_READ = 300
_PIECE_BYTES = 128 << 10
# Then the kernel is killed: its process must not be, and a loop of the kernel's may look at nothing.
_PATIENCE_SECONDS = 6.0
# What the kernel says of itself when it did not expect something; see include/asm-generic/bug.h.
_WARNINGS = re.compile(r"^(WARNING: |BUG: |kernel BUG|general protection|Oops|INFO: task|UBSAN)")


@dataclass
class Outcome:
    """What became of one seed.

    `result` is "refused" (it was not mounted), "passed" (mounted, used and
    unmounted), "panic" (KernelPanic), "stuck" (a call without an end, of a kernel
    that was killed for it, or a Deadlock), "error" (an exception that is none of the kernel's), "death" of the
    process or "hang"; `step` is the last one that was begun; `errors` counts
    system calls that failed; `warnings` are those of the kernel's log;
    `reproduced` says of a finding whether it came again, alone in a new process.
    """

    seed: int
    result: Result
    step: str = ""
    detail: str = ""
    errors: int = 0
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    reproduced: bool | None = None


@contextlib.contextmanager
def _patience(kernel: liblinux.Kernel) -> Iterator[None]:
    timer = threading.Timer(_PATIENCE_SECONDS, kernel.abort)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class _Trial:
    """One image while it is used; remembers how far it came."""

    def __init__(self, kernel: liblinux.Kernel, tell: Callable[[str], None]) -> None:
        self._kernel = kernel
        self._os = kernel.os
        self._tell = tell
        self.errors = 0

    def run(self, target: Target, buffer: Any) -> bool:
        """Whether it could be mounted."""
        self._tell("attach")
        disk = self._kernel.attach(buffer, overlay=True)
        self._tell("mount")
        try:
            self._kernel.mount(disk, "/mnt", partition=0, type=target.type, options=target.options)
        except OSError:
            mounted = False
        else:
            mounted = True
            self._use()
            self._tell("unmount")
            with self._failing():
                self._kernel.umount("/mnt")
        self._tell("detach")
        with self._failing():
            disk.detach()
        return mounted

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.errors += 1

    def _use(self) -> None:
        self._tell("walk")
        entries: Sequence[Any] = ()
        with self._failing():
            entries = self._os.scantree(b"/mnt", onerror=self._count)
        with self._failing():
            self._os.statvfs("/mnt")
        self._tell("read")
        for entry in entries[:_ENTRIES_READ]:
            with self._failing():
                self._read(entry)
            with self._failing():
                attributes_of(self._kernel, entry.path)
        self._tell("write")
        self._write([entry for entry in entries[:_ENTRIES_READ] if entry.is_file(follow_symlinks=False)])

    def _count(self, error: OSError) -> None:
        self.errors += 1

    def _read(self, entry: Any) -> None:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            self._os.readlink(entry.path)
        elif stat.S_ISREG(status.st_mode):
            with self._descriptor(entry.path, os.O_RDONLY) as fd:
                self._os.pread(fd, _PIECE_BYTES, 0)
                self._os.pread(fd, _PIECE_BYTES, max(0, min(status.st_size, 1 << 62) - _PIECE_BYTES))
                self._os.lseek(fd, 0, os.SEEK_HOLE)

    @contextlib.contextmanager
    def _descriptor(self, path: bytes, flags: int) -> Iterator[int]:
        fd = self._os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            yield fd
        finally:
            with self._failing():
                self._os.close(fd)

    def _write(self, files: Sequence[Any]) -> None:
        """Everything that changes a file system, each thing by itself."""
        for number, act in enumerate((self._make, self._grow, self._rename, self._remove)):
            for entry in files[number : number + 12 : 4]:
                with self._failing():
                    act(entry.path)
        with self._failing():
            self._make(b"/mnt/new")
        with self._failing(), self._descriptor(b"/mnt", os.O_RDONLY) as fd:
            self._os.syncfs(fd)

    def _make(self, path: bytes) -> None:
        """A file, a directory, a link, and attributes beside `path`."""
        with self._failing(), self._descriptor(path + b".file", os.O_RDWR | os.O_CREAT) as fd:
            self._os.write(fd, b"written\n" * 2000)
            self._os.fsync(fd)
        with self._failing():
            self._os.mkdir(path + b".directory")
        with self._failing():
            self._os.symlink(b"target " * 20, path + b".link")
        with self._failing():
            self._os.setxattr(path + b".file", "user.new", b"value" * 100)
        self._os.link(path + b".file", path + b".directory/name")

    def _grow(self, path: bytes) -> None:
        with self._descriptor(path, os.O_RDWR) as fd:
            self._os.pwrite(fd, b"changed" * 100, 1)
            self._os.lseek(fd, 0, os.SEEK_END)
            self._os.write(fd, bytes(70_000))
            self._os.ftruncate(fd, 5000)
        self._os.chmod(path, 0o600)

    def _rename(self, path: bytes) -> None:
        self._os.rename(path, b"/mnt/renamed")
        self._os.truncate(b"/mnt/renamed", 0)

    def _remove(self, path: bytes) -> None:
        self._os.unlink(path)


def try_image(target: Target, buffer: Any, seed: int, tell: Callable[[str], None]) -> Outcome:
    """Boot a kernel, use the image in `buffer`, close the kernel; `tell` is told each step."""
    outcome = Outcome(seed, "passed")
    reached = "boot"

    def note(step: str) -> None:
        nonlocal reached
        reached = step
        tell(step)

    note("boot")
    try:
        with target.kernel() as kernel:
            booted = len(kernel.dmesg())
            trial = _Trial(kernel, note)
            try:
                with _patience(kernel):
                    outcome.result = "passed" if trial.run(target, buffer) else "refused"
            finally:
                outcome.errors = trial.errors
                outcome.step = reached
                outcome.warnings = [record.text for record in kernel.dmesg()[booted:] if _WARNINGS.match(record.text)]
                outcome.detail = kernel.dead or ""
                note("close")
    except liblinux.KernelPanic as error:
        ended = "aborted by" in str(error) or "it computes" in str(error)
        outcome.result, outcome.detail = "stuck" if ended else "panic", str(error)
    except liblinux.Deadlock as error:
        outcome.result, outcome.detail = "stuck", str(error)
    except OSError:
        outcome.errors += 1  # of the last write-back
    except Exception as error:  # noqa: BLE001 - which one it is, is the finding
        outcome.result, outcome.detail = "error", f"{type(error).__name__}: {error}"
    return outcome
