"""The two clocks, and that a seed makes the same run again."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import liblinux
from conftest import ENVIRONMENT, MIB, run
from until import LONG_SECONDS

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
BIRTHDAY = 1_700_000_000 * SECOND + 123_456_789
# Timers of ordinary tasks may be late by this, prctl(2) PR_SET_TIMERSLACK.
SLACK_NS = 50_000
PR_SET_TIMERSLACK = 29
CALL_NS = 2_000  # the virtual clock's charge for a few calls
REALTIME, MONOTONIC, BOOTTIME = 0, 1, 7
# What the counter of the processor is wrong by in the 100 us until the host's clock is read again: 0.1 as a rule.
MICROSECONDS_OFF = 5
TIMER_ABSTIME = 1


def timespec(nanoseconds: int) -> bytes:
    return struct.pack("=qq", nanoseconds // SECOND, nanoseconds % SECOND)


def sleep(kernel: liblinux.Kernel, nanoseconds: int) -> None:
    kernel.syscall("nanosleep", timespec(nanoseconds), None)


def clock(kernel: liblinux.Kernel, number: int) -> int:
    result = bytearray(16)
    kernel.syscall("clock_gettime", number, result)
    seconds, nanoseconds = struct.unpack("=qq", result)
    return int(seconds) * SECOND + int(nanoseconds)


# What happens in an hour in which nothing does: what network namespaces look after each second (of 6.1 also every two
# seconds), and a little more.
IDLE_EXITS_IN_AN_HOUR = 6_000


def test_an_idle_hour_is_little_work() -> None:
    with liblinux.Kernel(clock="virtual", seed=1) as kernel:
        sleep(kernel, 60 * SECOND)  # what the boot has left to do
        before = kernel.statistics()["idle_exits"]
        sleep(kernel, HOUR)
        assert kernel.statistics()["idle_exits"] - before < IDLE_EXITS_IN_AN_HOUR


def test_a_wait_leaves_the_kernel_once() -> None:
    with liblinux.Kernel(clock="virtual", seed=1) as kernel:
        sleep(kernel, 60 * SECOND)
        before = kernel.statistics()["idle_exits"]
        for _ in range(100):
            sleep(kernel, 5_000_000)
        # Half a second: of the kernel's own business little falls into it.
        assert 100 <= kernel.statistics()["idle_exits"] - before < 110


@pytest.fixture
def virtual() -> Iterator[liblinux.Kernel]:
    with liblinux.Kernel(clock="virtual", seed=1, realtime=BIRTHDAY) as kernel:
        sleep(kernel, 10_000_000)  # timers are as coarse as the tick until it has come once
        yield kernel


# ---- the virtual clock -------------------------------------------------------


def test_an_hour_in_milliseconds(virtual: liblinux.Kernel) -> None:
    host, before = time.perf_counter(), virtual.now()
    sleep(virtual, HOUR)
    assert 0 <= virtual.now() - before - HOUR <= SLACK_NS + CALL_NS
    assert time.perf_counter() - host < LONG_SECONDS  # milliseconds, when the machine is not busy


@pytest.mark.parametrize("nanoseconds", [1, 1_000, 123_456_789, DAY])
def test_sleep_is_exact(virtual: liblinux.Kernel, nanoseconds: int) -> None:
    """Late by the task's slack, and by nothing when it has none."""
    before = virtual.now()
    sleep(virtual, nanoseconds)
    assert 0 <= virtual.now() - before - nanoseconds <= SLACK_NS + CALL_NS
    virtual.syscall("prctl", PR_SET_TIMERSLACK, 1, 0, 0, 0)
    before = virtual.now()
    sleep(virtual, nanoseconds)
    assert 0 <= virtual.now() - before - nanoseconds <= CALL_NS


def test_sleep_until(virtual: liblinux.Kernel) -> None:
    wanted = clock(virtual, MONOTONIC) + HOUR
    virtual.syscall("clock_nanosleep", MONOTONIC, TIMER_ABSTIME, timespec(wanted), None)
    assert 0 <= clock(virtual, MONOTONIC) - wanted <= SLACK_NS + CALL_NS


