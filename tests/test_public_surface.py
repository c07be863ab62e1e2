"""The names that are promised. Adding one is a decision, removing one breaks users."""

from __future__ import annotations

import importlib
import os
import select
import socket
import ssl

import fsspec
import pytest

import liblinux
from liblinux import (
    archives,
    crash,
    experiments,
    explore,
    network,
    observing,
    packetdrill,
    pytest_plugin,
    testing,
)
from liblinux._actor import Actor
from liblinux._os import _PURE, Os
from liblinux.network import faults


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_module() -> None:
    assert set(liblinux.__all__) == {
        "BuildError",
        "BusyWait",
        "CopyFailed",
        "CopyProblem",
        "CopyProgress",
        "CopyReport",
        "Deadlock",
        "Difference",
        "Disk",
        "ExtractLimits",
        "ExtractRefused",
        "Extracted",
        "Faults",
        "FormatError",
        "Frame",
        "Host",
        "HostAccess",
        "HostFaults",
        "ImageFileSystem",
        "Injected",
        "Injection",
        "Kernel",
        "KernelClosed",
        "KernelDied",
        "KernelPanic",
        "LiblinuxError",
        "Link",
        "Loss",
        "Mapping",
        "Mount",
        "MountError",
        "Network",
        "Partition",
        "Process",
        "Record",
        "Snapshot",
        "Socket",
        "VolumeError",
        "Waiter",
        "compare_trees",
        "copy_tree",
        "extract",
        "images",
        "make_image",
        "open_image",
    }
    for name in liblinux.__all__:
        assert getattr(liblinux, name).__module__.startswith("liblinux."), name
    assert set(liblinux.__all__) <= set(dir(liblinux))


def test_experiments() -> None:
    assert set(experiments.__all__) == {
        "ExperimentError",
        "Loaded",
        "Moment",
        "Outcome",
        "Problem",
        "draw",
        "load",
        "loads",
        "rows",
        "run",
        "schema",
        "write_results",
        "write_samples",
    }
    assert issubclass(experiments.ExperimentError, liblinux.LiblinuxError)


def test_unknown_name_of_the_module() -> None:
    with pytest.raises(AttributeError, match="Kernal"):
        liblinux.Kernal  # noqa: B018 - the look-up is the test


def test_kernel() -> None:
    actor = {"close", "mapping", "mmap", "open", "pid", "select", "socket", "ssl"}
    assert public(Actor) == actor  # os, syscall and sysctl belong to the instance
    assert public(liblinux.Kernel) == actor | {
        "abort",
        "attach",
        "closed",
        "dead",
        "disks",
        "dmesg",
        "fork",
        "faults",
        "inject",
        "mount",
        "now",
        "process",
        "restore",
        "snapshot",
        "statistics",
        "umount",
        "version",
    }
    assert public(liblinux.Process) == actor | {"closed"}


def test_image() -> None:
    added = public(liblinux.ImageFileSystem) - public(fsspec.AbstractFileSystem)
    assert added == {"close", "closed"}  # kernel, disk, root, os, mode and auto_mkdir belong to the instance


def test_disk() -> None:
    assert public(liblinux.Disk) == {
        "changes",
        "content",
        "detach",
        "partitions",
        "path",
        "resize",
        "size",
    }
    plain = {"label", "mountable", "number", "path", "size", "start", "type"}
    assert public(liblinux.Partition) == plain | {"fs_label", "fs_uuid", "part_label", "part_uuid"}


def test_plugin_of_pytest(request: pytest.FixtureRequest) -> None:
    """Its fixtures, options and marker, and a class."""
    assert testing.__all__ == ["ImageFactory"]
    assert testing.ImageFactory.__module__ == "liblinux.testing._images"
    plugin = request.config.pluginmanager.get_plugin("liblinux")
    assert public(plugin) & public(pytest_plugin) >= {
        "image_factory",
        "kernel",
        "kernel_options",
        "liblinux_seed",
        "network",
        "network_options",
        "network_setup",
    }
    options = {name for name in vars(request.config.option) if name.startswith("liblinux")}
    assert options == {"liblinux_kernel", "liblinux_output", "liblinux_pcap", "liblinux_seed"}
    assert any(line.startswith("liblinux_seeds(") for line in request.config.getini("markers"))


def test_packetdrill() -> None:
    assert set(packetdrill.__all__) == {
        "MODES",
        "Config",
        "Failure",
        "Mode",
        "Outcome",
        "Script",
        "ScriptError",
        "ScriptSyntaxError",
        "modes_of",
        "parse",
        "run",
    }
    assert issubclass(packetdrill.ScriptSyntaxError, packetdrill.ScriptError)
    assert issubclass(packetdrill.ScriptError, liblinux.LiblinuxError)


def test_crash() -> None:
    assert set(crash.__all__) == {
        "KINDS",
        "STYLES",
        "CrashImage",
        "CrashPoint",
        "Entry",
        "Failure",
        "Filesystem",
        "FsckError",
        "Kind",
        "Mark",
        "RecordedFilesystem",
        "Recorder",
        "Recording",
        "Report",
        "Setup",
        "crashtest",
        "every_image",
        "make_image",
        "record",
    }
    assert public(crash.Recorder) == {"discard", "flush", "pread", "promise", "pwrite", "recording", "size", "withdraw"}
    filesystem = {"at", "fsync", "open", "read", "write"}  # kernel, os and path belong to the instance
    assert public(crash.Filesystem) == filesystem
    assert public(crash.RecordedFilesystem) == filesystem | {"promise", "sleep", "withdraw"}
    assert public(crash.CrashImage) == {"identity", "pieces", "save", "seek"}
    assert issubclass(crash.FsckError, liblinux.LiblinuxError)


