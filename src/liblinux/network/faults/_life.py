"""Hosts that die, come back, stop for a while: what becomes of their programs and sockets.

    power      the machine is off: it says nothing any more, and forgets its connections.
               Its peers find out by their timeouts, or by a reset when it is back.
    reset      its programs are gone, and the kernel resets every connection.
    process    its programs are gone as by kill -9: the kernel ends connections as it
               always does, with FIN, or with a reset where data was not read.

Programs end by being cancelled (tasks) or by SystemExit (threads), which is all that
Python has: `finally` clauses run, but nothing that they send leaves a host whose
power is off, and they find their connections aborted.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal

from liblinux.asyncio._held import hold, release
from liblinux.network.faults._destroy import destroy_connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._sockets.sock import Socket
    from liblinux.network._host import Host
    from liblinux.network.faults._faulting import Faulting

__all__ = ["HOWS", "How", "Life"]

How = Literal["power", "reset", "process"]
HOWS: tuple[How, ...] = ("power", "reset", "process")
_ROUNDS = 100  # of the event loop that programs have to end
_log = logging.getLogger("liblinux.faults")


class Life:
    """Of one host: its `programs`, and whether it is `dead` or `paused`."""

    def __init__(self, faulting: Faulting, host: Host) -> None:
        self._faulting = faulting
        self._host = host
        self.programs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._unstarted: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._burial: asyncio.Task[None] | None = None
        self.dead = False
        self.paused = False

    # ---- programs ------------------------------------------------------------------

    def add(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """A program: started now, or with the next run, and again by :meth:`restart`."""
        self.programs.append((function, arguments))
        if not self.dead:
            self._start(function, arguments)

    def _start(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if not inspect.iscoroutinefunction(function):
            self._host.thread(function, *arguments)
        elif (loop := self._faulting.loop) is None:
            self._unstarted.append((function, arguments))
        else:
            context = self._host._context()
            context.run(lambda: loop.create_task(function(*arguments), name=f"{self._host.name}:{_name(function)}"))

    def begin(self) -> None:
        """A run has begun."""
        waiting, self._unstarted = self._unstarted, []
        for function, arguments in waiting:
            self._start(function, arguments)

    # ---- death -----------------------------------------------------------------------

    def kill(self, how: How) -> None:
        """See :meth:`Host.kill`."""
        if self.dead:
            return
        self.resume()
        self.dead = True
        self._unstarted.clear()
        host, loop = self._host, self._faulting.loop
        if how == "power":
            self._faulting.silence.set(host, silent=True)
        if how != "process":
            destroy_connections(host.process)
        turns = host.network._runs.run.turns
        for strand in [one for one in turns.strands if one.host is host]:
            turns.fail(strand, SystemExit(f"host {host.name} was killed"))
        # In the order of their numbers: that of the set depends on where they are in memory.
        sockets = sorted(host.process.socket._sockets, key=lambda sock: sock.fileno())
        if loop is None:
            _close(sockets)
            return
        self._forget(sockets)
        # A task's place in the set, and so the order, is its number.
        tasks = sorted((task for task in asyncio.all_tasks(loop) if _of(task) is host), key=hash)
        for task in tasks:
            task.cancel(f"host {host.name} was killed")
        self._burial = Context().run(loop.create_task, self._bury(tasks, sockets))

    def _forget(self, sockets: list[Socket]) -> None:
        """The loop shall not look at them any more; its transports end without sending what they hold."""
        loop: Any = self._faulting.loop
        for sock in sockets:
            fd = sock.fileno()
            if fd < 0:
                continue
            transport = loop._transports.get(fd)
            if transport is not None:
                transport.abort()
            else:
                loop._remove_reader(fd)
                loop._remove_writer(fd)

    async def _bury(self, tasks: list[asyncio.Task[Any]], sockets: list[Socket]) -> None:
        for _ in range(_ROUNDS):
            if all(task.done() for task in tasks):
                break
            await asyncio.sleep(0)
        for task in tasks:
            if not task.done():
                _log.warning("%s goes on although host %s was killed: it caught CancelledError", task, self._host.name)
        self._forget(sockets)
        _close(sockets)

    # ---- coming back -------------------------------------------------------------------

    def restart(self) -> None:
        """See :meth:`Host.restart`."""
        if not self.dead:
            self.kill("power")
        loop = self._faulting.loop
        if loop is None or self._burial is None or self._burial.done():
            self._rise()
        else:
            Context().run(loop.create_task, self._rise_after(self._burial))

    async def _rise_after(self, burial: asyncio.Task[None]) -> None:
        await burial
        self._rise()

    def _rise(self) -> None:
        if not self.dead:
            return
        self.dead = False
        self._faulting.silence.set(self._host, silent=False)
        for function, arguments in self.programs:
            self._start(function, arguments)

    # ---- standing still ----------------------------------------------------------------

    def pause(self, *, silent: bool) -> None:
        """See :meth:`Host.pause`."""
        if self.dead or self.paused:
            return
        self.paused = True
        self._host.network._runs.run.turns.hold(self._host)
        if self._faulting.loop is not None:
            hold(self._faulting.loop, self._host)
        if silent:
            self._faulting.silence.set(self._host, silent=True)

    def resume(self) -> None:
        """See :meth:`Host.resume`."""
        if not self.paused:
            return
        self.paused = False
        self._host.network._runs.run.turns.release(self._host)
        if self._faulting.loop is not None:
            release(self._faulting.loop, self._host)
        self._faulting.silence.set(self._host, silent=False)


def _of(task: asyncio.Task[Any]) -> Any:
    return getattr(task, "host", None)


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


def _close(sockets: list[Socket]) -> None:
    for sock in sockets:
        sock.close()
