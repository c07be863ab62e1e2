"""Networks: hosts of one kernel, and the cables between them."""

from __future__ import annotations

import ipaddress
import os
from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar

from liblinux._kernel import Kernel
from liblinux._typing import TYPE_CHECKING, Any, Literal
from liblinux.network import _units
from liblinux.network._declaring import check_cable, check_host_name, make_ends, parse_subnets
from liblinux.network._device import Device
from liblinux.network._host import Host
from liblinux.network._kernels import Kernels
from liblinux.network._link import Link, parse_lines
from liblinux.network._runs import Runs
from liblinux.network._topology import Node, Subnets
from liblinux.network._ways_out import WaysOut
from liblinux.network._wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from types import TracebackType
    from typing import Self

    from liblinux.asyncio._selector import KernelSelector
    from liblinux.network._capture import Capture, Captures
    from liblinux.network._iperf import Throughput
    from liblinux.network._ping import Ping
    from liblinux.network._state import NetworkSnapshot
    from liblinux.network.faults._draw import Draw
    from liblinux.network.faults._faulting import Faulting
    from liblinux.network.faults._schedule import Schedule
    from liblinux.observing import Recorder

__all__ = ["Network"]

_T = TypeVar("_T")
_BASE_4 = "10.0.0.0/8"
_BASE_6 = "fd00::/16"
_QUEUE_FRAMES = 100
_MTU = 1500


