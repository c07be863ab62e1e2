"""Ctrl-C in a call that would wait for ever: KeyboardInterrupt within 100 ms, and the kernel is as good as before."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import liblinux
from conftest import Images
from until import LONG_SECONDS, it_waits, once_in_some_tries, when_it_waits

FOR_EVER = struct.pack("=qq", 1 << 40, 0)
LIMIT_SECONDS = 0.1
LOCK_EX = 2
F_SETLKW = 7
AF_UNIX_ADDRESS = b"\1\0\0test"  # in the abstract namespace


class Key:
    """Ctrl-C, pressed as soon as the test waits; knows when."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._fingers: list[threading.Thread] = []
        self.pressed = 0.0

    def press(self, *, computes: bool = False) -> None:
        self._fingers.append(when_it_waits(self._go, computes=computes))

    def _go(self) -> None:
        self.pressed = time.monotonic()
        self._send()

    def release(self) -> None:
        for finger in self._fingers:
            finger.join()


# To the process, which is what a terminal does; or taken by a thread that is not the one that waits.
@pytest.fixture(params=["process", "another thread"])
def key(request: pytest.FixtureRequest) -> Iterator[Key]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    if request.param == "process":
        key = Key(lambda: os.kill(os.getpid(), signal.SIGINT))
    else:
        key = Key(lambda: signal.raise_signal(signal.SIGINT))
    yield key
    key.release()
    signal.signal(signal.SIGINT, before)


def seconds_until_interrupted(key: Key, call: Callable[[], object], *, computes: bool = False) -> float:
    with pytest.raises(KeyboardInterrupt):
        key.press(computes=computes)
        call()
    return time.monotonic() - key.pressed


def interrupted(key: Key, call: Callable[[], object], *, computes: bool = False) -> None:
    once_in_some_tries(lambda: seconds_until_interrupted(key, call, computes=computes), LIMIT_SECONDS)


def still_works(kernel: liblinux.Kernel) -> None:
    reading, writing = kernel.os.pipe()
    kernel.os.write(writing, b"x")
    assert kernel.os.read(reading, 1) == b"x"
    kernel.os.close(reading)
    kernel.os.close(writing)
    assert kernel.dead is None


def unix_socket(kernel: liblinux.Kernel, kind: int = socket.SOCK_STREAM) -> int:
    return kernel.syscall("socket", socket.AF_UNIX, kind, 0)


def make_read(kernel: liblinux.Kernel) -> Callable[[], object]:
    reading, _ = kernel.os.pipe()
    return lambda: kernel.os.read(reading, 1)


def make_write(kernel: liblinux.Kernel) -> Callable[[], object]:
    _, writing = kernel.os.pipe()
    return lambda: kernel.os.write(writing, bytes(1 << 20))


def make_futex(kernel: liblinux.Kernel) -> Callable[[], object]:
    return lambda: kernel.syscall("futex", bytearray(4), 128, 0, None, None, 0)


def make_flock(kernel: liblinux.Kernel) -> Callable[[], object]:
    first, second = (kernel.os.open("/file", os.O_RDWR | os.O_CREAT) for _ in range(2))
    kernel.syscall("flock", first, LOCK_EX)
    return lambda: kernel.syscall("flock", second, LOCK_EX)


def make_fcntl(kernel: liblinux.Kernel) -> Callable[[], object]:
    lock = struct.pack("=hhxxxxqqi4x", 1, 0, 0, 0, 0)
    other = kernel.process()
    other.syscall("fcntl", other.os.open("/file", os.O_RDWR | os.O_CREAT), F_SETLKW, lock)
    fd = kernel.os.open("/file", os.O_RDWR)
    return lambda: kernel.syscall("fcntl", fd, F_SETLKW, lock)


def make_poll(kernel: liblinux.Kernel) -> Callable[[], object]:
    reading, _ = kernel.os.pipe()
    return lambda: kernel.syscall("poll", bytearray(struct.pack("=ihh", reading, select.POLLIN, 0)), 1, -1)


def make_epoll(kernel: liblinux.Kernel) -> Callable[[], object]:
    epoll = kernel.syscall("epoll_create1", 0)
    return lambda: kernel.syscall("epoll_wait", epoll, bytearray(12), 1, -1)


def make_nanosleep(kernel: liblinux.Kernel) -> Callable[[], object]:
    return lambda: kernel.syscall("nanosleep", FOR_EVER, None)


def make_pause(kernel: liblinux.Kernel) -> Callable[[], object]:
    return lambda: kernel.syscall("pause")


def make_wait4(kernel: liblinux.Kernel) -> Callable[[], object]:
    child = kernel.process()
    return lambda: kernel.syscall("wait4", child.pid, None, 0x40000000, None)


def make_accept(kernel: liblinux.Kernel) -> Callable[[], object]:
    fd = unix_socket(kernel)
    kernel.syscall("bind", fd, AF_UNIX_ADDRESS, len(AF_UNIX_ADDRESS))
    kernel.syscall("listen", fd, 1)
    return lambda: kernel.syscall("accept", fd, None, None)


