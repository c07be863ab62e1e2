"""Booting by the extension alone, and what a kernel says of itself."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import shutil
from pathlib import Path

import pytest

from liblinux import _native
from liblinux._errors import BuildError
from liblinux._library import find_image
from native.kernels import MIB, Boot, boot_kernel


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        boot_kernel(seed=b"short")


def test_a_missing_image_is_named() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        _native.Kernel("/nowhere/image.so", memory=64 * MIB, virtual=False, seed=bytes(64), command_line=b"")
    assert caught.value.filename == "/nowhere/image.so"


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.so"
    path.write_bytes(b"not an ELF file")
    with pytest.raises(BuildError, match="not a kernel image"):
        _native.Kernel(os.fspath(path), memory=64 * MIB, virtual=False, seed=bytes(64), command_line=b"")


def test_options_must_be_given() -> None:
    with pytest.raises(TypeError, match="seed"):
        _native.Kernel(os.fspath(find_image()), memory=64 * MIB)  # type: ignore[call-arg]  # that is the test


def test_a_kernel_object_boots_once(shared: _native.Kernel) -> None:
    with pytest.raises(RuntimeError, match="one kernel"):
        shared.__init__(os.fspath(find_image()), memory=64 * MIB, virtual=False, seed=bytes(64), command_line=b"")


def test_what_a_kernel_knows_of_itself(shared: _native.Kernel) -> None:
    assert _native.BOUNDARY_VERSION >= 1
    assert shared.release[0].isdigit()
    assert shared.syscalls["read"] == 0
    assert shared.syscalls["umount2"] == 166
    assert shared.syscalls["stat"] == shared.syscalls["newstat"] == 4
    assert shared.syscalls is shared.syscalls
    assert "ni_syscall" not in shared.syscalls
    assert shared.init is shared.init
    assert (shared.init.pid, shared.init.kernel) == (1, shared)
    assert (shared.dead, shared.closed) == (None, False)
    assert shared.text_base % 4096 == 0
    assert shared.now() <= shared.now()
    assert shared.statistics()["entries"] > 0


def test_the_log_is_taken_once(boot: Boot) -> None:
    kernel = boot()
    before, log, after = kernel.log_pending, kernel.log(), kernel.log_pending
    assert (before, after) == (True, False)
    assert b"Linux version" in log
    assert kernel.log() == b""


def test_the_fault_handler_is_in_front(shared: _native.Kernel) -> None:
    assert _native.reclaim_fault_handler() is False


def test_the_null_call_is_measured(init: _native.Process) -> None:
    assert 0 < _native.null_call_nanoseconds(init, 1000) < 1e6
    with pytest.raises(ValueError, match="count"):
        _native.null_call_nanoseconds(init, 0)


def test_a_switch_is_measured(init: _native.Process) -> None:
    for count in (1, 2, 1001):
        assert 0 < _native.switch_nanoseconds(init, count) < 1e8
    with pytest.raises(ValueError, match="count"):
        _native.switch_nanoseconds(init, 0)
    assert init.getpid() == 1


def test_an_image_that_is_not_in_memory_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "image.so"
    shutil.copyfile(find_image(), path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if _in_memory(file.fileno()) > 0.5:
            pytest.skip("this file system keeps all that it has in memory")
        first, second = (_bytes_read_by_boot(path) for _ in range(2))
        assert first > 0.9 * os.fstat(file.fileno()).st_size
        assert second < MIB


def _bytes_read_by_boot(path: Path) -> int:
    """By system calls, not by page faults, proc_pid_io(5)."""
    before = _bytes_read()
    _native.Kernel(os.fspath(path), memory=64 * MIB, virtual=False, seed=bytes(64), command_line=b"").close()
    return _bytes_read() - before


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def _in_memory(descriptor: int) -> float:
    """Which part of the pages of a file the host has, mincore(2)."""
    size = os.fstat(descriptor).st_size
    there = (ctypes.c_ubyte * math.ceil(size / mmap.PAGESIZE))()
    with mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        at = ctypes.c_char.from_buffer(mapped)
        result = ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(at)), ctypes.c_size_t(size), there)
        del at
    assert result == 0
    return sum(page & 1 for page in there) / len(there)
