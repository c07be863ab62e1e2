"""Processes of a kernel, besides init: with credentials, files and namespaces of their own."""

from __future__ import annotations

from liblinux import _abi
from liblinux._actor import Actor
from liblinux._errors import KernelClosed
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from liblinux import _native
    from liblinux._kernel import Kernel
    from liblinux._os import Os
    from liblinux._sockets.module import SocketModule

__all__ = ["Process", "start"]

_OTHER_NAMES = {"mount": "mnt", "network": "net"}
_EVERY_ID = b"0 0 4294967295\n"
_LAST_ID = (1 << 32) - 2


class Process(Actor):
    """A process of a kernel; made by :meth:`Kernel.process`, ended by :meth:`close`."""

    def __init__(self, kernel: Kernel, native: _native.Process, *, own_network: bool, parent: Actor) -> None:
        super().__init__(kernel._native, native, kernel.syscalls)
        self._kernel = kernel
        self._parent = parent
        self._own_network = own_network
        self._pid = native.pid

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<liblinux.Process {self._pid}{state}>"

    @property
    def closed(self) -> bool:
        """Whether it, or its kernel, has ended."""
        return self.os.closed

    @property
    def pid(self) -> int:
        """The process number, as init sees it."""
        return self._pid

    def close(self) -> None:
        """Flush its files and end it; descriptors and namespaces go with it. Twice does nothing.

        Of a kernel that died there is nothing left to end.
        """
        if self.closed:
            return
        if self._kernel.dead is not None:
            self.os._ended = True
            self._kernel._processes.discard(self)
            return
        try:
            self._close_files()
        finally:
            _end(self._process, self._kernel if self._parent.os.closed else self._parent)
            self.os._ended = True
            self._kernel._processes.discard(self)

    def _raise_loopback(self, module: SocketModule) -> None:
        if self._own_network:
            module._raise_loopback()
        else:
            # By init, which may: the first use of its sockets does it.
            self._kernel.socket  # noqa: B018 - it is made by being looked at

    def _forget(self) -> None:
        """The kernel was put back to an instant before it was started."""
        self.os._ended = True


def start(
    kernel: Kernel,
    *,
    uid: int = 0,
    gid: int = 0,
    groups: Sequence[int] = (),
    namespaces: Iterable[str] = (),
    cwd: str | None = None,
    umask: int | None = None,
    share_files: bool = False,
    parent: Process | None = None,
) -> Process:
    """Make a process; see :meth:`Kernel.process`.

    With `share_files` it has init's descriptors. A child of `parent` is in the network namespace that the calling
    thread has entered as that process, and it has a loopback device of its own there.
    """
    for name, number in (("uid", uid), ("gid", gid), *(("groups", group) for group in groups)):
        # -1 leaves an identity as it is, that of root.
        if not 0 <= number <= _LAST_ID:
            raise ValueError(f"{name} of a process must be between 0 and {_LAST_ID}, not {number}")
    if kernel.closed:
        raise KernelClosed("cannot start a process: the kernel is closed")
    wanted = _namespaces(namespaces)
    flags = sum(_abi.NAMESPACES[name] for name in wanted) | _abi.CLONE_FILES * share_files
    own_network = "net" in wanted or parent is not None
    native = (parent or kernel)._process.spawn(namespaces=flags)
    process = Process(kernel, native, own_network=own_network, parent=parent or kernel)
    try:
        _settle(kernel, process, wanted)
        if "net" in wanted and (uid or gid or groups):
            process.socket  # noqa: B018 - its loopback device is set up while the process has the rights
        _become(process.os, uid, gid, groups)
        if cwd is not None:
            process.os.chdir(cwd)
        if umask is not None:
            process.os.umask(umask)
    except BaseException:
        process.close()
        raise
    return process


def _settle(kernel: Kernel, process: Process, wanted: frozenset[str]) -> None:
    """Make the new namespaces usable."""
    if "user" in wanted:
        # By init: a process in a user namespace of its own may map no more than itself.
        for file in ("uid_map", "gid_map"):
            kernel._write(f"/proc/{process.pid}/{file}", _EVERY_ID)
    if "mnt" in wanted:
        process.syscall("mount", None, "/", None, _abi.MS_REC | _abi.MS_PRIVATE, None)
        if "pid" in wanted:
            process.syscall("mount", "proc", "/proc", "proc", 0, None)


def _become(system: Os, uid: int, gid: int, groups: Sequence[int]) -> None:
    """Give up root's credentials for these."""
    if uid or gid or groups:
        system.setgroups(groups)
        system.setresgid(gid, gid, gid)
        system.setresuid(uid, uid, uid)
        # Else the files under /proc of all that share this memory would become root's.
        system._call("prctl", _abi.PR_SET_DUMPABLE, 1, 0, 0, 0)


def _namespaces(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError('namespaces is a sequence of names, as ("net", "mnt")')
    wanted = frozenset(_OTHER_NAMES.get(name, name) for name in names)
    unknown = wanted - _abi.NAMESPACES.keys()
    if unknown:
        known = ", ".join(sorted(_abi.NAMESPACES))
        raise ValueError(f"unknown namespaces {', '.join(sorted(unknown))}; there are {known}")
    return wanted


def _end(native: _native.Process, parent: Actor) -> None:
    """End a process and reap it. exit() comes back before the last of its tasks is gone, so this waits."""
    pid = native.pid
    native.exit()
    parent.os.call("wait4", pid, None, _abi.WALL, None)
