"""Processes with credentials, files and namespaces of their own."""

from __future__ import annotations

import os
import threading

import pytest

import liblinux

WALL = 0x40000000


@pytest.fixture
def kernel(shared_kernel: liblinux.Kernel) -> liblinux.Kernel:
    return shared_kernel


def test_credentials(kernel: liblinux.Kernel) -> None:
    with kernel.process(uid=1000, gid=2000, groups=(3000, 4000)) as user:
        assert user.os.getresuid() == (1000, 1000, 1000)
        assert user.os.getresgid() == (2000, 2000, 2000)
        assert user.os.getgroups() == [3000, 4000]
        assert user.pid == user.os.getpid() != kernel.pid
        assert user.os.getppid() == kernel.pid
    assert kernel.os.getuid() == 0


def test_permissions_are_enforced(kernel: liblinux.Kernel) -> None:
    kernel.os.makedirs("/private", 0o700)
    with kernel.open("/private/secret", "w") as file:
        file.write("x")
    with kernel.process(uid=1000, gid=1000) as user:
        with pytest.raises(PermissionError):
            user.open("/private/secret")
        with pytest.raises(PermissionError):
            user.os.mkdir("/not-mine")
        with pytest.raises(PermissionError):
            user.os.setuid(0)
        with pytest.raises(PermissionError):
            user.syscall("mount", "none", "/mnt", "tmpfs", 0, None)
        with user.open("/tmp/mine", "w") as file:
            file.write("y")
    assert kernel.os.stat("/tmp/mine").st_uid == 1000


def test_threads_inherit_credentials(kernel: liblinux.Kernel) -> None:
    with kernel.process(uid=1000, gid=1000) as user:
        seen: list[tuple[int, int]] = []
        thread = threading.Thread(target=lambda: seen.append((user.os.getuid(), user.os.getpid())))
        thread.start()
        thread.join()
        assert seen == [(1000, user.pid)]


def test_files_are_its_own(kernel: liblinux.Kernel) -> None:
    with kernel.process() as first, kernel.process() as second:
        one = first.os.open("/tmp", os.O_RDONLY)
        with pytest.raises(OSError, match="Bad file descriptor"):
            second.os.fstat(one)
        first.os.close(one)


def test_working_directory_and_umask(kernel: liblinux.Kernel) -> None:
    kernel.os.chdir("/")
    with kernel.process(cwd="/tmp", umask=0o77) as process:
        assert process.os.getcwd() == "/tmp"
        process.os.mkdir("made")
        assert process.os.stat("made").st_mode & 0o777 == 0o700
        process.os.rmdir("made")
    assert kernel.os.getcwd() == "/"


def test_closing_ends_it(kernel: liblinux.Kernel) -> None:
    process = kernel.process()
    pid = str(process.pid)
    assert pid in kernel.os.listdir("/proc")
    process.close()
    process.close()
    assert process.closed
    assert pid not in kernel.os.listdir("/proc")
    with pytest.raises(liblinux.KernelClosed):
        process.os.getpid()


def test_uts_namespace(kernel: liblinux.Kernel) -> None:
    before = kernel.os.uname().nodename
    with kernel.process(namespaces=["uts"]) as process:
        process.syscall("sethostname", b"elsewhere", 9)
        assert process.os.uname().nodename == "elsewhere"
        assert kernel.os.uname().nodename == before


def test_mount_namespace(kernel: liblinux.Kernel) -> None:
    kernel.os.makedirs("/place", exist_ok=True)
    with kernel.process(namespaces=["mnt"]) as process:
        process.syscall("mount", "none", "/place", "tmpfs", 0, None)
        process.os.mkdir("/place/hidden")
        assert process.os.listdir("/place") == ["hidden"]
        assert kernel.os.listdir("/place") == []


def test_network_namespace(kernel: liblinux.Kernel) -> None:
    with kernel.process(namespaces=("network",)) as process:
        process.sysctl["net.ipv4.ip_forward"] = 1
        assert process.sysctl["net.ipv4.ip_forward"] == "1"
        assert kernel.sysctl["net.ipv4.ip_forward"] == "0"


def test_pid_namespace(kernel: liblinux.Kernel) -> None:
    with kernel.process(namespaces=("pid", "mnt")) as process:
        assert process.os.getpid() == 1
        assert process.pid != 1
        assert [name for name in process.os.listdir("/proc") if name.isdigit()] == ["1"]


def test_user_namespace(kernel: liblinux.Kernel) -> None:
    with kernel.process(uid=1000, namespaces=("user",)) as process:
        assert process.os.getuid() == 1000
        assert process.os.readlink("/proc/self/ns/user") != kernel.os.readlink("/proc/self/ns/user")


def test_cgroup_and_ipc_namespace(kernel: liblinux.Kernel) -> None:
    with kernel.process(namespaces=("cgroup", "ipc")) as process:
        for name in ("cgroup", "ipc"):
            theirs = process.os.readlink(f"/proc/self/ns/{name}")
            assert theirs != kernel.os.readlink(f"/proc/self/ns/{name}")


def test_unknown_namespace(kernel: liblinux.Kernel) -> None:
    with pytest.raises(ValueError, match="bananas"):
        kernel.process(namespaces=("net", "bananas"))
    with pytest.raises(TypeError):
        kernel.process(namespaces="net")


def test_failure_leaves_no_process(kernel: liblinux.Kernel) -> None:
    """Init has no child left, not even a dead one."""
    with pytest.raises(FileNotFoundError):
        kernel.process(cwd="/no/such/place")
    with pytest.raises(ChildProcessError):
        kernel.syscall("wait4", -1, None, os.WNOHANG | WALL, None)


def test_signals_reach_it(kernel: liblinux.Kernel) -> None:
    with kernel.process(uid=1000) as one, kernel.process(uid=1001) as two:
        one.os.kill(one.pid, 0)
        with pytest.raises(PermissionError):
            one.os.kill(two.pid, 0)
        with pytest.raises(ProcessLookupError):
            one.os.kill(99999, 0)


def test_a_pipe_between_processes_of_two_threads(kernel: liblinux.Kernel) -> None:
    """A FIFO: one thread's process waits in the kernel for the other's."""
    kernel.os.mkfifo("/fifo")
    kernel.os.chmod("/fifo", 0o666)
    received: list[bytes] = []

    def receive() -> None:
        with kernel.process(uid=1000) as reader, reader.open("/fifo", "rb") as file:
            received.append(file.read())

    thread = threading.Thread(target=receive)
    thread.start()
    with kernel.process(uid=1001) as writer, writer.open("/fifo", "wb") as file:
        file.write(b"from the other")
    thread.join()
    assert received == [b"from the other"]


def test_closing_the_kernel_ends_all() -> None:
    with liblinux.Kernel() as kernel:
        process = kernel.process()
        file = process.open("/tmp/file", "w")
        file.write("x")
    assert process.closed
    assert file.closed


def test_memory_that_a_process_takes() -> None:
    """Two stacks of 32 KiB belong to it, and most of both is never touched."""
    with liblinux.Kernel("256M") as kernel:
        for _ in range(20):
            kernel.process()
        before = _resident_kib()
        for _ in range(300):
            kernel.process()
        assert (_resident_kib() - before) / 300 < 50


def _resident_kib() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
