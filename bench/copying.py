"""Trees out of an image, and many files into a fresh FAT: whole processes."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from guestfs import guestfish
from measure import OURS, Row, at_most, medians, within
from programs import loop_mount, program, python, run, timed
from subjects import Bench, job

EXTRACT_SECONDS = 1
FAT_FACTOR = 1 / 100
# Of pyfatfs and mtools, and multiplied: they take minutes for all.
FEW_FILES = 200
_FAT_BYTES = 64 << 20
# What the installed command does.
_COMMAND = ("-c", "from liblinux._command import main; main()")


def measure(bench: Bench) -> list[Row]:
    """Both ways; into FAT the others with few files."""
    return [_out(bench), *_into_fat(bench, FEW_FILES)]


def measure_fat(bench: Bench) -> list[Row]:
    """Into FAT with all files for everybody: minutes, and the verdict on the target."""
    return _into_fat(bench, bench.images.written_files)


def _out(bench: Bench) -> Row:
    """Everything of the image's tree, to a directory on a tmpfs, which is removed between."""
    image = bench.images.full
    target = bench.images.directory / "extracted"

    def empty() -> Path:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(target)
        target.mkdir()
        return target

    def loop() -> float:
        directory = empty()
        started = time.perf_counter()
        with loop_mount(image, bench.mount_point) as top:
            run([program("cp"), "-a", top / "tree", directory])
        return time.perf_counter() - started

    players: dict[str, Callable[[], float]] = {
        OURS: lambda: timed(python(*_COMMAND, "cp", "-r", f"{image}:/tree", empty())),
        "liblinux extract": lambda: timed(python(*_COMMAND, "extract", f"{image}:/tree", empty() / "tree")),
        "debugfs rdump": lambda: timed([program("debugfs"), "-R", f"rdump /tree {empty()}", image]),
        "7z x": lambda: timed([program("7z"), "x", "-y", f"-o{empty()}", image, "tree"]),
        "loop mount, cp -a": loop,
        "guestfish tar-out": guestfish(image, "tar-out", "/tree", bench.images.directory / "guestfish.tar"),
    }
    figures, skipped = medians(players, bench.rounds)
    shutil.rmtree(target)
    (bench.images.directory / "guestfish.tar").unlink(missing_ok=True)
    isolated = figures.pop("liblinux extract", None)
    return Row(
        "copying",
        f"extract {bench.images.tree_files:,} files",
        "s",
        f"{EXTRACT_SECONDS} s",
        figures,
        at_most(figures, EXTRACT_SECONDS),
        skipped=skipped,
        note="whole processes; only liblinux and the loop mount keep all metadata"
        + (f"; out of an isolated kernel {isolated:.2f} s" if isolated is not None else ""),
    )


def _into_fat(bench: Bench, others: int) -> list[Row]:
    """The same files twice: names of more than 8 characters make Linux's FAT look for aliases that are free."""
    images = bench.images
    short = images.directory / "short"
    short.mkdir()
    for index, path in enumerate(sorted(images.sources.iterdir())):
        (short / f"f{index:05}.dat").hardlink_to(path)
    rows = [
        _fat_row(bench, short, "8.3 names", others),
        _fat_row(bench, images.sources, "long, similar names", others),
    ]
    shutil.rmtree(short)
    return rows


def _fat_row(bench: Bench, sources: Path, names: str, others: int) -> Row:
    image = bench.images.directory / "fat.img"
    few = bench.images.directory / "few"
    few.mkdir()
    files = sorted(sources.iterdir())
    for path in files[:others]:
        (few / path.name).hardlink_to(path)
    scale = len(files) / len(list(few.iterdir()))

    def fresh() -> Path:
        image.unlink(missing_ok=True)
        with image.open("wb") as file:
            file.truncate(_FAT_BYTES)
        run([program("mkfs.fat"), "-F16", image])
        return image

    def ours(*options: str) -> float:
        return timed(python(*_COMMAND, "cp", "-r", *options, sources, f"{fresh()}:/"))

    def pyfatfs() -> float:
        return job("fat_pyfatfs", fresh(), few, needs="pyfatfs")() * scale

    def mcopy() -> float:
        return timed([program("mcopy"), "-s", "-i", fresh(), few, "::"]) * scale

    # Each file takes pyfatfs longer than the one before, and mtools where aliases are taken, so that what a few
    # take, times the rest, is less than they would need: such figures are shown, and prove no miss.
    figures, skipped = medians(
        {
            OURS: ours,
            "with shortname=winnt": lambda: ours("--mount-options", "shortname=winnt"),
        },
        bench.rounds,
    )
    # Once: it is minutes where they have all.
    also, missing = medians({"mcopy -s": mcopy, "pyfatfs": pyfatfs}, 1, warm_up=False)
    figures, skipped = {**figures, **also}, {**skipped, **missing}
    image.unlink()
    shutil.rmtree(few)
    met = within(figures, "pyfatfs", FAT_FACTOR)
    few_files = f"; mcopy and pyfatfs {others} files, times {scale:g}, in their favour; all: --only fat"
    return Row(
        "copying",
        f"put {len(files):,} files into a fresh FAT, {names}",
        "s",
        "pyfatfs / 100",
        figures,
        met if met or scale == 1 else None,
        skipped=skipped,
        note=f"whole processes; mcopy and pyfatfs once, pyfatfs without its start{few_files if scale > 1 else ''}",
    )
