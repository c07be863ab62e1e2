"""An ext4 image with large files of known content, and what it takes to read them in two threads."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import liblinux

MIB = 1 << 20
BIG_BYTES = 12 * MIB
CALL_BYTES = 128 * 1024  # larger reads of what is not in the page cache go past it
# Debian keeps mkfs where users' PATH does not lead.
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
# A process that may use one processor only reads with one thread.
HAS_TWO_PROCESSORS = len(os.sched_getaffinity(0)) > 1


@dataclass(frozen=True)
class Big:
    """An image file, and what is in its files /a, /b, /c and /d."""

    path: Path
    content: dict[str, bytes]


@pytest.fixture(scope="session")
def big_of_session(tmp_path_factory: pytest.TempPathFactory) -> Big:
    directory = tmp_path_factory.mktemp("readahead")
    files = directory / "files"
    files.mkdir()
    content = {name: random.Random(name).randbytes(BIG_BYTES) for name in "abcd"}
    for name, data in content.items():
        (files / name).write_bytes(data)
    path = directory / "big.img"
    with path.open("wb") as file:
        file.truncate(80 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", files, path], check=True, env=ENVIRONMENT)
    return Big(path, content)


@pytest.fixture
def big(big_of_session: Big, tmp_path: Path) -> Big:
    """A copy of the test's own."""
    path = tmp_path / "big.img"
    shutil.copyfile(big_of_session.path, path)
    return Big(path, big_of_session.content)


@pytest.fixture
def mounted(big: Big, kernel: liblinux.Kernel) -> liblinux.Kernel:
    """A kernel with the image on /mnt, nothing of it read so far."""
    kernel.mount(kernel.attach(big.path, readonly=True), "/mnt")
    return kernel


def forget(kernel: liblinux.Kernel) -> None:
    """The kernel keeps nothing of files in its memory: the next read is a cold one."""
    with kernel.open("/proc/sys/vm/drop_caches", "wb", buffering=0) as file:
        file.write(b"3")


def read_on(kernel: liblinux.Kernel, descriptor: int, most: int = BIG_BYTES, size: int = CALL_BYTES) -> bytes:
    """From where the file is, with calls of that size; pages are read ahead if it is the usual one."""
    data = bytearray()
    while len(data) < most and (part := kernel.os.read(descriptor, size)):
        data += part
    return bytes(data)


def read_cold(kernel: liblinux.Kernel, path: str, size: int = CALL_BYTES) -> bytes:
    forget(kernel)
    descriptor = kernel.os.open(path, os.O_RDONLY)
    try:
        return read_on(kernel, descriptor, size=size)
    finally:
        kernel.os.close(descriptor)


def until_counted(kernel: liblinux.Kernel, counter: str, work: Callable[[], object], seconds: float = 90) -> None:
    """Work again and again until that is counted: where others want the processors, one thread reads for a while."""
    before = kernel.statistics()[counter]
    deadline = time.monotonic() + seconds
    work()
    # A process with one processor has no second thread, and starts nothing once it knows.
    while HAS_TWO_PROCESSORS and kernel.statistics()[counter] == before:
        assert time.monotonic() < deadline, f"{counter} is what it was, after {seconds} s"
        work()
