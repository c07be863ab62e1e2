"""One crash point: mount what is on the disk then, and have it checked."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import traceback
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from liblinux._errors import KernelPanic, MountError
from liblinux.crash._filesystem import Filesystem
from liblinux.crash._formats import FORMATS, FsckError
from liblinux.crash._image import ATOMIC_BYTES, CrashImage
from liblinux.crash._log import Recording
from liblinux.crash._points import CrashPoint
from liblinux.crash._report import Failure
from liblinux.crash._setup import MOUNT_POINT, Setup

if TYPE_CHECKING:
    from liblinux._disk import Disk
    from liblinux._kernel import Kernel

__all__ = ["Check", "Plan", "Result", "Trials"]

Check = Callable[[Filesystem, Mapping[Hashable, Any]], object]

_LOG_LINES = 20
_PROMISE_LETTERS = 100
# How the log of WARN_ON() and BUG() begins, and that of checks such as lockdep and KASAN.
_WARNINGS = ("WARNING: ", "BUG: ", "kernel BUG at ", "INFO: task ", "Oops")


class TimeLimit(BaseException):
    """The time of a crash point is up. No Exception: a check that catches those shall end as well."""


class KernelWarning(Exception):
    """The kernel found a bug of its own and went on."""


@dataclass(frozen=True)
class Plan:
    """What is done at every crash point.

    `time_limit` in seconds; `atomic`, see :class:`CrashImage`; with `fsck` the file
    system's own checker looks at the image after recovery and unmounting.
    """

    recording: Recording
    check: Check
    setup: Setup
    seed: int | str
    time_limit: float = 10.0
    atomic: int = ATOMIC_BYTES
    fsck: bool = False


class Result(NamedTuple):
    """Of one point: its failure, a number that equal images share, and whether a kernel was booted for it."""

    failure: Failure | None
    image: int
    booted: bool


class Trials:
    """Tries one point after the other, with one kernel as long as that lives.

    A failure is tried again with a kernel that has seen nothing else, so that it is
    the crash point that failed, and will fail again.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._image = CrashImage(plan.recording, plan.atomic)
        self._kernel: Kernel | None = None

    def try_point(self, point: CrashPoint) -> Result:
        """Make the image of `point`, mount and check it."""
        image = self._image.seek(point)
        booted = self._kernel is None
        failure = self._try(point)
        if failure is None or booted or failure.kind == "hang":
            return Result(failure, image, booted)
        again = self._try(point)
        if again is None:
            again = replace(failure, message=f"{failure.message} (not so with a fresh kernel)")
        return Result(again, image, booted=True)

    def _try(self, point: CrashPoint) -> Failure | None:
        kernel = self._kernel = self._kernel or self._plan.setup.boot(self._plan.seed)
        begin = kernel.now()
        failure = None
        try:
            with _time_limit(self._plan.time_limit):
                self._examine(kernel, point.position)
            _refuse_warnings(kernel)
        except TimeLimit:
            failure = self._failure(point, "hang", f"not done after {self._plan.time_limit} s", kernel, begin)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
            failure = self._failure(point, _kind(error), _describe(error), kernel, begin, error)
        if failure is not None:
            # It may be dead, or still have the disk mounted.
            self.close()
        return failure

    def close(self) -> None:
        """Give the kernel up."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            # What is still mounted is on an overlay: its fate does not matter.
            with contextlib.suppress(OSError, KernelPanic):
                kernel.close()

    def _examine(self, kernel: Kernel, position: int) -> None:
        sector_size = self._plan.setup.sector_size
        if not self._plan.fsck:
            self._check(kernel, kernel.attach(self._image.data, overlay=True, sector_size=sector_size), position)
            return
        # On a file, at which a checker outside can look afterwards.
        with tempfile.TemporaryDirectory(prefix="liblinux-crash-") as directory:
            path = Path(directory) / "crash.img"
            self._image.save(path)
            type = self._check(kernel, kernel.attach(path, sector_size=sector_size), position)
            FORMATS[type].check(path)

    def _check(self, kernel: Kernel, disk: Disk, position: int) -> str:
        """Mount, check, and clean up; after a failure that is not tried, for it would hide the failure."""
        type = self._plan.setup.mount(kernel, disk, self._plan.setup.check_options)
        self._plan.check(Filesystem(kernel, MOUNT_POINT), self._plan.recording.promises(position))
        kernel.umount(MOUNT_POINT)
        disk.detach()
        return type

    def _failure(
        self, point: CrashPoint, kind: str, message: str, kernel: Kernel, begin: int, error: Exception | None = None
    ) -> Failure:
        recording = self._plan.recording
        return Failure(
            point,
            kind,
            message,
            trace="".join(traceback.format_exception(error)) if error else "",
            promises=[_promise(*promise) for promise in recording.promises(point.position).items()],
            log=_log(kernel, begin),
            under_way=recording.under_way(point.position),
        )


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def expire(number: int, frame: FrameType | None) -> None:
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _refuse_warnings(kernel: Kernel) -> None:
    for record in kernel._log.take():
        if record.text.startswith(_WARNINGS):
            raise KernelWarning(record.text)


def _kind(error: Exception) -> str:
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (KernelPanic, "panic"),
        (KernelWarning, "warning"),
        (MountError, "mount"),
        (FsckError, "fsck"),
        (AssertionError, "check"),
        (OSError, "check"),
    )
    return next((kind for type, kind in kinds if isinstance(error, type)), "error")


def _describe(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _promise(name: object, value: object) -> str:
    text = repr(name) if value is True else f"{name!r}: {value!r}"
    return text if len(text) <= _PROMISE_LETTERS else text[:_PROMISE_LETTERS] + "..."


def _log(kernel: Kernel, begin: int) -> list[str]:
    if kernel.closed:
        return []
    return [str(record) for record in kernel.dmesg() if record.timestamp * 1e9 >= begin][-_LOG_LINES:]
