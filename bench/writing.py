"""Many small files into a fresh ext4 image, until they are in it."""

from __future__ import annotations

import time

from measure import OURS, Row, medians, within
from programs import fuse_mount, loop_mount, program, timed
from subjects import Bench, job
from workplace import SMALL_FILE_BYTES, written_name


def measure(bench: Bench) -> list[Row]:
    """Open, write, close of each, and one syncfs; fuse2fs writes back when it is unmounted."""
    images = bench.images
    count = images.written_files

    def ours() -> float:
        return job("write_liblinux", images.fresh(), str(count))()

    def loop() -> float:
        with loop_mount(images.fresh(), bench.mount_point, readonly=False) as top:
            return job("write_host", top, str(count))()

    def fuse() -> float:
        with fuse_mount(images.fresh(), bench.mount_point, readonly=False) as top:
            writing = job("write_host", top, str(count))()
            started = time.perf_counter()
        return writing + time.perf_counter() - started

    def debugfs() -> float:
        commands = images.directory / "commands"
        names = [written_name(index) for index in range(count)]
        commands.write_text("".join(f"write {images.sources / name} {name}\n" for name in names))
        return timed([program("debugfs"), "-w", "-f", commands, images.fresh()])

    players = {
        OURS: ours,
        "loop mount": loop,
        "debugfs -w": debugfs,
        "fuse2fs": fuse,
    }
    figures, skipped = medians(players, bench.rounds)
    figures = {name: seconds * 1e3 for name, seconds in figures.items()}
    return [
        Row(
            "write",
            f"write {count:,} files of {SMALL_FILE_BYTES >> 10} KiB and sync",
            "ms",
            "loop mount",
            figures,
            within(figures, "loop mount", 1),
            skipped=skipped,
            note="debugfs: its whole process",
        )
    ]
