"""The kernel's own fault injection, of a kernel that is built with it (`liblinux build --with debug`).

See the kernel document fault-injection/fault-injection. What is set there
through files of debugfs is a context manager here; outside of it nothing fails.
"""

from __future__ import annotations

import errno
import os
import threading

from liblinux._errors import BuildError
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux._disk import Disk
    from liblinux._kernel import Kernel

__all__ = ["Faults", "Injection"]

_DEBUGFS = "/sys/kernel/debug"
_PROVOKE = f"{_DEBUGFS}/provoke-crash/DIRECT"
_HERE = "/proc/thread-self/make-it-fail"
_UNLIMITED = -1


class Faults:
    """Makes parts of a kernel fail; `kernel.faults`.

    Each of the methods named after a part returns an :class:`Injection`, to be
    used in a `with` statement. Common arguments: `probability` in percent;
    `interval`, every how many occasions; `times`, how many failures at most
    (None: no limit); `space`, so many bytes or occasions succeed first;
    `everywhere=True` for the whole kernel, else only the calls of this thread
    fail. Which occasions fail is drawn from the kernel's random numbers, so that
    a seed and the virtual clock repeat them.

    BuildError when the kernel was built without that part of it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def failslab(
        self,
        probability: int = 100,
        *,
        interval: int = 1,
        times: int | None = None,
        space: int = 0,
        everywhere: bool = False,
        waiting: bool = True,
    ) -> Injection:
        """Allocations of small objects; `waiting=False`: not those that may wait for memory."""
        return self._injection(
            "failslab", probability, interval, times, space, everywhere, {"ignore-gfp-wait": str(int(not waiting))}
        )

    def fail_page_alloc(
        self,
        probability: int = 100,
        *,
        interval: int = 1,
        times: int | None = None,
        space: int = 0,
        everywhere: bool = False,
        waiting: bool = True,
        order: int = 0,
    ) -> Injection:
        """Allocations of 2**`order` pages or more; `waiting=False`: not those that may wait for memory."""
        special = {
            "ignore-gfp-wait": str(int(not waiting)),
            # Pages of files and programs are spared otherwise.
            "ignore-gfp-highmem": "0",
            "min-order": str(order),
        }
        return self._injection("fail_page_alloc", probability, interval, times, space, everywhere, special)

    def fail_make_request(
        self,
        disk: Disk,
        probability: int = 100,
        *,
        interval: int = 1,
        times: int | None = None,
        space: int = 0,
        everywhere: bool = True,
    ) -> Injection:
        """Requests to a disk; `everywhere` by default, because it is mostly the kernel's own tasks that write."""
        device = f"/sys/block/{disk.path.removeprefix('/dev/')}/make-it-fail"
        return self._injection(
            "fail_make_request", probability, interval, times, space, everywhere, {}, switches=(device,)
        )

    def fail_futex(
        self,
        probability: int = 100,
        *,
        interval: int = 1,
        times: int | None = None,
        space: int = 0,
        everywhere: bool = False,
    ) -> Injection:
        """Futexes."""
        return self._injection("fail_futex", probability, interval, times, space, everywhere, {})

    def fail_usercopy(
        self, probability: int = 100, *, interval: int = 1, times: int | None = None, space: int = 0
    ) -> Injection:
        """Copies between the kernel and its caller: they say EFAULT. Only those of this thread."""
        # With all copies of all threads failing, there would be no way to end it.
        return self._injection("fail_usercopy", probability, interval, times, space, False, {})

    def provoke(self, kind: str) -> None:
        """Fail in one of the ways of `provocations()` (the kernel's LKDTM). Most end in KernelPanic."""
        if kind not in self.provocations():
            raise ValueError(f"this kernel cannot be provoked by {kind!r}; see provocations()")
        self._kernel._write(_PROVOKE, kind.encode())

    def provocations(self) -> tuple[str, ...]:
        """What `provoke()` takes, as "PANIC" or "EXHAUST_STACK"."""
        self._need(_PROVOKE, "LKDTM")
        return tuple(self._kernel._read_text(_PROVOKE).split("\n")[1:-1])

    # ---- for Injection ---------------------------------------------------------

    def _injection(
        self,
        name: str,
        probability: int,
        interval: int,
        times: int | None,
        space: int,
        everywhere: bool,
        special: dict[str, str],
        switches: tuple[str, ...] = (),
    ) -> Injection:
        if not 0 <= probability <= 100:
            raise ValueError(f"probability is a percentage, from 0 to 100, not {probability}")
        directory = f"{_DEBUGFS}/{name}"
        self._need(directory, name.upper())
        settings = {
            "interval": str(interval),
            "times": str(_UNLIMITED if times is None else times),
            "space": str(space),
            "verbose": "0",
            "task-filter": "N" if everywhere else "Y",
            **special,
        }
        here = () if everywhere else (_HERE,)
        return Injection(self, directory, settings, (*switches, *here), probability)

    def _need(self, path: str, option: str) -> None:
        system = self._kernel.os
        if not system.path.exists(_DEBUGFS + "/provoke-crash") and not system.path.exists(path):
            try:
                self._kernel.syscall("mount", "debugfs", _DEBUGFS, "debugfs", 0, None)
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENODEV, errno.ENOENT):
                    raise
        if not system.path.exists(path):
            release = self._kernel.release.removesuffix("-debug")
            series = ".".join(release.split(".")[:2])
            raise BuildError(
                f"Linux {self._kernel.release} was built without {option}; make a kernel that has it with "
                f"`liblinux build --kernel {series} --with debug` and use liblinux.Kernel(version='{series}-debug')"
            )


class Injection:
    """Something that fails while the `with` statement runs; made by :class:`Faults`."""

    def __init__(
        self, faults: Faults, directory: str, settings: dict[str, str], switches: tuple[str, ...], probability: int
    ) -> None:
        self._kernel = faults._kernel
        self._directory = directory
        self._settings = settings
        self._switches = switches
        self._probability = str(probability)
        # Of what must be written while things fail: opening a file needs memory.
        self._open: list[int] = []

    def __enter__(self) -> Self:
        for name, value in self._settings.items():
            self._kernel._write(f"{self._directory}/{name}", value.encode())
        system = self._kernel.os
        # The probability is the last: from then on it fails, and it is the first that is taken back.
        for path in (*self._switches, f"{self._directory}/probability"):
            self._open.append(system.open(path, os.O_WRONLY))
        for fd, value in zip(self._open, ("1",) * len(self._switches) + (self._probability,), strict=True):
            system.write(fd, value.encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kernel.closed or self._kernel.dead is not None:
            return
        # This thread may be one whose every call fails.
        thread = threading.Thread(target=self._stop)
        thread.start()
        thread.join()

    @property
    def left(self) -> int | None:
        """How many failures are left of `times`; None when there is no limit."""
        times = int(self._kernel._read_text(f"{self._directory}/times"))
        return None if times == _UNLIMITED else times

    def _stop(self) -> None:
        for fd in reversed(self._open):
            self._kernel.os.write(fd, b"0")
        for fd in self._open:
            self._kernel.os.close(fd)
        self._open.clear()
