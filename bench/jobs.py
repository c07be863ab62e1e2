"""What is measured in a process of its own: `python jobs.py JOB ARGUMENTS...` prints the figure.

Times are seconds of the job alone: imports, boot and mounting come before, so
that everybody starts from an image that is known and not yet read.
"""

from __future__ import annotations

import os
import stat
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUFFER_BYTES = 1 << 20
SMALL_BYTES = 10_000


def _mounted(image: str, *, readonly: bool = True, isolated: bool = False) -> Any:
    import liblinux  # noqa: PLC0415 - the other jobs must not pay for it

    kernel = liblinux.Kernel(isolated=isolated)
    kernel.mount(kernel.attach(image, readonly=readonly), "/mnt")
    return kernel


# ---- reading a large file ----------------------------------------------------


def _read_all(readinto: Callable[[Any], int | None], buffer: Any) -> int:
    total = 0
    while count := readinto(buffer):
        total += count
    return total


def read_liblinux(image: str) -> float:
    """Through the page cache, into a buffer of Python's."""
    kernel = _mounted(image)
    buffer = bytearray(BUFFER_BYTES)
    started = time.perf_counter()
    with kernel.open("/mnt/big", "rb", buffering=0) as file:
        _read_all(file.readinto, buffer)
    ended = time.perf_counter()
    kernel.close()
    return ended - started


def read_all(image: str, *, isolated: bool = False) -> float:
    """The whole file with one call."""
    kernel = _mounted(image, isolated=isolated)
    started = time.perf_counter()
    with kernel.open("/mnt/big", "rb", buffering=0) as file:
        data = file.readall()
    ended = time.perf_counter()
    assert len(data) == kernel.os.stat("/mnt/big").st_size
    kernel.close()
    return ended - started


def read_isolated(image: str) -> float:
    """The same, out of another process."""
    return read_all(image, isolated=True)


def read_liblinux_direct(image: str) -> float:
    """Past the page cache, into memory of the kernel's."""
    kernel = _mounted(image)
    system = kernel.os
    started = time.perf_counter()
    buffer = kernel.mmap(None, BUFFER_BYTES)
    descriptor = system.open("/mnt/big", os.O_RDONLY | os.O_DIRECT)
    _read_all(lambda target: int(system.readinto(descriptor, target)), buffer)
    system.close(descriptor)
    ended = time.perf_counter()
    kernel.close()
    return ended - started


def read_host(path: str) -> float:
    """A file of the host's."""
    buffer = bytearray(BUFFER_BYTES)
    started = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        _read_all(file.readinto, buffer)
    return time.perf_counter() - started


def read_pytsk3(image: str) -> float:
    """The Sleuth Kit."""
    import pytsk3  # noqa: PLC0415

    system = pytsk3.FS_Info(pytsk3.Img_Info(image))
    started = time.perf_counter()
    file = system.open("/big")
    size = file.info.meta.size
    offset = 0
    while offset < size:
        offset += len(file.read_random(offset, min(BUFFER_BYTES, size - offset)))
    return time.perf_counter() - started


def read_dissect(image: str) -> float:
    """dissect.extfs."""
    from dissect.extfs import ExtFS  # noqa: PLC0415

    with Path(image).open("rb") as handle:
        system = ExtFS(handle)
        started = time.perf_counter()
        file = system.get("/big").open()
        while file.read(BUFFER_BYTES):
            pass
        return time.perf_counter() - started


# ---- walking -----------------------------------------------------------------


def walk_liblinux(image: str) -> float:
    """The same with an os.stat_result of every entry."""
    kernel = _mounted(image)
    started = time.perf_counter()
    size = sum(entry.stat(follow_symlinks=False).st_size for entry in kernel.os.scantree("/mnt/tree"))
    ended = time.perf_counter()
    kernel.close()
    _check(size)
    return ended - started


