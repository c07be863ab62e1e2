"""A tree of 20,000 files out of an image as a tar, through a pipe; whole processes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from guestfs import guestfish
from measure import OURS, Row, medians, within
from programs import loop_mount, program, timed
from subjects import Bench

# What keeps as much as ours does: times in nanoseconds, attributes, ACLs.
_ALL_METADATA = ("--format=posix", "--xattrs", "--xattrs-include=*", "--acls", "--sparse", "--numeric-owner")


def measure(bench: Bench) -> list[Row]:
    """Our whole process, boot and mount included, against tar alone on what the host has mounted just now."""
    image = bench.images.full
    ours: list[str | Path] = [Path(sys.executable).with_name("liblinux"), "tar", f"{image}:/tree"]

    def loop(*options: str) -> Callable[[], float]:
        def play() -> float:
            with loop_mount(image, bench.mount_point) as top:
                return timed(piped([program("tar"), *options, "-C", top / "tree", "-cf", "-", "."]))

        return play

    players = {
        OURS: lambda: timed(piped(ours)),
        "loop mount, tar": loop(),
        "loop mount, tar with all metadata": loop(*_ALL_METADATA),
        "guestfish tar-out": guestfish(image, "tar-out", "/tree", "-", through=piped),
    }
    figures, skipped = medians(players, bench.rounds)
    title = f"tar of {bench.images.tree_files:,} files to a pipe"
    return [
        Row(
            "tar",
            title,
            "s",
            "1.2 x loop mount",
            figures,
            within(figures, "loop mount, tar", 1.2),
            skipped=skipped,
            note=ratio(figures, "loop mount, tar"),
        )
    ]


def piped(command: Sequence[str | Path]) -> list[str]:
    """The command with its output in a pipe: tar writes nothing at all to /dev/null itself."""
    return ["bash", "-o", "pipefail", "-c", f"{shlex.join(str(part) for part in command)} | cat > /dev/null"]


def ratio(figures: dict[str, float], other: str) -> str:
    """How many times of the other's figure ours is."""
    return f"{figures[OURS] / figures[other]:.2f} x {other}" if {OURS, other} <= figures.keys() else ""
