"""The kernel's fault injection through kernel.faults: it fails inside of the `with`, and nowhere else."""

from __future__ import annotations

import errno
import os
import threading

import pytest

import liblinux
from conftest import Images


def test_small_allocations(debug_kernel: liblinux.Kernel) -> None:
    with debug_kernel.faults.failslab(), pytest.raises(OSError) as caught:
        debug_kernel.os.pipe()
    assert caught.value.errno in {errno.ENOMEM, errno.ENFILE}
    debug_kernel.os.pipe()


def test_only_the_calls_of_this_thread(debug_kernel: liblinux.Kernel) -> None:
    errors: list[OSError] = []

    def other() -> None:
        try:
            debug_kernel.os.pipe()
        except OSError as error:
            errors.append(error)

    other()  # its task is made now
    with debug_kernel.faults.failslab():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert not errors


def test_the_whole_kernel(debug_kernel: liblinux.Kernel) -> None:
    with debug_kernel.faults.failslab(everywhere=True, times=1) as injection, pytest.raises(OSError):
        assert injection.left == 1
        for _ in range(10):
            debug_kernel.os.pipe()
    debug_kernel.os.pipe()


def test_pages(debug_kernel: liblinux.Kernel) -> None:
    debug_kernel.mount(None, "/scratch", type="tmpfs")
    fd = debug_kernel.os.open("/scratch/file", os.O_RDWR | os.O_CREAT)
    with debug_kernel.faults.fail_page_alloc(), pytest.raises(OSError) as caught:
        debug_kernel.os.write(fd, bytes(8192))
    assert caught.value.errno in {errno.ENOMEM, errno.ENOSPC}
    assert debug_kernel.os.write(fd, bytes(8192)) == 8192


def test_requests_of_a_disk(debug_kernel: liblinux.Kernel, images: Images) -> None:
    disk = debug_kernel.attach(images.empty())
    other = debug_kernel.attach(images.empty("other.img"))
    fds = [debug_kernel.os.open(path, os.O_RDONLY) for path in (disk.path, other.path)]
    with debug_kernel.faults.fail_make_request(disk):
        with pytest.raises(OSError) as caught:
            debug_kernel.os.pread(fds[0], 10, 1 << 20)
        assert caught.value.errno == errno.EIO
        assert debug_kernel.os.pread(fds[1], 10, 1 << 20) == bytes(10)
    assert debug_kernel.os.pread(fds[0], 10, 1 << 20) == bytes(10)


def test_futexes(debug_kernel: liblinux.Kernel) -> None:
    def wake() -> int:
        return debug_kernel.syscall("futex", bytearray(4), 1, 1, None, None, 0)

    with debug_kernel.faults.fail_futex(), pytest.raises(OSError) as caught:
        wake()
    assert caught.value.errno == errno.EFAULT


def test_copies(debug_kernel: liblinux.Kernel) -> None:
    with debug_kernel.faults.fail_usercopy(), pytest.raises(OSError) as caught:
        debug_kernel.os.stat("/dev")
    assert caught.value.errno == errno.EFAULT
    debug_kernel.os.stat("/dev")


def test_space_and_interval(debug_kernel: liblinux.Kernel) -> None:
    """The first failures are let pass, by size; then every second one fails."""
    failed = []
    with debug_kernel.faults.fail_usercopy(interval=3) as injection:
        assert injection is not None
        for number in range(12):
            try:
                debug_kernel.syscall("times", bytearray(32))
            except OSError as error:
                assert error.errno == errno.EFAULT
                failed.append(number)
    assert 0 < len(failed) < 12


def test_a_seed_repeats_it() -> None:
    def run() -> list[int]:
        failed = []
        version = next(name for name in os.environ["LIBLINUX_BUILT"].split() if name.endswith("-debug"))
        with liblinux.Kernel(version=version, clock="virtual", seed=7) as kernel, kernel.faults.failslab(20):
            for number in range(100):
                try:
                    kernel.os.pipe()
                except OSError:
                    failed.append(number)
        return failed

    first = run()
    assert 0 < len(first) < 100
    assert run() == first


def test_impossible_settings(debug_kernel: liblinux.Kernel) -> None:
    with pytest.raises(ValueError, match="percentage"):
        debug_kernel.faults.failslab(101)


def test_a_kernel_without_it(shared_kernel: liblinux.Kernel) -> None:
    with pytest.raises(liblinux.BuildError, match="--with debug"):
        shared_kernel.faults.failslab()
    with pytest.raises(liblinux.BuildError, match="LKDTM"):
        shared_kernel.faults.provocations()