def test_archives() -> None:
    assert set(archives.__all__) == {"ArchiveError", "LostError", "cpio", "tar", "uncpio", "untar"}
    assert issubclass(archives.ArchiveError, liblinux.LiblinuxError)
    assert issubclass(archives.LostError, archives.ArchiveError)


def test_exceptions() -> None:
    for name in ("BuildError", "Deadlock", "KernelClosed", "KernelDied", "KernelPanic", "MountError"):
        assert issubclass(getattr(liblinux, name), liblinux.LiblinuxError)
    assert issubclass(liblinux.MountError, OSError)
    assert issubclass(liblinux.KernelClosed, ValueError)


def test_os_has_what_os_has() -> None:
    """Every function of `os` on Linux is there, but those that are the host's own business."""
    theirs = {name for name in dir(os) if name[0].islower() and callable(getattr(os, name))}
    ours = public(Os) | {"getpid", "read", "write", "pread", "pwrite", "readinto", "close"}
    missing = theirs - ours - _PURE
    assert missing <= NOT_OURS, sorted(missing - NOT_OURS)


def test_sockets_have_what_sockets_have() -> None:
    """Every name of `socket`, `select` and `ssl`, and every method of their objects."""
    assert public(socket.socket) <= public(liblinux.Socket)
    assert public(liblinux.Socket) - public(socket.socket) == {"ioctl", "sendmsg_afalg", "tcp_info"} - public(
        socket.socket
    )
    modules = {"array", "errno", "io", "os", "selectors", "sys"}  # that it imports
    with liblinux.Kernel() as kernel:
        missing = {name for name in public(socket) - modules if not hasattr(kernel.socket, name)}
        assert missing == {"AF_DECnet"}  # gone from Linux
        assert public(type(kernel.socket)) | {"hosts", "nameservers", "socket"} <= set(dir(kernel.socket))
        for name in ("select", "ssl"):
            ours = getattr(kernel, name)
            assert [each for each in public(importlib.import_module(name)) if not hasattr(ours, each)] == []
        assert public(kernel.select.poll()) == public(select.poll())
        with kernel.select.epoll() as epoll:
            assert public(epoll) == public(select.epoll) - {"fromfd"}
        assert public(ssl.SSLSocket) - public(kernel.ssl.SSLSocket) == {"context"}  # belongs to the instance


# Programs, the environment, terminals and the scheduling of the host; and what
# has no counterpart in a kernel whose tasks are Python threads.
NOT_OURS = {
    "abort", "confstr", "cpu_count", "ctermid", "device_encoding", "execl", "execle", "execlp", "execlpe", "execv",
    "execve", "execvp", "execvpe", "fdopen", "fork", "forkpty", "get_exec_path", "get_handle_inheritable",
    "get_inheritable", "get_terminal_size", "getenv", "getenvb", "getgrouplist", "getlogin", "initgroups",
    "login_tty", "lockf", "openpty", "pathconf", "pidfd_open", "plock", "popen", "posix_openpt", "posix_spawn",
    "posix_spawnp", "process_cpu_count", "ptsname", "grantpt", "unlockpt", "putenv", "register_at_fork",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getparam",
    "sched_getscheduler", "sched_param", "sched_rr_get_interval", "sched_setaffinity", "sched_setparam",
    "sched_setscheduler", "set_inheritable", "spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv", "spawnve",
    "spawnvp", "spawnvpe", "sysconf", "system", "tcgetpgrp", "tcsetpgrp", "terminal_size", "timerfd_create",
    "timerfd_gettime", "timerfd_gettime_ns", "timerfd_settime", "timerfd_settime_ns", "times_result", "unsetenv",
    "wait", "wait3", "wait4", "waitid", "waitid_result", "waitpid", "waitstatus_to_exitcode", "reload_environ",
}  # fmt: skip


def test_network() -> None:
    assert set(network.__all__) == {
        "Device",
        "FrameSocket",
        "Functions",
        "Host",
        "HostInterface",
        "Internet",
        "Link",
        "Network",
        "Replay",
        "Tap",
        "Traffic",
    }
    assert {"error", "mtu", "traffic"} <= public(network.Device)
    assert {"forward", "routes"} <= public(network.Internet)
    assert {"frames", "kernel", "kernels", "selector", "link", "host", "router", "switch"} <= public(network.Network)


def test_faults_and_exploring() -> None:
    assert set(faults.__all__) == {
        "Call",
        "ClockRate",
        "ClockStep",
        "Draw",
        "Drop",
        "Fault",
        "Heal",
        "Intercept",
        "Kill",
        "LinkDown",
        "LinkSet",
        "LinkUp",
        "Partition",
        "Pause",
        "Restart",
        "Resume",
        "Schedule",
    }
    assert set(explore.__all__) == {"Failure", "Plan", "Report", "Untestable", "explore"}
    assert issubclass(explore.Untestable, liblinux.LiblinuxError)
    assert {"at", "heal", "partition", "play"} <= public(network.Network)
    hosts = {"alive", "kill", "pause", "program", "restart", "resume", "skew_clock", "step_clock"}
    assert hosts <= public(network.Host)
    assert {"drop", "intercept"} <= public(network.Link)


def test_observing() -> None:
    assert set(observing.__all__) == {
        "Capture",
        "Event",
        "Flow",
        "LinkEntry",
        "Node",
        "Recorder",
        "Recording",
        "Series",
        "Topology",
        "read_capture",
        "write_report",
    }
    assert public(observing.Recorder) == {"close", "event", "recording", "time"}
    assert {"add", "duration", "from_json", "kinds", "names", "to_csv", "to_json", "to_parquet"} <= public(
        observing.Recording
    )
    assert {"record", "report"} <= public(network.Network)