def walk_liblinux_raw(image: str) -> float:
    """One batched call, whose answer has the whole status of every entry; sizes by their column."""
    kernel = _mounted(image)
    started = time.perf_counter()
    size = sum(kernel.os.scantree("/mnt/tree").column("st_size"))
    ended = time.perf_counter()
    kernel.close()
    _check(size)
    return ended - started


def walk_host(path: str) -> float:
    """os.scandir and lstat."""

    def walk(directory: str) -> int:
        size = 0
        with os.scandir(directory) as entries:
            for entry in entries:
                size += entry.stat(follow_symlinks=False).st_size
                if entry.is_dir(follow_symlinks=False):
                    size += walk(entry.path)
        return size

    started = time.perf_counter()
    size = walk(path)
    ended = time.perf_counter()
    _check(size)
    return ended - started


def walk_pytsk3(image: str) -> float:
    """The Sleuth Kit: status comes with the entries."""
    import pytsk3  # noqa: PLC0415

    def walk(directory: Any) -> int:
        size = 0
        for entry in directory:
            if entry.info.name.name in (b".", b".."):
                continue
            size += entry.info.meta.size
            if entry.info.meta.type == pytsk3.TSK_FS_META_TYPE_DIR:
                size += walk(entry.as_directory())
        return size

    system = pytsk3.FS_Info(pytsk3.Img_Info(image))
    started = time.perf_counter()
    size = walk(system.open_dir("/tree"))
    ended = time.perf_counter()
    _check(size)
    return ended - started


def walk_dissect(image: str) -> float:
    """dissect.extfs: an inode is read when it is asked for."""
    from dissect.extfs import ExtFS  # noqa: PLC0415

    def walk(directory: Any) -> int:
        size = 0
        for entry in directory.iterdir():
            if entry.filename in (".", ".."):
                continue
            size += entry.size
            if entry.filetype == stat.S_IFDIR:
                size += walk(entry)
        return size

    with Path(image).open("rb") as handle:
        system = ExtFS(handle)
        started = time.perf_counter()
        size = walk(system.get("/tree"))
        ended = time.perf_counter()
    _check(size)
    return ended - started


def _check(found: int) -> None:
    if not found:
        raise RuntimeError("nothing was found")


# ---- writing -----------------------------------------------------------------


def write_liblinux(image: str, count: str) -> float:
    """Files by open, write, close of `kernel.os`, and one syncfs."""
    kernel = _mounted(image, readonly=False)
    system = kernel.os
    data = os.urandom(4096)
    started = time.perf_counter()
    for index in range(int(count)):
        descriptor = system.open(f"/mnt/file-{index:05}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        system.write(descriptor, data)
        system.close(descriptor)
    top = system.open("/mnt", os.O_RDONLY)
    system.syncfs(top)
    system.close(top)
    ended = time.perf_counter()
    kernel.close()
    return ended - started


def write_host(directory: str, count: str) -> float:
    """The same in a directory of the host's."""
    import ctypes  # noqa: PLC0415 - the standard library has no syncfs

    libc = ctypes.CDLL(None, use_errno=True)
    data = os.urandom(4096)
    started = time.perf_counter()
    for index in range(int(count)):
        descriptor = os.open(f"{directory}/file-{index:05}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, data)
        os.close(descriptor)
    top = os.open(directory, os.O_RDONLY)
    if libc.syncfs(top):
        raise OSError(ctypes.get_errno(), "syncfs")
    os.close(top)
    return time.perf_counter() - started


def fat_pyfatfs(image: str, sources: str) -> float:
    """A directory with all its files into a FAT image."""
    from pyfatfs.PyFatFS import PyFatFS  # noqa: PLC0415

    started = time.perf_counter()
    with PyFatFS(image) as system:
        directory = system.makedir(Path(sources).name)
        for path in sorted(Path(sources).iterdir()):
            directory.writebytes(path.name, path.read_bytes())
    return time.perf_counter() - started


# ---- copies ------------------------------------------------------------------

COPIES = 100


def _restore(image: str, after: Callable[[Any], object]) -> float:
    """Milliseconds of a restore and what follows it, after a file was written and synced."""
    import liblinux  # noqa: PLC0415

    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image, overlay=True), "/mnt")
        state = kernel.snapshot()
        times = []
        for _ in range(COPIES):
            with kernel.open("/mnt/new", "wb") as file:
                file.write(bytes(SMALL_BYTES))
            kernel.os.sync()
            started = time.perf_counter()
            kernel.restore(state)
            after(kernel)
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def restore_liblinux(image: str) -> float:
    """restore() alone: pages come back when they are touched."""
    return _restore(image, lambda kernel: None)


