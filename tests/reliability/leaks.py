"""Whether the process, and a kernel in it, grow with use: `make reliability`, or

    .venv/bin/python tests/reliability/leaks.py              1,000 boots, 10,000 mounts, 10,000 in one kernel
    .venv/bin/python tests/reliability/leaks.py boots -n 5000

What grows is told from what swings by the medians of the second and the last
quarter of the run: a leak raises the last one, one large page more or less does
not. (A line fitted to all points follows the few that stand out.)
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

import liblinux

__all__ = ["BOUNDS", "SCENARIOS", "Growth", "Use", "measure"]

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
# Before the first sample: caches of Python and of the allocator fill.
_WARM_UP_SHARE = 0.1
_MIN_WARM_UP = 5


@dataclass(frozen=True)
class Use:
    """What the process, or a kernel, uses at one moment."""

    resident_kib: int
    descriptors: int
    mappings: int
    threads: int

    @classmethod
    def now(cls) -> Use:
        """Of this process."""
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as statm:
            resident = int(statm.read().split()[1])
        with open("/proc/self/maps", encoding="utf-8") as maps:
            mappings = sum(1 for _ in maps)
        # Minus the one that reads the directory.
        descriptors = len(os.listdir("/proc/self/fd")) - 1
        return cls(resident * _PAGE_KIB, descriptors, mappings, threading.active_count())


@dataclass(frozen=True)
class Bound:
    """What passes as flat: `once`, whenever it happens, and `per_turn`."""

    once: float
    per_turn: float


# Descriptors, mappings and threads are counted: at most one in two hundred turns may stay, and a few mappings anyhow,
# as those beside each other are joined or not. Memory comes once in a large page of the host, of 2 MiB; a page of
# 4 KiB that a turn in forty leaves behind is found in the long runs, one of every other turn in the short ones.
BOUNDS: Mapping[str, Bound] = {
    "resident_kib": Bound(2560, 0.1),
    "descriptors": Bound(0, 0.005),
    "mappings": Bound(8, 0.005),
    "threads": Bound(0, 0.005),
    "kernel_kib": Bound(256, 0.05),
}


@dataclass(frozen=True)
class Growth:
    """What has grown in so many turns, as :class:`Use` has it, and `kernel_kib` in the kernel."""

    turns: int
    seconds: float
    resident_kib: float
    descriptors: float
    mappings: float
    threads: float
    kernel_kib: float

    def __str__(self) -> str:
        grown = ", ".join(f"{getattr(self, name):+.0f} {name}" for name in BOUNDS)
        return f"in {self.turns} turns {grown} ({self.seconds:.1f} s)"

    def excess(self) -> dict[str, float]:
        """What has grown beyond its bound."""
        grown = {name: getattr(self, name) for name in BOUNDS}
        allowed = {name: bound.once + bound.per_turn * self.turns for name, bound in BOUNDS.items()}
        return {name: value for name, value in grown.items() if value > allowed[name]}


def measure(turn: Callable[[], None], turns: int, used_kib: Callable[[], int] = lambda: 0, samples: int = 80) -> Growth:
    """Call `turn` so often, and say what has grown; `used_kib` is asked what else is used, in KiB."""
    taken: list[tuple[Use, int]] = []
    step = max(1, turns // samples)
    with _of_little_garbage():
        for _ in range(max(_MIN_WARM_UP, int(turns * _WARM_UP_SHARE))):
            turn()
        start = time.monotonic()
        for number in range(turns):
            turn()
            if number % step == 0:
                taken.append((Use.now(), used_kib()))
    seconds = time.monotonic() - start
    quarter = len(taken) // 4
    early, late = taken[quarter : 2 * quarter], taken[-quarter:]

    def growth(of: Callable[[tuple[Use, int]], int]) -> float:
        return statistics.median(map(of, late)) - statistics.median(map(of, early))

    return Growth(
        (len(taken) - 2 * quarter) * step,  # from the middle of one quarter to that of the other
        seconds,
        growth(lambda sample: sample[0].resident_kib),
        growth(lambda sample: sample[0].descriptors),
        growth(lambda sample: sample[0].mappings),
        growth(lambda sample: sample[0].threads),
        growth(lambda sample: sample[1]),
    )


@contextlib.contextmanager
def _of_little_garbage() -> Iterator[None]:
    """What is there already is not searched at each sample: in a process of many tests that took most of the time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


