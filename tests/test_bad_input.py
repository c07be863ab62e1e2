"""Bad input: the exception that a Python programmer expects, and a living process. Of images: test_bad_images.py."""

from __future__ import annotations

import errno
import io
import struct
import threading
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Images
from liblinux import _native


def fill(kernel: liblinux.Kernel, path: str) -> None:
    """Write until it does not fit any more."""
    with kernel.open(path, "wb", buffering=0) as file:
        for _ in range(1000):
            file.write(bytes(MIB))


@pytest.mark.parametrize("memory", ["16M", "64M"])
@pytest.mark.parametrize("options", ["", "size=1g"])
def test_kernel_out_of_memory(memory: str, options: str) -> None:
    """What does not fit is an error of the call, even where more was promised than there is; the kernel goes on."""
    with liblinux.Kernel(memory=memory) as kernel:
        kernel.mount(None, "/big", type="tmpfs", options=options)
        with pytest.raises(OSError) as caught:
            fill(kernel, "/big/file")
        assert caught.value.errno in (errno.ENOMEM, errno.ENOSPC)
        assert kernel.dead is None
        kernel.os.unlink("/big/file")
        with kernel.open("/big/file", "wb") as file:
            file.write(b"there is room again")
        assert kernel.os.getpid() == 1


def test_system_call_arguments_of_wrong_types(kernel: liblinux.Kernel) -> None:
    for wrong in (1.5, [], {}, object()):
        with pytest.raises(TypeError):
            kernel.syscall("close", wrong)
        with pytest.raises(TypeError):
            kernel.os.close(wrong)  # type: ignore[arg-type, unused-ignore]  # wrong on purpose
    for wrong in (1.5, None, b"getpid"):
        with pytest.raises(TypeError):
            kernel.syscall(wrong)
    with pytest.raises(TypeError):
        kernel.syscall("close", 1, 2, 3, 4, 5, 6, 7)
    with pytest.raises(OverflowError):
        kernel.syscall("close", 1 << 64)


def test_unknown_system_calls(kernel: liblinux.Kernel) -> None:
    with pytest.raises(ValueError, match="'getpid'"):
        kernel.syscall("getpidd")
    for number in (5000, -1, 1 << 40):
        with pytest.raises(OSError) as caught:
            kernel.syscall(number)
        assert caught.value.errno == errno.ENOSYS


@pytest.mark.parametrize("name", ["clone", "clone3", "fork", "vfork", "execve", "execveat", "exit", "exit_group"])
def test_refused_system_calls(kernel: liblinux.Kernel, name: str) -> None:
    for call in (name, kernel.syscalls[name]):
        with pytest.raises(PermissionError, match=name):
            kernel.syscall(call)
    assert kernel.os.getpid() == 1


def test_use_after_close(images: Images) -> None:
    kernel = liblinux.Kernel()
    disk = kernel.attach(images.ext4())
    kernel.mount(disk, "/mnt")
    file = kernel.open("/mnt/hello.txt")
    process = kernel.process()
    kernel.close()
    for use in (
        kernel.os.getpid,
        lambda: kernel.os.listdir("/"),
        lambda: kernel.syscall("getpid"),
        lambda: kernel.open("/mnt/hello.txt"),
        lambda: kernel.attach(b"x" * 512),
        lambda: kernel.mount(disk, "/mnt"),
        lambda: kernel.umount("/mnt"),
        kernel.process,
        lambda: kernel.sysctl["kernel.ostype"],
        process.os.getpid,
        disk.changes,
        lambda: disk.partitions,
    ):
        with pytest.raises(liblinux.KernelClosed):
            use()
        with pytest.raises(ValueError):
            use()
    with pytest.raises(ValueError):
        file.read()
    file.close()
    process.close()
    disk.detach()
    kernel.close()
    assert kernel.closed
    assert kernel.release


def test_use_after_close_from_another_thread() -> None:
    kernel = liblinux.Kernel()
    kernel.close()
    caught: list[BaseException] = []

    def use() -> None:
        try:
            kernel.os.getpid()
        except liblinux.KernelClosed as error:
            caught.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(caught) == 1


