"""The exceptions of liblinux.

Errors of the kernel itself arrive as :class:`OSError` and its subclasses, with
the kernel's errno. Only what has no errno is here::

    Exception
     └── LiblinuxError
          ├── KernelPanic          the kernel died: where, and in which call
          │    └── KernelDied      with the process that it was isolated in
          ├── MountError           no file system could be mounted
          │    (also an OSError, with the kernel's errno)
          ├── FormatError          an image file of another format than a disk's bytes could not be read
          │    (also an OSError)
          ├── VolumeError          a volume (LVM, LUKS, md) is not there, or could not be opened
          │    (also an OSError)
          ├── BuildError           the kernel could not be built
          ├── Deadlock             every task waits and nothing can wake one: who, for what
          ├── BusyWait             a program waits for virtual time to pass by reading the clock
          │    (also a RuntimeError)
          ├── HostAccess           a program in a strict run reached for the machine's own network or clock
          │    (also a RuntimeError)
          └── KernelClosed         the kernel was used after close()
               (also a ValueError, as for a closed file)

Every message says what was tried, what happened, and what to do next.
"""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux._disk import Partition
    from liblinux._dmesg import Record
    from liblinux._symbols import Frame

__all__ = [
    "BuildError",
    "BusyWait",
    "Deadlock",
    "FormatError",
    "HostAccess",
    "KernelClosed",
    "KernelDied",
    "KernelPanic",
    "LiblinuxError",
    "MountError",
    "VolumeError",
    "Waiter",
]

# Of a failed mount or of a panic only the end of the log is worth a reader's time.
_SHOWN_RECORDS = 12
_SHOWN_FRAMES = 16
_SHOWN_CALLERS = 4
_WARNING = 4  # of syslog's levels
_BOOTED = "Run /init as init process"
_TRACE_RECORDS = ("Call trace:", " ?")


class LiblinuxError(Exception):
    """The root of the tree above."""


