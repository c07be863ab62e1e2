"""What becomes of each system call: made in the kernel with copies of the program's memory, or passed on."""

from __future__ import annotations

from collections.abc import Callable

from unmodified import controls, entries, options, programs, sockets, spaces, transfers, waiting
from unmodified.call import Call

_HANDLERS: dict[str, Callable[[Call], int]] = {
    **transfers.HANDLERS,
    **sockets.HANDLERS,
    **options.HANDLERS,
    **controls.HANDLERS,
    **entries.HANDLERS,
    **spaces.HANDLERS,
    **programs.HANDLERS,
    **waiting.HANDLERS,
}


def make(call: Call) -> int:
    """Make it; returns its result or -errno, raises Passed, Gone or OSError."""
    files = call.server.files
    if files.set_aside:
        files.put_back(call.listener, call.notification, call.pid)
    return _HANDLERS[call.name](call)
