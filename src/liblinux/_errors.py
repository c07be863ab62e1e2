"""The exceptions of liblinux.

Errors of the kernel itself arrive as :class:`OSError` and its subclasses, with
the kernel's errno. Only what has no errno is here::

    Exception
     └── LiblinuxError
          ├── KernelPanic          the kernel died; carries its log
          │    └── KernelDied      with the process that it was isolated in
          ├── MountError           no file system could be mounted
          │    (also an OSError, with the kernel's errno)
          ├── BuildError           the kernel could not be built
          ├── Deadlock             every task waits and nothing can wake one
          └── KernelClosed         the kernel was used after close()
               (also a ValueError, as for a closed file)

Every message says what was tried, what happened, and what to do next.
"""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux._disk import Partition
    from liblinux._dmesg import Record

__all__ = ["BuildError", "Deadlock", "KernelClosed", "KernelDied", "KernelPanic", "LiblinuxError", "MountError"]

# Of a failed mount only the end of the log is worth a reader's time.
_SHOWN_RECORDS = 12


class LiblinuxError(Exception):
    """The root of the tree above."""


class KernelPanic(LiblinuxError):
    """The kernel stopped for good; its kernel object can only be closed."""


class KernelDied(KernelPanic):
    """The process of an isolated kernel is dead; the message says how it died.

    The kernel itself may have been well. What it had not written back is lost.
    """


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
        lines = [super().__str__()]
        if self.types:
            lines.append("types tried: " + ", ".join(self.types))
        lines.extend(f"found {partition}" for partition in self.partitions)
        lines.extend(f"kernel: {record.text}" for record in self.log[-_SHOWN_RECORDS:])
        if self.advice:
            lines.append(self.advice)
        return "\n  ".join(lines)


class BuildError(LiblinuxError):
    """The kernel could not be built, or what building needs is missing."""


class Deadlock(LiblinuxError):
    """Every task waits for something that can no longer happen."""


class KernelClosed(LiblinuxError, ValueError):
    """A kernel, or something that belongs to it, was used after it was closed."""