def test_time_stands_still(virtual: liblinux.Kernel) -> None:
    """Nothing but the kernel's own calls moves it."""
    before = virtual.now()
    time.sleep(0.05)
    assert virtual.now() == before
    for _ in range(100):
        virtual.os.getpid()
    assert 0 < virtual.now() - before < 100 * CALL_NS


def test_a_task_that_spins_is_charged(virtual: liblinux.Kernel) -> None:
    """Looking at the clock until it is late comes to an end."""
    until = clock(virtual, MONOTONIC) + 1_000_000
    rounds = 0
    while clock(virtual, MONOTONIC) < until:
        virtual.syscall("sched_yield")
        rounds += 1
    assert 0 < rounds <= 1_000_000


def test_the_time_of_day_is_given(virtual: liblinux.Kernel) -> None:
    now = clock(virtual, REALTIME) - clock(virtual, MONOTONIC)
    assert abs(now - BIRTHDAY) < 100_000_000  # counted from the reset, not from the end of the boot
    with virtual.open("/tmp/file", "w"):
        pass
    assert 0 <= virtual.os.stat("/tmp/file").st_mtime_ns - BIRTHDAY < SECOND
    sleep(virtual, DAY)
    virtual.os.utime("/tmp/file")
    assert 0 <= virtual.os.stat("/tmp/file").st_mtime_ns - BIRTHDAY - DAY < SECOND


def test_the_clocks_agree(virtual: liblinux.Kernel) -> None:
    assert 0 <= clock(virtual, MONOTONIC) - virtual.now() <= CALL_NS
    assert abs(clock(virtual, BOOTTIME) - clock(virtual, MONOTONIC)) <= CALL_NS


def test_interval_timer(virtual: liblinux.Kernel) -> None:
    """A timerfd that ticks every minute has ticked 1,440 times after a day."""
    fd = virtual.syscall("timerfd_create", MONOTONIC, 0)
    virtual.syscall("timerfd_settime", fd, 0, timespec(60 * SECOND) * 2, None)
    sleep(virtual, DAY)
    assert struct.unpack("=Q", virtual.os.read(fd, 8)) == (1440,)
    virtual.os.close(fd)


def test_kernels_have_clocks_of_their_own() -> None:
    with liblinux.Kernel(clock="virtual", seed=1) as one, liblinux.Kernel(clock="virtual", seed=1) as two:
        assert one.now() == two.now()
        sleep(one, HOUR)
        assert one.now() - two.now() >= HOUR


# ---- the real clock ----------------------------------------------------------


def test_real_sleep(kernel: liblinux.Kernel) -> None:
    host, before = time.monotonic_ns(), kernel.now()
    sleep(kernel, 30_000_000)
    after = kernel.now()
    elapsed = time.monotonic_ns() - host
    assert 30_000_000 <= after - before <= elapsed


def test_real_time_of_day(kernel: liblinux.Kernel) -> None:
    first = time.time_ns()
    inside = clock(kernel, REALTIME)
    last = time.time_ns()
    assert first - SECOND <= inside <= last + SECOND


def test_real_time_is_the_hosts(kernel: liblinux.Kernel) -> None:
    """Between two readings of the host's clock the kernel counts by itself: never back, and hardly away from it."""
    before, readings, after = [], [], []
    for pause in [0.0] * 20_000 + [30e-6] * 100 + [1e-3] * 100 + [0.05] * 4 + [0.0] * 20_000:
        if pause:
            time.sleep(pause)
        before.append(time.monotonic_ns())
        readings.append(clock(kernel, MONOTONIC))
        after.append(time.monotonic_ns())
    assert readings == sorted(readings)
    # By how much the kernel's clock is ahead of the host's: at least, at most. One number fits all readings.
    least = max(reading - end for reading, end in zip(readings, after, strict=True))
    most = min(reading - begin for reading, begin in zip(readings, before, strict=True))
    assert least - most < MICROSECONDS_OFF * 1000


