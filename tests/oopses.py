"""Places in the kernel where a fault is planted, one for each kind of context that there is.

    python tests/oopses.py     make each of them fail, and print the table of docs/RELIABILITY.md

Each gets a kernel of its own, beside one that must go on.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import liblinux
import planted

AF_INET = socket.AF_INET.value
LOCALHOST = struct.pack("=H2s4s8x", AF_INET, (9).to_bytes(2, "big"), bytes((127, 0, 0, 1)))
IFF_UP, SIOCSIFFLAGS = 1, 0x8914


@dataclass(frozen=True)
class Place:
    """A function that is broken, by which code, and what leads to it; `prepare` runs before it is broken."""

    function: str
    context: str
    code: bytes
    trigger: Callable[[liblinux.Kernel], object]
    prepare: Callable[[liblinux.Kernel], object] = lambda kernel: None


def _mount(kernel: liblinux.Kernel) -> None:
    path = os.environ["OOPSES_IMAGE"]
    kernel.mount(kernel.attach(path, overlay=True), "/mnt")


def _loopback(kernel: liblinux.Kernel) -> int:
    fd = kernel.syscall("socket", AF_INET, socket.SOCK_DGRAM.value, 0)
    kernel.syscall("ioctl", fd, SIOCSIFFLAGS, struct.pack("=16sh22x", b"lo", IFF_UP))
    return fd


def _dirty(kernel: liblinux.Kernel) -> None:
    _mount(kernel)
    with kernel.open("/mnt/file", "wb") as file:
        file.write(bytes(1 << 20))


def _tmpfs(kernel: liblinux.Kernel) -> None:
    kernel.mount(None, "/scratch", type="tmpfs")


def _send(kernel: liblinux.Kernel) -> None:
    fd = kernel.syscall("socket", AF_INET, socket.SOCK_DGRAM.value, 0)
    kernel.syscall("sendto", fd, b"text", 4, 0, LOCALHOST, len(LOCALHOST))


def _connect(kernel: liblinux.Kernel) -> None:
    fd = kernel.syscall("socket", AF_INET, socket.SOCK_STREAM.value, 0)
    kernel.syscall("connect", fd, LOCALHOST, len(LOCALHOST))


def _pipe(kernel: liblinux.Kernel) -> None:
    kernel.os.write(kernel.os.pipe()[1], b"text")


def _epoll(kernel: liblinux.Kernel) -> None:
    kernel.syscall("epoll_wait", kernel.syscall("epoll_create1", 0), bytearray(12), 1, 0)


def _touch(kernel: liblinux.Kernel) -> None:
    with kernel.mmap(None, 4096) as view:
        view[0] = 1  # in a dead kernel this is nobody's memory; the next call says so
        kernel.os.uname()


def _fork(kernel: liblinux.Kernel) -> None:
    kernel.process()


def _exit(kernel: liblinux.Kernel) -> None:
    kernel.process().close()


def _sleep(kernel: liblinux.Kernel) -> None:
    kernel.syscall("nanosleep", struct.pack("=qq", 0, 1000), None)


def _sysctl(kernel: liblinux.Kernel) -> None:
    kernel.sysctl["vm.swappiness"] = 10


PLACES = (
    Place("sys_getppid", "system call", planted.INVALID, lambda k: k.syscall("getppid")),
    Place("vfs_statx", "path lookup", planted.NULL_READ, lambda k: k.os.stat("/dev")),
    Place("do_filp_open", "opening", planted.NULL_WRITE, lambda k: k.os.open("/file", os.O_RDWR | os.O_CREAT)),
    Place("pipe_write", "pipe", planted.WILD_READ, _pipe),
    Place("do_futex", "futex", planted.NULL_CALL, lambda k: k.syscall("futex", bytearray(4), 129, 1, None, None, 0)),
    Place("ep_poll", "event poll", planted.DIVISION, _epoll),
    Place("copy_process", "making a task", planted.TEXT_WRITE, _fork),
    Place("do_exit", "end of a task", planted.PRIVILEGED, _exit),
    Place("wake_up_new_task", "scheduler", planted.NULL_READ, _fork),
    Place("hrtimer_wakeup", "timer interrupt", planted.DIVISION, _sleep),
    Place("handle_mm_fault", "page fault of the host", planted.NULL_WRITE, _touch),
    Place("kfree", "allocator", planted.WILD_READ, lambda k: k.open("/proc/self/mounts").read()),
    Place("proc_dointvec_minmax", "sysctl", planted.INVALID, _sysctl),
    Place("path_mount", "mounting", planted.NULL_READ, _tmpfs),
    Place("shmem_write_begin", "tmpfs", planted.OVERFLOW, lambda k: k.open("/scratch/f", "wb", 0).write(b"x"), _tmpfs),
    Place("__ext4_iget", "ext4", planted.NULL_CALL, lambda k: k.os.stat("/mnt/hello.txt"), _mount),
    Place("ext4_file_write_iter", "ext4", planted.OVERFLOW, lambda k: k.open("/mnt/f", "wb", 0).write(b"x"), _mount),
    Place("jbd2_journal_commit_transaction", "journal's task", planted.DIVISION, lambda k: k.os.sync(), _dirty),
    Place("wb_workfn", "worker", planted.WILD_JUMP, lambda k: k.os.sync(), _dirty),
    Place("lib_host_io", "block driver", planted.NULL_WRITE, lambda k: k.os.sync(), _dirty),
    Place("udp_sendmsg", "socket", planted.NULL_READ, _send, _loopback),
    Place("ip_rcv", "network's soft interrupt", planted.OVERFLOW, _send, _loopback),
    Place("tcp_v4_connect", "TCP", planted.DIVISION, _connect, _loopback),
    Place(
        "sys_io_uring_setup", "io_uring", planted.PRIVILEGED, lambda k: k.syscall("io_uring_setup", 8, bytearray(120))
    ),
)


def fail_at(place: Place) -> liblinux.KernelPanic:
    """The exception that comes of a fault at `place`; AssertionError when none comes."""
    with liblinux.Kernel() as kernel:
        place.prepare(kernel)
        planted.plant(kernel, place.function, place.code)
        try:
            place.trigger(kernel)
        except liblinux.KernelPanic as panic:
            return panic
    raise AssertionError(f"nothing happened at {place.function}")


def main() -> None:
    """Print the table; exit with 1 if a place did not do as it should."""
    sys.path.insert(0, str(Path(__file__).parent))
    from conftest import Images

    good = 0
    with tempfile.TemporaryDirectory() as directory, liblinux.Kernel() as witness:
        os.environ["OOPSES_IMAGE"] = str(Images(Path(directory)).ext4())
        print(f"Linux {witness.release}\n\n| place | context | said | task |\n|---|---|---|---|")
        for place in PLACES:
            panic = fail_at(place)
            good += panic.function == place.function and witness.os.uname().sysname == "Linux"
            print(f"| `{panic.function}` | {place.context} | {panic.message.splitlines()[0][:60]} | {panic.task} |")
    print(f"\n{good} of {len(PLACES)} became KernelPanic at the function where they were; a second kernel went on")
    sys.exit(good != len(PLACES))


if __name__ == "__main__":
    main()
