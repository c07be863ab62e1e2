"""Python threads in one kernel, the GIL, and Ctrl-C."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

import liblinux
from conftest import MIB
from until import LONG_SECONDS, it_waits, once_in_some_tries, when_it_waits

THREADS = 32


@pytest.fixture
def kernel(shared_kernel: liblinux.Kernel) -> liblinux.Kernel:
    return shared_kernel


def start(functions: Sequence[Callable[[], object]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    return threads


def test_everybody_waits_for_something_else(kernel: liblinux.Kernel) -> None:
    """Each thread blocks in a read of a pipe of its own, and gets what was meant for it, in any order."""
    pipes = [kernel.os.pipe() for _ in range(THREADS)]
    got: dict[int, bytes] = {}

    def wait(number: int) -> None:
        got[number] = kernel.os.read(pipes[number][0], 100)

    threads = start([partial(wait, number) for number in range(THREADS)])
    order = list(range(THREADS))
    random.Random(1).shuffle(order)
    for number in order:
        kernel.os.write(pipes[number][1], b"for %d" % number)
        threads[number].join()
        assert got.pop(number) == b"for %d" % number
    for reader, writer in pipes:
        kernel.os.close(reader)
        kernel.os.close(writer)


def test_a_chain_of_threads(kernel: liblinux.Kernel) -> None:
    """A message goes through all threads and back, many times."""
    pipes = [kernel.os.pipe() for _ in range(THREADS + 1)]
    rounds = 100

    def pass_on(number: int) -> None:
        for _ in range(rounds):
            kernel.os.write(pipes[number + 1][1], kernel.os.read(pipes[number][0], 8))

    threads = start([partial(pass_on, number) for number in range(THREADS)])
    for count in range(rounds):
        kernel.os.write(pipes[0][1], count.to_bytes(8, "little"))
        assert kernel.os.read(pipes[-1][0], 8) == count.to_bytes(8, "little")
    for thread in threads:
        thread.join()
    for reader, writer in pipes:
        kernel.os.close(reader)
        kernel.os.close(writer)


def test_many_writers_and_readers_of_one_pipe(kernel: liblinux.Kernel) -> None:
    """Nothing is lost, doubled or torn."""
    reader, writer = kernel.os.pipe()
    count, pairs = 200, THREADS // 2
    received: list[int] = []

    def write(number: int) -> None:
        for item in range(count):
            kernel.os.write(writer, struct.pack("=Q", number * count + item))

    def read() -> None:
        received.extend(struct.unpack("=Q", kernel.os.read(reader, 8))[0] for _ in range(count))

    for thread in start([*[read] * pairs, *(partial(write, number) for number in range(pairs))]):
        thread.join()
    assert sorted(received) == list(range(pairs * count))
    kernel.os.close(reader)
    kernel.os.close(writer)


def test_files_from_many_threads(kernel: liblinux.Kernel) -> None:
    failures: list[str] = []

    def work(number: int) -> None:
        path = f"/tmp/{number}"
        for size in range(1, 40):
            with kernel.open(path, "wb") as file:
                file.write(bytes([number]) * size * 100)
            kernel.os.rename(path, path + "-moved")
            with kernel.open(path + "-moved", "rb") as file:
                if file.read() != bytes([number]) * size * 100:
                    failures.append(path)
            kernel.os.unlink(path + "-moved")

    for thread in start([partial(work, number) for number in range(THREADS)]):
        thread.join()
    assert failures == []


def test_memory_from_many_threads(kernel: liblinux.Kernel) -> None:
    """Page faults of several threads at once, outside of any system call."""
    view = kernel.mmap(None, 4 * MIB)

    def touch(number: int) -> None:
        for page in range(number, len(view) // 4096, THREADS):
            view[page * 4096] = number + 1

    for thread in start([partial(touch, number) for number in range(THREADS)]):
        thread.join()
    assert all(view[page * 4096] == page % THREADS + 1 for page in range(len(view) // 4096))
    view.release()


def progress_during(call: Callable[[], object]) -> float:
    """How much of the time of a call in another thread this thread could run Python, from 0 to 1."""
    times: list[float] = []

    def timed() -> None:
        times.append(time.perf_counter())
        call()
        times.append(time.perf_counter())

    thread = threading.Thread(target=timed)
    thread.start()
    ticks = []
    while thread.is_alive():
        ticks.append(time.perf_counter())
    thread.join()
    begin, end = times
    parts = 20
    return len({int((tick - begin) / (end - begin) * parts) for tick in ticks if begin <= tick < end}) / parts


def test_the_gil_is_released_while_a_call_waits(kernel: liblinux.Kernel) -> None:
    def standstill() -> float:
        return 1 - progress_during(lambda: kernel.syscall("nanosleep", struct.pack("=qq", 0, 300_000_000), None))

    once_in_some_tries(standstill, 0.7)


def test_the_gil_is_released_while_a_call_computes(kernel: liblinux.Kernel) -> None:
    buffer = bytearray(64 * MIB)
    fd = kernel.os.open("/dev/urandom", os.O_RDONLY)
    once_in_some_tries(lambda: 1 - progress_during(lambda: kernel.os.readinto(fd, buffer)), 0.7)
    kernel.os.close(fd)


FAULT_SIGNALS = (signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)


def test_no_thread_and_no_signal_is_taken() -> None:
    """A kernel at work is this thread, and the four signals of the machine's faults."""
    program = """
        import os, re
        from pathlib import Path

        def caught():
            mask = int(re.search(r"SigCgt:\\s*(\\w+)", Path("/proc/self/status").read_text())[1], 16)
            return {number for number in range(1, 65) if mask >> number - 1 & 1}

        before = caught()
        import liblinux
        with liblinux.Kernel() as kernel:
            kernel.mount(None, "/scratch", type="tmpfs")
            with kernel.open("/scratch/file", "wb") as file:
                file.write(bytes(1 << 20))
            kernel.os.sync()
            print(os.listdir("/proc/self/task") == [str(os.getpid())], sorted(caught() - before))
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"True {sorted(map(int, FAULT_SIGNALS))}\n"


# ---- Ctrl-C ------------------------------------------------------------------


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Presses Ctrl-C as soon as the test waits."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    fingers: list[threading.Thread] = []

    def press() -> None:
        fingers.append(when_it_waits(lambda: os.kill(os.getpid(), signal.SIGINT)))

    yield press
    for finger in fingers:
        finger.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("call", ["read", "nanosleep", "epoll_wait", "futex"])
def test_ctrl_c_ends_a_wait(kernel: liblinux.Kernel, interrupt: Callable[[], None], call: str) -> None:
    """KeyboardInterrupt; and the same call works afterwards."""
    reader, writer = kernel.os.pipe()
    epoll = kernel.syscall("epoll_create1", 0)
    waits: dict[str, Callable[[], object]] = {
        "read": lambda: kernel.os.read(reader, 1),
        "nanosleep": lambda: kernel.syscall("nanosleep", struct.pack("=qq", 100, 0), None),
        "epoll_wait": lambda: kernel.syscall("epoll_wait", epoll, bytearray(12), 1, -1),
        "futex": lambda: kernel.syscall("futex", bytearray(4), 128, 0, None, None, 0),
    }
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            interrupt()
            waits[call]()
    kernel.os.write(writer, b"x")
    assert kernel.os.read(reader, 1) == b"x"
    for fd in (reader, writer, epoll):
        kernel.os.close(fd)


def test_ctrl_c_while_another_thread_is_inside(kernel: liblinux.Kernel, interrupt: Callable[[], None]) -> None:
    """It ends the wait of the main thread, and of no other."""
    mine, theirs = kernel.os.pipe(), kernel.os.pipe()
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(kernel.os.read(theirs[0], 10)))
    thread.start()
    it_waits(thread)
    with pytest.raises(KeyboardInterrupt):
        interrupt()
        kernel.os.read(mine[0], 1)
    assert thread.is_alive()
    kernel.os.write(theirs[1], b"undisturbed")
    thread.join()
    assert got == [b"undisturbe"]
    for fd in (*mine, *theirs):
        kernel.os.close(fd)


@pytest.mark.parametrize("blocked", [False, True], ids=["between calls", "inside a call"])
def test_the_first_other_thread_of_a_kernel(blocked: bool) -> None:
    """A kernel is its first thread's own until another comes: in the middle of calls, or of one that waits."""
    for _ in range(20):
        with liblinux.Kernel(memory="16M") as kernel:
            reader, writer = kernel.os.pipe()
            answers: list[int] = []

            def other(kernel: liblinux.Kernel = kernel, writer: int = writer, answers: list[int] = answers) -> None:
                answers.extend(kernel.os.getpid() for _ in range(100))
                kernel.os.write(writer, b"done")

            (thread,) = start([other])
            while not blocked and not answers:
                assert kernel.os.getpid() == 1
            assert kernel.os.read(reader, 10) == b"done"
            thread.join()
            assert answers == [1] * 100


