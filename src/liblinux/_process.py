"""Processes of a kernel, besides init: with credentials, files and namespaces of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from liblinux import _abi
from liblinux._actor import Actor
from liblinux._errors import KernelClosed

if TYPE_CHECKING:
    from liblinux import _native
    from liblinux._kernel import Kernel
    from liblinux._os import Os

__all__ = ["Process", "start"]

_OTHER_NAMES = {"mount": "mnt", "network": "net"}
_EVERY_ID = b"0 0 4294967295\n"


class Process(Actor):
    """A process of a kernel; made by :meth:`Kernel.process`, ended by :meth:`close`."""

    def __init__(self, kernel: Kernel, native: _native.Process) -> None:
        super().__init__(kernel._native, native, kernel.syscalls)
        self._kernel = kernel
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
        """Flush its files and end it; descriptors and namespaces go with it. Twice does nothing."""
        if self.closed:
            return
        try:
            self._close_files()
        finally:
            _end(self._kernel, self._process)
            self.os._ended = True
            self._kernel._processes.discard(self)


def start(
    kernel: Kernel,
    *,
    uid: int,
    gid: int,
    groups: Sequence[int],
    namespaces: Iterable[str],
    cwd: str | None,
    umask: int | None,
) -> Process:
    """Make a process; see :meth:`Kernel.process`."""
    if kernel.closed:
        raise KernelClosed("cannot start a process: the kernel is closed")
    wanted = _namespaces(namespaces)
    if not wanted and not (uid or gid or groups) and cwd is None and umask is None:
        return Process(kernel, kernel._process.spawn(process=True))
    # What is set up is a parent, whose child then has inherited all of it with
    # all of its tasks: credentials and namespaces belong to a task, and the
    # host side keeps one ready for the next thread. It is the way into a pid
    # namespace as well, which the caller of unshare(2) itself never enters.
    parent = kernel._process.spawn(process=True)
    try:
        _separate(kernel, parent, wanted)
        system = Process(kernel, parent).os
        if cwd is not None:
            system.chdir(cwd)
        if umask is not None:
            system.umask(umask)
        if "pid" in wanted:
            return _first_process(kernel, parent, uid, gid, groups, own_proc="mnt" in wanted)
        _become(system, uid, gid, groups)
        return Process(kernel, parent.spawn(process=True))
    finally:
        _end(kernel, parent)


def _first_process(
    kernel: Kernel, parent: _native.Process, uid: int, gid: int, groups: Sequence[int], *, own_proc: bool
) -> Process:
    """Process 1 of a new pid namespace; only in it can its /proc be mounted, and only with root's rights.

    So its credentials are set afterwards, and the one task that is ready for a
    second thread keeps those of root: a limit, listed in the README.
    """
    process = Process(kernel, parent.spawn(process=True))
    try:
        if own_proc:
            process.syscall("mount", "proc", "/proc", "proc", 0, None)
        _become(process.os, uid, gid, groups)
    except BaseException:
        process.close()
        raise
    return process


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


def _separate(kernel: Kernel, native: _native.Process, wanted: frozenset[str]) -> None:
    """Give a process that is being set up its namespaces."""
    if not wanted:
        return
    numbers = kernel.syscalls
    native.syscall(numbers["unshare"], sum(_abi.NAMESPACES[name] for name in wanted))
    if "user" in wanted:
        # By init: a process that has left its user namespace may map no more than itself.
        for file in ("uid_map", "gid_map"):
            kernel._write(f"/proc/{native.pid}/{file}", _EVERY_ID)
    if "mnt" in wanted:
        native.syscall(numbers["mount"], None, b"/", None, _abi.MS_REC | _abi.MS_PRIVATE, None)


def _end(kernel: Kernel, native: _native.Process) -> None:
    pid = native.pid
    native.exit()
    kernel.os.call("wait4", pid, None, _abi.WNOHANG | _abi.WALL, None)
