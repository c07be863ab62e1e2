"""The classic boot tests of a kernel as a library, one by one."""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
from collections.abc import Callable

import pytest

import liblinux
from liblinux import _native

FUTEX_WAIT_PRIVATE = 128
FUTEX_WAKE_PRIVATE = 129
# A call from Python, with its dictionary look-up, on a slow and busy machine.
LATENCY_LIMIT_NANOSECONDS = 20_000
IFF_UP = 1
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IPC_PRIVATE = 0
SEM_UNDO = 0x1000


@pytest.fixture
def kernel(shared_kernel: liblinux.Kernel) -> liblinux.Kernel:
    return shared_kernel


class Futex:
    """A 32-bit word that tasks of the kernel wait on."""

    def __init__(self, kernel: liblinux.Kernel, value: int = 0) -> None:
        self.kernel = kernel
        self.word = kernel.mmap(None, 4)  # where an isolated kernel sees it as well
        self.value = value

    @property
    def value(self) -> int:
        return int(struct.unpack("=I", self.word)[0])

    @value.setter
    def value(self, value: int) -> None:
        struct.pack_into("=I", self.word, 0, value)

    def wait(self, expected: int) -> None:
        """Wait, as long as the word has this value."""
        try:
            self.kernel.syscall("futex", self.word, FUTEX_WAIT_PRIVATE, expected, None, None, 0)
        except BlockingIOError:
            pass  # it has changed already
        except InterruptedError:
            pass

    def wake(self, count: int = 1) -> int:
        return self.kernel.syscall("futex", self.word, FUTEX_WAKE_PRIVATE, count, None, None, 0)


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_mutex(kernel: liblinux.Kernel) -> None:
    """A lock held by one task keeps another waiting in the kernel until it is handed over."""
    lock = Futex(kernel, 1)
    order: list[str] = []

    def second() -> None:
        while lock.value:
            lock.wait(1)
        order.append("second")
        lock.value = 1

    thread = in_thread(second)
    order.append("first")
    lock.value = 1
    lock.value = 0
    while thread.is_alive() and not lock.value:
        lock.wake()
        thread.join(0.001)
    thread.join()
    assert order == ["first", "second"]
    assert lock.value == 1


def test_semaphore(kernel: liblinux.Kernel) -> None:
    """System V semaphore: what one task takes another gives."""
    identifier = kernel.syscall("semget", IPC_PRIVATE, 1, 0o600)
    taken: list[int] = []

    def down() -> None:
        for number in range(3):
            kernel.syscall("semop", identifier, struct.pack("=Hhh", 0, -1, 0), 1)
            taken.append(number)

    thread = in_thread(down)
    for _ in range(3):
        kernel.syscall("semop", identifier, struct.pack("=Hhh", 0, 1, 0), 1)
    thread.join()
    assert taken == [0, 1, 2]
    with pytest.raises(BlockingIOError):
        kernel.syscall("semop", identifier, struct.pack("=Hhh", 0, -1, 0o4000), 1)
    kernel.syscall("semctl", identifier, 0, 0, 0)
    with pytest.raises(OSError) as caught:
        kernel.syscall("semop", identifier, struct.pack("=Hhh", 0, 1, 0), 1)
    assert caught.value.errno in (errno.EINVAL, errno.EIDRM)


def test_thread_join(kernel: liblinux.Kernel) -> None:
    """One task waits in the kernel for the last word of another."""
    done = Futex(kernel)
    result: list[int] = []

    def work() -> None:
        result.append(kernel.os.gettid())
        done.value = 1
        done.wake()

    thread = in_thread(work)
    while not done.value:
        done.wait(0)
    thread.join()
    assert result
    assert result[0] != kernel.os.gettid()


def test_start_kernel() -> None:
    with liblinux.Kernel() as kernel:
        assert kernel.os.uname().sysname == "Linux"
        assert kernel.release == kernel.os.uname().release
        assert kernel.dead is None
        assert not kernel.closed


def test_getpid(kernel: liblinux.Kernel) -> None:
    assert kernel.os.getpid() == kernel.syscall("getpid") == kernel.pid == 1


def test_system_call_latency(kernel: liblinux.Kernel) -> None:
    assert 0 < _native.null_call_nanoseconds(kernel.os._native, 10_000) < LATENCY_LIMIT_NANOSECONDS


def test_umask(kernel: liblinux.Kernel) -> None:
    kernel.os.umask(0o22)
    assert kernel.os.umask(0o777) == 0o22


def test_umask_again(kernel: liblinux.Kernel) -> None:
    kernel.os.umask(0o777)
    assert kernel.os.umask(0o22) == 0o777


@pytest.fixture
def file(kernel: liblinux.Kernel) -> str:
    """A file of ten bytes."""
    fd = kernel.syscall("creat", "/file", 0o777)
    kernel.os.write(fd, b"0123456789")
    kernel.os.close(fd)
    return "/file"


def test_creat(kernel: liblinux.Kernel) -> None:
    kernel.os.umask(0o22)
    fd = kernel.syscall("creat", "/created", 0o777)
    assert fd >= 0
    assert stat.S_IMODE(kernel.os.fstat(fd).st_mode) == 0o755
    kernel.os.close(fd)


