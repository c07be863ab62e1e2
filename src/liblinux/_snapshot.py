"""Snapshots: one kernel put back to an earlier instant, in place; and copies of it by fork.

What a snapshot holds: the kernel's memory, and with it its processes, open files,
mounts, page cache, clocks, timers and random state; the content of overlays; and
on Python's side which disks and processes there were.

What it does not hold: anything of the host. Image files and what else is behind a
disk (so every disk must be read-only or an overlay), Python objects that serve
disks, data in the buffers of file objects, the host's clock (with clock="real" the
kernel finds that time has passed), and the log that has been read already.
"""

from __future__ import annotations

import os

from liblinux._errors import KernelClosed
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux import _native
    from liblinux._disk import Disk
    from liblinux._kernel import Kernel
    from liblinux._process import Process

__all__ = ["Snapshot", "fork", "restore", "take"]


class Snapshot:
    """A kernel at an instant; made by :meth:`Kernel.snapshot`, used by :meth:`Kernel.restore`.

    `memory` is what it takes, in bytes. It goes when nothing refers to it.
    """

    def __init__(self, kernel: Kernel, native: _native.Snapshot) -> None:
        self._native = native
        self._disks: tuple[Disk, ...] = kernel.disks
        self._processes: frozenset[Process] = frozenset(kernel._processes)
        self._actors = [(actor, actor.os._files, actor._all_views()) for actor in (kernel, *kernel._processes)]
        self._sockets = [(actor, actor._socket) for actor in (kernel, *kernel._processes)]

    def __repr__(self) -> str:
        return f"<liblinux.Snapshot of {self.memory} bytes>"

    @property
    def memory(self) -> int:
        """Memory that it takes, in bytes."""
        return self._native.bytes


def take(kernel: Kernel) -> Snapshot:
    """See :meth:`Kernel.snapshot`."""
    for actor in (kernel, *kernel._processes):
        actor._flush_files()
    return Snapshot(kernel, kernel._native.snapshot())


def restore(kernel: Kernel, snapshot: Snapshot) -> None:
    """See :meth:`Kernel.restore`."""
    if not isinstance(snapshot, Snapshot):
        raise TypeError(f"restore() takes what snapshot() returned, not {type(snapshot).__name__}")
    # Their pages are about to be those of somebody else.
    views = {view for _, _, then in snapshot._actors for view in then}
    now = {view for actor in (kernel, *kernel._processes) for view in actor._all_views()}
    if newer := now - views:
        raise BufferError(
            f"{len(newer)} mappings of the kernel's memory were made since the snapshot; close them, and release "
            "their memoryviews, before it is put back"
        )
    kernel._log.pump()
    kernel._native.restore(snapshot._native)
    for disk in set(kernel._disks) - set(snapshot._disks):
        disk._forget()
    for process in kernel._processes - snapshot._processes:
        process._forget()
    kernel._disks[:] = snapshot._disks
    kernel._processes.intersection_update(snapshot._processes)
    for actor, files, _ in snapshot._actors:
        actor._lose_files(files)
    for actor, module in snapshot._sockets:
        actor._put_back_sockets(module)


def fork(kernel: Kernel) -> int:
    """See :meth:`Kernel.fork`."""
    if kernel.closed:
        raise KernelClosed("cannot fork: the kernel is closed")
    import threading  # noqa: PLC0415 - not everybody forks

    if threading.active_count() > 1:
        names = ", ".join(thread.name for thread in threading.enumerate() if thread is not threading.current_thread())
        raise RuntimeError(
            f"cannot fork while other threads run ({names}): they would not be in the child; end them first"
        )
    for actor in (kernel, *kernel._processes):
        actor._flush_files()
    return os.fork()