def restore_and_call(image: str) -> float:
    """restore() and the status of a file."""
    return _restore(image, lambda kernel: kernel.os.stat("/mnt/small"))


def snapshot_liblinux(image: str) -> float:
    """Milliseconds of snapshot()."""
    import liblinux  # noqa: PLC0415

    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image, overlay=True), "/mnt")
        started = time.perf_counter()
        kernel.snapshot()
        return (time.perf_counter() - started) * 1e3


def _fork(call: Callable[[], object]) -> float:
    """Milliseconds from before os.fork() until the child has made its first call."""
    times = []
    for _ in range(COPIES):
        reader, writer = os.pipe()
        started = time.perf_counter_ns()
        pid = os.fork()
        if not pid:
            call()
            os.write(writer, str(time.perf_counter_ns()).encode())
            os._exit(0)
        times.append(int(os.read(reader, 100)) - started)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)
    return statistics.median(times) / 1e6


def fork_liblinux(image: str) -> float:
    """With a kernel that has ext4 mounted; the call is getpid()."""
    import liblinux  # noqa: PLC0415

    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image, overlay=True), "/mnt")
        return _fork(kernel.os.getpid)


def fork_bare() -> float:
    """The same process, that has booted no kernel."""
    import liblinux  # noqa: PLC0415

    liblinux.Kernel  # noqa: B018 - its modules and the extension are loaded
    return _fork(os.getppid)


# ---- memory ------------------------------------------------------------------


def resident_bytes() -> int:
    """RSS without text, of /proc/self/smaps.

    Text as size(1) counts it: code and read-only data. Pages of an image file that
    nobody has written to are in memory once, for all kernels of all processes.
    """
    total = 0
    image = False
    with Path("/proc/self/smaps").open() as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            if name == ("Anonymous" if image else "Rss"):
                total += int(rest.split()[0]) << 10
            elif "-" in name.partition(" ")[0]:
                image = "/liblinux-" in line
    return total


def memory_of_one(memory: str) -> float:
    """MiB that a booted kernel adds; the first one has brought in everything that is shared."""
    import liblinux  # noqa: PLC0415

    with liblinux.Kernel():
        pass
    before = resident_bytes()
    with liblinux.Kernel(memory=memory) as kernel:
        kernel.os.getpid()
        return (resident_bytes() - before) / (1 << 20)


def many_kernels(count: str) -> str:
    """Boot so many at once, call each, close all: seconds to boot one, MiB of one, seconds to close one."""
    import liblinux  # noqa: PLC0415

    number = int(count)
    with liblinux.Kernel():
        pass
    before = resident_bytes()
    started = time.perf_counter()
    kernels = [liblinux.Kernel() for _ in range(number)]
    booted = time.perf_counter()
    pids = sum(kernel.os.getpid() for kernel in kernels)
    after = resident_bytes()
    if pids != number:
        raise RuntimeError("not every kernel answered")
    closing = time.perf_counter()
    for kernel in kernels:
        kernel.close()
    closed = time.perf_counter()
    return f"{(booted - started) / number} {(after - before) / number / (1 << 20)} {(closed - closing) / number}"


if __name__ == "__main__":
    print(globals()[sys.argv[1]](*sys.argv[2:]))
