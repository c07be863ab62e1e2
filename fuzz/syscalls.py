"""Random system calls with random arguments: the process lives, whatever the kernel answers.

    .venv/bin/python fuzz/syscalls.py --seed 0 --count 100000

A system call is as sharp as in C: an address is written to if it is there. So
addresses are those of a stretch of memory of our own, whose end is followed by
64 GiB of nothing, and others at which there is never anything. Left out are the
calls that end the kernel or the process by design, and those that the port
refuses by its own rules anyway (see "Not supported" in README.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import signal
import sys
import time
from collections import Counter
from types import FrameType

import click

import liblinux

__all__ = ["LEFT_OUT", "fuzz"]

LEFT_OUT = frozenset(
    {
        "exit",  # the process is gone, by design
        "exit_group",
        "reboot",  # the kernel is
        "rt_sigreturn",  # takes all registers from a stack that is not there
    }
)
_ROOM_BYTES = 1 << 20
_NOTHING_BYTES = 64 << 30
_CALLS_PER_KERNEL = 2000
_PATIENCE_SECONDS = 0.5
_PROT_NONE, _PROT_READ_WRITE, _MAP_NORESERVE_PRIVATE_ANONYMOUS = 0, 3, 0x4022
_NUMBERS = (0, 0, 0, 1, 1, 2, 3, 4, 5, 8, 16, 64, 100, 512, 4095, 4096, 65536, 1 << 20, (1 << 31) - 1)
_WIDE = (1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 100)
_NOWHERE = (8, 4096, (1 << 47) - 4096, 1 << 47, (1 << 63) + 4096, (1 << 64) - 4096)
_NAMES = (
    b"/",
    b"/tmp/file\0",
    b"/dev/null\0",
    b"/proc/self/status\0",
    b"/sys\0",
    b"ext4\0",
    b"tmpfs\0",
    b"user.x\0",
    b".\0",
)


def _reserve() -> int:
    """The address of memory with nothing behind it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    address = libc.mmap(None, _ROOM_BYTES + _NOTHING_BYTES, _PROT_NONE, _MAP_NORESERVE_PRIVATE_ANONYMOUS, -1, 0)
    if address in (None, ctypes.c_void_p(-1).value) or libc.mprotect(address, _ROOM_BYTES, _PROT_READ_WRITE):
        raise OSError(ctypes.get_errno(), "no memory to point at")
    return int(address)


class _Random:
    def __init__(self, seed: int, room: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._room = room

    def argument(self) -> int:
        kind = self._random.random()
        if kind < 0.35:
            return self._random.choice(_NUMBERS)
        if kind < 0.45:
            return self._random.choice(_WIDE)
        if kind < 0.5:
            return self._random.choice(_NOWHERE)
        if kind < 0.55:
            return self._random.getrandbits(self._random.choice((3, 8, 16, 32)))
        return self._pointer()

    def _pointer(self) -> int:
        """Into the room: to noise, small numbers, a name, or its very end."""
        length = self._random.choice((8, 16, 64, 256, 4096))
        at = self._random.choice((0, 64, 4096, _ROOM_BYTES - length, self._random.randrange(_ROOM_BYTES - length)))
        data = self._random.choice(
            (
                self._random.randbytes(length),
                bytes(length),
                b"".join(self._random.choice(_NUMBERS).to_bytes(4, "little") for _ in range(length // 4)),
                self._random.choice(_NAMES),
            )
        )
        ctypes.memmove(self._room + at, data, min(len(data), length))
        return self._room + at

    def call(self, names: list[str]) -> tuple[str, list[int]]:
        return self._random.choice(names), [self.argument() for _ in range(6)]


def fuzz(seed: int, count: int, version: str | None = None) -> Counter[str]:
    """Try so many calls; what became of them, by the name of the answer. Raises when the kernel dies."""
    answers: Counter[str] = Counter()
    room = _reserve()
    source = _Random(seed, room)
    done = 0
    before = signal.signal(signal.SIGALRM, _ring)
    while done < count:
        with liblinux.Kernel("32M", clock="virtual", seed=seed, version=version) as kernel:
            names = sorted(set(kernel.syscalls) - LEFT_OUT)
            for _ in range(min(_CALLS_PER_KERNEL, count - done)):
                name, arguments = source.call(names)
                _show(done, name, arguments)
                answers[_try(kernel, name, arguments)] += 1
                done += 1
                if kernel.dead is not None:
                    raise liblinux.KernelPanic(f"{name}{tuple(map(hex, arguments))}: {kernel.dead}")
    signal.signal(signal.SIGALRM, before)
    return answers


def _show(number: int, name: str, arguments: list[int]) -> None:
    """Leave what is tried where it is found after a crash."""
    if _verbose:
        print(number, name, *map(hex, arguments), file=sys.stderr, flush=True)


_verbose = False


class _TooLongError(Exception):
    """A call that waits, in virtual time, for years."""


def _ring(number: int, frame: FrameType | None) -> None:
    raise _TooLongError


def _try(kernel: liblinux.Kernel, name: str, arguments: list[int]) -> str:
    try:
        process = kernel.process()
    except OSError:
        return "no process"
    try:
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS)
        try:
            process.syscall(name, *arguments)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _TooLongError:
        return "waits for years"
    except OSError as error:
        return f"errno {error.errno}"
    except liblinux.Deadlock:
        return "waits for ever"
    except liblinux.KernelClosed:
        return "process ended"
    else:
        return "done"
    finally:
        with contextlib.suppress(OSError, liblinux.Deadlock, liblinux.KernelClosed):
            process.close()


@click.command()
@click.option("--seed", default=0, show_default=True)
@click.option("--count", default=10_000, show_default=True)
@click.option("--kernel", "version")
@click.option("--verbose", is_flag=True, help="Show each call before it is made, on standard error.")
def main(seed: int, count: int, version: str | None, verbose: bool) -> None:
    """Make random system calls."""
    global _verbose  # noqa: PLW0603 - of this program
    _verbose = verbose
    start = time.monotonic()
    answers = fuzz(seed, count, version)
    print(f"{count} calls in {time.monotonic() - start:.1f} s: {answers.most_common()}")


if __name__ == "__main__":
    main()
