"""Whole files of a kernel, in one line of a test."""

from __future__ import annotations

import liblinux


def put(kernel: liblinux.Kernel, path: str, content: bytes) -> None:
    """Write it."""
    with kernel.open(path, "wb") as file:
        file.write(content)


def get(kernel: liblinux.Kernel, path: str) -> bytes:
    """Read it."""
    with kernel.open(path, "rb") as file:
        return file.read()
