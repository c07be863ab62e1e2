"""Write down which functions one byte over TCP and back runs through, in that order.

    .venv/bin/python dev/order.py

Steps through some exchanges, instruction by instruction, in the library that is
installed, and writes kernel/arch/lib/kernel/order.lds.h, by which the linker lays these
functions side by side. To be run again after dev/train.py, when a kernel has been built
with the new profile: it decides which functions there are. A function that is missing
from the list, or does not exist any more, is no mistake: it lies elsewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import train_lessons  # noqa: E402

import liblinux  # noqa: E402
import sockets  # noqa: E402
from liblinux import _native  # noqa: E402
from liblinux._library import find_image  # noqa: E402
from liblinux._symbols import Symbols, symbols_of  # noqa: E402

_ORDER = ROOT / "kernel" / "arch" / "lib" / "kernel" / "order.lds.h"
_HEAD = """\
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one byte over TCP and back runs through, in this order:
 * side by side it takes a sixth less of the processor's first cache. Written by
 * dev/order.py.
 */
"""
_WARM, _EXCHANGES, _STEPS = 4_000, 8, 160_000
_CLONES = re.compile(r"\.(isra|constprop|part|cold|lto_priv)\b.*")

# ---- stepping: ptrace(2) -----------------------------------------------------------

_TRACEME, _PEEKUSER, _SINGLESTEP = 0, 3, 9
_INSTRUCTION_POINTER = 16 * 8  # struct user_regs_struct, sys/user.h
_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.restype = ctypes.c_long
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def steps(pid: int, count: int) -> Iterator[int]:
    """The addresses of the next instructions of a child that has stopped."""
    for _ in range(count):
        yield _ptrace(_PEEKUSER, pid, _INSTRUCTION_POINTER, None)
        _ptrace(_SINGLESTEP, pid, None, None)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return


def exchanging(kernel: Any) -> int:
    """A child that stops before it exchanges bytes; virtual time, so that no timer comes between them.

    :returns: its process id.
    """
    client, server = sockets._pair(kernel.socket)
    with client, server:
        _native.exchange_nanoseconds(kernel._process, _WARM, client.fileno(), server.fileno())
        if pid := os.fork():
            return pid
        _ptrace(_TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        _native.exchange_nanoseconds(kernel._process, 2 * _EXCHANGES, client.fileno(), server.fileno())
        os._exit(0)


# ---- the order ---------------------------------------------------------------------


def run_through(addresses: Iterator[int], symbols: Symbols, base: int) -> list[str]:
    """The functions that each exchange runs through, in the order they are first met."""
    frame = functools.cache(symbols.frame)
    times: Counter[str] = Counter()
    for address in addresses:
        here = frame(address - base)
        if here.function and here.offset < here.size:
            times[here.function] += 1
    return [name for name, count in times.items() if count >= _EXCHANGES]


@click.command()
def main() -> None:
    """Write the order."""
    library = Path(find_image())
    with liblinux.Kernel(clock="virtual") as kernel:
        memory = train_lessons.Memory(library)
        pid = exchanging(kernel)
        os.waitpid(pid, os.WUNTRACED)
        names = run_through(steps(pid, _STEPS), symbols_of(str(library)), memory.start)
        with contextlib.suppress(ProcessLookupError):  # it may have come to its end
            os.kill(pid, signal.SIGKILL)
    # A system call is defined as __se_sys_NAME, of which sys_NAME is another name.
    plain = list(dict.fromkeys(re.sub("^sys_", "__se_sys_", _CLONES.sub("", name)) for name in names))
    lines = (f"*(.text.hot.{name} .text.hot.{name}.* .text.{name} .text.{name}.*)\n" for name in plain)
    _ORDER.write_text(_HEAD + "".join(lines))
    click.echo(f"{len(plain)} functions")


if __name__ == "__main__":
    main()