def test_detached_disk(kernel: liblinux.Kernel, images: Images) -> None:
    disk = kernel.attach(images.ext4())
    path = disk.path
    disk.detach()
    with pytest.raises(liblinux.MountError):
        kernel.mount(path, "/mnt")
    for use in (lambda: kernel.mount(disk, "/mnt"), lambda: disk.partitions, lambda: disk.content, disk.changes):
        with pytest.raises(ValueError, match="detached; attach its image again"):
            use()


def test_directories_are_not_opened_as_files(kernel: liblinux.Kernel) -> None:
    """As the built-in open(), at once and not at the first read."""
    before = kernel.os.listdir("/proc/self/fd")
    for mode in ("r", "rb", "w", "r+", "a"):
        with pytest.raises(IsADirectoryError) as caught:
            kernel.open("/tmp", mode)
        assert caught.value.filename == "/tmp"
    assert kernel.os.listdir("/proc/self/fd") == before


def test_identities_out_of_range(kernel: liblinux.Kernel) -> None:
    """-1 would mean: stay root."""
    for wrong in ({"uid": -1}, {"gid": -5}, {"groups": [3, -1]}, {"uid": 1 << 32}):
        with pytest.raises(ValueError, match="of a process must be between"):
            kernel.process(**wrong)
    with pytest.raises(TypeError):
        kernel.process(uid="root")  # type: ignore[arg-type]  # wrong on purpose


def test_mapping_what_is_no_file(kernel: liblinux.Kernel) -> None:
    for wrong in ("x", b"x", 1.5, object(), io.BytesIO(b"x")):
        with pytest.raises(TypeError, match="mmap needs a file of this kernel"):
            kernel.mmap(wrong)


@pytest.mark.parametrize("memory", ["", "banana", "64X", "-1", "1M", 0, -5, 1000])
def test_memory_out_of_range(memory: int | str) -> None:
    with pytest.raises(ValueError, match="memory"):
        liblinux.Kernel(memory=memory)


def test_memory_of_wrong_type() -> None:
    with pytest.raises(TypeError, match="memory"):
        liblinux.Kernel(memory=1.5)  # type: ignore[arg-type]  # wrong on purpose


def test_other_arguments_of_the_kernel() -> None:
    with pytest.raises(ValueError, match="clock"):
        liblinux.Kernel(clock="atomic")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match="bytes too long"):
        liblinux.Kernel(command_line="x" * 5000)
    with pytest.raises(TypeError, match="seed"):
        liblinux.Kernel(seed=1.5)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match="isolated=True"):
        liblinux.Kernel(isolated=False, cpu_seconds=1)


def test_no_kernel_image(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(liblinux.BuildError, match=r"liblinux build --kernel 2\.4"):
        liblinux.Kernel(version="2.4")
    monkeypatch.setenv("LIBLINUX_KERNEL", "/no/such/liblinux.so")
    with pytest.raises(liblinux.BuildError, match="liblinux build"):
        liblinux.Kernel()


def test_an_image_that_is_no_kernel(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.so"
    for content in (b"", b"not a library", Path("/bin/true").resolve().read_bytes()):
        wrong.write_bytes(content)
        with pytest.raises((liblinux.BuildError, OSError)):
            liblinux.Kernel(version=str(wrong))


def test_an_image_of_another_boundary(tmp_path: Path) -> None:
    """A kernel that was built for another version of the host side is refused before it runs."""
    release, image = next(reversed(list(liblinux.images().items())))
    content = bytearray(image.read_bytes())
    magic = content.index(b"liblinux" + struct.pack("=I", _native.BOUNDARY_VERSION))
    struct.pack_into("=I", content, magic + 8, _native.BOUNDARY_VERSION + 1)
    wrong = tmp_path / f"liblinux-{release}.so"
    wrong.write_bytes(content)
    with pytest.raises(liblinux.BuildError, match="boundary"):
        liblinux.Kernel(version=str(wrong))