def test_real_time_goes_on_while_nobody_is_inside(kernel: liblinux.Kernel) -> None:
    before = clock(kernel, MONOTONIC)
    time.sleep(0.05)
    assert clock(kernel, MONOTONIC) - before >= 50_000_000


# ---- the same again ----------------------------------------------------------


def make_image(path: Path) -> bytearray:
    """An ext4 file system that is the same to the bit every time it is made."""
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    stamp = str(BIRTHDAY // SECOND)
    environment = {**ENVIRONMENT, "E2FSPROGS_FAKE_TIME": stamp, "SOURCE_DATE_EPOCH": stamp}
    seed = "hash_seed=0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9,lazy_itable_init=0,lazy_journal_init=0"
    identity = "6d1f6b3c-0d5e-4d8e-9c67-2f6f4a3e9b10"
    run("mkfs.ext4", "-q", "-F", "-U", identity, "-E", seed, path, environment=environment)
    return bytearray(path.read_bytes())


def step(generator: random.Random, task: liblinux.Process) -> None:
    """One operation of the workload, chosen by the generator; it may well fail."""
    number, other = generator.randrange(100), generator.randrange(100)
    match generator.randrange(7):
        case 0:
            task.os.mkdir(f"/mnt/directory-{number}")
        case 1:
            with task.open(f"/mnt/file-{number}", "wb") as file:
                file.write(task.os.getrandom(generator.randrange(20_000)))
        case 2:
            task.os.rename(f"/mnt/file-{number}", f"/mnt/directory-{other}/moved-{number}")
        case 3:
            task.os.unlink(f"/mnt/file-{number}")
        case 4:
            task.os.link(f"/mnt/file-{number}", f"/mnt/link-{other}")
        case 5:
            task.os.truncate(f"/mnt/file-{number}", generator.randrange(100_000))
        case 6:
            task.syscall("nanosleep", timespec(generator.randrange(SECOND)), None)


def session(seed: int | None, image: bytearray) -> tuple[str, bytes, int, str]:
    """A life of a kernel: boot_id, random bytes, the clock at the end, and what became of the image."""
    image = bytearray(image)
    generator = random.Random("workload")
    with liblinux.Kernel(clock="virtual", seed=seed, realtime=BIRTHDAY) as kernel:
        kernel.mount(kernel.attach(image), "/mnt")
        kernel.os.chmod("/mnt", 0o777)
        tasks = [kernel.process(uid=1000 * number) for number in range(4)]
        for _ in range(2000):
            with suppress(OSError):
                step(generator, generator.choice(tasks))
        with kernel.open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read()
        drawn, now = kernel.os.getrandom(64), kernel.now()
    return boot, drawn, now, hashlib.sha256(image).hexdigest()


def test_a_seed_makes_the_same_run_again(tmp_path: Path) -> None:
    """Four tasks, two thousand operations on ext4: the same image to the bit, and another by another seed."""
    image = make_image(tmp_path / "image")
    first, again, other = session(1, image), session(1, image), session(2, image)
    assert first == again
    assert all(mine != theirs for mine, theirs in zip(first[:2], other[:2], strict=True))
    assert first[3] != other[3]
    assert first[3] != hashlib.sha256(image).hexdigest()


def test_without_a_seed_runs_differ_and_can_be_repeated() -> None:
    with liblinux.Kernel(clock="virtual") as one, liblinux.Kernel(clock="virtual") as two:
        assert one.os.getrandom(32) != two.os.getrandom(32)
        seed = one.seed
        drawn = one.os.getrandom(32)
    with liblinux.Kernel(clock="virtual", seed=seed) as again:
        again.os.getrandom(32)
        assert again.os.getrandom(32) == drawn


def test_the_seed_of_a_real_clock_is_random(kernel: liblinux.Kernel) -> None:
    assert kernel.os.getrandom(16) != kernel.os.getrandom(16)
    with liblinux.Kernel() as other:
        assert other.os.getrandom(16) != kernel.os.getrandom(16)
    assert os.urandom(16) != kernel.os.getrandom(16)
