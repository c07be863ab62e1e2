"""A kernel is put back to an earlier instant: all that is in it, any number of times."""

from __future__ import annotations

import gc
import hashlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import liblinux
import planted
from conftest import MIB, Images, e2fsck, run
from contents import get, put
from until import it_waits

ROUNDS = 50
FITRIM = 0xC0185879
BLKZEROOUT = 0x127F


@pytest.fixture
def kernel(either: liblinux.Kernel) -> liblinux.Kernel:
    return either


def work(kernel: liblinux.Kernel) -> str:
    """Something that depends on time, chance, file systems and process numbers; what it comes to."""
    digest = hashlib.sha256()
    with kernel.process(uid=1000, gid=1000) as process:
        digest.update(str(process.pid).encode())
    for number in range(10):
        put(kernel, f"/mnt/new-{number}", kernel.os.getrandom(1000 * number + 1))
    kernel.syscall("nanosleep", (5).to_bytes(8, "little") + bytes(8), None)
    kernel.os.sync()
    for entry in kernel.os.scantree("/mnt"):
        digest.update(repr((entry.path, tuple(entry.stat(follow_symlinks=False)))).encode())
    digest.update(str(kernel.now()).encode())
    digest.update(get(kernel, "/proc/sys/kernel/random/uuid"))
    digest.update(get(kernel, "/mnt/new-9"))
    return digest.hexdigest()


def test_files_come_back(kernel: liblinux.Kernel) -> None:
    put(kernel, "/tmp/kept", b"before")
    state = kernel.snapshot()
    put(kernel, "/tmp/kept", b"after")
    put(kernel, "/tmp/new", b"new")
    kernel.restore(state)
    assert kernel.os.listdir("/tmp") == ["kept"]
    assert get(kernel, "/tmp/kept") == b"before"


@pytest.mark.parametrize("system", ["ext4", "xfs", "btrfs"])
def test_the_same_every_time(images: Images, system: str) -> None:
    """Time, chance, process numbers, the file system and what it wrote to its overlay."""
    path = images.ext4() if system == "ext4" else images.empty(size=320 * MIB)
    if system != "ext4":
        run(f"mkfs.{system}", "-q", path)
    before = hashlib.sha256(path.read_bytes()).digest()
    with liblinux.Kernel(clock="virtual", seed=7) as kernel:
        disk = kernel.attach(path, overlay=True)
        kernel.mount(disk, "/mnt")
        state = kernel.snapshot()
        changes = disk.changes()
        results = set()
        for _ in range(ROUNDS if system == "ext4" else 10):
            results.add(work(kernel))
            assert disk.changes() > changes
            kernel.restore(state)
            assert disk.changes() == changes
        assert len(results) == 1
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_memory_and_descriptors_stay_flat(kernel: liblinux.Kernel, images: Images) -> None:
    kernel.mount(kernel.attach(images.ext4(), overlay=True), "/mnt")
    state = kernel.snapshot()

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4

    def rounds(count: int) -> None:
        for _ in range(count):
            put(kernel, "/mnt/file", bytes(MIB))
            kernel.os.sync()
            kernel.restore(state)

    rounds(20)
    memory, descriptors = resident(), len(os.listdir("/proc/self/fd"))
    rounds(100)
    # A MiB is written each time; none of it may be left.
    assert resident() - memory < 4 * 1024
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_snapshots_of_snapshots(kernel: liblinux.Kernel, images: Images) -> None:
    """What is put back can be saved again, and each can be put back after any other."""
    kernel.mount(kernel.attach(images.ext4(), overlay=True), "/mnt")
    states = []
    for number in range(4):
        put(kernel, f"/mnt/{number}", b"%d" % number * 5000)
        kernel.os.sync()
        states.append(kernel.snapshot())
        if number == 1:
            kernel.restore(states[0])
            kernel.restore(states[1])
    for number in (3, 0, 2, 1, 3, 0):
        kernel.restore(states[number])
        there = sorted(name for name in kernel.os.listdir("/mnt") if name.isdigit())
        assert there == [str(each) for each in range(number + 1)]
        assert get(kernel, f"/mnt/{number}") == b"%d" % number * 5000


def test_mapped_memory_comes_back(kernel: liblinux.Kernel) -> None:
    """Pages that the process sees through the kernel's own page tables."""
    put(kernel, "/tmp/file", b"a" * 10000)
    with kernel.open("/tmp/file", "r+b") as file, kernel.mapping(file) as mapping:
        mapping.view[0:3] = b"old"
        state = kernel.snapshot()
        for _ in range(3):
            mapping.view[0:3] = b"new"
            mapping.view[5000:5003] = b"new"
            assert get(kernel, "/tmp/file")[5000:5003] == b"new"
            kernel.restore(state)
            assert bytes(mapping.view[0:3]) == b"old"
            assert bytes(mapping.view[5000:5003]) == b"aaa"


