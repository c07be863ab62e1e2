"""Kernel images with damaged headers: each is refused in words, or boots; nobody crashes.

    .venv/bin/python fuzz/loader.py --seed 0 --count 1000

Only what the loader reads is damaged: the header, the program headers, and the
dynamic section with where and how large the relocations are. The rest is code,
and trusted. Each image is loaded in a process of its own; one that may still
boot (an unused field was hit) must.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import click

from liblinux._library import find_image

__all__ = ["damage", "fuzz", "try_images"]

_HEADER_BYTES, _SEGMENT_BYTES, _DYNAMIC_BYTES = 64, 56, 16
_PT_DYNAMIC = 2
_PROGRAM = """
import sys
import liblinux
from liblinux import _native
for path in sys.argv[1:]:
    try:
        kernel = _native.Kernel(path, memory=32 << 20, virtual=True, seed=bytes(64), command_line=b"")
    except (OSError, liblinux.LiblinuxError) as error:
        print("refused", type(error).__name__, flush=True)
    else:
        kernel.close()
        print("booted", flush=True)
"""


def _places(image: bytes) -> tuple[list[int], list[int]]:
    """Offsets of 8 bytes each: of headers, and of the dynamic section."""
    start, count = struct.unpack_from("<Q", image, 32)[0], struct.unpack_from("<H", image, 56)[0]
    headers = [*range(0, _HEADER_BYTES, 8), *range(start, start + count * _SEGMENT_BYTES, 8)]
    for segment in range(start, start + count * _SEGMENT_BYTES, _SEGMENT_BYTES):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", image, segment)
        if kind == _PT_DYNAMIC:
            return headers, list(range(offset, offset + size, 8))
    raise ValueError("the image has no dynamic section")


def damage(image: bytes, seed: int) -> list[tuple[int, bytes]]:
    """What seed number `seed` changes: (offset, bytes)."""
    chosen = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    headers, dynamic = _places(image)
    changes = []
    for _ in range(chosen.choice((1, 1, 2, 3))):
        place = chosen.choice(chosen.choice((headers, headers, dynamic)))
        width = chosen.choice((1, 2, 4, 8))
        at = place + chosen.randrange(8 // width) * width
        old = int.from_bytes(image[at : at + width], "little")
        mask = (1 << 8 * width) - 1
        near = (
            old + 1,
            old - 1,
            old + 8,
            old - 8,
            old * 2,
            old + 4096,
            old - 4096,
            -old,
            old ^ 1 << chosen.randrange(8 * width),
        )
        edges = (0, 1, mask, mask >> 1, (mask >> 1) + 1, mask - 7, mask - 4095, len(image), len(image) - 8)
        value = chosen.choice(chosen.choice((near, edges))) & mask
        changes.append((at, value.to_bytes(width, "little")))
    return changes


def try_images(paths: list[Path]) -> list[str]:
    """Load each in one process: a word for each, the last one being "died" when the process did."""
    command = [sys.executable, "-X", "faulthandler", "-c", _PROGRAM, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    words = done.stdout.splitlines()
    if done.returncode:
        words.append(f"died ({done.returncode})")
    return words


def fuzz(seeds: range, image: Path, directory: Path, batch: int = 20) -> dict[int, str]:
    """What became of each seed; damaged images of those that died stay in `directory`."""
    content = image.read_bytes()
    copies = [directory / f"liblinux-{number}.so" for number in range(batch)]
    for copy in copies:
        shutil.copyfile(image, copy)
    answers: dict[int, str] = {}
    waiting = list(seeds)
    while waiting:
        trying = waiting[:batch]
        made = [damage(content, seed) for seed in trying]
        for copy, changes in zip(copies, made, strict=False):
            _patch(copy, changes)
        words = try_images(copies[: len(trying)])
        answers.update(zip(trying, words, strict=False))
        for copy, changes in zip(copies, made, strict=False):
            _patch(copy, [(at, content[at : at + len(data)]) for at, data in changes])
        waiting = waiting[len(words) :]
    return answers


def _patch(path: Path, changes: list[tuple[int, bytes]]) -> None:
    with path.open("r+b") as file:
        for at, data in changes:
            file.seek(at)
            file.write(data)


@click.command()
@click.option("--seed", default=0, show_default=True)
@click.option("--count", default=1000, show_default=True)
def main(seed: int, count: int) -> None:
    """Damage kernel images and load them."""
    with tempfile.TemporaryDirectory() as directory:
        answers = fuzz(range(seed, seed + count), Path(find_image()), Path(directory))
    print(Counter(answers.values()))
    died = {number: word for number, word in answers.items() if word.startswith("died")}
    print(died)
    sys.exit(bool(died))


if __name__ == "__main__":
    main()
