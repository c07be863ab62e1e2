"""Kernel(isolated=True): what is different from a kernel in this process, above all how it dies.

That everything else is the same, `pytest --isolated` shows with the other tests.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import re
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import liblinux
from conftest import MIB, Images, e2fsck, run
from liblinux import _native

HOUR = (3600).to_bytes(8, "little") + bytes(8)


@pytest.fixture
def isolated() -> Iterator[liblinux.Kernel]:
    with liblinux.Kernel(isolated=True) as kernel:
        yield kernel


def cells() -> set[int]:
    """The processes of isolated kernels that are children of this one, zombies included."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if re.search(rf"^PPid:\t{os.getpid()}$", text, re.MULTILINE) and text.startswith("Name:\t_jail"):
            found.add(int(status.parent.name))
    return found


def only_cell() -> int:
    (cell,) = cells()
    return cell


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def in_thread(function: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    """Run it in a thread; what it raised is in the list when the thread has ended."""
    raised: list[BaseException] = []

    def target() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            raised.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    return thread, raised


# ---- the same API -----------------------------------------------------------


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


def test_what_is_not_supported_says_so(isolated: liblinux.Kernel) -> None:
    with isolated.open("/tmp/file", "w+b") as file:
        file.write(b"content")
        with pytest.raises(io.UnsupportedOperation, match="mapped"):
            isolated.mmap(file)
    with pytest.raises(io.UnsupportedOperation, match="direct"):
        isolated.open("/tmp/file", "rb", direct=True)


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


def test_a_read_only_disk_gives_no_writable_descriptor(isolated: liblinux.Kernel, images: Images) -> None:
    """Not even when the file object that it is made of could write."""
    with images.ext4().open("r+b") as file:
        with isolated.attach(file, readonly=True):
            cell = only_cell()
            modes = []
            for info in Path(f"/proc/{cell}/fdinfo").iterdir():
                if os.readlink(f"/proc/{cell}/fd/{info.name}").endswith("ext4.img"):
                    modes.append(int(re.search(r"^flags:\s+(\d+)", info.read_text(), re.MULTILINE)[1], 8))  # type: ignore[index]
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
    time.sleep(0.1)
    isolated.os.write(writer, b"ping")
    thread.join(10)
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


# ---- death -------------------------------------------------------------------


def test_killed_between_calls(isolated: liblinux.Kernel) -> None:
    os.kill(only_cell(), signal.SIGKILL)
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.os.getpid()
    assert isolated.dead
    assert "SIGKILL" in isolated.dead
    assert not cells(), "it is reaped"
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.os.listdir("/")
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.attach(bytes(MIB))


def test_killed_during_a_call(isolated: liblinux.Kernel) -> None:
    reader, _ = isolated.os.pipe()
    thread, raised = in_thread(lambda: isolated.os.read(reader, 1))
    time.sleep(0.1)
    started = time.monotonic()
    os.kill(only_cell(), signal.SIGKILL)
    thread.join(10)
    assert time.monotonic() - started < 1
    assert isinstance(raised[0], liblinux.KernelDied)
    assert "SIGKILL" in str(raised[0])


def test_killed_while_a_disk_is_served(isolated: liblinux.Kernel) -> None:
    class Deadly(io.BytesIO):
        def readinto(self, buffer: Any, /) -> int:
            os.kill(only_cell(), signal.SIGKILL)
            return super().readinto(buffer)

    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.attach(Deadly(bytes(MIB)))


def test_killed_in_the_middle_of_a_long_read(isolated: liblinux.Kernel) -> None:
    with isolated.open("/tmp/long", "wb") as file:
        file.write(bytes(20 << 20))
    fd = isolated.os.open("/tmp/long", os.O_RDONLY)
    cell = only_cell()
    killer = threading.Timer(0.02, os.kill, (cell, signal.SIGKILL))
    killer.start()
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        for _ in range(10_000):
            isolated.os.pread(fd, 20 << 20, 0)
    killer.join()


def test_reaped_by_somebody_else(isolated: liblinux.Kernel) -> None:
    cell = only_cell()
    os.kill(cell, signal.SIGKILL)
    os.waitpid(cell, 0)
    with pytest.raises(liblinux.KernelDied, match="dead"):
        isolated.os.getpid()


def test_stopped_and_continued(isolated: liblinux.Kernel) -> None:
    """A cell that does not answer is waited for."""
    cell = only_cell()
    os.kill(cell, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (cell, signal.SIGCONT)).start()
    assert isolated.os.getpid() == 1


def test_panic_inside(isolated: liblinux.Kernel) -> None:
    isolated.sysctl["vm.overcommit_memory"] = 1
    isolated.sysctl["vm.panic_on_oom"] = 2
    isolated.mount(None, "/big", type="tmpfs", options="size=1g")
    file = isolated.open("/big/file", "wb", 0)
    with pytest.raises(liblinux.KernelPanic, match="Out of memory") as panic:
        for _ in range(100):
            file.write(bytes(MIB))
    assert not isinstance(panic.value, liblinux.KernelDied), "its process lives"
    assert panic.value.syscall == "write"
    assert "out_of_memory" in {frame.function for frame in panic.value.backtrace}
    assert cells()
    assert any("Out of memory" in record.text for record in isolated.dmesg())


def test_processor_time_is_limited() -> None:
    with liblinux.Kernel(isolated=True, cpu_seconds=1) as kernel:
        kernel.os.close(kernel.os.open("/tmp/zeros", os.O_CREAT))
        with pytest.raises(liblinux.KernelDied, match="processor time"):
            while True:
                kernel.os.scantree("/proc/sys")
                kernel.os.urandom(1 << 20)


def test_memory_is_limited(isolated: liblinux.Kernel) -> None:
    limits = Path(f"/proc/{only_cell()}/limits").read_text()
    data = int(re.search(r"^Max data size +(\d+)", limits, re.MULTILINE)[1])  # type: ignore[index]
    assert isolated.memory < data < isolated.memory + 512 * MIB


def test_what_the_process_may(isolated: liblinux.Kernel) -> None:
    status = Path(f"/proc/{only_cell()}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert re.search(r"^Seccomp_filters:\t[2-9]", status, re.MULTILINE)


def test_one_dies_and_another_goes_on(isolated: liblinux.Kernel) -> None:
    victim = only_cell()
    with liblinux.Kernel(isolated=True) as other, liblinux.Kernel() as here:
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(liblinux.KernelDied):
            isolated.os.getpid()
        assert other.os.getpid() == here.os.getpid() == 1


# ---- interruption --------------------------------------------------------------


def test_ctrl_c(isolated: liblinux.Kernel) -> None:
    """Within 100 ms (plus what a busy machine takes), and the kernel is usable afterwards."""
    reader, writer = isolated.os.pipe()
    sent = 0.0

    def send() -> None:
        nonlocal sent
        time.sleep(0.2)
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    thread, _ = in_thread(send)
    with pytest.raises(KeyboardInterrupt):
        isolated.os.read(reader, 1)
    assert time.monotonic() - sent < 0.5
    thread.join()
    isolated.os.write(writer, b"x")
    assert isolated.os.read(reader, 1) == b"x"


def test_ctrl_c_ends_a_call_that_cannot_be_interrupted(isolated: liblinux.Kernel) -> None:
    """With the kernel, after some seconds: better than waiting for ever."""
    cell = only_cell()
    os.kill(cell, signal.SIGSTOP)
    thread, _ = in_thread(lambda: (time.sleep(0.2), os.kill(os.getpid(), signal.SIGINT)))
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        isolated.os.getpid()
    assert 4 < time.monotonic() - started < 15
    thread.join()
    with pytest.raises(liblinux.KernelDied, match="did not end when interrupted"):
        isolated.os.getpid()


# ---- nothing is left ------------------------------------------------------------


def test_closing_leaves_nothing() -> None:
    liblinux.Kernel(isolated=True).close()
    before = descriptors()
    for _ in range(10):
        with liblinux.Kernel(isolated=True) as kernel:
            kernel.attach(bytearray(MIB))
            kernel.mmap(None, MIB).release()
    assert descriptors() == before
    assert not cells()
    assert "liblinux-channel" not in Path("/proc/self/maps").read_text()


def test_collecting_leaves_nothing() -> None:
    before = descriptors()
    kernel = liblinux.Kernel(isolated=True)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del kernel
        gc.collect()
    assert descriptors() == before
    assert not cells()


def test_a_failed_boot_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "no-kernel.so"
    path.write_bytes(b"no ELF file" * 100)
    before = descriptors()
    with pytest.raises(liblinux.BuildError, match="not a kernel image"):
        liblinux.Kernel(isolated=True, version=str(path))
    assert descriptors() == before
    assert not cells()


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("end", ["sys.exit(3)", "os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_the_child_goes_with_its_parent(end: str) -> None:
    done = python(f"""
        import liblinux, os, sys, threading
        from pathlib import Path
        made = []
        thread = threading.Thread(target=lambda: made.append(liblinux.Kernel(isolated=True)))
        thread.start()
        thread.join()
        (cell,) = [p.parent.name for p in Path("/proc").glob("[0-9]*/comm") if p.read_text() == "_jail\\n"
                   and f"PPid:\\t{{os.getpid()}}\\n" in (p.parent / "status").read_text()]
        print(cell, flush=True)
        {end}
    """)
    cell = int(done.stdout)
    until = time.monotonic() + 5
    while Path(f"/proc/{cell}").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not Path(f"/proc/{cell}").exists(), done.stderr


def test_fork_of_the_parent() -> None:
    done = python("""
        import liblinux, os
        kernel = liblinux.Kernel(isolated=True)
        child = os.fork()
        if not child:
            try:
                kernel.os.getpid()
            except liblinux.KernelDied as error:
                os._exit(7 if "fork" in str(error) else 8)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert kernel.os.getpid() == 1
        kernel.close()
        print("well")
    """)
    assert done.stdout == "well\n", done.stderr


# ---- the wall itself ---------------------------------------------------------------

HERE = Path(__file__).resolve().parent
JAIL = HERE.parent / "kernel" / "jail"


@pytest.fixture(scope="module")
def locked_down(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that locks itself down as an isolated kernel's does, and then tries something."""
    made = tmp_path_factory.mktemp("jail") / "locked_down"
    flags = ("-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-iquote{JAIL}", f"-iquote{JAIL}/cell")
    run("cc", *flags, f"-iquote{JAIL.parent}/host", JAIL / "cell" / "lockdown.c", HERE / "host" / "locked_down.c",
        "-lpthread", "-o", made)  # fmt: skip
    return made


def test_locked_down_can_work(locked_down: Path) -> None:
    assert subprocess.run([locked_down, "work"], check=False).returncode == 0


@pytest.mark.parametrize(
    "attempt",
    ["open", "execve", "socket", "fork", "kill", "ptrace", "prctl-nothing", "memfd", "mprotect-exec", "ioctl", "x32"],
)
def test_locked_down_is_killed(locked_down: Path, attempt: str) -> None:
    status = subprocess.run([locked_down, attempt], check=False).returncode
    # prctl is tried by the C library, and refused without harm.
    assert status == (0 if attempt == "prctl-nothing" else -signal.SIGSYS)


def test_the_program_knows_its_channel() -> None:
    """Started by anybody else it leaves at once."""
    program = Path(_native.__file__).with_name("_jail")
    assert subprocess.run([program], check=False).returncode == 1
