"""Kernel(isolated=True): what could be different from a kernel in this process, and must not be.

`pytest --isolated` shows the rest, with the other tests.
"""

from __future__ import annotations

import errno
import io
import os
import re
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

import liblinux
from cells import cells, in_thread, only_cell
from conftest import MIB, Images, e2fsck
from until import LONG_SECONDS, it_waits

HOUR = (3600).to_bytes(8, "little") + bytes(8)


def test_a_session(isolated: liblinux.Kernel, images: Images) -> None:
    path = images.ext4()
    assert isolated.isolated
    disk = isolated.attach(path)
    isolated.mount(disk, "/mnt")
    assert sorted(isolated.os.listdir("/mnt")) == ["hello.txt", "lost+found", "sub"]
    with isolated.open("/mnt/hello.txt") as file:
        assert file.read() == "hello from the image\n"
    with isolated.open("/mnt/new.bin", "wb") as file:
        file.write(bytes(range(256)) * 40_000)
    with isolated.open("/mnt/new.bin", "rb") as file:
        assert file.read() == bytes(range(256)) * 40_000
    isolated.umount("/mnt")
    disk.detach()
    e2fsck(path)


def test_another_process(isolated: liblinux.Kernel) -> None:
    assert len(cells()) == 1
    assert not any("liblinux-6" in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_long_reads_and_writes_end_where_they_should(isolated: liblinux.Kernel) -> None:
    """The lengths around those of the pieces that long transfers go in."""
    for length in (0, 1, 256 << 10, (256 << 10) + 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 7):
        data = os.urandom(length)
        with isolated.open("/tmp/long", "wb", buffering=0) as file:
            assert file.write(data) == length
        fd = isolated.os.open("/tmp/long", os.O_RDONLY)
        assert isolated.os.read(fd, length + (1 << 20)) == data
        assert isolated.os.read(fd, 1 << 20) == b""
        assert isolated.os.pread(fd, length + 1, length // 2) == data[length // 2 :]
        isolated.os.close(fd)


def test_a_long_read_of_a_pipe_takes_what_is_there(isolated: liblinux.Kernel) -> None:
    reader, writer = isolated.os.pipe()
    isolated.os.write(writer, b"some")
    assert isolated.os.read(reader, 8 << 20) == b"some"


def test_a_long_write_that_does_not_fit(isolated: liblinux.Kernel) -> None:
    isolated.mount(None, "/small", type="tmpfs", options="size=1m")
    fd = isolated.os.open("/small/file", os.O_WRONLY | os.O_CREAT)
    assert isolated.os.write(fd, bytes(4 << 20)) == 1 << 20
    with pytest.raises(OSError, match="No space") as failure:
        isolated.os.write(fd, bytes(4 << 20))
    assert failure.value.errno == errno.ENOSPC
    isolated.os.close(fd)


def test_a_directory_larger_than_the_channel_takes_at_once(isolated: liblinux.Kernel) -> None:
    isolated.os.mkdir("/tmp/many")
    names = {f"{'n' * 200}-{number}" for number in range(6000)}
    for name in names:
        isolated.os.close(isolated.os.open(f"/tmp/many/{name}", os.O_CREAT))
    assert set(isolated.os.listdir("/tmp/many")) == names
    assert {entry.name for entry in isolated.os.scantree("/tmp/many")} == names
    # The thread's next call is not confused by it.
    assert isolated.os.listdir("/mnt") == []


def test_large_buffers_of_any_call(isolated: liblinux.Kernel) -> None:
    fd = isolated.os.open("/tmp/vector", os.O_RDWR | os.O_CREAT)
    data = os.urandom(5 << 20)
    assert isolated.os.writev(fd, [data[: 1 << 20], data[1 << 20 :]]) == len(data)
    first, second = bytearray(3 << 20), bytearray(4 << 20)
    assert isolated.os.preadv(fd, [first, second], 0) == len(data)
    assert bytes(first) + bytes(second[: 2 << 20]) == data
    assert isolated.os.pwritev(fd, [b"xy", b"z"], 1) == 3
    assert isolated.os.pread(fd, 5, 0) == data[:1] + b"xyz" + data[4:5]


def test_shared_memory_for_addresses_in_arguments(isolated: liblinux.Kernel) -> None:
    with isolated.mapping(None, 8192) as memory:
        memory.view[4096:4101] = b"hello"
        struct.pack_into("=QQ", memory.view, 0, memory.address + 4096, 5)
        fd = isolated.os.open("/tmp/iovec", os.O_RDWR | os.O_CREAT)
        assert isolated.syscall("writev", fd, memory.address, 1) == 5
        assert isolated.os.pread(fd, 10, 0) == b"hello"
    view = isolated.mmap(None, 4096)
    assert bytes(view) == bytes(4096), "memory that was given back is empty"
    view.release()


def test_bad_pointers_are_efault(isolated: liblinux.Kernel) -> None:
    fd = isolated.os.open("/tmp/file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(OSError, match="Bad address"):
        isolated.syscall("write", fd, 0x10, 5)
    with pytest.raises(OSError, match="Bad address"):
        isolated.syscall("write", fd, id(isolated), 5)


def test_direct_reading(isolated: liblinux.Kernel, images: Images) -> None:
    data = os.urandom(2_500_000)
    with isolated.attach(images.ext4()) as disk, isolated.mount(disk, "/mnt"):
        with isolated.open("/mnt/file", "wb") as file:
            file.write(data)
        with isolated.open("/mnt/file", "rb", direct=True) as file:
            assert file.read() == data
            file.seek(1_234_567)
            assert file.read(100) == data[1_234_567:1_234_667]


def test_disks_of_every_kind(isolated: liblinux.Kernel, images: Images) -> None:
    content = images.ext4().read_bytes()
    memory = bytearray(content)
    file = io.BytesIO(content)
    with isolated.attach(memory) as disk, isolated.mount(disk, "/mnt"):
        isolated.os.mkdir("/mnt/into-memory")
    assert memory != content
    with isolated.attach(file) as disk, isolated.mount(disk, "/mnt"):
        isolated.os.mkdir("/mnt/into-object")
    assert file.getvalue() != content
    with isolated.attach(content, overlay=True) as disk:
        with isolated.mount(disk, "/mnt"):
            isolated.os.mkdir("/mnt/into-overlay")
        assert disk.changes() > 0
    again = bytearray(memory)
    with isolated.attach(again, readonly=True) as disk, isolated.mount(disk, "/mnt"):
        assert "into-memory" in isolated.os.listdir("/mnt")
    assert again == memory


def open_mode(info: Path) -> int:
    flags = re.search(r"^flags:\s+(\d+)", info.read_text(), re.MULTILINE)
    assert flags
    return int(flags[1], 8)


def test_a_read_only_disk_gives_no_writable_descriptor(isolated: liblinux.Kernel, images: Images) -> None:
    """Not even when the file object that it is made of could write."""
    with images.ext4().open("r+b") as file:
        with isolated.attach(file, readonly=True):
            cell = only_cell()
            modes = [
                open_mode(info)
                for info in Path(f"/proc/{cell}/fdinfo").iterdir()
                if os.readlink(f"/proc/{cell}/fd/{info.name}").endswith("ext4.img")
            ]
        assert modes
        assert all(mode & os.O_ACCMODE == os.O_RDONLY for mode in modes)


def test_an_object_that_fails_is_the_cause(isolated: liblinux.Kernel) -> None:
    class Broken(io.BytesIO):
        def readinto(self, buffer: Any, /) -> int:
            raise RuntimeError("the cable is cut")

    isolated.attach(Broken(bytes(MIB)), readonly=True)
    fd = isolated.os.open("/dev/lda", os.O_RDONLY)
    with pytest.raises(OSError, match="Input/output") as failure:
        isolated.os.read(fd, 4096)
    assert isinstance(failure.value.__cause__, RuntimeError)


def test_a_disk_that_calls_its_own_kernel_is_told(isolated: liblinux.Kernel) -> None:
    class Looping(io.BytesIO):
        def readinto(self, buffer: Any, /) -> int:
            isolated.os.getpid()
            return super().readinto(buffer)

    isolated.attach(Looping(bytes(MIB)), readonly=True)
    fd = isolated.os.open("/dev/lda", os.O_RDONLY)
    with pytest.raises(OSError, match="Input/output") as failure:
        isolated.os.read(fd, 4096)
    assert "another kernel" in str(failure.value.__cause__)


def test_threads_have_tasks_of_their_own(isolated: liblinux.Kernel) -> None:
    tids: list[int] = []
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait()
        for _ in range(50):
            isolated.os.getpid()
        tids.append(isolated.os.gettid())
        ready.wait()

    threads = [in_thread(work) for _ in range(8)]
    for thread, raised in threads:
        thread.join()
        assert not raised
    assert len(set(tids)) == 8
    # Threads that have ended leave their tasks to those that come.
    later: list[int] = []
    thread, raised = in_thread(lambda: later.append(isolated.os.gettid()))
    thread.join()
    assert not raised
    assert later[0] in tids


def test_a_blocked_call_is_woken_by_another_thread(isolated: liblinux.Kernel) -> None:
    reader, writer = isolated.os.pipe()
    got: list[bytes] = []
    thread, raised = in_thread(lambda: got.append(isolated.os.read(reader, 10)))
    it_waits(thread)
    isolated.os.write(writer, b"ping")
    thread.join(LONG_SECONDS)
    assert not raised
    assert got == [b"ping"]


def test_virtual_clock() -> None:
    with liblinux.Kernel(isolated=True, clock="virtual", seed=1) as kernel:
        start = kernel.now()
        kernel.syscall("clock_nanosleep", 0, 0, HOUR, None)
        assert kernel.now() - start >= 3600 * 10**9
        reader, _ = kernel.os.pipe()
        with pytest.raises(liblinux.Deadlock):
            kernel.os.read(reader, 1)


def test_several_at_once(images: Images) -> None:
    path = images.ext4()
    kernels = [liblinux.Kernel(isolated=True) for _ in range(4)]
    for number, kernel in enumerate(kernels):
        kernel.mount(kernel.attach(path, overlay=True), "/mnt")
        kernel.os.mkdir(f"/mnt/{number}")
    for number, kernel in enumerate(kernels):
        assert str(number) in kernel.os.listdir("/mnt")
        assert str(number + 1) not in kernel.os.listdir("/mnt")
        kernel.close()