class KernelPanic(LiblinuxError):
    """The kernel stopped for good; its kernel object can only be closed.

    Raised in every thread that was inside the kernel, and by each later call.

    - `message`: what the kernel said;
    - `function`: the name of the function in which it happened, or "";
    - `offset`: bytes from its start to the place;
    - `backtrace`: the :class:`Frame` objects from there outwards;
    - `syscall`: the name of the system call that was running, or None: then it
      was a task of the kernel's own;
    - `pid` and `task`: number and name of the task, None and "" if unknown;
    - `log`: the end of the kernel's log.
    """

    def __init__(
        self,
        message: str,
        *,
        backtrace: Iterable[Frame] = (),
        syscall: str | None = None,
        pid: int | None = None,
        task: str = "",
        log: Iterable[Record] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.backtrace = tuple(backtrace)
        self.syscall = syscall
        self.pid = pid
        self.task = task
        self.log = tuple(log)

    @property
    def function(self) -> str:
        """The name of the function in which it happened, or ""."""
        # The compiler's names of parts and copies of it end in ".cold" or ".isra.0".
        return self._place.function.partition(".")[0] if self._place else ""

    @property
    def offset(self) -> int:
        """Bytes from the start of the function to the place."""
        return self._place.offset if self._place else 0

    @property
    def _place(self) -> Frame | None:
        # Where the machine stopped may be no code at all: then it is what jumped there.
        return next((frame for frame in self.backtrace if frame.function), None)

    def __str__(self) -> str:
        lines = [f"{self.message}, in {self._place}" if self._place else self.message]
        if self.pid is not None:
            doing = f"in the system call {self.syscall}" if self.syscall else "in no system call"
            lines.append(f"task {self.task}, pid {self.pid}, {doing}")
        lines.extend(f"from {frame}" for frame in self.backtrace[1:_SHOWN_FRAMES])
        # Warnings and worse, but not of the boot, and not what is above already.
        booted = max((at for at, record in enumerate(self.log) if record.text.startswith(_BOOTED)), default=0)
        said = [
            record.text
            for record in self.log[booted:]
            if record.level <= _WARNING and not record.text.startswith(_TRACE_RECORDS)
        ]
        lines.extend(f"kernel: {text}" for text in said[-_SHOWN_RECORDS:])
        lines.append("the kernel is dead; close it and make a new one")
        return "\n  ".join(lines)


class KernelDied(KernelPanic):
    """The process of an isolated kernel is dead; the message says how it died.

    The kernel itself may have been well. What it had not written back is lost.
    """


def _what_and_why(error: OSError) -> str:
    """What it is about first, as programs of Unix do."""
    return f"{error.filename}: {error.strerror}" if error.filename is not None else str(error.strerror)


class MountError(LiblinuxError, OSError):
    """A disk could not be mounted.

    Besides `errno`, `strerror` and `filename` of every :class:`OSError` it has

    - `partitions`: the partitions of the disk, as the kernel found them;
    - `types`: the file-system types that were tried, in this order;
    - `log`: what the kernel logged during the attempt;
    - `advice`: what to do next, or "".
    """

    def __init__(
        self,
        errno: int,
        reason: str,
        source: str | None = None,
        *,
        partitions: Iterable[Partition] = (),
        types: Iterable[str] = (),
        log: Iterable[Record] = (),
        advice: str = "",
    ) -> None:
        super().__init__(errno, reason, source)
        self.partitions = tuple(partitions)
        self.types = tuple(types)
        self.log = tuple(log)
        self.advice = advice

    def __str__(self) -> str:
        lines = [_what_and_why(self)]
        if self.types:
            lines.append("types tried: " + ", ".join(self.types))
        lines.extend(f"found {partition}" for partition in self.partitions)
        lines.extend(f"kernel: {record.text}" for record in self.log[-_SHOWN_RECORDS:])
        if self.advice:
            lines.append(self.advice)
        return "\n  ".join(lines)


class _ImageError(LiblinuxError, OSError):
    """Something about an image, with what to do next in `advice`, or ""."""

    def __init__(self, errno: int, reason: str, source: str | None = None, *, advice: str = "") -> None:
        super().__init__(errno, reason, source)
        self.advice = advice

    def __str__(self) -> str:
        line = _what_and_why(self)
        return f"{line}\n  {self.advice}" if self.advice else line


class FormatError(_ImageError):
    """A qcow2, VMDK, VDI or compressed image cannot be read, or not be written.

    `errno` is EBADMSG when it is damaged, EOPNOTSUPP for what is not supported,
    EACCES or ENOENT when it is made of another file that may not be opened or is
    not there, EROFS when it was to be written.
    """


class VolumeError(_ImageError):
    """A volume of LVM, LUKS or md is not there, or cannot be opened.

    `errno` is ENXIO when it is not there, EACCES for a pass phrase that is missing
    or wrong, EBADMSG for damaged metadata, EOPNOTSUPP for what is not supported.
    """


class BuildError(LiblinuxError):
    """The kernel could not be built, or what building needs is missing."""


class Waiter(Value):
    """A task that waits, as a :class:`Deadlock` names it.

    `task` is its name, `pid` its number; `syscall` the system call it waits in,
    None for a task of the kernel's own. An `uninterruptible` wait does not end
    with a signal either. `backtrace` has the :class:`Frame` objects from the
    function that waits outwards.
    """

    task: str
    pid: int
    syscall: str | None
    uninterruptible: bool
    backtrace: tuple[Frame, ...]

    @property
    def function(self) -> str:
        """The function of the kernel that waits, or ""."""
        return self.backtrace[0].function.partition(".")[0] if self.backtrace else ""

    def __str__(self) -> str:
        how = "waits uninterruptibly" if self.uninterruptible else "waits"
        call = f" in the system call {self.syscall}" if self.syscall else ""
        place = " < ".join(frame.function for frame in self.backtrace[:_SHOWN_CALLERS])
        return f"task {self.task}, pid {self.pid}, {how}{call}: {place}"


class Deadlock(LiblinuxError):
    """Every task waits for something that can no longer happen.

    `waiters` are the tasks that wait. A wait that not even a signal can end
    takes the kernel with it: `dead` is True then, and it can only be closed.
    `programs` tells of the coroutines and threads of a network's run: as which
    host, where, and what they wait for.
    """

    def __init__(
        self,
        message: str,
        *,
        waiters: Iterable[Waiter] = (),
        dead: bool = False,
        programs: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.waiters = tuple(waiters)
        self.dead = dead
        self.programs = tuple(programs)

    def __str__(self) -> str:
        # Of a network, whose one kernel task waits for all, the programs say more.
        lines = [self.message, *(self.programs or map(str, self.waiters))]
        lines.append(
            "the kernel is dead; close it and make a new one"
            if self.dead
            else "check what the call waits for; the kernel can be used on"
        )
        return "\n  ".join(lines)


class BusyWait(LiblinuxError, RuntimeError):
    """A program reads the clock again and again, and under the virtual clock time stands still meanwhile."""


class HostAccess(LiblinuxError, RuntimeError):
    """A program in a strict run used the machine's own sockets, names or time; the message has its stack.

    In any run: an event loop was to wait for a socket of this machine, which it cannot.
    """


class KernelClosed(LiblinuxError, ValueError):
    """A kernel, or something that belongs to it, was used after it was closed."""
