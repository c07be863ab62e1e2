"""What tests of isolated kernels look at: the processes behind them."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path


def cells() -> set[int]:
    """The processes of isolated kernels that are children of this one, zombies included."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if re.search(rf"^PPid:\t{os.getpid()}$", text, re.MULTILINE) and text.startswith("Name:\t_jail"):
            found.add(int(status.parent.name))
    return found


def only_cell() -> int:
    (cell,) = cells()
    return cell


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def in_thread(function: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    """Run it in a thread; what it raised is in the list when the thread has ended."""
    raised: list[BaseException] = []

    def target() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            raised.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    return thread, raised