class Network:
    """Hosts, routers and switches of one kernel, joined by cables.

    What is declared with :meth:`host`, :meth:`router`, :meth:`switch` and
    :meth:`link` comes up as a whole when something of it is first used (or by
    :meth:`up`): then the kernel boots, addresses are assigned and routes set.
    More can be added afterwards.

    Arguments: `clock`, `seed`, `version`, `background` and `memory` as of :class:`Kernel`
    (`memory` None: what the number of hosts suggests); `subnets` that addresses
    are taken from, a /24 of it for each segment; `ipv6` what those of IPv6 are
    taken from, a /64 for each, or None for a network without; `internet=True` gives
    every host (but no router and no switch) a link of its own to :class:`Internet`.
    `strict`: what runs on the network and uses the machine's own sockets, names or
    time.sleep() in a coroutine by mistake gets HostAccess. `busy_wait`: a program
    that only reads the clock until it is late enough gets BusyWait ("error", as by
    default when strict), or time is moved on for it ("step").
    """

    def __init__(
        self,
        clock: Literal["real", "virtual"] = "real",
        seed: int | str | bytes | None = None,
        *,
        version: str | None = None,
        memory: int | str | None = None,
        subnets: str = _BASE_4,
        ipv6: str | None = _BASE_6,
        command_line: str = "",
        background: bool = False,
        internet: bool = False,
        strict: bool = False,
        busy_wait: Literal["step", "error"] | None = None,
    ) -> None:
        if busy_wait not in (None, "step", "error"):
            raise ValueError(f"busy_wait is 'step' or 'error', not {busy_wait!r}")
        if clock not in ("real", "virtual"):
            raise ValueError(f"clock is 'real' or 'virtual', not {clock!r}")
        base6 = parse_subnets(ipv6, IPv6Network) if ipv6 else None
        options = {"clock": clock, "seed": seed, "version": version, "background": background}
        self._seed = seed
        self._hosts: dict[str, Host] = {}
        self.links: list[Link] = []
        self._kernels = Kernels(options, memory, self._hosts, command_line, ipv6=bool(ipv6))
        self._wiring = Wiring(self, Subnets(parse_subnets(subnets, IPv4Network), base6))
        self._ways_out = WaysOut(self)
        self._runs = Runs(self, seed, strict=strict, busy_wait=busy_wait)
        self._internet = internet
        self._closed = False
        self._captures: Captures | None = None
        self._recorder: Recorder | None = None  # that looks at it now
        self._recorded: Recorder | None = None  # that did so last
        # Called when the network has come up, each time.
        self._when_up: list[Callable[[], object]] = []
        self._faulting: Faulting | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "up" if self._wiring.is_up else "not up"
        return f"<liblinux.Network of {len(self._hosts)} hosts and {len(self.links)} links, {state}>"

    # ---- declaring ---------------------------------------------------------

    @property
    def hosts(self) -> dict[str, Host]:
        """All hosts, routers and switches, by name."""
        return dict(self._hosts)

    def host(self, name: str, *, kernel: str | None = None) -> Host:
        """A new host; ValueError for a name that is taken or is no host name.

        `kernel` puts it into a kernel of its own version ("6.1"), which it shares
        with all hosts that say the same; "6.1:b" is another kernel of that version.
        """
        host = self._add(name, kernel)
        if self._internet:
            from liblinux.network._internet import Internet  # noqa: PLC0415 - for those who do

            self.link(host, Internet())
        return host

    def router(self, name: str, *, kernel: str | None = None) -> Host:
        """A new host that forwards between its links, for IPv4 and IPv6."""
        return self._add(name, kernel, forwards=True)

    def switch(self, name: str, *, kernel: str | None = None) -> Host:
        """A new switch: a host with a bridge ("br0") over all its links, and no address."""
        return self._add(name, kernel, switches=True)

    def link(
        self,
        a: Host | str,
        b: Host | str | Device,
        *,
        rate: Any = None,
        delay: Any = 0,
        jitter: Any = 0,
        loss: Any = 0,
        duplicate: Any = 0,
        reorder: Any = 0,
        queue: int = _QUEUE_FRAMES,
        mtu: int | None = None,
        addresses: tuple[str | Iterable[str] | None, str | Iterable[str] | None] = (None, None),
        names: tuple[str | None, str | None] = (None, None),
    ) -> Link:
        """Join two hosts, or a host and a device of this machine, by a cable; returns a :class:`Link`.

        `rate` in bits per second or as "10Mbit"; `delay` and `jitter` (evenly to
        both sides) in seconds or as "20ms"; `loss`, `duplicate` and `reorder` (a
        frame arrives without delay) as chances or "1%". Each may be a pair, of
        what `a` sends and what `b` sends. `queue` is how many frames wait in the queueing
        discipline at each end, behind the one that is being sent and the one that the
        card has taken; `mtu` in bytes (None: 1500, or what the device
        says; IPv6 wants 1280 at least). `addresses` with the length
        of their prefix for both ends, "10.0.0.1/24", one or several; assigned
        where none are given. `names` of the interfaces, by default eth0, eth1, ...

        A link that is declared when the network is up already is there from the next
        :meth:`up` or the next use of a host (`host.socket`, `net.ping()`, ...).

        Raises KeyError for a host that there is not, ValueError for what is out
        of range or overlaps, TypeError for hosts of another network. What a
        device raises is raised when the network comes up.
        """
        near = self._find(a)
        outside = self._ways_out.to_device(b, near) if isinstance(b, Device) else None
        far = outside or self._find(b)  # type: ignore[arg-type]  # no device
        hosts = (near, far)
        if near is far:
            raise ValueError(f"a link joins two hosts, and {near.name} is one; its loopback is there by itself")
        if mtu is None:
            mtu = b.mtu if isinstance(b, Device) else _MTU
        check_cable(mtu, queue, ipv6=self._wiring.subnets.base6 is not None)
        lines = parse_lines(
            {
                "rate": rate, "delay": delay, "jitter": jitter, "loss": loss, "duplicate": duplicate, "reorder": reorder
            }
        )  # fmt: skip
        link = Link(self, hosts, make_ends(hosts, names, addresses), lines, mtu, queue)
        self.links.append(link)
        if outside is not None:
            self._ways_out.add(outside, link)
        elif near._version != far._version:
            self._ways_out.cross(link)
        self._wiring.extended()
        return link

    def _add(self, name: str, version: str | None, **kind: bool) -> Host:
        self._check_open()
        if name in self._hosts:
            raise ValueError(f"there is a host {name!r} already")
        check_host_name(name)
        host = Host(self, Node(name, len(self._hosts) + 1, **kind), version)
        self._hosts[name] = host
        self._wiring.extended()
        return host

    def _find(self, host: Host | str) -> Host:
        self._check_open()
        if isinstance(host, str):
            if host not in self._hosts:
                raise KeyError(f"there is no host {host!r}; there are {', '.join(self._hosts) or 'none'}")
            return self._hosts[host]
        if not isinstance(host, Host) or host.network is not self:
            raise TypeError(f"{host!r} is no host of this network")
        return host

    def resolve(self, name: str, near: Host | None = None) -> list[str]:
        """The addresses of a host, IPv4 first; those of a subnet of `near` before all others.

        KeyError when there is no such host.
        """
        node = self._find(name)._node
        self._wiring.assign()
        heard = {interface.segment for interface in near._node.interfaces} if near else set()
        interfaces = sorted(node.interfaces, key=lambda interface: not node.switches and interface.segment not in heard)
        addresses = [address for interface in interfaces for address in interface.addresses()]
        return [str(address.ip) for address in sorted(addresses, key=lambda address: address.version)]

    # ---- coming up ---------------------------------------------------------

    @property
    def kernel(self) -> Kernel:
        """The kernel that all hosts are in that name none of their own."""
        return self._kernels.first

    @property
    def kernels(self) -> list[Kernel]:
        """All kernels that are there: that of the network, and those that hosts have named."""
        return self._kernels.all

    @property
    def kernel_is_alive(self) -> bool:
        """Whether the kernel is there and did not die."""
        return self._kernels.alive

    @property
    def frames(self) -> int:
        """How many frames its cables have been given since its kernels booted, those that were lost too.

        A look from outside: any thread may take it while a run goes on, which does not notice.
        """
        return sum(kernel.statistics()["frames"] for kernel in self.kernels)

    def up(self) -> None:
        """Bring everything up that has been declared; what is up already stays as it is."""
        if self._wiring.is_up:
            return
        self._wiring.bring_up()
        if self._captures is not None:
            self._captures.extend()
        for act in self._when_up:
            act()
        self._ways_out.greet()

    # ---- looking -----------------------------------------------------------

    def ping(
        self,
        source: Host | str,
        target: Host | str,
        *,
        count: int = 1,
        size: int = 56,
        interval: float = 1.0,
        timeout: float = 1.0,
    ) -> Ping:
        """Send ICMP echo requests from one host to another, or to an address; returns a :class:`Ping`.

        `size` of the payload in bytes, `interval` and `timeout` in seconds of the
        kernel's clock. Source: RFC 792, RFC 4443.
        """
        from liblinux.network._ping import ping  # noqa: PLC0415 - for those who do

        host = self._find(source)
        return ping(host, self._address(target, host), count=count, size=size, interval=interval, timeout=timeout)

    def iperf(
        self,
        client: Host | str,
        server: Host | str,
        *,
        seconds: float = 10.0,
        protocol: Literal["tcp", "udp"] = "tcp",
        rate: Any = None,
        congestion: str | None = None,
    ) -> Throughput:
        """Measure what the path from `client` to `server` carries; returns a :class:`Throughput`.

        One TCP stream, by the congestion control `congestion` ("bbr"), or UDP at
        `rate`. `seconds` are of the kernel's clock.
        """
        from liblinux.network._iperf import iperf  # noqa: PLC0415 - imports selectors

        hosts = self._find(client), self._find(server)
        address = self._address(hosts[1], hosts[0])
        return iperf(*hosts, address, seconds=seconds, protocol=protocol, rate=_units.rate(rate), congestion=congestion)

    def capture(self, path: str | os.PathLike[str], host: Host | str | None = None) -> Capture:
        """Write what passes the cables into a pcapng file; returns a :class:`Capture`, which ends it.

        What every host sends, so that each frame is there once, also one that is
        lost on its way, and on links that are added later; of one host, all that it
        sends and receives. The same
        seed gives the same file under the virtual clock. OSError when the file
        cannot be written. What has not been written yet is when the network is
        closed.
        """
        return self._capturing().start(path, self._find(host) if host is not None else None)

    def _capturing(self) -> Captures:
        from liblinux.network._capture import Captures  # noqa: PLC0415 - for those who do

        self.up()
        if self._captures is None:
            self._captures = Captures(self)
        return self._captures

    def record(self, interval: float = 0.1, **options: Any) -> Recorder:
        """Look at the network every `interval` seconds of virtual time; returns a :class:`liblinux.observing.Recorder`.

        `options` are its own: `hosts`, `links`, `log_level`, `capture`. `with` or
        close() ends it; what has come of it is its `recording`, and :meth:`report`.
        """
        from liblinux.observing import Recorder  # noqa: PLC0415 - for those who do

        return Recorder(self, interval, **options)

    def report(self, path: str | os.PathLike[str], *, title: str | None = None) -> None:
        """Write what was recorded last into one HTML file, to be opened in a browser.

        RuntimeError when nothing was recorded; else as of :func:`liblinux.observing.write_report`.
        """
        from liblinux.observing import write_report  # noqa: PLC0415 - for those who do

        if self._recorded is None:
            raise RuntimeError("nothing was recorded that a report could be of; run it in 'with net.record():'")
        write_report(path, self._recorded.recording, title=title)

    def _address(self, target: Host | str, near: Host) -> str:
        if isinstance(target, str) and target not in self._hosts:
            try:
                return str(ipaddress.ip_address(target))
            except ValueError:
                there = ", ".join(self._hosts) or "none"
                raise ValueError(f"{target!r} is neither an address nor a host; the hosts are {there}") from None
        addresses = self.resolve(self._find(target).name, near)
        if not addresses:
            raise ValueError(f"{target!r} has no address: it has no link")
        return addresses[0]

    # ---- asyncio -----------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, _T], *, host: Host | None = None) -> _T:
        """Run a coroutine, on an event loop whose time and sockets are the network's; returns its result.

        It acts as `host`, or as nobody: then it starts tasks of hosts with
        :meth:`Host.create_task`. With clock="virtual" time stands still while
        anything runs, and goes on to the next timer when everything waits. Raises
        what the coroutine raises, and Deadlock when nothing can ever happen.
        """
        return self._runs.run_coroutine(main, host)

    def selector(self) -> KernelSelector:
        """A new selector, as of `selectors`, for descriptors of all hosts, by the network's clock."""
        return self._runs.selector()

    # ---- faults ----------------------------------------------------------------

    @property
    def _faults(self) -> Faulting:
        if self._faulting is None:
            from liblinux.network.faults._faulting import Faulting  # noqa: PLC0415 - imports asyncio

            self._faulting = Faulting(self)
        return self._faulting

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something at an instant of the network's clock, which is that of the event loop (`loop.time()`).

        `action` is a function without arguments: `net.at(3, net.heal)`; what it
        raises, the run raises. It is called during a run (:meth:`run`,
        :meth:`Host.run_blocking`), and what was due before one at its beginning.
        Raises ValueError for an instant in the past.
        """
        self._check_open()
        self._faults.at(seconds, action)

    def play(self, faults: Schedule | Draw, *, hosts: Iterable[Host | str] | None = None) -> Schedule:
        """Let a schedule of faults happen, each at its time; returns it as it was bound to this network.

        A :class:`liblinux.network.faults.Draw` is drawn for this network first, of
        `hosts` if they are given, else of all that are no routers and no switches.
        Raises KeyError or ValueError for hosts and links that there are not, and for
        times in the past, before anything happens.
        """
        self._check_open()
        bound = faults.bind(self, None if hosts is None else [self._find(host) for host in hosts])
        for fault in bound.faults:
            self._faults.at(fault.at, fault.prepare(self))
        self._faults.played.append(bound)
        return bound

    def partition(self, *hosts: Host | str | Iterable[Host | str]) -> None:
        """Let hosts hear nothing of each other any more: `net.partition("a", "b")` parts these two from all others.

        Or groups, none of which hears another: `net.partition(["a", "b"], ["c"])`.
        Frames are dropped where they arrive, and nobody is told. Routers and
        switches belong to no group, unless they are named: then they forward
        nothing of the others. It takes the place of an earlier partition.
        ValueError for a host in two groups, KeyError for one that there is not.
        """
        self.up()
        self._faults.partition.set(self._faults.groups(hosts))

    def heal(self) -> None:
        """End the partition."""
        self.up()
        self._faults.partition.set([])

    # ---- back to an earlier instant --------------------------------------------

    def snapshot(self) -> NetworkSnapshot:
        """Keep the network as it is now; returns what :meth:`restore` takes.

        All hosts with their files, sockets, addresses and clocks, and the chance
        of runs: so that a network is prepared once and used for many tests. Not
        during a run, a capture, or while threads run: RuntimeError.
        """
        from liblinux.network._state import take  # noqa: PLC0415 - for those who do

        self.up()
        return take(self)

    def restore(self, snapshot: NetworkSnapshot) -> None:
        """Put the network back to `snapshot`, in a fraction of a millisecond; see :meth:`Kernel.restore`.

        RuntimeError as of :meth:`snapshot`; ValueError when hosts or links were
        added since.
        """
        from liblinux.network._state import restore  # noqa: PLC0415 - for those who do

        self._check_open()
        restore(self, snapshot)

    # ---- the end -----------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def close(self) -> None:
        """End all hosts and their kernel. Twice does nothing."""
        if self._closed:
            return
        try:
            if self.kernel_is_alive:
                self._runs.close()
            self._ways_out.disconnect()
            if self._recorder is not None:
                self._recorder.close()
            if self._captures is not None:
                self._captures.end_all()
            if self.kernel_is_alive:
                for host in self._hosts.values():
                    host._close_netlinks()
        finally:
            self._closed = True
            self._kernels.close(may_return=not self._ways_out.outsides)

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the network is closed")