def test_vmalloc_memory_comes_back(kernel: liblinux.Kernel, images: Images) -> None:
    """XFS keeps buffers in memory that is mapped a second time; so does a big pipe's ring."""
    path = images.empty(size=320 * MIB)
    run("mkfs.xfs", "-q", path)
    kernel.mount(kernel.attach(path, overlay=True), "/mnt")
    state = kernel.snapshot()
    for _ in range(5):
        for number in range(50):
            kernel.os.mkdir(f"/mnt/{number}")
            put(kernel, f"/mnt/{number}/file", bytes(5000))
        kernel.os.sync()
        kernel.restore(state)
        assert kernel.os.listdir("/mnt") == []


def test_overlay_grows_and_is_trimmed_after_a_restore(kernel: liblinux.Kernel, images: Images) -> None:
    path = images.ext4()
    disk = kernel.attach(path, overlay=True)
    kernel.mount(disk, "/mnt")
    put(kernel, "/mnt/file", b"x" * MIB)
    kernel.os.sync()
    state = kernel.snapshot()
    kernel.restore(state)
    kernel.os.unlink("/mnt/file")
    directory = kernel.os.open("/mnt", os.O_RDONLY)
    trimmed = bytearray(bytes(8) + b"\xff" * 8 + bytes(8))  # struct fstrim_range: all of it
    kernel.syscall("ioctl", directory, FITRIM, trimmed)
    assert int.from_bytes(trimmed[8:16], "little") >= MIB
    kernel.os.close(directory)
    put(kernel, "/mnt/other", b"y" * MIB)
    kernel.os.sync()
    disk.resize(64 * MIB)
    with kernel.open("/dev/lda", "r+b", 0) as device:
        device.seek(60 * MIB)
        device.write(b"z" * 4096)
        device.seek(60 * MIB)
        assert device.read(4096) == b"z" * 4096
    assert get(kernel, "/mnt/other") == b"y" * MIB
    kernel.restore(state)
    assert disk.size == 32 * MIB
    assert get(kernel, "/mnt/file") == b"x" * MIB
    e2fsck(path)


@pytest.fixture
def here() -> Iterator[liblinux.Kernel]:
    """A kernel in whose memory, which is that of this process, faults can be planted."""
    with liblinux.Kernel(isolated=False) as booted:
        yield booted


def test_a_dead_kernel_lives_again(here: liblinux.Kernel) -> None:
    kernel = here
    state = kernel.snapshot()
    for _ in range(3):
        undo = planted.plant(kernel, "vfs_statx", planted.NULL_READ)
        with pytest.raises(liblinux.KernelPanic):
            kernel.os.stat("/dev")
        died = kernel.dead
        undo()
        kernel.restore(state)
        assert died is not None
        assert kernel.dead is None
        assert kernel.os.stat("/dev").st_mode


def test_stacks_are_guarded_after_a_restore(here: liblinux.Kernel) -> None:
    kernel = here
    state = kernel.snapshot()
    processes = [kernel.process() for _ in range(5)]
    kernel.restore(state)
    assert all(process.closed for process in processes)
    with kernel.process() as process:
        planted.plant(kernel, "vfs_statx", planted.OVERFLOW)
        with pytest.raises(liblinux.KernelPanic, match="stack overflow"):
            process.os.stat("/dev")


def test_the_virtual_clock_goes_back() -> None:
    with liblinux.Kernel(clock="virtual", seed=1) as kernel:
        state = kernel.snapshot()
        then = kernel.now()
        kernel.syscall("nanosleep", (3600).to_bytes(8, "little") + bytes(8), None)
        assert kernel.now() - then >= 3600 * 10**9
        kernel.restore(state)
        assert kernel.now() == then


def test_the_real_clock_does_not(kernel: liblinux.Kernel) -> None:
    def monotonic() -> int:
        now = bytearray(16)
        kernel.syscall("clock_gettime", 1, now)
        return int.from_bytes(now[:8], "little") * 10**9 + int.from_bytes(now[8:], "little")

    state = kernel.snapshot()
    before = monotonic()
    time.sleep(0.2)
    kernel.restore(state)
    assert monotonic() - before >= 2 * 10**8