# ---- a thread that comes while the runner of an idle kernel sleeps ------------------


def test_sleeper_wakes_up_in_time_although_others_come_and_go(kernel: liblinux.Kernel) -> None:
    """Whoever comes takes the kernel over from it, and puts it back; its timer is not forgotten."""
    woken: list[float] = []

    def sleep() -> None:
        kernel.select.select([], [], [], 0.2)
        woken.append(time.monotonic())

    started = time.monotonic()
    threads = start([sleep])
    while not woken and time.monotonic() - started < LONG_SECONDS:
        kernel.os.getpid()
    assert woken and woken[0] - started >= 0.2
    threads[0].join()


def test_timer_that_is_set_beside_a_sleeper_without_one(kernel: liblinux.Kernel) -> None:
    """The sleeper had nothing to wake up for; now it has, and the thread that set it does something else."""
    timer = kernel.syscall("timerfd_create", time.CLOCK_MONOTONIC, 0)
    woken: list[float] = []

    def wait() -> None:
        kernel.os.read(timer, 8)
        woken.append(time.monotonic())

    threads = start([wait])
    it_waits(threads[0])
    started = time.monotonic()
    kernel.syscall("timerfd_settime", timer, 0, struct.pack("=4q", 0, 0, 0, 50_000_000), None)
    threads[0].join(LONG_SECONDS)  # nobody else is in the kernel
    assert woken and woken[0] - started >= 0.05
    kernel.os.close(timer)


