"""Which host a task, and all that it starts, runs as."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from liblinux._sockets.module import SocketModule

__all__ = ["Acting", "acting", "current_host"]


class Acting(Protocol):
    """A host of a network, a kernel, or a process of one."""

    @property
    def socket(self) -> SocketModule:
        """What takes the place of the standard library's `socket`."""


# Inherited by tasks and callbacks, as contexts are.
acting: ContextVar[Acting | None] = ContextVar("liblinux.acting", default=None)


def current_host() -> Acting | None:
    """The host that the running task acts as; None for one of the machine itself."""
    return acting.get()
