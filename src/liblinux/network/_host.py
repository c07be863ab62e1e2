"""Hosts: network namespaces of the network's kernel, each with a process of its own when it acts."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, MutableMapping, Sequence
from contextvars import copy_context
from typing import TypeVar

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.network import _rtnetlink as rtnetlink

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    from pyroute2 import IPRoute

    from liblinux._kernel import Kernel
    from liblinux._os import Os
    from liblinux._process import Process
    from liblinux._sockets.module import SocketModule
    from liblinux._sockets.select import SelectModule
    from liblinux._sysctl import Sysctl
    from liblinux.network._network import Network
    from liblinux.network._ping import Ping
    from liblinux.network._topology import Interface, Node
    from liblinux.network.faults._life import How

__all__ = ["BRIDGE", "Host"]

_T = TypeVar("_T")
BRIDGE = ("br0", 2)  # a switch's own interface, and its index
_LOOPBACK = 1


class Host:
    """A host, router or switch of a :class:`Network`; made by its `host`, `router` and `switch`.

    It has what a process has, in a network namespace and with a host name of its
    own: `os`, `open`, `syscall`, `socket`, `sysctl`; and `ip`, a pyroute2 object.
    Attributes: `name`; `network`; `interfaces`, by name what the network knows of
    them.
    """

    def __init__(self, network: Network, node: Node, version: str | None = None) -> None:
        self.network = network
        self.name = node.name
        self._node = node
        self._version = version  # of its kernel; None: the one of the network
        self._namespace = -1  # the descriptor that keeps it; none before it is up
        self._process: Process | None = None
        self._ip: Any = None
        self._netlinks: list[tuple[Any, Any]] = []

    def __repr__(self) -> str:
        return f"<liblinux.Host {self.name}>"

    @property
    def process(self) -> Process:
        """The process that acts as the host, made when it is first looked at; the network comes up before."""
        self.network.up()
        return self._acting()

    def _acting(self) -> Process:
        process = self._process
        # A kernel that was put back has forgotten it perhaps.
        if process is None or (process.closed and self.network.kernel_is_alive):
            process = self.network._wiring.namespaces.start_process(self)
        return process

    @property
    def kernel(self) -> Kernel:
        """The kernel that it is in."""
        return self.network._kernels.of(self._version)

    @property
    def os(self) -> Os:
        """The functions of `os`, on this host."""
        return self.process.os

    @property
    def syscall(self) -> Callable[..., int]:
        """Any system call, on this host."""
        return self.process.syscall

    @property
    def sysctl(self) -> Sysctl:
        """The settings under /proc/sys, of this host where they are a host's own."""
        return self.process.sysctl

    @property
    def socket(self) -> SocketModule:
        """The `socket`-shaped namespace of this host; names of the network's hosts resolve."""
        module = self.process.socket
        if not isinstance(module.hosts, _Names):
            module.hosts = _Names(self)
        return module

    @property
    def select(self) -> SelectModule:
        """The `select`-shaped namespace of this host."""
        return self.process.select

    @property
    def ip(self) -> IPRoute:
        """A pyroute2 `IPRoute` of this host: links, addresses, routes, rules, queueing disciplines, as of ip(8)."""
        if self._ip is None:
            import pyroute2  # noqa: PLC0415 - slow, and many networks do without

            self._ip = self.netlink(pyroute2.IPRoute, socket.NETLINK_ROUTE)
        return self._ip

    def netlink(self, kind: type[_T], family: int, **options: Any) -> _T:
        """Any of pyroute2's netlink classes on this host: netlink(pyroute2.WireGuard, NETLINK_GENERIC).

        It is closed with the network.
        """
        from liblinux.network._netlink import open_netlink  # noqa: PLC0415 - imports asyncio

        opened, loop = open_netlink(self, kind, family, **options)
        self._netlinks.append((opened, loop))
        result: _T = opened
        return result

    def scapy(self, interface: str | None = None) -> Any:
        """A socket of scapy on one of its interfaces, or, without one, for IP packets by its routes.

        It sends and receives packets of scapy's classes and has scapy's methods:
        `send`, `recv`, `sniff`, `sr`, `sr1`; `timeout=` is in seconds of the kernel's
        clock. `with` or `close()` ends it. Raises ImportError without scapy
        (pip install liblinux[packets]), OSError for an interface that there is not.
        """
        try:
            from liblinux.network._scapy import FrameSocket, PacketSocket  # noqa: PLC0415 - slow, and an extra
        except ImportError as error:
            raise ImportError("host.scapy() needs scapy: pip install 'liblinux[packets]'") from error
        return PacketSocket(self) if interface is None else FrameSocket(self, interface)

    def ping(self, target: Host | str, **options: Any) -> Ping:
        """Send ICMP echo requests; see :meth:`Network.ping`."""
        return self.network.ping(self, target, **options)

    def create_task(self, coro: Coroutine[Any, Any, _T], *, name: str | None = None) -> asyncio.Task[_T]:
        """Start a task of asyncio that acts as this host, as does all that it starts.

        For coroutines under :meth:`Network.run`; RuntimeError outside.
        """
        import asyncio  # noqa: PLC0415 - slow, and many networks do without

        loop = asyncio.get_running_loop()
        return self._context().run(lambda: loop.create_task(coro, name=name or f"{self.name}:{_name(coro)}"))

    def run(self, main: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine as this host until it is done, and all hosts with it; returns its result."""
        return self.network.run(main, host=self)

    def run_blocking(self, function: Callable[..., _T], /, *arguments: Any, **named: Any) -> _T:
        """Call a function that blocks, as this host, while the threads of :meth:`thread` run; returns its result.

        Its sockets, clocks, locks and threads are the network's, as in
        :meth:`Network.run`. What it raises is raised. RuntimeError inside of a
        run: use asyncio.to_thread() there.
        """
        return self.network._runs.run_blocking(function, arguments, named, self)

    def thread(self, target: Callable[..., object], /, *arguments: Any, **named: Any) -> threading.Thread:
        """Start a thread that acts as this host; returns it.

        For programs that block: `requests`, `http.server`, `socketserver`. Of all
        threads of a network one runs at a time, until it waits; who is next is
        drawn from the seed, and time passes only when all wait. It goes on while
        the network runs (:meth:`Network.run`, :meth:`run_blocking`), and ends with
        SystemExit where it waits when the network is closed.
        """
        return self.network._runs.start_thread(target, arguments, named, self)

    # ---- faults --------------------------------------------------------------

    def program(self, function: Callable[..., Any], /, *arguments: Any) -> None:
        """Start a program of this host: a coroutine function as a task, any other as a thread.

        It starts now, or with the next run, and again whenever the host is
        restarted (:meth:`restart`), as what a machine does when it boots.
        """
        self.network._faults.life(self).add(function, arguments)

    @property
    def alive(self) -> bool:
        """Whether it was not killed, or is back."""
        return not self.network._faults.life(self).dead

    def kill(self, how: How = "power") -> None:
        """End all that runs as this host: its tasks are cancelled, its threads get SystemExit.

        "power": the machine is off; nothing leaves it from now on and nothing is
        heard, its connections are forgotten, and peers are not told. "reset": they
        get a reset for each connection. "process": as kill -9 does, the kernel
        closes all sockets. Files, addresses and routes stay. A host that is dead
        stays so. ValueError for another `how`.
        """
        from liblinux.network.faults._life import HOWS  # noqa: PLC0415 - imports asyncio

        if how not in HOWS:
            raise ValueError(f"a host is killed by one of {', '.join(HOWS)}, not {how!r}")
        self.network._faults.life(self).kill(how)

    def restart(self) -> None:
        """Bring it back, with the programs of :meth:`program`; one that lives is killed before."""
        self.network._faults.life(self).restart()

    def pause(self, *, silent: bool = False) -> None:
        """Let its tasks and threads stand still, as by SIGSTOP or a long garbage collection, until :meth:`resume`.

        Its kernel goes on: it takes and acknowledges data, and opens connections.
        With `silent` it hears and says nothing either, as a virtual machine that is
        paused. At the end of a run hosts are resumed.
        """
        self.network._faults.life(self).pause(silent=silent)

    def resume(self) -> None:
        """Let it go on; timers that have ended meanwhile are due."""
        self.network._faults.life(self).resume()

    def step_clock(self, seconds: float) -> None:
        """Set its date so much later, or earlier: of time.time() in its tasks and threads; monotonic clocks go on."""
        skews = self.network._runs.run.turns.clock.skews
        from liblinux.running._skew import HostClock  # noqa: PLC0415 - as above

        skews[self] = skews.get(self, HostClock()).stepped(round(seconds * 1e9))

    def skew_clock(self, rate: float) -> None:
        """Let its clocks go `rate` times as fast from now on (1.0 is right), and its timers, which are of Python.

        `time`, asyncio.sleep(), loop.time() in its tasks and threads. Timers that run
        already keep their end. Timeouts inside of the kernel go by the true clock.
        ValueError for a rate that is not above 0.
        """
        if not 0 < rate < float("inf"):
            raise ValueError(f"a clock cannot go {rate} times as fast: it goes forward")
        from liblinux.running._skew import HostClock  # noqa: PLC0415 - as above

        skews = self.network._runs.run.turns.clock.skews
        skews[self] = skews.get(self, HostClock()).at_rate(self.network.kernel.now(), rate)

    # ---- coming up -----------------------------------------------------------

    def _prepare(self) -> None:
        """The process is there, and nothing else."""

    def _first_messages(self) -> list[bytes]:
        """What it starts with: its loopback, and a switch its bridge."""
        messages = [rtnetlink.put_up(_LOOPBACK)]
        if self._node.switches:
            name, index = BRIDGE
            mac = b"\x02\x01" + self._node.number.to_bytes(4, "big")
            messages += [rtnetlink.new_bridge(index, name, mac), rtnetlink.put_up(index)]
        return messages

    def _up_messages(self, end: Interface) -> list[bytes]:
        """What brings an interface up."""
        master = BRIDGE[1] if self._node.switches else 0
        # The addresses first: with one of its own an interface need not find out about itself.
        return [
            *(rtnetlink.new_address(end.index, address) for address in end.addresses()),
            rtnetlink.put_up(end.index, master),
        ]

    def _close_netlinks(self, keep: Sequence[Any] = ()) -> None:
        closing = [pair for pair in self._netlinks if pair not in keep]
        if not closing:
            return
        import asyncio  # noqa: PLC0415 - slow, and many networks do without

        self._netlinks, self._ip = list(keep), None
        for opened, loop in closing:
            opened.close()
            # pyroute2 leaves the loop alone, or closes it after errors; transports want one more round.
            if not loop.is_closed():
                loop.run_until_complete(asyncio.sleep(0))
                loop.close()

    @contextlib.contextmanager
    def acts(self) -> Iterator[None]:
        """What is started during a `with` statement acts as this host: tasks of trio, threads."""
        from liblinux.asyncio._current import acting  # noqa: PLC0415 - imports asyncio

        token = acting.set(self)
        try:
            yield
        finally:
            acting.reset(token)

    def _context(self) -> Context:
        """A context in which everything acts as this host."""
        from liblinux.asyncio._current import acting  # noqa: PLC0415 - imports asyncio

        context = copy_context()
        context.run(acting.set, self)
        return context

    def open(self, *arguments: Any, **options: Any) -> Any:
        """Open a file; see :meth:`Kernel.open`. All hosts of a kernel have the same files."""
        return self.process.open(*arguments, **options)

    @property
    def interfaces(self) -> dict[str, Interface]:
        """Its interfaces by name, in the order of its links."""
        self.network._wiring.assign()
        return {interface.name: interface for interface in self._node.interfaces}

    @property
    def address(self) -> str:
        """Its first IPv4 address, as text; of IPv6 when it has no other."""
        return self.network.resolve(self.name)[0]


class _Names(MutableMapping[str, "str | Sequence[str]"]):
    """The names that a host knows: those given to it, and those of all hosts of its network."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._given: dict[str, str | Sequence[str]] = {}

    def __getitem__(self, name: str) -> str | Sequence[str]:
        if name in self._given:
            return self._given[name]
        return self._host.network.resolve(name, near=self._host)

    def __setitem__(self, name: str, addresses: str | Sequence[str]) -> None:
        self._given[name] = addresses

    def __delitem__(self, name: str) -> None:
        del self._given[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._given
        for name, host in self._host.network.hosts.items():
            if name not in self._given and not host._node.switches:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _name(coro: Any) -> str:
    return getattr(coro, "__qualname__", type(coro).__name__)
