"""From nothing to the first system call's answer, with everything that is built in."""

from __future__ import annotations

import os
import time

import liblinux
from liblinux import _native
from liblinux._kernel import _BOOT_OPTIONS, make_seed
from liblinux._library import find_image
from measure import OURS, Row, at_most, medians
from subjects import Bench

BOOT_MS = 5.0
PUBLISHED = {"rump kernel": "10 ms (published)", "LKL": "38 ms (measured elsewhere)"}


def measure(bench: Bench) -> list[Row]:
    """The kernel's own boot, and the same through liblinux.Kernel, which mounts /proc, /sys and /dev."""
    rounds = bench.rounds * 4
    figures, _ = medians({OURS: _bare, "class": _whole}, rounds)
    whole = {OURS: figures.pop("class")}
    return [
        Row(
            "boot",
            "boot to the first system call",
            "ms",
            f"{BOOT_MS:g} ms",
            figures,
            at_most(figures, BOOT_MS),
            PUBLISHED,
            note="a process that has booted one before",
        ),
        Row("boot", "liblinux.Kernel(), /proc, /sys and /dev mounted", "ms", "", whole),
    ]


def _bare() -> float:
    seed = make_seed(None)
    image = os.fspath(find_image())
    started = time.perf_counter()
    kernel = _native.Kernel(
        image, memory=64 << 20, virtual=False, seed=seed, command_line=" ".join(_BOOT_OPTIONS).encode()
    )
    kernel.init.getpid()
    ended = time.perf_counter()
    kernel.close()
    return (ended - started) * 1e3


def _whole() -> float:
    started = time.perf_counter()
    kernel = liblinux.Kernel()
    kernel.os.getpid()
    ended = time.perf_counter()
    kernel.close()
    return (ended - started) * 1e3
