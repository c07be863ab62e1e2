"""How isolated kernels end: killed, stopped, out of time, interrupted, closed, forgotten, orphaned."""

from __future__ import annotations

import gc
import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import liblinux
from cells import cells, descriptors, in_thread, only_cell
from conftest import MIB
from until import LONG_SECONDS, has_ended, it_waits, once_in_some_tries, until, when_it_waits

# ---- death -------------------------------------------------------------------


def test_killed_between_calls(isolated: liblinux.Kernel) -> None:
    os.kill(only_cell(), signal.SIGKILL)
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.os.getpid()
    assert isolated.dead
    assert "SIGKILL" in isolated.dead
    assert not cells(), "it is reaped"
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.os.listdir("/")
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.attach(bytes(MIB))


def test_killed_during_a_call(isolated: liblinux.Kernel) -> None:
    reader, _ = isolated.os.pipe()
    thread, raised = in_thread(lambda: isolated.os.read(reader, 1))
    it_waits(thread)
    os.kill(only_cell(), signal.SIGKILL)
    thread.join(LONG_SECONDS)
    assert isinstance(raised[0], liblinux.KernelDied)
    assert "SIGKILL" in str(raised[0])


def test_killed_while_a_disk_is_served(isolated: liblinux.Kernel) -> None:
    class Deadly(io.BytesIO):
        def readinto(self, buffer: Any, /) -> int:
            os.kill(only_cell(), signal.SIGKILL)
            return super().readinto(buffer)

    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        isolated.attach(Deadly(bytes(MIB)))


def test_killed_in_the_middle_of_a_long_read(isolated: liblinux.Kernel) -> None:
    with isolated.open("/tmp/long", "wb") as file:
        file.write(bytes(20 << 20))
    fd = isolated.os.open("/tmp/long", os.O_RDONLY)
    cell = only_cell()
    killer = threading.Timer(0.02, os.kill, (cell, signal.SIGKILL))
    killer.start()
    with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
        for _ in range(10_000):
            isolated.os.pread(fd, 20 << 20, 0)
    killer.join()


def test_reaped_by_somebody_else(isolated: liblinux.Kernel) -> None:
    cell = only_cell()
    os.kill(cell, signal.SIGKILL)
    os.waitpid(cell, 0)
    with pytest.raises(liblinux.KernelDied, match="dead"):
        isolated.os.getpid()


def test_stopped_and_continued(isolated: liblinux.Kernel) -> None:
    """A cell that does not answer is waited for."""
    cell = only_cell()
    os.kill(cell, signal.SIGSTOP)
    watching = when_it_waits(lambda: os.kill(cell, signal.SIGCONT))
    assert isolated.os.getpid() == 1
    watching.join()


def test_panic_inside(isolated: liblinux.Kernel) -> None:
    isolated.sysctl["vm.overcommit_memory"] = 1
    isolated.sysctl["vm.panic_on_oom"] = 2
    isolated.mount(None, "/big", type="tmpfs", options="size=1g")
    file = isolated.open("/big/file", "wb", 0)
    with pytest.raises(liblinux.KernelPanic, match="Out of memory") as panic:
        for _ in range(100):
            file.write(bytes(MIB))
    assert not isinstance(panic.value, liblinux.KernelDied), "its process lives"
    assert panic.value.syscall == "write"
    assert "ksys_write" in {frame.function for frame in panic.value.backtrace}
    assert cells()
    assert any("Out of memory" in record.text for record in isolated.dmesg())


def test_processor_time_is_limited() -> None:
    with liblinux.Kernel(isolated=True, cpu_seconds=1) as kernel:
        kernel.os.close(kernel.os.open("/tmp/zeros", os.O_CREAT))
        with pytest.raises(liblinux.KernelDied, match="processor time"):
            while True:
                kernel.os.scantree("/proc/sys")
                kernel.os.urandom(1 << 20)


def test_memory_is_limited(isolated: liblinux.Kernel) -> None:
    limits = Path(f"/proc/{only_cell()}/limits").read_text()
    data = int(re.search(r"^Max data size +(\d+)", limits, re.MULTILINE)[1])  # type: ignore[index]
    assert isolated.memory < data < isolated.memory + 512 * MIB