def test_sleeper_is_served_by_who_comes(kernel: liblinux.Kernel) -> None:
    """A message to and fro between threads that sleep in the kernel in turns, next to others that only sleep."""
    here, there = kernel.socket.socketpair()
    sleepers = [kernel.socket.socketpair() for _ in range(4)]
    rounds = 2000

    def echo() -> None:
        for _ in range(rounds):
            there.sendall(there.recv(8))

    threads = start([echo, *(partial(one.recv, 1) for one, _ in sleepers)])
    for number in range(rounds):
        here.sendall(number.to_bytes(8, "little"))
        assert here.recv(8) == number.to_bytes(8, "little")
    for _, other in sleepers:
        other.send(b"x")
    for thread in threads:
        thread.join()
    for sock in (here, there, *(sock for pair in sleepers for sock in pair)):
        sock.close()


def test_threads_that_sleep_for_random_times(kernel: liblinux.Kernel) -> None:
    """Timeouts, messages and short calls in all orders; every byte arrives."""
    pairs = [kernel.socket.socketpair() for _ in range(6)]
    received = [0] * len(pairs)
    sent = [0] * len(pairs)

    def receive(number: int) -> None:
        sock = pairs[number][0]
        chance = random.Random(number)
        while True:
            sock.settimeout(chance.choice([None, 0.0001, 0.001, 0.01]))
            try:
                data = sock.recv(chance.randint(1, 100))
            except TimeoutError:
                continue
            if not data:
                return
            received[number] += len(data)

    def send(number: int) -> None:
        chance = random.Random(-number)
        for _ in range(300):
            sent[number] += pairs[number][1].send(bytes(chance.randint(1, 100)))
            if chance.random() < 0.1:
                kernel.select.select([], [], [], chance.random() / 1000)
        pairs[number][1].shutdown(1)

    for thread in start([partial(work, number) for work in (receive, send) for number in range(len(pairs))]):
        thread.join()
    assert received == sent
    for one, other in pairs:
        one.close()
        other.close()
