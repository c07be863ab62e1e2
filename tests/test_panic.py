"""A kernel that fails is an exception, and nothing else: of every kind, in every thread, with all that is known."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from functools import partial

import pytest

import liblinux
import planted
from conftest import Images
from until import LONG_SECONDS, it_waits

pytestmark = pytest.mark.in_process("faults are planted in the memory of this process")

FAULTS = {
    "null read": (planted.NULL_READ, "read at bad address 0x0"),
    "null write": (planted.NULL_WRITE, "write at bad address 0x0"),
    "null call": (planted.NULL_CALL, "jump at bad address 0x0"),
    "wild read": (planted.WILD_READ, "general protection fault"),
    "wild jump": (planted.WILD_JUMP, "general protection fault"),
    "division": (planted.DIVISION, "division error"),
    "invalid": (planted.INVALID, "invalid instruction"),
    "privileged": (planted.PRIVILEGED, "general protection fault"),
    "text write": (planted.TEXT_WRITE, "write at bad address"),
    "overflow": (planted.OVERFLOW, "stack overflow"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_of_the_machine(kernel: liblinux.Kernel, kind: str) -> None:
    code, message = FAULTS[kind]
    planted.plant(kernel, "vfs_statx", code)
    with pytest.raises(liblinux.KernelPanic) as caught:
        kernel.os.stat("/dev")
    panic = caught.value
    assert panic.message.startswith(message)
    assert panic.function == "vfs_statx"
    assert panic.offset <= len(code)
    assert (panic.syscall, panic.pid, panic.task) == ("statx", 1, "init")
    callers = [frame.function for frame in panic.backtrace if frame.certain]
    assert callers.index("do_statx") < callers.index("sys_statx") < callers.index("lib_user_mode")
    assert any(record.text == f"Kernel panic - not syncing: {panic.message}" for record in panic.log)
    for part in (message, "vfs_statx", "pid 1", "in the system call statx", "from do_statx+", "close it"):
        assert part in str(panic)
    assert kernel.dead == panic.message


def test_panic_itself(kernel: liblinux.Kernel) -> None:
    """panic() has no fault: the function is the one that called it."""
    kernel.sysctl["vm.overcommit_memory"] = 1
    kernel.sysctl["vm.panic_on_oom"] = 2
    kernel.mount(None, "/big", type="tmpfs", options="size=1g")
    file = kernel.open("/big/file", "wb", 0)
    with pytest.raises(liblinux.KernelPanic, match="Out of memory") as caught:
        for _ in range(100):
            file.write(bytes(1 << 20))
    assert caught.value.syscall == "write"
    assert caught.value.function == "out_of_memory"
    assert "shmem_write_begin" in [frame.function for frame in caught.value.backtrace]


def test_at_boot() -> None:
    with pytest.raises(liblinux.KernelPanic, match="died at boot") as caught:
        liblinux.Kernel(command_line="rdinit=/nothing init=/nothing")
    assert "Unable to mount root fs" in caught.value.message
    assert any("Unable to mount root fs" in record.text for record in caught.value.log)
    assert caught.value.function.startswith("mount_")
    assert caught.value.task == "swapper"


def test_later_calls_and_closing(kernel: liblinux.Kernel) -> None:
    planted.plant(kernel, "vfs_statx", planted.NULL_READ)
    file = kernel.open("/file", "wb", 0)
    with pytest.raises(liblinux.KernelPanic) as first:
        kernel.os.stat("/dev")
    calls: tuple[Callable[[], object], ...] = (
        kernel.os.uname,
        lambda: file.write(b"text"),
        lambda: kernel.os.listdir("/"),
        kernel.process,
        lambda: kernel.attach(bytearray(1 << 20)),
        lambda: kernel.syscall("getpid"),
    )
    for call in calls:
        with pytest.raises(liblinux.KernelPanic) as later:
            call()
        assert later.value is not first.value
        assert str(later.value) == str(first.value)
    kernel.close()
    with pytest.raises(liblinux.KernelClosed):
        kernel.os.uname()
    assert kernel.dead == first.value.message


def test_every_thread_inside_is_told(kernel: liblinux.Kernel) -> None:
    """Whoever waits in the kernel gets the exception, with the same story."""
    found: dict[str, BaseException] = {}
    ends = [kernel.os.pipe()[0] for _ in range(4)]

    def wait(name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, is looked at below
            found[name] = error

    calls: dict[str, Callable[[], object]] = {
        **{f"read {end}": partial(kernel.os.read, end, 1) for end in ends},
        "sleep": lambda: kernel.syscall("nanosleep", (3600).to_bytes(8, "little") + bytes(8), None),
    }
    threads = [threading.Thread(target=wait, args=item) for item in calls.items()]
    for thread in threads:
        thread.start()
    assert all(map(it_waits, threads))
    planted.plant(kernel, "vfs_statx", planted.NULL_READ)
    with pytest.raises(liblinux.KernelPanic) as caught:
        kernel.os.stat("/dev")
    for thread in threads:
        thread.join(LONG_SECONDS)
        assert not thread.is_alive()
    assert found.keys() == calls.keys()
    assert {(type(error), str(error)) for error in found.values()} == {(liblinux.KernelPanic, str(caught.value))}


def test_a_task_of_the_kernels_own(kernel: liblinux.Kernel, images: Images) -> None:
    """What dies is a worker: no system call runs in it, though one waits for it."""
    kernel.mount(kernel.attach(images.ext4()), "/mnt")
    with kernel.open("/mnt/file", "wb") as file:
        file.write(bytes(1 << 20))
    planted.plant(kernel, "wb_workfn", planted.NULL_WRITE)
    with pytest.raises(liblinux.KernelPanic) as caught:
        kernel.os.sync()
    assert caught.value.function == "wb_workfn"
    assert caught.value.syscall is None
    assert caught.value.task.startswith("kworker/")
    assert "in no system call" in str(caught.value)


def test_in_an_interrupt(kernel: liblinux.Kernel) -> None:
    planted.plant(kernel, "hrtimer_wakeup", planted.NULL_READ)
    with pytest.raises(liblinux.KernelPanic) as caught:
        kernel.syscall("nanosleep", (0).to_bytes(8, "little") + (1000).to_bytes(8, "little"), None)
    assert caught.value.function == "hrtimer_wakeup"


def test_memory_and_the_others(images: Images) -> None:
    """A dead kernel gives everything back, and no other kernel has noticed."""

    def resident() -> int:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with liblinux.Kernel() as other:
        other.mount(other.attach(images.ext4()), "/mnt")
        sizes = []
        for _ in range(40):
            with liblinux.Kernel() as kernel:
                planted.plant(kernel, "vfs_statx", planted.NULL_READ)
                with pytest.raises(liblinux.KernelPanic):
                    kernel.os.stat("/dev")
            assert other.os.stat("/mnt/hello.txt").st_size
            sizes.append(resident())
        # Less than a kernel in thirty: the first ten fill caches of Python's own.
        assert sizes[-1] - sizes[9] < 2 << 20


def test_a_stack_beside_is_not_touched(kernel: liblinux.Kernel) -> None:
    """Guards of many tasks come and go with them; their memory is used again for other things."""
    for _ in range(20):
        processes = [kernel.process() for _ in range(20)]
        for process in processes:
            process.close()
        kernel.mount(None, "/scratch", type="tmpfs")
        with kernel.open("/scratch/file", "wb") as file:
            file.write(bytes(8 << 20))
        kernel.umount("/scratch")
    planted.plant(kernel, "vfs_statx", planted.OVERFLOW)
    with kernel.process() as process, pytest.raises(liblinux.KernelPanic, match="stack overflow"):
        process.os.stat("/dev")


def test_a_task_that_cannot_be_made_leaves_no_guard(kernel: liblinux.Kernel) -> None:
    """fork() fails late, for want of a process number, when the stack is guarded already."""
    kernel.sysctl["kernel.pid_max"] = 301
    processes = []
    with pytest.raises(BlockingIOError):
        while True:
            processes.append(kernel.process())
    for _ in range(50):
        with pytest.raises(BlockingIOError):
            kernel.process()
    for process in processes:
        process.close()
    kernel.mount(None, "/scratch", type="tmpfs")
    with kernel.open("/scratch/file", "wb") as file:
        file.write(bytes(24 << 20))
    assert kernel.dead is None


def test_the_exception_can_be_pickled(kernel: liblinux.Kernel) -> None:
    """A pool of processes sends it to its parent."""
    planted.plant(kernel, "vfs_statx", planted.NULL_READ)
    with pytest.raises(liblinux.KernelPanic) as caught:
        kernel.os.stat("/dev")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert str(again) == str(caught.value)
    assert again.backtrace == caught.value.backtrace
