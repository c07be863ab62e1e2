"""asyncio's selector loop over a kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

from liblinux.asyncio._current import acting
from liblinux.asyncio._selector import KernelSelector

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._kernel import Kernel

__all__ = ["EventLoop"]

_SECOND_NS = 1e9


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop whose time, selector and sockets are those of a kernel.

    All of asyncio is asyncio's own: transports, streams, TLS, timers. Tasks act as
    the host that `current_host()` tells. There are no signals and no child
    processes: `add_signal_handler` raises NotImplementedError, as on Windows.
    """

    if TYPE_CHECKING:  # of asyncio's selector loop, which typeshed does not tell
        _read_from_self: Callable[[], None]
        _add_reader: Callable[..., object]

    def __init__(self, kernel: Kernel, selector: KernelSelector | None = None) -> None:
        self._kernel = kernel
        super().__init__(selector or KernelSelector(kernel))
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """The kernel's monotonic clock, in seconds."""
        return self._kernel.now() / _SECOND_NS

    def _make_self_pipe(self) -> None:
        # The one of another thread's call_soon_threadsafe(), in the kernel too: it is what the selector looks at.
        self._ssock, self._csock = self._kernel.socket.socketpair()
        self._ssock.setblocking(False)
        self._csock.setblocking(False)
        self._internal_fds = getattr(self, "_internal_fds", 0) + 1
        self._add_reader(self._ssock.fileno(), self._read_from_self)

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        """Not there: signals come to the host's descriptors. Use signal.signal()."""
        raise NotImplementedError("signals reach this program, not its kernel: use signal.signal()")

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """Addresses as the acting host sees them; names of the network need nobody to be asked."""
        found: list[Any] = self._names().getaddrinfo(host, port, family, type, proto, flags)
        return found

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Names of an address, as the acting host sees them."""
        found: tuple[str, str] = self._names().getnameinfo(sockaddr, flags)
        return found

    def _names(self) -> Any:
        return (acting.get() or self._kernel).socket