def make_recv(kernel: liblinux.Kernel) -> Callable[[], object]:
    fd = unix_socket(kernel, socket.SOCK_DGRAM)
    kernel.syscall("bind", fd, AF_UNIX_ADDRESS, len(AF_UNIX_ADDRESS))
    return lambda: kernel.syscall("recvfrom", fd, bytearray(10), 10, 0, None, None)


def make_inotify(kernel: liblinux.Kernel) -> Callable[[], object]:
    fd = kernel.syscall("inotify_init1", 0)
    return lambda: kernel.os.read(fd, 100)


def make_msgrcv(kernel: liblinux.Kernel) -> Callable[[], object]:
    queue = kernel.syscall("msgget", 0, 0o1600)
    return lambda: kernel.syscall("msgrcv", queue, bytearray(100), 92, 0, 0)


def make_semop(kernel: liblinux.Kernel) -> Callable[[], object]:
    semaphore = kernel.syscall("semget", 0, 1, 0o1600)
    return lambda: kernel.syscall("semop", semaphore, struct.pack("=Hhh", 0, -1, 0), 1)


def make_open_fifo(kernel: liblinux.Kernel) -> Callable[[], object]:
    kernel.os.mkfifo("/fifo")
    return lambda: kernel.os.open("/fifo", os.O_RDONLY)


WAITS = {name.removeprefix("make_"): function for name, function in list(globals().items()) if name.startswith("make_")}


@pytest.mark.parametrize("call", WAITS)
def test_a_wait_for_ever(kernel: liblinux.Kernel, key: Key, call: str) -> None:
    wait = WAITS[call](kernel)
    for _ in range(2):
        interrupted(key, wait)
    still_works(kernel)


def test_while_another_thread_runs_the_kernel(kernel: liblinux.Kernel, key: Key) -> None:
    """The one that is interrupted is not the one that keeps the kernel going."""
    reading, writing = kernel.os.pipe()
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(kernel.os.read(reading, 10)))
    thread.start()
    it_waits(thread)
    interrupted(key, make_read(kernel))
    kernel.os.write(writing, b"text")
    thread.join(LONG_SECONDS)
    assert got == [b"text"]


def test_under_the_virtual_clock(key: Key) -> None:
    """Another task sleeps and wakes for ever: time flies, so it is no deadlock."""
    with liblinux.Kernel(clock="virtual") as kernel:
        done = threading.Event()

        def sleep() -> None:
            while not done.is_set():
                kernel.syscall("nanosleep", struct.pack("=qq", 1, 0), None)

        thread = threading.Thread(target=sleep)
        thread.start()
        interrupted(key, make_read(kernel), computes=True)
        done.set()
        thread.join(LONG_SECONDS)
        assert not thread.is_alive()
        still_works(kernel)


class SlowDisk(io.BytesIO):
    """Takes its time to write, in pieces that Python can interrupt."""

    slow = False

    def write(self, data: object) -> int:
        for _ in range(10_000 if self.slow else 0):
            time.sleep(0.01)
        return super().write(data)  # type: ignore[arg-type]  # whatever the library passes


def test_while_python_serves_a_disk(kernel: liblinux.Kernel, key: Key, images: Images) -> None:
    """It comes out of the disk's own code; what the call had still to write is an error of the disk."""
    disk = SlowDisk(images.ext4().read_bytes())
    kernel.mount(kernel.attach(disk), "/mnt", options="errors=continue")
    with kernel.open("/mnt/file", "wb") as file:
        file.write(bytes(1 << 16))
    disk.slow = True
    seconds_until_interrupted(key, kernel.os.sync, computes=True)  # once: there is nothing left to write after it
    disk.slow = False
    still_works(kernel)
    with kernel.open("/tmp/file", "wb") as file:
        file.write(b"elsewhere nothing is lost")
    with pytest.raises(OSError) as caught:
        kernel.umount("/mnt")
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("times", [1, 2])
def test_while_it_is_closed(times: int, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is to be on the disk, unless the user insists."""
    image = images.ext4()
    kernel = liblinux.Kernel()
    kernel.mount(kernel.attach(image, readonly=False), "/mnt", readonly=False)
    with kernel.open("/mnt/new", "wb") as file:
        file.write(b"content")
    write_back = liblinux.Kernel._sync_mount
    pressed: list[None] = []

    def interrupted(self: liblinux.Kernel, target: str | bytes) -> OSError | None:
        if len(pressed) < times:
            pressed.append(None)
            raise KeyboardInterrupt
        return write_back(self, target)

    monkeypatch.setattr(liblinux.Kernel, "_sync_mount", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kernel.close()
    assert kernel.closed and len(pressed) == times
    with liblinux.Kernel() as again:
        again.mount(again.attach(image), "/mnt")
        assert again.os.path.exists("/mnt/new") == (times == 1)


def test_a_kernel_that_dies_while_it_is_closed_after_all(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = liblinux.Kernel()
    kernel.mount(kernel.attach(images.ext4()), "/mnt")
    pressed: list[None] = []

    def interrupted(self: liblinux.Kernel, _: str | bytes) -> None:
        if pressed:
            self.abort()
            self.os.getpid()
        pressed.append(None)
        raise KeyboardInterrupt

    monkeypatch.setattr(liblinux.Kernel, "_sync_mount", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kernel.close()
    assert kernel.closed