def test_what_the_process_may(isolated: liblinux.Kernel) -> None:
    status = Path(f"/proc/{only_cell()}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert re.search(r"^Seccomp_filters:\t[2-9]", status, re.MULTILINE)


def test_one_dies_and_another_goes_on(isolated: liblinux.Kernel) -> None:
    victim = only_cell()
    with liblinux.Kernel(isolated=True) as other, liblinux.Kernel() as here:
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(liblinux.KernelDied):
            isolated.os.getpid()
        assert other.os.getpid() == here.os.getpid() == 1


# ---- interruption --------------------------------------------------------------


def test_ctrl_c(isolated: liblinux.Kernel) -> None:
    """Within 100 ms (plus what a busy machine takes), and the kernel is usable afterwards."""
    reader, writer = isolated.os.pipe()
    sent = 0.0

    def send() -> None:
        nonlocal sent
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    def seconds() -> float:
        with pytest.raises(KeyboardInterrupt):
            watching = when_it_waits(send)
            isolated.os.read(reader, 1)
        took = time.monotonic() - sent
        watching.join()
        return took

    once_in_some_tries(seconds, 0.5)
    isolated.os.write(writer, b"x")
    assert isolated.os.read(reader, 1) == b"x"


def test_ctrl_c_ends_a_call_that_cannot_be_interrupted(isolated: liblinux.Kernel) -> None:
    """With the kernel, after some seconds: better than waiting for ever."""
    cell = only_cell()
    os.kill(cell, signal.SIGSTOP)
    sent = 0.0

    def send() -> None:
        nonlocal sent
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        watching = when_it_waits(send)
        isolated.os.getpid()
    assert 4 < time.monotonic() - sent < LONG_SECONDS
    watching.join()
    with pytest.raises(liblinux.KernelDied, match="did not end when interrupted"):
        isolated.os.getpid()


# ---- nothing is left ------------------------------------------------------------


def test_closing_leaves_nothing() -> None:
    liblinux.Kernel(isolated=True).close()
    gc.collect()  # or what other tests have left is collected in between
    before = descriptors()
    for _ in range(10):
        with liblinux.Kernel(isolated=True) as kernel:
            kernel.attach(bytearray(MIB))
            kernel.mmap(None, MIB).release()
    assert descriptors() == before
    assert not cells()
    assert "liblinux-channel" not in Path("/proc/self/maps").read_text()


def test_collecting_leaves_nothing() -> None:
    gc.collect()
    before = descriptors()
    kernel = liblinux.Kernel(isolated=True)
    with pytest.warns(ResourceWarning, match="unclosed"):  # noqa: PT031 - the warning comes with one or the other
        del kernel
        gc.collect()
    assert descriptors() == before
    assert not cells()


def test_a_failed_boot_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "no-kernel.so"
    path.write_bytes(b"no ELF file" * 100)
    gc.collect()
    before = descriptors()
    with pytest.raises(liblinux.BuildError, match="not a kernel image"):
        liblinux.Kernel(isolated=True, version=str(path))
    assert descriptors() == before
    assert not cells()


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=LONG_SECONDS, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )  # fmt: skip


@pytest.mark.parametrize("end", ["sys.exit(3)", "os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_the_child_goes_with_its_parent(end: str) -> None:
    done = python(f"""
        import liblinux, os, sys, threading
        from cells import only_cell
        made = []
        thread = threading.Thread(target=lambda: made.append(liblinux.Kernel(isolated=True)))
        thread.start()
        thread.join()
        print(only_cell(), flush=True)
        {end}
    """)
    cell = int(done.stdout)
    until(lambda: has_ended(cell), f"the cell ends, {done.stderr}")


def test_fork_of_the_parent() -> None:
    done = python("""
        import liblinux, os
        kernel = liblinux.Kernel(isolated=True)
        child = os.fork()
        if not child:
            try:
                kernel.os.getpid()
            except liblinux.KernelDied as error:
                os._exit(7 if "fork" in str(error) else 8)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert kernel.os.getpid() == 1
        kernel.close()
        print("well")
    """)
    assert done.stdout == "well\n", done.stderr
