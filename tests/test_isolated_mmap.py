"""Memory mapped by isolated kernels: the same pages in two processes, and what happens when one of them fails."""

from __future__ import annotations

import ctypes
import errno
import io
import mmap
import os
import signal
import threading
from pathlib import Path

import pytest

import liblinux
from cells import only_cell
from conftest import MIB, Images, e2fsck
from contents import put
from until import it_waits

PAGE = 4096


def address_of(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def mapped_file(kernel: liblinux.Kernel, path: str, pages: int) -> memoryview:
    """A file of so many pages, each full of its own number, all of it mapped."""
    put(kernel, path, b"".join(bytes([number % 256]) * PAGE for number in range(pages)))
    fd = kernel.os.open(path, os.O_RDWR)
    view = kernel.mmap(fd)
    kernel.os.close(fd)
    return view


def test_it_is_memory_of_the_other_process(isolated: liblinux.Kernel) -> None:
    view = mapped_file(isolated, "/tmp/file", 4)
    address = address_of(view)
    before = isolated.statistics()["faults_outside"]
    assert view[PAGE] == 1
    assert isolated.statistics()["faults_outside"] == before + 1
    lines = Path("/proc/self/maps").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{address + PAGE:x}-")]
    assert "liblinux-arena" in line
    assert line.split()[1] in ("r--s", "rw-s"), "never executable"


@pytest.mark.parametrize("place", ["here", "isolated"])
def test_threads_that_never_made_a_call(place: str) -> None:
    """A page that is touched first by a copy loop: its registers must come through the fault."""
    with liblinux.Kernel(isolated=place == "isolated") as kernel:
        view = kernel.mmap(None, 64 * PAGE)
        start, wrong = address_of(view), []

        def copy(page: int) -> None:
            data = os.urandom(300)
            ctypes.memmove(start + page * PAGE, data, len(data))
            if view[page * PAGE : page * PAGE + len(data)] != data:
                wrong.append(page)

        for page in range(64):
            thread = threading.Thread(target=copy, args=(page,))
            thread.start()
            thread.join()
        assert wrong == []


def test_nothing_becomes_executable(isolated: liblinux.Kernel) -> None:
    """What is mapped as code can be read, here and there."""
    put(isolated, "/tmp/file", b"code" * PAGE)
    fd = isolated.os.open("/tmp/file", os.O_RDONLY)
    address = isolated.syscall("mmap", None, 4 * PAGE, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, fd, 0)
    assert ctypes.string_at(address, 8) == b"codecode"
    assert isolated.syscall("write", isolated.os.pipe()[1], address + PAGE, 4) == 4
    for place in ("self", str(only_cell())):
        lines = Path(f"/proc/{place}/maps").read_text().splitlines()
        shown = [line.split()[1] for line in lines if "liblinux-arena" in line]
        assert shown
        assert not any("x" in rights for rights in shown)


def test_a_cell_that_is_killed(isolated: liblinux.Kernel) -> None:
    """What was seen stays, what was not is empty, and the next call says it."""
    view = mapped_file(isolated, "/tmp/file", 200)
    assert view[PAGE] == 1
    os.kill(only_cell(), signal.SIGKILL)
    assert view[PAGE] == 1
    assert view[199 * PAGE] == 0
    view[150 * PAGE] = 9
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.os.getpid()
    view.release()


def test_behind_the_end_of_the_file(isolated: liblinux.Kernel) -> None:
    """It would be the end of this process; it is that of the other one."""
    view = mapped_file(isolated, "/tmp/file", 4)
    isolated.os.truncate("/tmp/file", PAGE)
    assert view[0] == 0
    assert view[2 * PAGE] == 0
    with pytest.raises(liblinux.KernelDied, match="behind the end of its file"):
        isolated.os.getpid()


def test_a_page_that_cannot_be_read(isolated: liblinux.Kernel, images: Images) -> None:
    with isolated.attach(images.ext4(), overlay=True) as disk:
        isolated.mount(disk, "/mnt")
        view = isolated.mmap(isolated.os.open("/mnt/sub/data.bin", os.O_RDONLY), shared=False)
        with isolated.inject(read_error=1):
            assert view[0] == 0
        with pytest.raises(liblinux.KernelDied, match="cannot be read"):
            isolated.os.getpid()
        view.release()


def test_abort_ends_a_wait_for_a_page(isolated: liblinux.Kernel, images: Images) -> None:
    """A page that does not come, and a thread that touches it."""
    isolated.mount(isolated.attach(images.ext4(), readonly=True), "/mnt", options="noload")
    view = isolated.mmap(isolated.os.open("/mnt/sub/data.bin", os.O_RDONLY), shared=False)
    os.kill(only_cell(), signal.SIGSTOP)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(view[PAGE + 1]))
    thread.start()
    assert it_waits(thread)
    assert seen == []
    isolated.abort()
    thread.join()
    assert seen == [0]
    with pytest.raises(liblinux.KernelDied, match="aborted"):
        isolated.os.getpid()
    view.release()


def test_a_child_of_a_fork_does_not_see_it(isolated: liblinux.Kernel) -> None:
    view = mapped_file(isolated, "/tmp/file", 4)
    view[0:5] = b"ours!"
    child = os.fork()
    if not child:
        seen = bytes(view[0:5])
        view[0:5] = b"child"
        os._exit(seen != bytes(5))
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(view[0:5]) == b"ours!"
    assert isolated.os.pread(isolated.os.open("/tmp/file", os.O_RDONLY), 5, 0) == b"ours!"


