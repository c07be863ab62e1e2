"""fork of the process: parent and child each have their own kernel."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable

import pytest

import liblinux
import planted
from conftest import MIB, Images, e2fsck, run
from contents import get, put
from until import it_waits


def in_child(work: Callable[[], object], fork: Callable[[], int] = os.fork) -> None:
    """Run something in a child; its failure is ours, and so is a child that hangs."""
    pid = fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - pytest of the parent must not see it as its own
            traceback.print_exc()
        finally:
            os._exit(code)
    deadline = time.monotonic() + 60
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pytest.fail("the child hangs")
        time.sleep(0.001)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


def test_each_has_its_own(kernel: liblinux.Kernel) -> None:
    put(kernel, "/tmp/shared", b"before")

    def child() -> None:
        assert get(kernel, "/tmp/shared") == b"before"
        put(kernel, "/tmp/shared", b"child")
        put(kernel, "/tmp/mine", b"child")
        time.sleep(0.1)
        assert get(kernel, "/tmp/shared") == b"child"
        with kernel.process(uid=3) as process:
            assert process.os.getuid() == 3
        kernel.close()

    in_child(child)
    assert get(kernel, "/tmp/shared") == b"before"
    assert kernel.os.listdir("/tmp") == ["shared"]
    in_child(child, kernel.fork)
    put(kernel, "/tmp/shared", b"parent")
    assert get(kernel, "/tmp/shared") == b"parent"


@pytest.mark.parametrize("system", ["ext4", "xfs"])
def test_the_image_stays_the_parents(images: Images, system: str) -> None:
    """The child writes as much as it likes, and closes its kernel: nothing reaches the file."""
    path = images.ext4() if system == "ext4" else images.empty(size=320 * MIB)
    if system == "xfs":
        run("mkfs.xfs", "-q", path)
    with liblinux.Kernel() as kernel:
        disk = kernel.attach(path)
        kernel.mount(disk, "/mnt")
        put(kernel, "/mnt/parent", b"p" * 100000)
        kernel.os.sync()
        before = hashlib.sha256(path.read_bytes()).digest()

        def child() -> None:
            assert get(kernel, "/mnt/parent") == b"p" * 100000
            for number in range(20):
                put(kernel, f"/mnt/child-{number}", b"c" * 50000)
            kernel.os.sync()
            assert disk.changes() > 0
            assert len(kernel.os.listdir("/mnt")) >= 21
            kernel.close()

        in_child(child)
        assert hashlib.sha256(path.read_bytes()).digest() == before
        put(kernel, "/mnt/later", b"l" * 1000)
    if system == "ext4":
        e2fsck(path)
    else:
        run("xfs_repair", "-n", path)


def test_a_child_that_ends_writes_nothing(images: Images) -> None:
    """Also when it ends as programs do, with its exit handlers."""
    path = images.ext4()
    program = """
        import hashlib, liblinux, os, sys
        kernel = liblinux.Kernel()
        kernel.mount(kernel.attach(sys.argv[1]), "/mnt")
        with kernel.open("/mnt/file", "w") as file:
            file.write("x")
        kernel.os.sync()
        before = hashlib.sha256(open(sys.argv[1], "rb").read()).digest()
        if not os.fork():
            kernel.os.unlink("/mnt/file")
            sys.exit()
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        assert hashlib.sha256(open(sys.argv[1], "rb").read()).digest() == before
        assert kernel.os.listdir("/mnt").count("file") == 1
        kernel.close()
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(program), path], check=True, timeout=60)
    e2fsck(path)


def test_mapped_memory_is_copied(kernel: liblinux.Kernel) -> None:
    """Pages that live in memory which a fork would share."""
    put(kernel, "/tmp/file", b"a" * 100000)
    with kernel.open("/tmp/file", "r+b") as file, kernel.mapping(file) as mapping:
        mapping.view[0:6] = b"before"

        def child() -> None:
            assert bytes(mapping.view[0:6]) == b"before"
            mapping.view[0:6] = b"child!"
            mapping.view[50000:50006] = b"child!"
            time.sleep(0.1)
            assert get(kernel, "/tmp/file")[:6] == b"child!"

        in_child(child)
        assert bytes(mapping.view[0:6]) == b"before"
        assert get(kernel, "/tmp/file")[50000:50006] == b"aaaaaa"


def test_many_kernels_and_generations(kernel: liblinux.Kernel) -> None:
    with liblinux.Kernel(clock="virtual", seed=1) as second:
        put(second, "/tmp/second", b"2")

        def grandchild() -> None:
            put(kernel, "/tmp/a", b"grandchild")
            second.syscall("nanosleep", (3600).to_bytes(8, "little") + bytes(8), None)
            assert get(second, "/tmp/second") == b"2"

        def child() -> None:
            put(kernel, "/tmp/a", b"child")
            in_child(grandchild)
            assert get(kernel, "/tmp/a") == b"child"
            with liblinux.Kernel() as third:
                assert third.os.getpid() == 1

        now = second.now()
        for _ in range(3):
            in_child(child)
        assert second.now() == now
    assert kernel.os.listdir("/tmp") == []


