"""Comparing and copying images, which are mostly holes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from conftest import run

_BLOCK_BYTES = 64 << 10


def fingerprint(path: Path) -> str:
    """A hash of an image and its size, made without reading its holes. A written block of zeros counts as one."""
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb", buffering=0) as file:
        for number in _written_blocks(file.fileno()):
            block = os.pread(file.fileno(), _BLOCK_BYTES, number * _BLOCK_BYTES)
            if block.strip(b"\0"):
                digest.update(f"{number}:".encode() + block)
    return digest.hexdigest()


def _written_blocks(descriptor: int) -> list[int]:
    blocks: set[int] = set()
    end = 0
    while True:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # a hole up to the end, or the end
            return sorted(blocks)
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        blocks.update(range(start // _BLOCK_BYTES, (end - 1) // _BLOCK_BYTES + 1))


def copy(image: Path, to: Path) -> Path:
    """A copy with the same holes."""
    run("cp", "--sparse=always", image, to)
    return to
