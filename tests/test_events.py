"""What programs wait for: futex, timers, signals, counters, AIO, io_uring, locks and notifications."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Iterator

import pytest

import liblinux
from conftest import Images

SIGUSR1 = 10
SIG_BLOCK = 0
SIG_UNBLOCK = 1
F_SETLK = 6
F_SETLKW = 7
F_GETLK = 5
F_UNLCK = 2
F_WRLCK = 1
LOCK_EX = 2
LOCK_NB = 4
IN_CREATE = 0x100
IN_CLOSE_WRITE = 0x8
FAN_MARK_ADD = 1
FAN_OPEN = 0x20
FAN_CLOSE_WRITE = 0x8
FAN_EVENT_ON_CHILD = 0x08000000
FLOCK = struct.Struct("=hh4xqqi4x")


@pytest.fixture
def kernel(either: liblinux.Kernel) -> liblinux.Kernel:
    return either


def address_of(buffer: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def memory(kernel: liblinux.Kernel, content: bytes) -> memoryview:
    """Memory whose address means the same to the kernel, isolated or not."""
    view = kernel.mmap(None, len(content))
    view[:] = content
    return view


def test_futex_times_out(kernel: liblinux.Kernel) -> None:
    word = bytearray(4)
    before = kernel.now()
    with pytest.raises(TimeoutError):
        kernel.syscall("futex", word, 128, 0, struct.pack("=qq", 0, 5_000_000), None, 0)
    assert kernel.now() - before >= 5_000_000


def test_futex_value_has_changed(kernel: liblinux.Kernel) -> None:
    with pytest.raises(BlockingIOError):
        kernel.syscall("futex", bytearray(struct.pack("=I", 7)), 128, 8, None, None, 0)


def test_futex_wakes_only_as_many(kernel: liblinux.Kernel) -> None:
    word = memory(kernel, bytes(4))
    woken: list[int] = []

    def wait(number: int) -> None:
        kernel.syscall("futex", word, 128, 0, None, None, 0)
        woken.append(number)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    total = 0
    while total < 2:
        total += kernel.syscall("futex", word, 129, 2 - total, None, None, 0)
    assert total == 2
    while total < 3:
        total += kernel.syscall("futex", word, 129, 9, None, None, 0)
    for thread in threads:
        thread.join()
    assert sorted(woken) == [0, 1, 2]
    assert total == 3


def test_timerfd(kernel: liblinux.Kernel) -> None:
    fd = kernel.syscall("timerfd_create", 1, 0)
    before = kernel.now()
    kernel.syscall("timerfd_settime", fd, 0, struct.pack("=qqqq", 0, 2_000_000, 0, 3_000_000), None)
    assert struct.unpack("=Q", kernel.os.read(fd, 8))[0] >= 1
    assert kernel.now() - before >= 3_000_000
    kernel.syscall("nanosleep", struct.pack("=qq", 0, 10_000_000), None)
    assert struct.unpack("=Q", kernel.os.read(fd, 8))[0] >= 3
    kernel.os.close(fd)


def test_signalfd(kernel: liblinux.Kernel) -> None:
    mask = struct.pack("=Q", 1 << (SIGUSR1 - 1))
    kernel.syscall("rt_sigprocmask", SIG_BLOCK, mask, None, 8)
    fd = kernel.syscall("signalfd4", -1, mask, 8, 0)
    kernel.syscall("tgkill", kernel.os.getpid(), kernel.os.gettid(), SIGUSR1)
    information = kernel.os.read(fd, 128)
    assert struct.unpack_from("=I", information)[0] == SIGUSR1
    assert struct.unpack_from("=I", information, 12)[0] == kernel.os.getpid()
    kernel.os.close(fd)
    kernel.syscall("rt_sigprocmask", SIG_UNBLOCK, mask, None, 8)


def test_eventfd(kernel: liblinux.Kernel) -> None:
    fd = kernel.os.eventfd(3, os.EFD_NONBLOCK)
    kernel.os.eventfd_write(fd, 4)
    assert kernel.os.eventfd_read(fd) == 7
    with pytest.raises(BlockingIOError):
        kernel.os.eventfd_read(fd)
    kernel.os.close(fd)


def test_eventfd_wakes_a_reader(kernel: liblinux.Kernel) -> None:
    fd = kernel.os.eventfd(0, os.EFD_SEMAPHORE)
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(kernel.os.eventfd_read(fd) for _ in range(2)))
    thread.start()
    kernel.os.eventfd_write(fd, 2)
    thread.join()
    assert got == [1, 1]
    kernel.os.close(fd)


@pytest.fixture
def disk_file(kernel: liblinux.Kernel, images: Images) -> Iterator[int]:
    """An open file on ext4."""
    with kernel.attach(images.ext4()) as disk, kernel.mount(disk, "/mnt/events"):
        fd = kernel.os.open("/mnt/events/file", os.O_RDWR | os.O_CREAT)
        yield fd
        kernel.os.close(fd)


def test_aio(kernel: liblinux.Kernel, disk_file: int) -> None:
    """Write and read back with io_submit."""
    context = bytearray(8)
    kernel.syscall("io_setup", 8, context)
    (identifier,) = struct.unpack("=Q", context)
    data, back = memory(kernel, b"asynchronous" * 100), memory(kernel, bytes(1200))
    for cookie, opcode, buffer in ((11, 1, data), (22, 0, back)):
        block = memory(
            kernel,
            struct.pack("=QIIHhIQQqQII", cookie, 0, 0, opcode, 0, disk_file, address_of(buffer), 1200, 0, 0, 0, 0),
        )
        pointers = bytearray(struct.pack("=Q", address_of(block)))
        assert kernel.syscall("io_submit", identifier, 1, pointers) == 1
        events = bytearray(32)
        assert kernel.syscall("io_getevents", identifier, 1, 1, events, None) == 1
        assert struct.unpack_from("=Q", events)[0] == cookie
        assert struct.unpack_from("=q", events, 16)[0] == 1200
    assert back == data
    kernel.syscall("io_destroy", identifier)


class Ring:
    """The least of an io_uring."""

    def __init__(self, kernel: liblinux.Kernel, entries: int = 8) -> None:
        self.kernel = kernel
        parameters = bytearray(120)
        self.fd = kernel.syscall("io_uring_setup", entries, parameters)
        self.sq_entries, self.cq_entries = struct.unpack_from("=II", parameters)
        self.sq = struct.unpack_from("=7I", parameters, 40)  # head tail mask entries flags dropped array
        self.cq = struct.unpack_from("=6I", parameters, 80)  # head tail mask entries overflow cqes
        size = max(self.sq[6] + 4 * self.sq_entries, self.cq[5] + 16 * self.cq_entries)
        self.ring = kernel.mmap(self.fd, size, 0)
        self.entries = kernel.mmap(self.fd, 64 * self.sq_entries, 0x10000000)

    def submit(self, opcode: int, fd: int, offset: int, address: int, length: int, cookie: int) -> tuple[int, int]:
        """Submit one operation, wait for it; returns its cookie and result."""
        (tail,) = struct.unpack_from("=I", self.ring, self.sq[1])
        index = tail & (self.sq_entries - 1)
        struct.pack_into(
            "=BBHiQQIIQ24x", self.entries, 64 * index, opcode, 0, 0, fd, offset, address, length, 0, cookie
        )
        struct.pack_into("=I", self.ring, self.sq[6] + 4 * index, index)
        struct.pack_into("=I", self.ring, self.sq[1], tail + 1)
        assert self.kernel.syscall("io_uring_enter", self.fd, 1, 1, 1, None, 0) == 1
        (head,) = struct.unpack_from("=I", self.ring, self.cq[0])
        where = self.cq[5] + 16 * (head & (self.cq_entries - 1))
        user_data, result = struct.unpack_from("=Qi", self.ring, where)
        struct.pack_into("=I", self.ring, self.cq[0], head + 1)
        return user_data, result

    def close(self) -> None:
        self.ring.release()
        self.entries.release()
        self.kernel.os.close(self.fd)


def test_io_uring_nothing(kernel: liblinux.Kernel) -> None:
    ring = Ring(kernel)
    for cookie in range(20):
        assert ring.submit(0, -1, 0, 0, 0, cookie) == (cookie, 0)
    ring.close()


def test_io_uring_reads_and_writes(kernel: liblinux.Kernel, disk_file: int) -> None:
    ring = Ring(kernel)
    data, back = memory(kernel, b"ring" * 1024), memory(kernel, bytes(4096))
    assert ring.submit(23, disk_file, 0, address_of(data), 4096, 1) == (1, 4096)
    assert ring.submit(3, disk_file, 0, 0, 0, 2) == (2, 0)
    assert ring.submit(22, disk_file, 0, address_of(back), 4096, 3) == (3, 4096)
    assert back == data
    ring.close()


def test_flock(kernel: liblinux.Kernel) -> None:
    with kernel.process() as other:
        mine = kernel.os.open("/locked", os.O_RDWR | os.O_CREAT)
        theirs = other.os.open("/locked", os.O_RDWR)
        kernel.syscall("flock", mine, LOCK_EX)
        with pytest.raises(BlockingIOError):
            other.syscall("flock", theirs, LOCK_EX | LOCK_NB)
        kernel.os.close(mine)
        other.syscall("flock", theirs, LOCK_EX | LOCK_NB)


def test_posix_locks(kernel: liblinux.Kernel) -> None:
    """Locks of ranges: one process sees who is in its way, waits, and gets it."""
    with kernel.process() as other:
        mine = kernel.os.open("/ranges", os.O_RDWR | os.O_CREAT)
        theirs = other.os.open("/ranges", os.O_RDWR)
        kernel.syscall("fcntl", mine, F_SETLK, FLOCK.pack(F_WRLCK, 0, 0, 100, 0))
        other.syscall("fcntl", theirs, F_SETLK, FLOCK.pack(F_WRLCK, 0, 100, 100, 0))
        with pytest.raises(BlockingIOError):
            other.syscall("fcntl", theirs, F_SETLK, FLOCK.pack(F_WRLCK, 0, 50, 100, 0))
        found = bytearray(FLOCK.pack(F_WRLCK, 0, 50, 10, 0))
        other.syscall("fcntl", theirs, F_GETLK, found)
        assert FLOCK.unpack(found) == (F_WRLCK, 0, 0, 100, kernel.os.getpid())
        waiter = threading.Thread(
            target=lambda: other.syscall("fcntl", theirs, F_SETLKW, FLOCK.pack(F_WRLCK, 0, 0, 10, 0))
        )
        waiter.start()
        kernel.syscall("fcntl", mine, F_SETLK, FLOCK.pack(F_UNLCK, 0, 0, 0, 0))
        waiter.join()
        with pytest.raises(BlockingIOError):
            kernel.syscall("fcntl", mine, F_SETLK, FLOCK.pack(F_WRLCK, 0, 0, 10, 0))
        kernel.os.close(mine)


def test_inotify(kernel: liblinux.Kernel) -> None:
    kernel.os.makedirs("/watched", exist_ok=True)
    fd = kernel.syscall("inotify_init1", 0)
    watch = kernel.syscall("inotify_add_watch", fd, "/watched", IN_CREATE | IN_CLOSE_WRITE)
    with kernel.open("/watched/created", "w") as file:
        file.write("x")
    events = []
    raw = kernel.os.read(fd, 4096)
    while raw:
        number, mask, _, length = struct.unpack_from("=iIII", raw)
        events.append((number, mask, raw[16 : 16 + length].rstrip(b"\0")))
        raw = raw[16 + length :]
    assert events == [(watch, IN_CREATE, b"created"), (watch, IN_CLOSE_WRITE, b"created")]
    kernel.os.close(fd)


def test_fanotify(kernel: liblinux.Kernel) -> None:
    """Another process opens a file: the event tells who, with a descriptor of what."""
    kernel.os.makedirs("/notified", exist_ok=True)
    fd = kernel.syscall("fanotify_init", 0, os.O_RDONLY)
    mask = FAN_OPEN | FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD
    kernel.syscall("fanotify_mark", fd, FAN_MARK_ADD, mask, -100, "/notified")
    with kernel.process() as other:
        with other.open("/notified/file", "w") as file:
            file.write("seen")
        raw = kernel.os.read(fd, 4096)
        length, _, _, _, seen, target, pid = struct.unpack_from("=IBBHQii", raw)
        assert pid == other.pid
        assert seen & FAN_OPEN
        assert kernel.os.readlink(f"/proc/self/fd/{target}") == "/notified/file"
        assert length == 24
        while raw:
            kernel.os.close(struct.unpack_from("=i", raw, 16)[0])
            raw = raw[24:]
    kernel.os.close(fd)


def test_message_queue(kernel: liblinux.Kernel) -> None:
    """A message queue delivers by priority."""
    attributes = struct.pack("=4q32x", 0, 4, 64, 0)
    queue = kernel.syscall("mq_open", "queue", os.O_RDWR | os.O_CREAT, 0o600, attributes)
    kernel.syscall("mq_timedsend", queue, b"low", 3, 1, None)
    kernel.syscall("mq_timedsend", queue, b"high", 4, 9, None)
    buffer, priority = bytearray(64), bytearray(4)
    assert kernel.syscall("mq_timedreceive", queue, buffer, 64, priority, None) == 4
    assert (bytes(buffer[:4]), priority[0]) == (b"high", 9)
    kernel.os.close(queue)
    kernel.syscall("mq_unlink", "queue")