# ---- what is done over and over ------------------------------------------------


def boots(image: Path, turns: int) -> Growth:
    """A kernel is booted, mounts a disk, reads, writes, and is closed."""

    def turn() -> None:
        with liblinux.Kernel() as kernel:
            _use(kernel, kernel.attach(image, overlay=True))

    return measure(turn, turns)


def mounts(image: Path, turns: int) -> Growth:
    """In one kernel a disk is attached, mounted, used, unmounted and detached."""
    with liblinux.Kernel() as kernel:
        _touch_all(kernel)

        def turn() -> None:
            disk = kernel.attach(image, overlay=True)
            _use(kernel, disk)
            kernel.umount("/mnt")
            disk.detach()

        return measure(turn, turns, lambda: _used_kib(kernel))


def remounts(image: Path, turns: int) -> Growth:
    """In one kernel a disk that stays attached is mounted, used and unmounted."""
    with liblinux.Kernel() as kernel:
        _touch_all(kernel)
        disk = kernel.attach(image, overlay=True)

        def turn() -> None:
            _use(kernel, disk)
            kernel.umount("/mnt")

        return measure(turn, turns, lambda: _used_kib(kernel))


def panics(image: Path, turns: int) -> Growth:
    """A kernel is booted, dies in the middle of its use, and is closed."""

    def turn() -> None:
        with liblinux.Kernel() as kernel:
            kernel.mount(kernel.attach(image, overlay=True), "/mnt", options="errors=panic")
            trigger = kernel.os.open("/sys/fs/ext4/lda/trigger_fs_error", os.O_WRONLY)
            try:
                kernel.os.write(trigger, b"of a test")
            except liblinux.KernelPanic:
                return
            raise AssertionError("the kernel survived an error that it was to panic at")

    return measure(turn, turns)


SCENARIOS: Mapping[str, tuple[Callable[[Path, int], Growth], int]] = {
    "boots": (boots, 1000),
    "mounts": (mounts, 10_000),
    "remounts": (remounts, 10_000),
    "panics": (panics, 1000),
}


def _use(kernel: liblinux.Kernel, disk: liblinux.Disk) -> None:
    kernel.mount(disk, "/mnt")
    kernel.os.scantree("/mnt")
    with kernel.open("/mnt/hello.txt", "r+") as file:
        text = file.read()
        file.seek(0)
        file.write(text.swapcase())


def _touch_all(kernel: liblinux.Kernel) -> None:
    """Let the kernel use most of its memory once: what it uses for the first time becomes resident."""
    kernel.mount(None, "/full", type="tmpfs")
    with kernel.open("/full/file", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    kernel.umount("/full")


def _used_kib(kernel: liblinux.Kernel) -> int:
    """What the kernel has not available, its caches dropped."""
    kernel.sysctl["vm.drop_caches"] = 3
    with kernel.open("/proc/meminfo") as file:
        meminfo = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return meminfo["MemTotal"] - meminfo["MemFree"]


def make_image(directory: Path) -> Path:
    """A small ext4 image with a file in it."""
    path = directory / "leaks.img"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    subprocess.run(["mkfs.ext4", "-qF", path], env=environment, check=True)
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(path), "/mnt")
        with kernel.open("/mnt/hello.txt", "w") as file:
            file.write("hello from the image\n")
    return path


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SCENARIOS)))
@click.option("--turns", "-n", type=click.IntRange(min=100), help="Instead of what is usual for each.")
def main(names: tuple[str, ...], turns: int | None) -> None:
    """Measure growth; exit status 1 when something grows."""
    grew = False
    with tempfile.TemporaryDirectory() as directory:
        image = make_image(Path(directory))
        for name in names or SCENARIOS:
            scenario, usual = SCENARIOS[name]
            growth = scenario(image, turns or usual)
            print(f"{name}: {growth}", flush=True)
            if excess := growth.excess():
                print(f"{name} grows: {excess}", flush=True)
                grew = True
    sys.exit(grew)


if __name__ == "__main__":
    main()
