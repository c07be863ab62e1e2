"""asyncio's selector loop over a kernel."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NoReturn

from liblinux.asyncio._current import acting
from liblinux.asyncio._selector import KernelSelector

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from liblinux._kernel import Kernel
    from liblinux.running import Turns

__all__ = ["EventLoop"]

_SECOND_NS = 1e9


class Task(asyncio.Task[Any]):
    """One whose place in a set does not depend on where in memory it is, and that knows its host."""

    __slots__ = ("_hash", "host")
    _numbers = itertools.count(1)

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            # Asyncio puts it into a set when it is made.
            self.host = acting.get()
            self._hash: int = next(self._numbers)
            return self._hash


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop whose time, selector and sockets are those of a kernel.

    All of asyncio is asyncio's own: transports, streams, TLS, timers. Tasks act as
    the host that `current_host()` tells. There are no signals and no child
    processes: `add_signal_handler` raises NotImplementedError, as on Windows.
    """

    if TYPE_CHECKING:  # of asyncio's selector loop, which typeshed does not tell
        _read_from_self: Callable[[], None]
        _add_reader: Callable[..., object]
        _check_closed: Callable[[], None]
        _ready: Any
        _task_factory: Any
        _selector: KernelSelector

    def __init__(self, kernel: Kernel, turns: Turns | None = None, selector: KernelSelector | None = None) -> None:
        self._kernel = kernel
        self._now = kernel._native.now
        self._turns = turns
        self._skews: Any = () if turns is None else turns.clock.skews
        selector = selector or KernelSelector(kernel)
        if turns is not None:
            selector.take_turns(turns, self._who)
        super().__init__(selector)
        self._clock_resolution = 1e-9
        if turns is not None:
            # A call less: it is read several times in every round. As long as all clocks are right.
            self.time = turns.clock.monotonic  # type: ignore[method-assign]
            turns.clock.skews.watch(self)

    def time(self) -> float:
        """The kernel's monotonic clock, in seconds; that of the acting host, if it goes wrong."""
        if self._skews and (skew := self._skews.here()) is not None:
            shown: float = skew.monotonic(self._now()) / _SECOND_NS
            return shown
        return self._now() / _SECOND_NS

    def clock_went_wrong(self) -> None:
        """From now on the acting host's clock is looked for: time() again."""
        self.__dict__.pop("time", None)

    def create_task(  # type: ignore[override]  # typeshed has the coroutine's type in it
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        """As of asyncio; its tasks are a :class:`Task`, unless a factory has been set."""
        if self._task_factory is not None:
            return super().create_task(coro, name=name, context=context, **options)
        self._check_closed()
        return Task(coro, loop=self, name=name, context=context, **options)

    def call_at(  # type: ignore[override]  # typeshed ties the arguments to the callback
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As of asyncio, by the clock of the acting host."""
        if self._skews and (skew := self._skews.here()) is not None:
            when = skew.true(int(when * _SECOND_NS)) / _SECOND_NS
        return super().call_at(when, callback, *args, context=context)

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As of asyncio."""
        if self._skews:
            return self.call_at(self.time() + delay, callback, *args, context=context)
        # Not by way of time(): who sets a timer does not poll the clock.
        return self.call_at(self._now() / _SECOND_NS + delay, callback, *args, context=context)

    def _who(self) -> str:
        """What goes round and round."""
        from liblinux.running._stuck import of_task  # noqa: PLC0415 - it imports this module

        called = [handle._callback for handle in self._ready]
        owners = [getattr(callback, "__self__", callback) for callback in called]
        return "\n".join(of_task(owner) if isinstance(owner, Task) else repr(owner) for owner in owners)

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

    def _write_to_self(self) -> None:
        if self._turns is None or not self._turns.interrupt():
            super()._write_to_self()  # type: ignore[misc]  # of asyncio's selector loop

    def run_in_executor(  # type: ignore[override]  # as above
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """In a thread that acts as the same host as the caller."""
        return super().run_in_executor(executor, copy_context().run, func, *args)

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """Addresses as the acting host sees them; name servers are asked by a thread of the executor."""
        names = self._names()
        if self._turns is not None and names._must_ask(host):
            asked: list[Any] = await self.run_in_executor(
                None, names.getaddrinfo, host, port, family, type, proto, flags
            )
            return asked
        found: list[Any] = names.getaddrinfo(host, port, family, type, proto, flags)
        return found

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Names of an address, as the acting host sees them."""
        names = self._names()
        if self._turns is not None and not flags & socket.NI_NUMERICHOST:
            asked: tuple[str, str] = await self.run_in_executor(None, names.getnameinfo, sockaddr, flags)
            return asked
        found: tuple[str, str] = names.getnameinfo(sockaddr, flags)
        return found

    def _names(self) -> Any:
        return (acting.get() or self._kernel).socket