def test_what_came_since_is_gone(kernel: liblinux.Kernel, images: Images) -> None:
    state = kernel.snapshot()
    disk = kernel.attach(images.ext4(), overlay=True)
    kernel.mount(disk, "/mnt")
    process = kernel.process(uid=5)
    file = kernel.open("/tmp/late", "w")
    file.write("never arrives")
    kernel.restore(state)
    assert kernel.disks == ()
    assert process.closed
    with pytest.raises(ValueError, match="snapshot"):
        file.write("x" * 100000)
    with pytest.raises(ValueError, match="snapshot"):
        file.flush()
    with pytest.raises(ProcessLookupError):
        process.os.getuid()
    assert kernel.os.listdir("/mnt") == []
    again = kernel.attach(images.directory / "ext4.img", overlay=True)
    assert again.name == "lda"
    kernel.mount(again, "/mnt")
    assert "hello.txt" in kernel.os.listdir("/mnt")


def test_what_ended_since_is_back(kernel: liblinux.Kernel) -> None:
    """Tasks of threads that came and went, and open files."""
    kernel.os.mkdir("/project")
    file = kernel.open("/project/file", "w")
    file.write("before ")
    state = kernel.snapshot()
    for _ in range(5):
        answers: list[int] = []

        def ask(answers: list[int] = answers) -> None:
            answers.append(kernel.os.getpid())

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [1] * 5
        kernel.restore(state)
    file.write("after")
    file.close()
    assert get(kernel, "/project/file") == b"before after"


def test_processes_keep_who_they_are(kernel: liblinux.Kernel) -> None:
    user = kernel.process(uid=1000, gid=1000)
    state = kernel.snapshot()
    user.os.setresuid(1000, 1000, 1000)
    other = threading.Thread(target=user.os.getuid)
    other.start()
    other.join()
    kernel.restore(state)
    assert user.os.getuid() == 1000
    assert kernel.os.getuid() == 0
    with kernel.process(uid=7) as third:
        assert third.os.getuid() == 7
    user.close()


def test_refusals(kernel: liblinux.Kernel, images: Images) -> None:
    state = kernel.snapshot()
    with liblinux.Kernel() as other, pytest.raises(ValueError, match="another kernel"):
        other.restore(state)
    with pytest.raises(TypeError, match="int"):
        kernel.restore(3)  # type: ignore[arg-type]
    view = kernel.mmap(None, 4096)
    with pytest.raises(BufferError, match="1 mappings"):
        kernel.restore(state)
    view.release()
    gc.collect()
    disk = kernel.attach(images.ext4())
    with pytest.raises(OSError, match="overlay=True") as caught:
        kernel.snapshot()
    assert caught.value.errno == 30
    disk.detach()
    disk = kernel.attach(bytes(MIB))
    state = kernel.snapshot()
    disk.detach()
    with pytest.raises(OSError, match="detached") as caught:
        kernel.restore(state)
    assert caught.value.errno == 19
    assert kernel.os.getpid() == 1


def test_not_while_somebody_is_inside(kernel: liblinux.Kernel) -> None:
    state = kernel.snapshot()
    reader, writer = kernel.os.pipe()
    thread = threading.Thread(target=kernel.os.read, args=(reader, 1))
    thread.start()
    assert it_waits(thread)
    with pytest.raises(BlockingIOError, match="another thread"):
        kernel.snapshot()
    with pytest.raises(BlockingIOError, match="another thread"):
        kernel.restore(state)
    kernel.os.write(writer, b"x")
    thread.join()
    kernel.restore(state)
    assert kernel.os.getpid() == 1


def test_a_closed_kernel_has_no_snapshots() -> None:
    kernel = liblinux.Kernel()
    state = kernel.snapshot()
    kernel.close()
    with pytest.raises(liblinux.KernelClosed):
        kernel.restore(state)
    with pytest.raises(liblinux.KernelClosed):
        kernel.snapshot()
    assert state.memory > 0


def test_what_is_zeroed_after_a_restore_is_zero(kernel: liblinux.Kernel) -> None:
    """The memory of an overlay comes from a file then; giving it back would bring the file's content, not zeros."""
    disk = kernel.attach(bytes(4 * MIB), overlay=True)
    fd = kernel.os.open(disk.path, os.O_RDWR)
    kernel.os.pwrite(fd, b"x" * MIB, MIB)
    kernel.os.fsync(fd)
    state = kernel.snapshot()
    for _ in range(2):
        kernel.restore(state)
        kernel.syscall("ioctl", fd, BLKZEROOUT, bytearray(struct.pack("=QQ", MIB, MIB // 2)))
        assert kernel.os.pread(fd, MIB, MIB) == bytes(MIB // 2) + b"x" * (MIB // 2)
    kernel.restore(state)
    assert kernel.os.pread(fd, MIB, MIB) == b"x" * MIB
    kernel.os.close(fd)