def test_close(kernel: liblinux.Kernel, file: str) -> None:
    fd = kernel.os.open(file, os.O_RDONLY)
    assert kernel.syscall("close", fd) == 0
    with pytest.raises(OSError) as caught:
        kernel.os.read(fd, 1)
    assert caught.value.errno == errno.EBADF


def test_failing_open(kernel: liblinux.Kernel) -> None:
    with pytest.raises(FileNotFoundError):
        kernel.syscall("open", "/no/such/file", os.O_RDONLY, 0)


def test_open(kernel: liblinux.Kernel, file: str) -> None:
    fd = kernel.syscall("open", file, os.O_RDWR, 0)
    assert fd >= 0
    kernel.os.close(fd)


def test_write(kernel: liblinux.Kernel) -> None:
    fd = kernel.os.open("/written", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    assert kernel.syscall("write", fd, b"test", 4) == 4
    assert kernel.os.fstat(fd).st_size == 4
    kernel.os.close(fd)


def test_lseek_to_current(kernel: liblinux.Kernel, file: str) -> None:
    fd = kernel.os.open(file, os.O_RDWR)
    kernel.os.write(fd, b"abcd")
    assert kernel.os.lseek(fd, 0, os.SEEK_CUR) == 4
    kernel.os.close(fd)


def test_lseek_to_end(kernel: liblinux.Kernel, file: str) -> None:
    fd = kernel.os.open(file, os.O_RDWR)
    assert kernel.os.lseek(fd, 0, os.SEEK_END) == 10
    kernel.os.close(fd)


def test_lseek_to_set(kernel: liblinux.Kernel, file: str) -> None:
    fd = kernel.os.open(file, os.O_RDWR)
    assert kernel.os.lseek(fd, 7, os.SEEK_SET) == 7
    assert kernel.os.read(fd, 100) == b"789"
    with pytest.raises(OSError) as caught:
        kernel.os.lseek(fd, -1, os.SEEK_SET)
    assert caught.value.errno == errno.EINVAL
    kernel.os.close(fd)


def test_read(kernel: liblinux.Kernel, file: str) -> None:
    fd = kernel.os.open(file, os.O_RDONLY)
    buffer = bytearray(10)
    assert kernel.syscall("read", fd, buffer, 10) == 10
    assert buffer == b"0123456789"
    assert kernel.os.read(fd, 1) == b""
    kernel.os.close(fd)


def test_fstat(kernel: liblinux.Kernel, file: str) -> None:
    """The layout is that of x86-64, and says the same as statx behind os.fstat."""
    fd = kernel.os.open(file, os.O_RDONLY)
    raw = bytearray(144)
    kernel.syscall("fstat", fd, raw)
    _, inode, links, mode, uid, gid = struct.unpack_from("=QQQIII", raw)
    size, block_size = struct.unpack_from("=qq", raw, 48)
    status = kernel.os.fstat(fd)
    assert (inode, links, mode, uid, gid) == (status.st_ino, 1, status.st_mode, 0, 0)
    assert (size, block_size) == (10, status.st_blksize)
    assert stat.S_ISREG(mode)
    kernel.os.close(fd)


def test_mkdir(kernel: liblinux.Kernel) -> None:
    assert kernel.syscall("mkdir", "/made", 0o777) == 0
    with pytest.raises(FileExistsError):
        kernel.syscall("mkdir", "/made", 0o777)


def test_stat(kernel: liblinux.Kernel) -> None:
    kernel.os.makedirs("/for-stat", exist_ok=True)
    raw = bytearray(144)
    assert kernel.syscall("stat", "/for-stat", raw) == 0
    assert stat.S_ISDIR(struct.unpack_from("=I", raw, 24)[0])


def test_nanosleep(kernel: liblinux.Kernel) -> None:
    before = kernel.now()
    kernel.syscall("nanosleep", struct.pack("=qq", 0, 10_000_000), None)
    assert kernel.now() - before >= 10_000_000


def test_pipe2(kernel: liblinux.Kernel) -> None:
    reader, writer = kernel.os.pipe2(os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        kernel.os.read(reader, 1)
    assert kernel.os.write(writer, b"through the pipe") == 16
    assert kernel.os.read(reader, 100) == b"through the pipe"
    kernel.os.close(writer)
    assert kernel.os.read(reader, 100) == b""
    kernel.os.close(reader)


def test_epoll(kernel: liblinux.Kernel) -> None:
    """Ready only when there is something to read; the event structure is packed, as x86-64 has it."""
    reader, writer = kernel.os.pipe()
    epoll = kernel.syscall("epoll_create1", 0)
    kernel.syscall("epoll_ctl", epoll, 1, reader, struct.pack("=IQ", 1, 0x1122334455667788))
    events = bytearray(12 * 4)
    assert kernel.syscall("epoll_wait", epoll, events, 4, 0) == 0
    kernel.os.write(writer, b"x")
    assert kernel.syscall("epoll_wait", epoll, events, 4, -1) == 1
    assert struct.unpack_from("=IQ", events) == (1, 0x1122334455667788)
    for fd in (reader, writer, epoll):
        kernel.os.close(fd)


@pytest.fixture
def proc(kernel: liblinux.Kernel) -> str:
    """A procfs of the test's own."""
    if not kernel.os.path.ismount("/proc2"):
        kernel.mount(None, "/proc2", type="proc")
    return "/proc2"


def test_mount_procfs(kernel: liblinux.Kernel, proc: str) -> None:
    assert "self" in kernel.os.listdir(proc)
    with kernel.open(f"{proc}/version") as version:
        assert kernel.release in version.read()


def test_chdir(kernel: liblinux.Kernel, proc: str) -> None:
    kernel.os.chdir(proc)
    assert kernel.os.getcwd() == proc
    kernel.os.chdir("/")


def test_open_working_directory(kernel: liblinux.Kernel, proc: str) -> None:
    kernel.os.chdir(proc)
    fd = kernel.os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    assert kernel.os.path.samestat(kernel.os.fstat(fd), kernel.os.stat(proc))
    kernel.os.close(fd)
    kernel.os.chdir("/")


def test_getdents64(kernel: liblinux.Kernel, proc: str) -> None:
    fd = kernel.os.open(proc, os.O_RDONLY | os.O_DIRECTORY)
    buffer = bytearray(4096)
    names = set()
    while length := kernel.syscall("getdents64", fd, buffer, len(buffer)):
        offset = 0
        while offset < length:
            (size,) = struct.unpack_from("=H", buffer, offset + 16)
            names.add(bytes(buffer[offset + 19 : offset + size]).partition(b"\0")[0])
            offset += size
    kernel.os.close(fd)
    assert {b".", b"..", b"1", b"self", b"filesystems"} <= names
    assert names - {b".", b".."} >= set(kernel.os.listdir(proc.encode())) - {b"self", b"thread-self"}


def test_close_directory(kernel: liblinux.Kernel, proc: str) -> None:
    fd = kernel.os.open(proc, os.O_RDONLY | os.O_DIRECTORY)
    kernel.os.close(fd)
    with pytest.raises(OSError) as caught:
        kernel.os.listdir(fd)
    assert caught.value.errno == errno.EBADF


def test_chdir_to_root(kernel: liblinux.Kernel, proc: str) -> None:
    kernel.os.chdir(proc)
    kernel.os.chdir("/")
    assert kernel.os.getcwd() == "/"


def test_unmount(kernel: liblinux.Kernel, proc: str) -> None:
    kernel.umount(proc)
    assert kernel.os.listdir(proc) == []
    with pytest.raises(OSError) as caught:
        kernel.umount(proc)
    assert caught.value.errno == errno.EINVAL


def test_loopback_interface_up(kernel: liblinux.Kernel) -> None:
    fd = kernel.syscall("socket", 2, 2, 0)
    request = bytearray(struct.pack("=16sh22x", b"lo", 0))
    kernel.syscall("ioctl", fd, SIOCGIFFLAGS, request)
    (flags,) = struct.unpack_from("=h", request, 16)
    struct.pack_into("=h", request, 16, flags | IFF_UP)
    kernel.syscall("ioctl", fd, SIOCSIFFLAGS, request)
    kernel.syscall("ioctl", fd, SIOCGIFFLAGS, request)
    assert struct.unpack_from("=h", request, 16)[0] & IFF_UP
    kernel.os.close(fd)


def test_gettid(kernel: liblinux.Kernel) -> None:
    assert kernel.syscall("gettid") == kernel.os.gettid() > 0


def test_system_call_from_a_second_thread(kernel: liblinux.Kernel) -> None:
    """A Python thread is a task of its own in the same process."""
    found: list[tuple[int, int]] = []
    thread = in_thread(lambda: found.append((kernel.os.getpid(), kernel.os.gettid())))
    thread.join()
    assert found[0][0] == kernel.os.getpid()
    assert found[0][1] != kernel.os.gettid()


def test_system_calls_from_many_threads(kernel: liblinux.Kernel) -> None:
    """None is lost and none is mixed up with another."""
    threads, rounds = 16, 200
    results: dict[int, int] = {}
    barrier = threading.Barrier(threads)

    def work(number: int) -> None:
        barrier.wait()
        path = f"/thread-{number}"
        fd = kernel.os.open(path, os.O_RDWR | os.O_CREAT)
        for count in range(rounds):
            kernel.os.pwrite(fd, struct.pack("=II", number, count), count * 8)
        data = kernel.os.pread(fd, rounds * 8, 0)
        kernel.os.close(fd)
        results[number] = sum(1 for owner, _ in struct.iter_unpack("=II", data) if owner == number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == dict.fromkeys(range(threads), rounds)


def test_stop_kernel() -> None:
    kernel = liblinux.Kernel()
    kernel.close()
    assert kernel.closed
    kernel.close()
    with pytest.raises(liblinux.KernelClosed):
        kernel.os.getpid()
    with pytest.raises(liblinux.KernelClosed):
        kernel.syscall("getpid")
