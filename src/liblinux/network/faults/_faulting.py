"""The faults of one network: what is to happen when, and what has been done to it."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
import threading
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from liblinux.network.faults._filters import Filters
from liblinux.network.faults._life import Life
from liblinux.network.faults._partition import Partition
from liblinux.network.faults._silence import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from liblinux.asyncio._loop import EventLoop
    from liblinux.network._host import Host
    from liblinux.network._network import Network
    from liblinux.network._topology import Interface
    from liblinux.network.faults._intercept import Detour
    from liblinux.running import Turns
    from liblinux.running._turns import Strand

__all__ = ["Faulting"]

_T = TypeVar("_T")
_SECOND_NS = 10**9
_SLACK_NS = 1000  # seconds of the event loop are floats


class Faulting:
    """Made for each network when it runs, or when a fault is asked for."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.loop: EventLoop | None = None
        self.filters = Filters()
        self.partition = Partition(self.filters)
        self.silence = Silence(self.filters)
        self.detours: dict[Interface, Detour] = {}
        self.droppings = itertools.count()
        self.played: list[Any] = []  # the schedules, as they were bound to the network
        self._lives: dict[Host, Life] = {}
        self._pending: list[tuple[int, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._main: asyncio.Task[Any] | None = None
        self._failure: BaseException | None = None
        self._turns: Turns | None = None  # of a run without a loop
        self._watcher: Strand | None = None

    def life(self, host: Host) -> Life:
        """What has befallen a host."""
        life = self._lives.get(host)
        if life is None:
            life = self._lives[host] = Life(self, host)
        return life

    # ---- what is to happen ---------------------------------------------------------

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """See :meth:`Network.at`."""
        when = round(seconds * _SECOND_NS)
        now = self.network.kernel.now() if self.network.kernel_is_alive else 0
        if when < 0 or (when < now and (self.loop is not None or self._turns is not None)):
            raise ValueError(f"{seconds} s is in the past: the network's clock is at {now / _SECOND_NS:.6f} s")
        bisect.insort(self._pending, (when, next(self._numbers), action))
        if self.loop is not None:
            self._arm()
        self.nudge()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.loop is not None and self._pending:
            # As nobody: no host's clock and no host's pause has to do with it.
            seconds = self._pending[0][0] / _SECOND_NS
            self._timer = Context().run(self.loop.call_at, seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        try:
            self.do_due()
        except BaseException as failure:  # noqa: BLE001 - of a fault; raised by the run
            self.fail(failure)
        self._arm()

    def fail(self, failure: BaseException) -> None:
        """Let the run end with an exception."""
        self._failure = failure
        assert self._main is not None, "it is a loop that calls this"
        self._main.cancel()

    def do_due(self) -> int | None:
        """Do what is due by now; returns when the next is, in nanoseconds, None when there is none."""
        while self._pending and self._pending[0][0] <= self.network.kernel.now() + _SLACK_NS:
            _, _, action = self._pending.pop(0)
            action()
        return self._pending[0][0] if self._pending else None

    # ---- during a run --------------------------------------------------------------

    async def around(self, main: Coroutine[Any, Any, _T]) -> _T:
        """The main coroutine of a run, with faults on its way."""
        loop: Any = asyncio.get_running_loop()
        self.loop, self._main = loop, asyncio.current_task()
        self._failure = None
        try:
            self.begin()
            return await main
        except asyncio.CancelledError:
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            main.close()
            self.end()

    def begin(self) -> None:
        """A loop runs from now on."""
        for life in list(self._lives.values()):
            Context().run(life.begin)
        for detour in self.detours.values():
            detour.listen()
        self._arm()

    def end(self) -> None:
        """It runs no more; who is paused goes on, for what would is gone."""
        for life in self._lives.values():
            if life.paused:
                life.resume()
        for detour in self.detours.values():
            detour.deafen()
        if self._timer is not None:
            self._timer.cancel()
        self.loop = self._main = self._timer = None

    @contextlib.contextmanager
    def beside(self, turns: Turns) -> Iterator[None]:
        """The same beside a function that blocks, by a thread that takes turns, if there is anything to do."""
        self._turns = turns
        try:
            self.nudge()
            yield
        finally:
            self._turns = None
            watcher, self._watcher = self._watcher, None
            if watcher is not None and not watcher.finished:
                turns.fail(watcher, SystemExit("the run is over"))
                turns.join(watcher)

    def nudge(self) -> None:
        """There is something new to wait for: in a run without a loop let its thread look."""
        if self._turns is None or not (self._pending or self.detours):
            return
        if self._watcher is not None and not self._watcher.finished:
            self._turns.wake(self._watcher)
            return
        Context().run(threading.Thread(target=self._watch, name="faults", daemon=True).start)
        self._watcher = self._turns.strands[-1]

    def _watch(self) -> None:
        turns = self._turns
        assert turns is not None, "nudge() starts this"
        try:
            while (following := self.do_due()) is not None or self.detours:
                turns.wait_files([(fd, 1) for fd in self._descriptors()], following, "the next fault")
                for detour in list(self.detours.values()):
                    detour.take()
        except Exception as failure:  # noqa: BLE001 - of a fault, or of somebody's function: where the run waits
            if turns.main is not None:
                turns.fail(turns.main, failure)

    def _descriptors(self) -> list[int]:
        return [detour.fd for detour in self.detours.values()]

    # ---- groups of hosts -------------------------------------------------------------

    def groups(self, given: Sequence[Host | str | Iterable[Host | str]]) -> list[list[Host]]:
        """The hosts of each group; one alone, or hosts one by one, are a group against all others."""
        find = self.network._find
        if all(not isinstance(one, str) and hasattr(one, "__iter__") for one in given) and len(given) > 1:
            groups = [[find(name) for name in one] for one in given]  # type: ignore[union-attr]  # they can be iterated
        else:
            flat = [find(name) for name in _flatten(given)]
            groups = [flat, [host for host in self.ends() if host not in flat]]
        seen: set[Host] = set()
        for host in (host for group in groups for host in group):
            if host in seen:
                raise ValueError(f"host {host.name} is in two groups of a partition, or twice in one")
            seen.add(host)
        return groups

    def ends(self) -> list[Host]:
        """All hosts that are no routers and no switches."""
        return [host for host in self.network._hosts.values() if not (host._node.forwards or host._node.switches)]

    # ---- snapshots -------------------------------------------------------------------

    def state(self) -> tuple[Any, ...]:
        """What :meth:`restore` takes; RuntimeError while Python has a part in it."""
        if self.detours:
            raise RuntimeError("a snapshot cannot be taken while frames are intercepted; close that first")
        if any(life.dead or life.paused or life.programs for life in self._lives.values()) or self._pending:
            raise RuntimeError(
                "a snapshot cannot be taken with faults or programs of hosts under way; take it before them"
            )
        return self.filters.state(), self.partition.state(), self.silence.hosts

    def restore(self, state: tuple[Any, ...]) -> None:
        """Be again as then; the kernel is already."""
        self.filters.restore(state[0])
        self.partition.restore(state[1])
        self.silence.hosts = state[2]
        self.detours.clear()
        self._lives.clear()
        self._pending.clear()
        self.played.clear()


def _flatten(given: Iterable[Any]) -> Iterator[Any]:
    for one in given:
        if isinstance(one, str) or not hasattr(one, "__iter__"):
            yield one
        else:
            yield from one
