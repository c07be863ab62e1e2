"""Kernels as the extension boots them, and what tests do in them."""

from __future__ import annotations

import os
from collections.abc import Callable

from liblinux import _native
from liblinux._library import find_image

MIB = 1 << 20
SECTOR = 512

Boot = Callable[..., _native.Kernel]


def boot_kernel(**changes: object) -> _native.Kernel:
    options: dict[str, object] = {"memory": 64 * MIB, "virtual": False, "seed": bytes(64), "command_line": b""}
    return _native.Kernel(os.fspath(find_image()), **(options | changes))  # type: ignore[arg-type]  # from a dict


def write_file(process: _native.Process, path: str | bytes, data: bytes) -> None:
    fd = process.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    process.write(fd, data)
    process.close(fd)


def make_pipe(kernel: _native.Kernel) -> tuple[int, int]:
    ends = memoryview(bytearray(8)).cast("i")
    kernel.init.syscall(kernel.syscalls["pipe2"], ends, 0)
    return ends[0], ends[1]


def open_disk(kernel: _native.Kernel, name: str, flags: int = os.O_RDWR) -> int:
    """A descriptor of a disk, past the page cache of no use here."""
    call, numbers = kernel.init.call, kernel.syscalls
    call(numbers["mkdir"], "/dev", 0o755)
    if call(numbers["access"], f"/dev/{name}", os.F_OK) < 0:
        call(numbers["mount"], "devtmpfs", "/dev", "devtmpfs", 0, None)
    return kernel.init.open(f"/dev/{name}", flags)
