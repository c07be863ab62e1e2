"""The Linux kernel as a library: a real one, inside this Python process.

The layers, from the program down to Linux::

    your program
      liblinux.Kernel, Process      this package: os-, io- and logging-shaped
      liblinux._native              a thin C extension; releases the GIL
      kernel/host                   loader, clocks, block devices, fault handler
      ═══ the host boundary ═══     one header, versioned
      kernel/arch/lib               the architecture port, added to
      Linux                         Debian's source, not one byte edited

A session::

    import liblinux

    with liblinux.Kernel() as kernel:
        disk = kernel.attach("disk.img")
        kernel.mount(disk, "/mnt")
        print(kernel.os.listdir("/mnt"))
        with kernel.open("/mnt/etc/hostname") as file:
            print(file.read())

Errors of the kernel are :class:`OSError` with its errno; what has no errno is
under :class:`LiblinuxError`.
"""

from __future__ import annotations

import importlib

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux._disk import Disk as Disk
    from liblinux._disk import Partition as Partition
    from liblinux._dmesg import Record as Record
    from liblinux._errors import BuildError as BuildError
    from liblinux._errors import BusyWait as BusyWait
    from liblinux._errors import Deadlock as Deadlock
    from liblinux._errors import FormatError as FormatError
    from liblinux._errors import HostAccess as HostAccess
    from liblinux._errors import KernelClosed as KernelClosed
    from liblinux._errors import KernelDied as KernelDied
    from liblinux._errors import KernelPanic as KernelPanic
    from liblinux._errors import LiblinuxError as LiblinuxError
    from liblinux._errors import MountError as MountError
    from liblinux._errors import VolumeError as VolumeError
    from liblinux._errors import Waiter as Waiter
    from liblinux._faults import Faults as Faults
    from liblinux._faults import Injection as Injection
    from liblinux._image import ImageFileSystem as ImageFileSystem
    from liblinux._image import open_image as open_image
    from liblinux._inject import HostFaults as HostFaults
    from liblinux._inject import Injected as Injected
    from liblinux._kernel import Kernel as Kernel
    from liblinux._library import images as images
    from liblinux._mmap import Mapping as Mapping
    from liblinux._mount import Mount as Mount
    from liblinux._process import Process as Process
    from liblinux._snapshot import Snapshot as Snapshot
    from liblinux._sockets.sock import Socket as Socket
    from liblinux._symbols import Frame as Frame
    from liblinux.copying import CopyFailed as CopyFailed
    from liblinux.copying import CopyProblem as CopyProblem
    from liblinux.copying import CopyProgress as CopyProgress
    from liblinux.copying import CopyReport as CopyReport
    from liblinux.copying import Difference as Difference
    from liblinux.copying import Extracted as Extracted
    from liblinux.copying import ExtractLimits as ExtractLimits
    from liblinux.copying import ExtractRefused as ExtractRefused
    from liblinux.copying import Loss as Loss
    from liblinux.copying import compare_trees as compare_trees
    from liblinux.copying import copy_tree as copy_tree
    from liblinux.copying import extract as extract
    from liblinux.making._make import make_image as make_image
    from liblinux.network import Host as Host
    from liblinux.network import Link as Link
    from liblinux.network import Network as Network

__all__ = [
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
]

__version__ = "0.1.0"

# Loaded when first asked for: the builder, which makes the extension and the
# kernel, runs before either exists, and the command line starts without them.
_HOMES = {
    "BuildError": "_errors",
    "CopyFailed": "copying",
    "CopyProblem": "copying",
    "CopyProgress": "copying",
    "CopyReport": "copying",
    "BusyWait": "_errors",
    "Deadlock": "_errors",
    "Difference": "copying",
    "Disk": "_disk",
    "ExtractLimits": "copying",
    "ExtractRefused": "copying",
    "Extracted": "copying",
    "Faults": "_faults",
    "FormatError": "_errors",
    "Frame": "_symbols",
    "HostAccess": "_errors",
    "HostFaults": "_inject",
    "ImageFileSystem": "_image",
    "Injected": "_inject",
    "Host": "network",
    "Injection": "_faults",
    "Kernel": "_kernel",
    "KernelClosed": "_errors",
    "KernelDied": "_errors",
    "KernelPanic": "_errors",
    "LiblinuxError": "_errors",
    "Link": "network",
    "Loss": "copying",
    "Mapping": "_mmap",
    "Mount": "_mount",
    "MountError": "_errors",
    "Network": "network",
    "Partition": "_disk",
    "Process": "_process",
    "Record": "_dmesg",
    "Snapshot": "_snapshot",
    "Socket": "_sockets.sock",
    "VolumeError": "_errors",
    "Waiter": "_errors",
    "compare_trees": "copying",
    "copy_tree": "copying",
    "extract": "copying",
    "images": "_library",
    "make_image": "making._make",
    "open_image": "_image",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"liblinux.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
