"""A file out of qcow2, gzip and LUKS images, and what is on an image: whole processes.

The others unpack the image first: that is how it goes without root, /dev/kvm or
nbd. What they need beforehand (the raw copy) is a part of their time.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from measure import OURS, Row, Skipped, medians, within
from programs import program, python, timed
from subjects import Bench

INFO = "process: liblinux info disk.img"
_LIBLINUX = "from liblinux._command import main; main()"
_SECRET = "correct horse"  # noqa: S105 - of an image of zeros and noise


def measure(bench: Bench) -> list[Row]:
    """Four rows."""
    directory = bench.images.directory / "containers"
    directory.mkdir()
    try:
        return [_qcow2(bench, directory), _gzip(bench, directory), _luks(bench, directory), _info(bench)]
    finally:
        shutil.rmtree(directory)


def _ours(*arguments: str | Path) -> float:
    return timed(python("-c", _LIBLINUX, *arguments)) * 1e3


def _all_of(*commands: list[str | Path]) -> float:
    """Milliseconds of processes one after the other."""
    return sum(timed(command) for command in commands) * 1e3


def _row(bench: Bench, what: str, players: dict[str, Callable[[], float]], other: str) -> Row:
    figures, skipped = medians(players, bench.rounds)
    verdict = within(figures, other, 1.0)
    return Row("containers", what, "ms", f"{other}", figures, verdict, skipped=skipped)


def _qcow2(bench: Bench, directory: Path) -> Row:
    """The big file out of a qcow2 as it comes, and out of a compressed one."""
    full, raw = bench.images.full, directory / "raw"
    plain, packed = directory / "qcow2", directory / "qcow2c"

    def make(path: Path, *options: str) -> Path:
        if not path.exists():
            timed([program("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", *options, full, path])
        return path

    def unpacked() -> float:
        convert: list[str | Path] = [program("qemu-img"), "convert", "-O", "raw", make(plain), raw]
        return _all_of(convert, [program("debugfs"), "-R", "cat /big", raw])

    players = {
        OURS: lambda: _ours("cat", f"{make(plain)}:/big"),
        "liblinux, compressed": lambda: _ours("cat", f"{make(packed, '-c')}:/big"),
        "liblinux, raw": lambda: _ours("cat", f"{full}:/big"),
        "qemu-img convert, debugfs": unpacked,
    }
    return _row(bench, "process: liblinux cat disk.qcow2:/big", players, "qemu-img convert, debugfs")


def _gzip(bench: Bench, directory: Path) -> Row:
    """A small file out of a compressed image: all of it must be unpacked."""
    packed, raw = directory / "full.img.gz", directory / "raw"
    with packed.open("wb") as target:
        subprocess.run([program("gzip"), "-1", "-c", str(bench.images.full)], stdout=target, check=True)

    def unpacked() -> float:
        shell: list[str | Path] = ["sh", "-c", 'gzip -dc "$0" > "$1"', packed, raw]
        return _all_of(shell, [program("debugfs"), "-R", "cat /small", raw])

    players = {OURS: lambda: _ours("cat", f"{packed}:/small"), "gzip -d, debugfs": unpacked}
    return _row(bench, "process: liblinux cat disk.img.gz:/small", players, "gzip -d, debugfs")


def _luks(bench: Bench, directory: Path) -> Row:
    """The big file out of a LUKS1 volume; QEMU has a LUKS of its own."""
    volume, key, raw = directory / "luks", directory / "key", directory / "raw"
    key.write_text(_SECRET)
    object_ = ["--object", f"secret,id=key,file={key}"]

    def make() -> Path:
        if not volume.exists():
            options = "key-secret=key,iter-time=10"
            command = [program("qemu-img"), "convert", *object_, "-f", "raw", "-O", "luks", "-o", options]
            for attempt in range(5):
                try:
                    timed([*command, bench.images.full, volume])
                    break
                except RuntimeError:  # it measures itself for the header, and may find that it cannot
                    volume.unlink(missing_ok=True)
                    if attempt == 4:
                        raise Skipped("qemu-img made no LUKS volume") from None
        return volume

    def unpacked() -> float:
        source = f"driver=luks,key-secret=key,file.filename={make()}"
        convert = [program("qemu-img"), "convert", *object_, "--image-opts", source, "-O", "raw", str(raw)]
        return _all_of([*convert], [program("debugfs"), "-R", "cat /big", raw])

    players = {
        OURS: lambda: _ours("cat", "--passphrase-file", key, f"{make()}:/big"),
        "qemu-img convert, debugfs": unpacked,
    }
    return _row(bench, "process: liblinux cat luks.img:/big", players, "qemu-img convert, debugfs")


def _info(bench: Bench) -> Row:
    full = bench.images.full

    def others() -> float:
        return _all_of(
            [program("qemu-img"), "info", full], [program("blkid"), "-p", full], [program("dumpe2fs"), "-h", full]
        )

    players = {OURS: lambda: _ours("info", full), "qemu-img info, blkid, dumpe2fs": others}
    figures, skipped = medians(players, bench.rounds)
    return Row("containers", INFO, "ms", "", figures, skipped=skipped)
