"""A large file out of an ext4 image that has only just been mounted."""

from __future__ import annotations

from measure import OURS, Row, medians, within
from programs import loop_mount, program, timed
from subjects import Bench, job


def measure(bench: Bench) -> list[Row]:
    """As files are opened mostly, with O_DIRECT, and both beside the others."""
    image = bench.images.full

    def loop() -> float:
        with loop_mount(image, bench.mount_point) as top:
            return job("read_host", top / "big")()

    players = {
        OURS: job("read_liblinux", image),
        "direct": job("read_liblinux_direct", image),
        "loop mount": loop,
        "pytsk3": job("read_pytsk3", image, needs="pytsk3"),
        "dissect.extfs": job("read_dissect", image, needs="dissect.extfs"),
        "debugfs dump": lambda: timed([program("debugfs"), "-R", "dump /big /dev/null", image]),
    }
    figures, skipped = medians(players, bench.rounds)
    figures = {name: seconds * 1e3 for name, seconds in figures.items()}
    direct = figures.pop("direct")
    title = f"read a {bench.images.big_bytes >> 20} MiB file, cold"
    return [
        Row(
            "read",
            title,
            "ms",
            "loop mount",
            figures,
            within(figures, "loop mount", 1),
            skipped=skipped,
            note="debugfs: its whole process",
        ),
        Row(
            "read",
            f"{title}, direct I/O",
            "ms",
            "1.2 x pytsk3",
            {**figures, OURS: direct},
            within({**figures, OURS: direct}, "pytsk3", 1.2),
            skipped=skipped,
        ),
    ]
