"""An image mounted through FUSE: a large file read in one go, and the status of every file of a tree."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from measure import OURS, Row, Skipped, medians, within
from programs import child_environment, fuse_mount, loop_mount, program, run, unmount
from subjects import Bench, job

__all__ = ["measure"]

_Mounting = Callable[[Path, Path], AbstractContextManager[Path]]


@contextlib.contextmanager
def our_mount(image: Path, target: Path) -> Iterator[Path]:
    """`liblinux mount -f` mounts an image; comes back when its process has ended."""
    with _served([sys.executable, "-m", "liblinux.cli", "mount", "-f", str(image), str(target)], target):
        yield target


@contextlib.contextmanager
def _served(command: list[str], target: Path) -> Iterator[None]:
    if not os.access("/dev/fuse", os.W_OK):
        raise Skipped("/dev/fuse cannot be opened")
    target.mkdir(exist_ok=True)
    process = subprocess.Popen(command, env=child_environment())
    try:
        while not os.path.ismount(target):
            if process.poll() is not None:
                raise RuntimeError(f"{command[1]} ended with {process.returncode}")
            time.sleep(0.0005)
        yield
    finally:
        if os.path.ismount(target):
            unmount(target)
        process.wait()


def sequential(mounting: _Mounting, image: Path, target: Path) -> float:
    """MiB/s of fio reading /big once, of a file system that has just been mounted."""
    fio = program("fio")
    with mounting(image, target) as top:
        done = run(
            [fio, "--name=read", f"--filename={top / 'big'}", "--readonly", "--rw=read", "--bs=1M", "--invalidate=0",
             "--output-format=json"]
        )  # fmt: skip
    return float(json.loads(done[done.index("{") :])["jobs"][0]["read"]["bw"]) / 1024


def walk(mounting: _Mounting, image: Path, target: Path) -> float:
    """Milliseconds for the status of all files."""
    with mounting(image, target) as top:
        return job("walk_host", top / "tree")() * 1e3


def measure(bench: Bench) -> list[Row]:
    """Both, side by side with fuse2fs; a loop mount, which needs root, beside them."""
    mountings = {OURS: our_mount, "fuse2fs": fuse_mount, "loop mount": loop_mount}
    rows = []
    for what, unit, player, more_is_better in (
        ("fio: sequential read", "MiB/s", sequential, True),
        (f"walk and stat {bench.images.tree_files:,} files", "ms", walk, False),
    ):
        players = {
            name: functools.partial(player, mounting, bench.images.full, bench.mount_point)
            for name, mounting in mountings.items()
        }
        figures, skipped = medians(players, bench.rounds)
        met = within(figures, "fuse2fs", 1.0)
        if more_is_better and met is not None:
            met = figures[OURS] >= figures["fuse2fs"]
        rows.append(Row("serve", f"FUSE mount, {what}", unit, "faster than fuse2fs", figures, met, skipped=skipped))
    return rows
