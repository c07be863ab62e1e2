"""Commands as whole processes: one file of an image, and a listing of 20,000."""

from __future__ import annotations

from collections.abc import Callable

from guestfs import guestfish
from measure import OURS, Row, at_most, medians
from programs import loop_mount, program, python, timed
from subjects import Bench

CAT_MS = 80.0
# As the installed command: `python -m` would find its module first.
_LIBLINUX = "from liblinux._command import main; main()"


def measure(bench: Bench) -> list[Row]:
    """Two rows."""
    return [_cat(bench), _ls(bench)]


def milliseconds(player: Callable[[], float]) -> Callable[[], float]:
    """A player of seconds, in milliseconds."""
    return lambda: player() * 1e3


def _cat(bench: Bench) -> Row:
    image = bench.images.full
    players = {
        OURS: lambda: timed(python("-c", _LIBLINUX, "cat", f"{image}:/small")) * 1e3,
        "debugfs": lambda: timed([program("debugfs"), "-R", "cat /small", image]) * 1e3,
        "guestfish": milliseconds(guestfish(image, "cat", "/small")),
        "liblinux --version": lambda: timed(python("-c", _LIBLINUX, "--version")) * 1e3,
    }
    figures, skipped = medians(players, bench.rounds * 2)
    return Row(
        "commands",
        "process: liblinux cat disk.img:/small",
        "ms",
        f"{CAT_MS:g} ms",
        figures,
        at_most(figures, CAT_MS),
        skipped=skipped,
    )


def _ls(bench: Bench) -> Row:
    image = bench.images.full

    def loop() -> float:
        with loop_mount(image, bench.mount_point) as top:
            return timed([program("ls"), "-lR", top / "tree"]) * 1e3

    players = {
        OURS: lambda: timed(python("-c", _LIBLINUX, "ls", "-lR", f"{image}:/tree")) * 1e3,
        "find": lambda: timed(python("-c", _LIBLINUX, "find", f"{image}:/tree", "--size", "+1k")) * 1e3,
        "7z l": lambda: timed([program("7z"), "l", image]) * 1e3,
        "loop mount, ls -lR": loop,
        "guestfish": milliseconds(guestfish(image, "ll", "/tree/directory-000")),
    }
    figures, skipped = medians(players, bench.rounds)
    figures = {"liblinux find": figures.pop("find"), **figures} if "find" in figures else figures
    title = f"process: liblinux ls -lR, {bench.images.tree_files:,} files"
    return Row("commands", title, "ms", "", figures, skipped=skipped, note="guestfish lists 200 of them")
