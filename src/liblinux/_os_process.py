"""`kernel.os`: the process itself. Names and arguments are those of `os`.

Credentials belong to a kernel task. Every Python thread has a task of its own,
which inherits those of its process; a C library would carry a change to all
threads, the raw system call of `setuid` does not, and neither does this. A
process with other credentials is what :meth:`Kernel.process` is for.
"""

from __future__ import annotations

import os
import struct

from liblinux import _abi
from liblinux._os_base import Calls, packed
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from liblinux import _native

__all__ = ["Identity"]


class Identity(Calls):
    """Functions over the calling process and its credentials."""

    getpid: Callable[[], int]

    def __init__(self, native: _native.Process, numbers: Mapping[str, int]) -> None:
        super().__init__(native, numbers)
        self.getpid = native.getpid  # without a Python frame between

    def getppid(self) -> int:
        """The parent's process number; 0 when the parent is out of sight."""
        return self._call("getppid")

    def gettid(self) -> int:
        """The number of the calling task."""
        return self._call("gettid")

    def getpgrp(self) -> int:
        """The process group."""
        return self._call("getpgrp")

    def getpgid(self, pid: int) -> int:
        """The process group of a process."""
        return self._call("getpgid", pid)

    def setpgid(self, pid: int, pgrp: int) -> None:
        """Put a process into a group."""
        self._call("setpgid", pid, pgrp)

    def setpgrp(self) -> None:
        """Make the process the leader of a group of its own."""
        self._call("setpgid", 0, 0)

    def getsid(self, pid: int) -> int:
        """The session of a process."""
        return self._call("getsid", pid)

    def setsid(self) -> None:
        """Begin a new session."""
        self._call("setsid")

    def getuid(self) -> int:
        """The real user."""
        return self._call("getuid")

    def geteuid(self) -> int:
        """The effective user."""
        return self._call("geteuid")

    def getgid(self) -> int:
        """The real group."""
        return self._call("getgid")

    def getegid(self) -> int:
        """The effective group."""
        return self._call("getegid")

    def getresuid(self) -> tuple[int, int, int]:
        """The real, effective and saved user."""
        return self._three("getresuid")

    def getresgid(self) -> tuple[int, int, int]:
        """The real, effective and saved group."""
        return self._three("getresgid")

    def setuid(self, uid: int) -> None:
        """Set the user, of the calling task; see the module."""
        self._call("setuid", uid)

    def seteuid(self, euid: int) -> None:
        """Set the effective user."""
        self._call("setresuid", -1, euid, -1)

    def setreuid(self, ruid: int, euid: int) -> None:
        """Set the real and effective user."""
        self._call("setreuid", ruid, euid)

    def setresuid(self, ruid: int, euid: int, suid: int) -> None:
        """Set the real, effective and saved user."""
        self._call("setresuid", ruid, euid, suid)

    def setgid(self, gid: int) -> None:
        """Set the group."""
        self._call("setgid", gid)

    def setegid(self, egid: int) -> None:
        """Set the effective group."""
        self._call("setresgid", -1, egid, -1)

    def setregid(self, rgid: int, egid: int) -> None:
        """Set the real and effective group."""
        self._call("setregid", rgid, egid)

    def setresgid(self, rgid: int, egid: int, sgid: int) -> None:
        """Set the real, effective and saved group."""
        self._call("setresgid", rgid, egid, sgid)

    def getgroups(self) -> list[int]:
        """The supplementary groups."""
        count = self._call("getgroups", 0, None)
        buffer = bytearray(4 * count)
        count = self._call("getgroups", count, buffer) if count else 0
        return list(struct.unpack(f"={count}I", buffer[: 4 * count]))

    def setgroups(self, groups: Sequence[int]) -> None:
        """Set the supplementary groups."""
        self._call("setgroups", len(groups), packed(struct.Struct(f"={len(groups)}I"), *groups))

    def umask(self, mask: int) -> int:
        """Set the mask of permissions for new files; returns the old one."""
        return self._call("umask", mask)

    def kill(self, pid: int, sig: int) -> None:
        """Send a signal, to a process of this kernel."""
        self._call("kill", pid, sig)

    def killpg(self, pgid: int, sig: int) -> None:
        """Send a signal to a process group."""
        self._call("kill", -pgid, sig)

    def nice(self, increment: int) -> int:
        """Add to the niceness; returns the new one."""
        # The raw system call answers 20 - nice, so that no answer is negative.
        wanted = 20 - self._call("getpriority", os.PRIO_PROCESS, 0) + increment
        self._call("setpriority", os.PRIO_PROCESS, 0, wanted)
        return 20 - self._call("getpriority", os.PRIO_PROCESS, 0)

    def getpriority(self, which: int, who: int) -> int:
        """The niceness of a process, group or user."""
        return 20 - self._call("getpriority", which, who)

    def setpriority(self, which: int, who: int, priority: int) -> None:
        """Set the niceness of a process, group or user."""
        self._call("setpriority", which, who, priority)

    def sched_yield(self) -> None:
        """Let other tasks run first."""
        self._call("sched_yield")

    def unshare(self, flags: int) -> None:
        """Give the calling task namespaces of its own; CLONE_NEW* in `flags`."""
        self._call("unshare", flags)

    def setns(self, fd: int, nstype: int = 0) -> None:
        """Enter a namespace that `fd` stands for."""
        self._call("setns", fd, nstype)

    def getrandom(self, size: int, flags: int = 0) -> bytes:
        """Random bytes of this kernel: a pure function of the seed under the virtual clock."""
        buffer = bytearray(size)
        return bytes(buffer[: self._call("getrandom", buffer, size, flags)])

    def urandom(self, size: int) -> bytes:
        """Exactly `size` random bytes of this kernel."""
        data = b""
        while len(data) < size:
            data += self.getrandom(size - len(data))
        return data

    def uname(self) -> os.uname_result:
        """Name, release and version of this kernel."""
        buffer = bytearray(_abi.UTSNAME.size)
        self._call("uname", buffer)
        fields = (field.partition(b"\0")[0].decode("utf-8", "surrogateescape") for field in _abi.UTSNAME.unpack(buffer))
        return os.uname_result(tuple(fields)[:5])

    def times(self) -> os.times_result:
        """Processor time of the process, in seconds."""
        buffer = bytearray(_abi.TMS.size)
        elapsed = self._call("times", buffer)
        ticks = (*_abi.TMS.unpack(buffer), elapsed)
        return os.times_result(tuple(tick / _abi.TICKS_PER_SECOND for tick in ticks))

    def getloadavg(self) -> tuple[float, float, float]:
        """The load averages."""
        info = bytearray(112)
        self._call("sysinfo", info)
        one, five, fifteen = struct.unpack_from("=3Q", info, 8)
        return one / 65536, five / 65536, fifteen / 65536

    def _three(self, name: str) -> tuple[int, int, int]:
        buffers = bytearray(4), bytearray(4), bytearray(4)
        self._call(name, *buffers)
        first, second, third = (int.from_bytes(buffer, "little") for buffer in buffers)
        return first, second, third