def test_the_same_twice_under_the_virtual_clock() -> None:
    """A child is what its parent was: also its chance and its time."""
    with liblinux.Kernel(clock="virtual", seed=9) as kernel:
        reader, writer = os.pipe()

        def child() -> None:
            os.write(writer, kernel.os.getrandom(16).hex().encode() + b" %d\n" % kernel.now())

        in_child(child)
        in_child(child)
        first, second = os.read(reader, 1000).split(b"\n")[:2]
        assert first == second
        os.close(reader)
        os.close(writer)


def test_snapshots_go_along(kernel: liblinux.Kernel) -> None:
    put(kernel, "/tmp/file", b"then")
    state = kernel.snapshot()
    put(kernel, "/tmp/file", b"now")

    def child() -> None:
        kernel.restore(state)
        assert get(kernel, "/tmp/file") == b"then"
        put(kernel, "/tmp/file", b"child")
        kernel.restore(state)
        assert get(kernel, "/tmp/file") == b"then"

    in_child(child)
    assert get(kernel, "/tmp/file") == b"now"
    kernel.restore(state)
    in_child(child)
    assert get(kernel, "/tmp/file") == b"then"


def test_with_other_threads(kernel: liblinux.Kernel) -> None:
    """One that has been inside and is outside does no harm; one that is inside takes its kernel along."""
    reader, writer = kernel.os.pipe()
    idle, over = threading.Event(), threading.Event()

    def other() -> None:
        kernel.os.getpid()
        idle.set()
        over.wait()
        kernel.os.read(reader, 1)

    thread = threading.Thread(target=other, name="the other")
    thread.start()
    idle.wait()
    with pytest.raises(RuntimeError, match="the other"):
        kernel.fork()
    in_child(lambda: put(kernel, "/tmp/x", b"x"))
    over.set()
    assert it_waits(thread)

    def dead() -> None:
        with pytest.raises(liblinux.KernelPanic, match="another thread was inside"):
            kernel.os.getpid()
        kernel.close()
        with liblinux.Kernel() as fresh:
            assert fresh.os.getpid() == 1

    in_child(dead)
    kernel.os.write(writer, b"x")
    thread.join()
    assert kernel.os.getpid() == 1


def test_inside_a_disk(kernel: liblinux.Kernel) -> None:
    """A disk's own code may fork, in the middle of a system call."""

    class Disk:
        def __init__(self) -> None:
            self.content = bytearray(MIB)
            self.position = 0
            self.children: list[int] = []

        def seek(self, offset: int, whence: int = 0) -> int:
            self.position = offset + (len(self.content) if whence == 2 else 0)
            return self.position

        def tell(self) -> int:
            return self.position

        def read(self, size: int) -> bytes:
            if len(self.children) < 1:
                self.children.append(os.fork())
            return bytes(self.content[self.position : self.position + size])

        def write(self, data: bytes) -> int:
            self.content[self.position : self.position + len(data)] = data
            return len(data)

    disk = Disk()
    before = os.getpid()
    kernel.attach(disk)
    with kernel.open("/dev/lda", "rb") as device:
        assert device.read(4096) == bytes(4096)
    if os.getpid() != before:
        os._exit(0 if kernel.os.getpid() == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(disk.children[0], 0)[1]) == 0
    assert kernel.os.getpid() == 1


def test_multiprocessing_inherits_a_kernel(images: Images) -> None:
    program = """
        import liblinux, multiprocessing, sys

        def work(number):
            return kernel.open("/mnt/hello.txt").read() + str(number)

        kernel = liblinux.Kernel()
        kernel.mount(kernel.attach(sys.argv[1], overlay=True), "/mnt")
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as pool:
            assert pool.map(work, range(8)) == ["hello from the image\\n" + str(number) for number in range(8)]
        kernel.close()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), images.ext4()], check=True, timeout=60)


def test_a_snapshot_in_the_child(kernel: liblinux.Kernel) -> None:
    """What the parent had in shared memory is the child's own, and in its snapshots."""
    put(kernel, "/tmp/file", b"a" * 100000)
    with kernel.open("/tmp/file", "r+b") as file, kernel.mapping(file) as mapping:
        mapping.view[0:6] = b"before"

        def child() -> None:
            state = kernel.snapshot()
            for _ in range(3):
                mapping.view[0:6] = b"child!"
                put(kernel, "/tmp/other", b"x" * 100000)
                kernel.restore(state)
                assert bytes(mapping.view[0:6]) == b"before"
                assert get(kernel, "/tmp/file") == b"before" + b"a" * 99994
                assert kernel.os.listdir("/tmp") == ["file"]

        in_child(child)
        assert get(kernel, "/tmp/file")[:6] == b"before"


@pytest.mark.in_process("a stack overflow is planted in the memory of this process")
@pytest.mark.parametrize("restored", [False, True])
def test_stacks_are_guarded_in_the_child(kernel: liblinux.Kernel, restored: bool) -> None:
    process = kernel.process()
    if restored:
        kernel.restore(kernel.snapshot())

    def work() -> None:
        planted.plant(kernel, "vfs_statx", planted.OVERFLOW)
        with pytest.raises(liblinux.KernelPanic, match="stack overflow"):
            process.os.stat("/dev")

    in_child(work)
    assert process.os.stat("/dev").st_mode
