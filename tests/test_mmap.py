"""Mapped memory: pages of files of the kernel, as memory of this process."""

from __future__ import annotations

import errno
import gc
import os
import signal
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

import liblinux
from conftest import Images, e2fsck

PAGE = 4096
MARK = b"a mark that is nowhere else in the image"
BAD_ADDRESS = 8


@pytest.fixture
def kernel(either: liblinux.Kernel) -> liblinux.Kernel:
    return either


@pytest.fixture
def image(images: Images) -> Path:
    return images.ext4()


@pytest.fixture
def file(kernel: liblinux.Kernel, image: Path) -> Iterator[BinaryIO]:
    """A file of four pages in an ext4 image, each page full of its own number."""
    kernel.mount(kernel.attach(image), "/mnt")
    with kernel.open("/mnt/file", "w+b") as opened:
        opened.write(b"".join(bytes([number]) * PAGE for number in range(4)))
        opened.flush()
        yield opened


def test_mmap_is_a_memoryview_of_the_file(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    view = kernel.mmap(file)
    assert isinstance(view, memoryview)
    assert len(view) == 4 * PAGE
    assert [view[number * PAGE] for number in range(4)] == [0, 1, 2, 3]
    assert bytes(view[2 * PAGE : 2 * PAGE + 5]) == b"\2\2\2\2\2"


def test_part_of_a_file(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    view = kernel.mmap(file, 100, 3 * PAGE)
    assert bytes(view) == b"\3" * 100
    with pytest.raises(ValueError, match="multiple"):
        kernel.mmap(file, 100, 100)
    with pytest.raises(ValueError, match="behind the end"):
        kernel.mmap(file, 0, 4 * PAGE)


def test_a_descriptor(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    fd = kernel.os.open("/mnt/file", os.O_RDWR)
    view = kernel.mmap(fd)
    kernel.os.close(fd)
    assert view[PAGE] == 1
    with pytest.raises(TypeError, match="file of this kernel"):
        kernel.mmap(sys.__stdin__)


def test_shared_mapping_is_the_file(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    view = kernel.mmap(file)
    view[10:15] = b"hello"
    assert kernel.os.pread(file.raw.fd, 5, 10) == b"hello"  # type: ignore[attr-defined]  # our raw file
    with kernel.open("/mnt/file", "r+b") as other:
        other.seek(PAGE)
        other.write(b"back")
    assert bytes(view[PAGE : PAGE + 4]) == b"back"


def test_msync_is_seen_in_the_image(kernel: liblinux.Kernel, file: BinaryIO, image: Path) -> None:
    kernel.os.fsync(file.raw.fd)  # type: ignore[attr-defined]  # our raw file
    with kernel.mapping(file) as mapping:
        mapping.view[PAGE : PAGE + len(MARK)] = MARK
        assert MARK not in image.read_bytes()
        mapping.flush()
        assert MARK in image.read_bytes()


def test_msync_of_a_view(kernel: liblinux.Kernel, file: BinaryIO, image: Path) -> None:
    view = kernel.mmap(file)
    view[: len(MARK)] = MARK
    kernel.syscall("msync", view, len(view), 4)
    assert MARK in image.read_bytes()


def test_private_mapping_keeps_its_changes(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    view = kernel.mmap(file, shared=False)
    view[:5] = b"never"
    assert bytes(view[:5]) == b"never"
    assert kernel.os.pread(file.raw.fd, 5, 0) == b"\0" * 5  # type: ignore[attr-defined]  # our raw file
    assert view[PAGE] == 1


def test_two_mappings_are_one_memory(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    first, second = kernel.mmap(file), kernel.mmap(file)
    first[100] = 77
    assert second[100] == 77


def test_changes_arrive_in_the_image(images: Images) -> None:
    image = images.ext4()
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image), "/mnt")
        with kernel.open("/mnt/file", "w+b") as file:
            file.truncate(PAGE)
            view = kernel.mmap(file)
        view[: len(MARK)] = MARK
    with pytest.raises(ValueError, match="released"):
        view[0]
    assert MARK in image.read_bytes()
    e2fsck(image)


def test_read_only(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    with kernel.open("/mnt/file", "rb") as reader:
        view = kernel.mmap(reader)
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 1
        with pytest.raises(PermissionError):
            kernel.mmap(reader, writable=True)
        assert not kernel.mmap(reader, shared=False).readonly


def test_mprotect(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    """What is protected the kernel itself does not write to."""
    with kernel.mapping(file) as mapping:
        with kernel.open("/dev/zero", "rb", 0) as zeros:
            mapping.view[0] = 9
            mapping.protect(write=False)
            with pytest.raises(OSError) as caught:
                kernel.os.readinto(zeros.fd, mapping.view)  # type: ignore[attr-defined]  # ours
            assert caught.value.errno == errno.EFAULT
            assert mapping.view[0] == 9
            mapping.protect(write=True)
            assert kernel.os.readinto(zeros.fd, mapping.view) == len(mapping)  # type: ignore[attr-defined]  # ours
        assert mapping.view[0] == 0
        mapping.view[0] = 1


def test_mremap(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    with kernel.mapping(file, 2 * PAGE) as mapping:
        old = mapping.view
        mapping.view[0] = 5
        mapping.resize(4 * PAGE)
        assert len(mapping) == len(mapping.view) == 4 * PAGE
        assert (mapping.view[0], mapping.view[3 * PAGE]) == (5, 3)
        with pytest.raises(ValueError, match="released"):
            old[0]
        mapping.resize(PAGE)
        assert mapping.view[0] == 5


def test_a_fault_inside_a_system_call(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    """The kernel reads and writes mapped pages that were never touched before."""
    reader, writer = kernel.os.pipe()
    view = kernel.mmap(file)
    assert kernel.os.write(writer, view[2 * PAGE : 2 * PAGE + 100]) == 100
    assert kernel.os.readinto(reader, view[3 * PAGE : 3 * PAGE + 100]) == 100
    assert bytes(view[3 * PAGE : 3 * PAGE + 101]) == b"\2" * 100 + b"\3"


def test_a_system_call_behind_the_end_of_the_file(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    """A page that was cut off under the mapping: EFAULT, and the process lives."""
    view = kernel.mmap(file)
    file.truncate(PAGE)
    _, writer = kernel.os.pipe()
    with pytest.raises(OSError) as caught:
        kernel.os.write(writer, view[2 * PAGE : 2 * PAGE + 10])
    assert caught.value.errno == errno.EFAULT
    assert view[0] == 0


def test_anonymous_memory(kernel: liblinux.Kernel) -> None:
    view = kernel.mmap(None, 100_000)
    assert bytes(view[:10]) == bytes(10)
    view[99_999] = 1
    with pytest.raises(ValueError, match="length"):
        kernel.mmap(None)


def test_direct_io_into_anonymous_memory(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    kernel.os.fsync(file.raw.fd)  # type: ignore[attr-defined]  # our raw file
    fd = kernel.os.open("/mnt/file", os.O_RDONLY | os.O_DIRECT)
    window = kernel.mmap(None, 4 * PAGE)
    assert kernel.os.readinto(fd, window) == 4 * PAGE
    assert [window[number * PAGE] for number in range(4)] == [0, 1, 2, 3]
    kernel.os.close(fd)


def test_direct_io_into_some_of_it(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    """Addresses inside of an argument, one after the other; between them memory of Python's own."""
    kernel.os.fsync(file.raw.fd)  # type: ignore[attr-defined]  # our raw file
    window, own = kernel.mmap(None, 3 * PAGE), bytearray(100)
    window[0] = window[PAGE] = window[2 * PAGE] = 9
    fd = kernel.os.open("/mnt/file", os.O_RDONLY | os.O_DIRECT)
    assert kernel.os.preadv(fd, [window[2 * PAGE :], window[:PAGE]], PAGE) == 2 * PAGE
    assert (window[2 * PAGE], window[0], window[PAGE]) == (1, 2, 9)
    kernel.os.close(fd)
    fd = kernel.os.open("/mnt/file", os.O_RDONLY)
    assert kernel.os.preadv(fd, [window[:PAGE], own, window[PAGE : PAGE + 10]], 2 * PAGE) == PAGE + 110
    assert (window[0], own, window[PAGE], window[PAGE + 10]) == (2, bytearray([3] * 100), 3, 0)
    kernel.os.close(fd)


@pytest.mark.parametrize("call", ["preadv", "readv", "readinto", "read"])
def test_an_error_that_is_kept_does_not_keep_the_memory(isolated_or_not: bool, call: str) -> None:
    """A traceback has the frames of the failed call in it; the kernel can be closed all the same."""
    with liblinux.Kernel(isolated=isolated_or_not) as kernel:
        window = kernel.mmap(None, PAGE)
        calls = {
            "preadv": lambda: kernel.os.preadv(99, [window], 0),
            "readv": lambda: kernel.os.readv(99, [window]),
            "readinto": lambda: kernel.os.readinto(99, window),
            "read": lambda: kernel.syscall("read", 99, window, PAGE),
        }
        with pytest.raises(OSError) as caught:
            calls[call]()
    assert caught.value.errno == errno.EBADF


@pytest.fixture(params=[False, True], ids=["here", "isolated"])
def isolated_or_not(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_mapping_object(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    mapping = kernel.mapping(file)
    assert len(mapping) == 4 * PAGE
    assert mapping.address % PAGE == 0
    mapping.advise(4)
    with pytest.raises(ValueError, match="page"):
        mapping.flush(1)
    mapping.close()
    mapping.close()
    assert mapping.closed
    with pytest.raises(ValueError, match="closed"):
        mapping.flush()


def test_views_are_unmapped_when_they_go(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    def mapped() -> int:
        with kernel.open("/proc/self/maps") as maps:
            return maps.read().count("/mnt/file")

    view = kernel.mmap(file)
    part = view[10:20]
    assert mapped() == 1
    del view
    gc.collect()
    assert mapped() == 1
    assert bytes(part) == b"\0" * 10
    del part
    gc.collect()
    assert mapped() == 0


def test_many_mappings(kernel: liblinux.Kernel, file: BinaryIO) -> None:
    views = [kernel.mmap(file) for _ in range(500)]
    for number, view in enumerate(views):
        struct.pack_into("=I", view, number * 4, number)
    assert struct.unpack_from("=500I", views[0]) == tuple(range(500))


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_bad_pointer_is_efault(kernel: liblinux.Kernel, call: str) -> None:
    fd = kernel.os.open("/file", os.O_RDWR | os.O_CREAT)
    kernel.os.write(fd, b"x" * 100)
    kernel.os.lseek(fd, 0, os.SEEK_SET)
    with pytest.raises(OSError) as caught:
        kernel.syscall(call, fd, BAD_ADDRESS, 100)
    assert caught.value.errno == errno.EFAULT
    kernel.os.close(fd)


@pytest.mark.parametrize("when", ["before", "after", "both", "disabled", "never"])
@pytest.mark.parametrize("isolated", [False, True], ids=["here", "isolated"])
def test_faulthandler(when: str, isolated: bool) -> None:
    """A bad pointer, and the first touch of a mapped page, with Python's own fault handler."""
    before = "faulthandler.enable()" if when in ("before", "both") else ""
    after = {"after": "faulthandler.enable()", "both": "faulthandler.enable()", "disabled": "faulthandler.disable()"}
    program = f"""
        import faulthandler, os
        {before}
        import liblinux
        with liblinux.Kernel(isolated={isolated}) as kernel:
            {after.get(when, "")}
            try:
                kernel.syscall("mkdir", {BAD_ADDRESS}, 0)
            except OSError as error:
                print(error.errno)
            fd = kernel.os.open("/file", os.O_RDWR | os.O_CREAT)
            kernel.os.ftruncate(fd, 8192)
            view = kernel.mmap(fd)
            view[4096] = 7
            print(kernel.os.pread(fd, 1, 4096))
            view.release()
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{errno.EFAULT}\nb'\\x07'\n", "")


def test_a_real_crash_is_still_reported() -> None:
    """The library's handler passes on what is not its own."""
    program = """
        import ctypes, faulthandler
        import liblinux
        kernel = liblinux.Kernel()
        faulthandler.enable()
        ctypes.string_at(8)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -11
    assert "Fatal Python error: Segmentation fault" in done.stderr


def test_touching_behind_the_end_of_the_file_is_fatal() -> None:
    """A file that was truncated under its mapping: what is left is there, the rest is a crash that says so."""
    program = """
        import faulthandler, os
        import liblinux
        kernel = liblinux.Kernel()
        faulthandler.enable()
        fd = kernel.os.open("/file", os.O_RDWR | os.O_CREAT)
        kernel.os.write(fd, b"x" * 8192)
        view = kernel.mmap(fd)
        print(view[0], view[8191], flush=True)
        kernel.os.ftruncate(fd, 4096)
        print(view[4095], flush=True)
        view[4096]
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "120 120\n120\n"
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