def test_pages_of_a_disk_that_python_serves(isolated: liblinux.Kernel, images: Images) -> None:
    """The thread that touches a page serves the disk itself, in the middle of its access."""
    file = io.BytesIO(images.ext4().read_bytes())
    with isolated.attach(file, readonly=True) as disk, isolated.mount(disk, "/mnt", options="noload"):
        with isolated.open("/mnt/sub/data.bin", "rb") as opened:
            view = isolated.mmap(opened, shared=False)
        assert bytes(view) == bytes(range(256)) * 256
        view.release()


def test_a_disk_that_touches_what_its_kernel_maps(isolated: liblinux.Kernel, images: Images) -> None:
    """There is nobody to ask for the page: the end of that kernel, and no deadlock."""
    data = images.ext4().read_bytes()
    views: list[memoryview] = []
    seen: list[int] = []

    class Device:
        size = len(data)

        def pread(self, offset: int, buffer: bytearray) -> None:
            buffer[:] = data[offset : offset + len(buffer)]
            seen.extend(view[PAGE] for view in views)

        def pwrite(self, offset: int, data: bytes, stable: bool) -> None:
            raise OSError(errno.EROFS, "read-only")

        def flush(self) -> None:
            pass

        def discard(self, offset: int, length: int) -> None:
            raise OSError(errno.EOPNOTSUPP, "read-only")

    isolated.mount(isolated.attach(Device(), readonly=True), "/mnt", options="noload")
    put(isolated, "/tmp/file", b"x" * 2 * PAGE)
    views.append(isolated.mmap(isolated.os.open("/tmp/file", os.O_RDONLY), shared=False))
    with pytest.raises(liblinux.KernelDied, match="by the code of its disks"):
        isolated.os.listdir("/mnt/sub")
    assert seen[0] == 0
    views.pop().release()


def test_nothing_is_lost_when_pages_are_written_back(images: Images) -> None:
    """Pages are written to while others clean, map and unmap: what was written last is on the disk."""
    image = images.ext4()
    pages, hidden = 32, 400
    last = [0, 0]
    disk = io.BytesIO(image.read_bytes())
    with liblinux.Kernel(isolated=True) as kernel:
        kernel.mount(kernel.attach(disk), "/mnt")
        view = mapped_file(kernel, "/mnt/file", pages)
        put(kernel, "/mnt/other", bytes(MIB))
        cleaned = threading.Event()

        def clean() -> None:
            fd = kernel.os.open("/mnt/file", os.O_RDWR)
            for _ in range(5000):
                kernel.os.fsync(fd)
                if kernel.statistics()["unaliases"] >= hidden:
                    break
            cleaned.set()

        def unmap() -> None:
            fd = kernel.os.open("/mnt/other", os.O_RDWR)
            while not cleaned.is_set():
                other = kernel.mmap(fd, 16 * PAGE)
                assert other[PAGE] == 0
                other.release()

        def write(first: int) -> None:
            while not cleaned.is_set():
                last[first] += 1
                for page in range(first, pages, 2):
                    view[page * PAGE : page * PAGE + 4] = last[first].to_bytes(4, "little")

        threads = [threading.Thread(target=target) for target in (clean, unmap)]
        threads += [threading.Thread(target=write, args=(first,)) for first in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        view.release()
    image.write_bytes(disk.getvalue())
    e2fsck(image)
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image, readonly=True), "/mnt", options="noload")
        with kernel.open("/mnt/file", "rb") as file:
            content = file.read()
    found = [int.from_bytes(content[page * PAGE : page * PAGE + 4], "little") for page in range(pages)]
    assert found == last * (pages // 2)


def test_more_threads_than_pages(isolated: liblinux.Kernel) -> None:
    """Everybody wants the same pages at once."""
    view = mapped_file(isolated, "/tmp/file", 64)
    sums: list[int] = []

    def add() -> None:
        sums.append(sum(view[page * PAGE] for page in range(64)))

    threads = [threading.Thread(target=add) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [sum(range(64))] * 16


def test_a_dead_kernel_in_a_living_process_lives_again(isolated: liblinux.Kernel) -> None:
    isolated.os.mkdir("/tmp/kept")
    view = mapped_file(isolated, "/tmp/file", 4)
    view[0] = 7
    state = isolated.snapshot()
    cell = only_cell()
    for _ in range(2):
        isolated.sysctl["vm.overcommit_memory"] = 1
        isolated.sysctl["vm.panic_on_oom"] = 2
        isolated.mount(None, "/big", type="tmpfs", options="size=1g")
        fd = isolated.os.open("/big/file", os.O_WRONLY | os.O_CREAT)
        with pytest.raises(liblinux.KernelPanic, match="Out of memory"):
            for _ in range(100):
                isolated.os.write(fd, bytes(MIB))
        died = isolated.dead
        isolated.restore(state)
        assert died is not None
        assert isolated.dead is None
        assert only_cell() == cell
        assert set(isolated.os.listdir("/tmp")) == {"file", "kept"}
        assert (view[0], view[PAGE]) == (7, 1)
        view[0] = 8


def test_snapshots_do_not_survive_the_process(isolated: liblinux.Kernel) -> None:
    state = isolated.snapshot()
    os.kill(only_cell(), signal.SIGKILL)
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.restore(state)
    assert state.memory > 0


def test_many_snapshots(isolated: liblinux.Kernel) -> None:
    """Each is a descriptor of both processes, which goes with it."""
    before = len(os.listdir("/proc/self/fd"))
    cell = Path(f"/proc/{only_cell()}/fd")
    before_there = len(list(cell.iterdir()))
    states = [isolated.snapshot() for _ in range(5)]
    assert len(os.listdir("/proc/self/fd")) == before + 5
    assert len(list(cell.iterdir())) == before_there + 5
    isolated.restore(states[2])
    del states
    isolated.os.getpid()
    assert len(os.listdir("/proc/self/fd")) == before
    # The memory is mapped from the one that was put back.
    assert len(list(cell.iterdir())) == before_there + 1
