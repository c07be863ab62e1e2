"""First in PYTHONPATH, it records all networks and kernels with a virtual clock of every process of Python.

Into the directory LIBLINUX_RECORD: what crosses the links of each network
(`*.pcapng`), and of each kernel when it is closed its log and its clock (`*.log`).
Nothing of it shows in what is recorded: names of files are those of processes.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

_DIRECTORY = os.environ.get("LIBLINUX_RECORD", "")
_numbers = itertools.count()


def _path(suffix: str) -> Path:
    return Path(_DIRECTORY) / f"{os.getpid()}-{next(_numbers)}{suffix}"


def _record_networks() -> None:
    from liblinux import Network

    initialise = Network.__init__

    def made(net: Any, *arguments: Any, **options: Any) -> None:
        initialise(net, *arguments, **options)
        begun: list[Any] = []

        def begin() -> None:
            if not begun and net.links:
                begun.append(net._capturing().start(_path(".pcapng"), None, survives=True))

        if net._kernels.options["clock"] == "virtual":
            net._when_up.append(begin)

    Network.__init__ = made  # type: ignore[assignment]  # that is what is done here, and below


def _record_kernels() -> None:
    from liblinux import Kernel

    close = Kernel.close

    def closed(kernel: Any) -> None:
        if kernel.clock == "virtual" and not kernel.closed:
            lines = [str(record) for record in kernel.dmesg()]
            _path(".log").write_text("\n".join([kernel.release, str(kernel.now()), *lines]))
        close(kernel)

    Kernel.close = closed  # type: ignore[assignment, method-assign]


if _DIRECTORY:
    try:
        _record_networks()
        _record_kernels()
    except ModuleNotFoundError as error:  # a Python without the library: of a tool
        if error.name != "liblinux":
            raise
