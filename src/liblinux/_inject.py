"""A host that misbehaves on a seeded schedule: disks, memory and the clock, below the kernel.

The kernel under test is the ordinary one. What fails is what it asks of the
host (`kernel/host/inject.c`), as real disks and machines do.
"""

from __future__ import annotations

import errno as errnos
from contextlib import suppress

from liblinux._errors import KernelDied
from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux._kernel import Kernel

__all__ = ["HostFaults", "Injected"]

_CERTAIN = (1 << 64) - 1


class Injected(Value):
    """How often the host has misbehaved, by kind."""

    read_errors: int
    write_errors: int
    torn_writes: int
    flush_errors: int
    alias_failures: int
    clock_jumps: int


class HostFaults:
    """A schedule of misbehaviour, in force while the `with` statement runs; made by :meth:`Kernel.inject`."""

    def __init__(self, kernel: Kernel, seed: int, chances: tuple[float, ...], jump_seconds: float, errno: int) -> None:
        if any(not 0 <= chance <= 1 for chance in chances):
            raise ValueError("the chance of a fault is a number from 0 to 1")
        if jump_seconds < 0:
            raise ValueError("the clock only jumps ahead: jump_seconds cannot be negative")
        if errno not in errnos.errorcode:
            raise ValueError(f"{errno} is not the number of an error; take one of the module errno")
        self._kernel = kernel
        self._seed = seed % (1 << 64)
        read, write, torn, flush, alias, clock = (min(int(chance * 2**64), _CERTAIN) for chance in chances)
        self._chances = (read, write, torn, flush, alias, clock)
        self._jump = int(jump_seconds * 10**9)
        self._errno = errno
        self._counted: Injected | None = None

    def __enter__(self) -> Self:
        self._counted = None
        self._kernel._native.inject(self._seed, self._chances, self._jump, -self._errno)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kernel.closed:
            return
        # What has happened in a process that is gone went with it: `counts` says so to whoever asks.
        with suppress(KernelDied):
            self._counted = self.counts
        self._kernel._native.behave()

    @property
    def counts(self) -> Injected:
        """What has happened so far, or until the end of the `with` statement."""
        return self._counted or Injected(*self._kernel._native.injected())
