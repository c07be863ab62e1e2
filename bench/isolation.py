"""What Kernel(isolated=True) costs: a small call, a long read, a boot, a page fault, a restore.

The small call is os.getpid(), made one after the other, which is the best case
of the channel (both sides still look out for each other when the next one
comes), and a millisecond apart, when both have gone to sleep.

The page fault is the first write to a page of a mapped file that is in the
kernel's page cache: each page is one. The restore is of a kernel of 64 MiB with
ext4 mounted, after a file was written and synced.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

import liblinux
from measure import OURS, Row, at_most, medians, within
from subjects import Bench, job

_PAUSE_SECONDS = 0.001
_PAGE = 4096
_PAGES = 1024
_RESTORES = 50


def _boot(*, isolated: bool) -> float:
    started = time.perf_counter()
    kernel = liblinux.Kernel(isolated=isolated)
    seconds = time.perf_counter() - started
    kernel.close()
    return seconds * 1e3


def _apart(call: Callable[[], object], count: int) -> float:
    spent = 0.0
    for _ in range(count):
        time.sleep(_PAUSE_SECONDS)
        started = time.perf_counter()
        call()
        spent += time.perf_counter() - started
    return spent / count * 1e6


def _touch(kernel: liblinux.Kernel) -> float:
    with kernel.open("/touched", "w+b") as file:
        file.write(bytes(_PAGES * _PAGE))
        view = kernel.mmap(file)
        started = time.perf_counter()
        for at in range(0, _PAGES * _PAGE, _PAGE):
            view[at] = 1
        seconds = time.perf_counter() - started
        view.release()
    return seconds / _PAGES * 1e6


def _restore(kernel: liblinux.Kernel, state: liblinux.Snapshot) -> float:
    spent = 0.0
    for _ in range(_RESTORES):
        with kernel.open("/mnt/written", "wb") as file:
            file.write(bytes(1 << 16))
        kernel.os.sync()
        started = time.perf_counter()
        kernel.restore(state)
        spent += time.perf_counter() - started
    return spent / _RESTORES * 1e3


def _restores(bench: Bench) -> dict[str, float]:
    with liblinux.Kernel() as here, liblinux.Kernel(isolated=True) as there:
        states = {}
        for kernel in (here, there):
            kernel.mount(kernel.attach(bench.images.full, overlay=True), "/mnt")
            states[kernel] = kernel.snapshot()
        found, _ = medians(
            {OURS: lambda: _restore(there, states[there]), "in-process": lambda: _restore(here, states[here])},
            bench.rounds,
        )
    return found


def measure(bench: Bench) -> list[Row]:
    """Six rows."""
    count = 10_000 if bench.quick else 100_000
    with liblinux.Kernel() as here, liblinux.Kernel(isolated=True) as there:
        calls, _ = medians(
            {
                OURS: lambda: timeit.timeit(there.os.getpid, number=count) / count * 1e6,
                "in-process": lambda: timeit.timeit(here.os.getpid, number=count) / count * 1e6,
            },
            bench.rounds,
        )
        apart, _ = medians(
            {
                OURS: lambda: _apart(there.os.getpid, count // 100),
                "in-process": lambda: _apart(here.os.getpid, count // 100),
            },
            bench.rounds,
        )
        touches, _ = medians({OURS: lambda: _touch(there), "in-process": lambda: _touch(here)}, bench.rounds)
    image = bench.images.full
    reads, _ = medians(
        {OURS: job("read_isolated", image), "in-process": job("read_all", image)},
        bench.rounds,
    )
    reads = {name: seconds * 1e3 for name, seconds in reads.items()}
    boots, _ = medians({OURS: lambda: _boot(isolated=True), "in-process": lambda: _boot(isolated=False)}, bench.rounds)
    title = f"isolated: read a {bench.images.big_bytes >> 20} MiB file at once, cold"
    return [
        Row("isolation", "isolated: small call", "us", "10", calls, at_most(calls, 10)),
        Row("isolation", "isolated: small call, 1 ms after another", "us", "", apart),
        Row("isolation", title, "ms", "1.5 x in-process", reads, within(reads, "in-process", 1.5)),
        Row("isolation", "isolated: boot", "ms", "", boots),
        Row("isolation", "isolated: first write to a page of a mapped file", "us", "", touches),
        Row("isolation", "isolated: restore() after a file was written and synced", "ms", "", _restores(bench)),
    ]
