"""The status of every file of a tree in an image that has only just been mounted."""

from __future__ import annotations

from measure import OURS, Row, all_of, medians, within
from programs import fuse_mount, loop_mount
from subjects import Bench, job


def measure(bench: Bench) -> list[Row]:
    """One batched call; and the same with an os.stat_result made of every entry."""
    image = bench.images.full

    def loop() -> float:
        with loop_mount(image, bench.mount_point) as top:
            return job("walk_host", top / "tree")()

    def fuse() -> float:
        with fuse_mount(image, bench.mount_point) as top:
            return job("walk_host", top / "tree")()

    players = {
        OURS: job("walk_liblinux_raw", image),
        "results": job("walk_liblinux", image),
        "loop mount": loop,
        "pytsk3": job("walk_pytsk3", image, needs="pytsk3"),
        "dissect.extfs": job("walk_dissect", image, needs="dissect.extfs"),
        "fuse2fs": fuse,
    }
    figures, skipped = medians(players, bench.rounds)
    figures = {name: seconds * 1e3 for name, seconds in figures.items()}
    results = figures.pop("results")
    title = f"walk and stat {bench.images.tree_files:,} files"
    return [
        Row(
            "walk",
            f"{title}, one call",
            "ms",
            "loop mount / 2, 1.5 x pytsk3",
            figures,
            all_of(within(figures, "loop mount", 1 / 2), within(figures, "pytsk3", 1.5)),
            skipped=skipped,
        ),
        Row("walk", f"{title}, an os.stat_result of each", "ms", "", {**figures, OURS: results}, skipped=skipped),
    ]
