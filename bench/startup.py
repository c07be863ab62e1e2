"""The whole process: start, get one small file out of an ext4 image, end."""

from __future__ import annotations

from collections.abc import Callable

from measure import OURS, Row, all_of, at_most, medians, within
from programs import fuse_mount, module, program, python, timed
from subjects import Bench

PROCESS_MS = 35.0

_LIBLINUX = """
import sys, liblinux
with liblinux.Kernel() as kernel:
    kernel.mount(kernel.attach(sys.argv[1], readonly=True), "/mnt")
    with kernel.open("/mnt/small", "rb") as file:
        assert len(file.read()) == 4096
"""
_PYTSK3 = """
import sys, pytsk3
system = pytsk3.FS_Info(pytsk3.Img_Info(sys.argv[1]))
assert len(system.open("/small").read_random(0, 4096)) == 4096
"""
_DISSECT = """
import sys
from dissect.extfs import ExtFS
with open(sys.argv[1], "rb") as file:
    assert len(ExtFS(file).get("/small").open().read()) == 4096
"""


def measure(bench: Bench) -> list[Row]:
    """One row."""
    image = bench.images.full

    def script(text: str, needs: str | None = None) -> Callable[[], float]:
        def play() -> float:
            if needs is not None:
                module(needs)
            return timed(python("-c", text, image)) * 1e3

        return play

    def fuse() -> float:
        import time  # noqa: PLC0415

        started = time.perf_counter()
        with fuse_mount(image, bench.mount_point) as top:
            (top / "small").read_bytes()
        return (time.perf_counter() - started) * 1e3

    players = {
        OURS: script(_LIBLINUX),
        "dissect.extfs": script(_DISSECT, "dissect.extfs"),
        "pytsk3": script(_PYTSK3, "pytsk3"),
        "debugfs": lambda: timed([program("debugfs"), "-R", "cat /small", image]) * 1e3,
        "fuse2fs": fuse,
        "Python alone": script("pass"),
    }
    figures, skipped = medians(players, bench.rounds * 2)
    return [
        Row(
            "process",
            "process: import, boot, mount ext4, read 4 KiB, exit",
            "ms",
            f"{PROCESS_MS:g} ms, half of dissect",
            figures,
            all_of(at_most(figures, PROCESS_MS), within(figures, "dissect.extfs", 0.5)),
            skipped=skipped,
        )
    ]
