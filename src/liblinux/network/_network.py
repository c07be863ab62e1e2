"""Networks: hosts of one kernel, and the cables between them."""

from __future__ import annotations

import ipaddress
import os
import struct
from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar

from liblinux import _native
from liblinux import _process as processes
from liblinux._kernel import Kernel
from liblinux._typing import TYPE_CHECKING, Any, Literal
from liblinux.network import _rtnetlink as rtnetlink
from liblinux.network import _units
from liblinux.network._device import Device
from liblinux.network._host import Host
from liblinux.network._link import Link, parse_lines
from liblinux.network._routing import Route, find_routes
from liblinux.network._topology import Interface, Node, Segment, Subnets, find_segments, parse_interface

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Coroutine, Iterable
    from types import TracebackType
    from typing import Self

    from liblinux.asyncio._kernels import Bell
    from liblinux.asyncio._selector import KernelSelector
    from liblinux.network._beyond import Beyond
    from liblinux.network._capture import Capture, Captures
    from liblinux.network._crossing import Crossing
    from liblinux.network._iperf import Throughput
    from liblinux.network._outside import Outside
    from liblinux.network._ping import Ping
    from liblinux.network._state import NetworkSnapshot
    from liblinux.network.faults._draw import Draw
    from liblinux.network.faults._faulting import Faulting
    from liblinux.network.faults._schedule import Schedule
    from liblinux.observing import Recorder
    from liblinux.running import Run
    from liblinux.testing._pool import Lender

__all__ = ["Network"]

_T = TypeVar("_T")
_BASE_4 = "10.0.0.0/8"
_BASE_6 = "fd00::/16"
_QUEUE_FRAMES = 100
_MTU = 1500
_SMALLEST_MTU, _LARGEST_MTU = 68, 65535
# Numbers of nodes, of which MAC addresses are made, for what is no host.
_BEYOND_NUMBERS = 0xF000
_NAME_BYTES = 64
_INTERFACE_BYTES = 15
_KERNEL_BYTES = 64 << 20
_HOST_BYTES = 1 << 20
_RLIMIT_NOFILE, _OPEN_FILES = 7, 1 << 20
_WITHOUT_IPV6 = "ipv6.disable=1"
_SETTINGS: dict[str, str | int] = {
    # The queue of a link is what waits at it, in the order of arrival.
    "net.core.default_qdisc": "pfifo",
    # All hosts start with what is set here.
    "net.core.devconf_inherit_init_net": 1,
    # The table of neighbours is one for all hosts, and none of them shall be forgotten for another.
    "net.ipv4.neigh.default.gc_thresh2": 1 << 20,
    "net.ipv4.neigh.default.gc_thresh3": 1 << 20,
}
_SETTINGS_6: dict[str, str | int] = {
    # Addresses are ours to give, and so they are a host's at once: looking for duplicates takes seconds, during
    # which routers do not forward.
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.neigh.default.gc_thresh2": 1 << 20,
    "net.ipv6.neigh.default.gc_thresh3": 1 << 20,
}
_FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}


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
        self._seed = seed
        self._reactions: dict[str, Any] = {"strict": strict, "busy_wait": busy_wait}
        self._run: Run | None = None
        self._options: dict[str, Any] = {"clock": clock, "seed": seed, "version": version, "background": background}
        self._memory = memory
        self._command_line = command_line if ipv6 else f"{_WITHOUT_IPV6} {command_line}"
        self._subnets = Subnets(IPv4Network(subnets), IPv6Network(ipv6) if ipv6 else None)
        self._kernel: Kernel | None = None
        self._hosts: dict[str, Host] = {}
        self.links: list[Link] = []
        self._segments: list[Segment] = []
        self._routes: dict[Node, list[Route]] = {}
        self._batches: dict[Host, rtnetlink.Batch] = {}
        self._assigned = False
        self._is_up = False
        self._closed = False
        self._captures: Captures | None = None
        self._recorder: Recorder | None = None  # that looks at it now
        self._recorded: Recorder | None = None  # that did so last
        self._attached = 0  # hosts whose sockets take turns
        # Where links lead to devices: beside the hosts, but not among them.
        self._outsides: list[Outside] = []
        self._crossings: list[Crossing] = []
        self._other_kernels: dict[str, Kernel] = {}
        self._bells: list[Bell] = []
        self._internet = internet
        # Who keeps booted kernels for many networks, one after the other; in tests, see liblinux.testing.
        self._lender: Lender | None = None
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
        state = "closed" if self._closed else "up" if self._is_up else "not up"
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
        what `a` sends and what `b` sends. `queue` is how many frames wait at each
        end while one is being sent, `mtu` in bytes (None: 1500, or what the device
        says). `addresses` with the length
        of their prefix for both ends, "10.0.0.1/24", one or several; assigned
        where none are given. `names` of the interfaces, by default eth0, eth1, ...

        Raises KeyError for a host that there is not, ValueError for what is out
        of range or overlaps, TypeError for hosts of another network. What a
        device raises is raised when the network comes up.
        """
        near = self._find(a)
        hosts: tuple[Host, Host] = (near, self._lead_outside(b, near) if isinstance(b, Device) else self._find(b))
        if hosts[0] is hosts[1]:
            raise ValueError(f"a link joins two hosts, and {hosts[0].name} is one; its loopback is there by itself")
        if mtu is None:
            mtu = b.mtu if isinstance(b, Device) else _MTU
        if not _SMALLEST_MTU <= mtu <= _LARGEST_MTU:
            raise ValueError(f"an MTU of {mtu} bytes is out of range: {_SMALLEST_MTU} to {_LARGEST_MTU}")
        if queue < 1:
            raise ValueError(f"a queue of {queue} frames holds nothing; 1 is the shortest")
        lines = parse_lines(
            {
                "rate": rate, "delay": delay, "jitter": jitter, "loss": loss, "duplicate": duplicate, "reorder": reorder
            }
        )  # fmt: skip
        asked = [_parse_addresses(host, given) for host, given in zip(hosts, addresses, strict=True)]
        for host, name in zip(hosts, names, strict=True):
            _check_interface(host, name)
        first, second = (
            Interface(host._node, name, given) for host, name, given in zip(hosts, names, asked, strict=True)
        )
        first.peer, second.peer = second, first
        link = Link(self, hosts, (first, second), lines, mtu, queue)
        self.links.append(link)
        if isinstance(b, Device):
            outside = b._outside
            assert outside is not None, "_lead_outside() set it"
            outside.link, outside.near, outside.interface = link, first, second
            self._outsides.append(outside)
        elif hosts[0]._version != hosts[1]._version:
            self._cross(link)
        self._assigned = self._is_up = False
        return link

    def _lead_outside(self, device: Device, near: Host) -> Outside:
        from liblinux.network._outside import Outside  # noqa: PLC0415 - for those who do

        self._check_open()
        if self._options["clock"] == "virtual" and not device.virtual:
            raise ValueError(
                f"{device!r} lives in real time, which a virtual clock jumps ahead of; take Network(clock='real')"
            )
        if device._outside is not None:
            raise ValueError(f"{device!r} has a link already; make another one")
        return Outside(self, device, self._next_beyond(), near._version)

    def _next_beyond(self) -> int:
        """The next number for what is no host."""
        return _BEYOND_NUMBERS + len(self._outsides) + 2 * len(self._crossings)

    def _cross(self, link: Link) -> None:
        from liblinux.network._crossing import Crossing  # noqa: PLC0415 - for those who do

        crossing = Crossing(self, link, self._next_beyond())
        link._beyond = crossing.sides
        self._crossings.append(crossing)

    def _add(self, name: str, version: str | None, **kind: bool) -> Host:
        self._check_open()
        if name in self._hosts:
            raise ValueError(f"there is a host {name!r} already")
        if not name or len(name.encode()) > _NAME_BYTES or not set(name.lower()) <= _NAME_LETTERS:
            raise ValueError(f"{name!r} is no host name: letters, digits, '-', '.' and '_' make one")
        host = Host(self, Node(name, len(self._hosts) + 1, **kind), version)
        self._hosts[name] = host
        self._assigned = self._is_up = False
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

    # ---- addresses and names -----------------------------------------------

    def _assign(self) -> None:
        """Addresses for everything that is declared."""
        if not self._assigned:
            nodes = [host._node for host in self._hosts.values()]
            self._segments = find_segments(end for link in self.links for end in link.ends)
            self._subnets.assign(self._segments)
            self._routes = find_routes(nodes, self._segments, self._subnets)
            self._assigned = True

    def resolve(self, name: str, near: Host | None = None) -> list[str]:
        """The addresses of a host, IPv4 first; those of a subnet of `near` before all others.

        KeyError when there is no such host.
        """
        node = self._find(name)._node
        self._assign()
        heard = {interface.segment for interface in near._node.interfaces} if near else set()
        interfaces = sorted(node.interfaces, key=lambda interface: not node.switches and interface.segment not in heard)
        addresses = [address for interface in interfaces for address in interface.addresses()]
        return [str(address.ip) for address in sorted(addresses, key=lambda address: address.version)]

    # ---- coming up ---------------------------------------------------------

    @property
    def kernel(self) -> Kernel:
        """The kernel that all hosts are in that name none of their own."""
        self._check_open()
        if self._kernel is None:
            lender = self._lender
            self._kernel = lender.lend(self) if lender is not None else self._boot_kernel(**self._options)
        return self._kernel

    @property
    def kernels(self) -> list[Kernel]:
        """All kernels that are there: that of the network, and those that hosts have named."""
        return [*([self._kernel] if self._kernel else []), *self._other_kernels.values()]

    @property
    def frames(self) -> int:
        """How many frames its cables have been given since its kernels booted, those that were lost too.

        A look from outside: any thread may take it while a run goes on, which does not notice.
        """
        return sum(kernel.statistics()["frames"] for kernel in self.kernels)

    def _boot_kernel(self, **options: Any) -> Kernel:
        settings, arguments = self._wants()
        kernel = Kernel(**arguments, **options)
        # All hosts share one table of files, and each has some in it.
        kernel.syscall("prlimit64", 0, _RLIMIT_NOFILE, struct.pack("=QQ", _OPEN_FILES, _OPEN_FILES), None)
        for name, value in settings.items():
            kernel.sysctl[name] = value
        return kernel

    def _wants(self) -> tuple[dict[str, str | int], dict[str, Any]]:
        """The settings of its kernels, and the arguments that they all have."""
        memory = self._memory or _KERNEL_BYTES + _HOST_BYTES * len(self._hosts)
        settings = {**_SETTINGS, **(_SETTINGS_6 if self._subnets.base6 else {})}
        return settings, {"memory": memory, "command_line": self._command_line}

    def _kernel_of(self, version: str | None) -> Kernel:
        """The kernel that a host has named, or the network's."""
        first = self.kernel
        if version is None:
            return first
        kernel = self._other_kernels.get(version)
        if kernel is None:
            from liblinux.asyncio._kernels import shift_descriptors  # noqa: PLC0415 - imports asyncio

            # Another seed for each, of which the first one's is the source.
            seed = first.seed + version.encode()
            kernel = self._boot_kernel(clock=first.clock, seed=seed, version=version.partition(":")[0])
            shift_descriptors(kernel, len(self._other_kernels) + 1)
            if first.clock == "virtual":
                _native.group_join(first._native, kernel._native)
            self._other_kernels[version] = kernel
        return kernel

    def up(self) -> None:
        """Bring everything up that has been declared; what is up already stays as it is."""
        if self._is_up:
            return
        self._assign()
        fresh = [host for host in (*self._hosts.values(), *self._beyond) if host._process is None]
        for host in fresh:
            self._boot(host)
        links = [link for link in self.links if not link._made]
        self._lay(links)
        messages: dict[Host, list[bytes]] = {host: host._first_messages() for host in fresh}
        for link in links:
            for cable in link._cables:
                for host, end in zip(cable.hosts, cable.ends, strict=True):
                    messages.setdefault(host, []).extend(host._up_messages(end))
        for host, batch in messages.items():
            self._send(host, batch)
        for host in self._hosts.values():
            self._set_routes(host)
        for link in links:
            link._made = True
        for outside in self._outsides:
            outside.connect()
        for crossing in self._crossings:
            crossing.connect()
        self._is_up = True
        self._tell_up()
        for outside in self._outsides:
            outside.greet()

    def _tell_up(self) -> None:
        if self._captures is not None:
            self._captures.extend()
        for act in self._when_up:
            act()

    @property
    def _beyond(self) -> list[Beyond]:
        """All that cables lead to out of their kernels."""
        return [*self._outsides, *(side for crossing in self._crossings for side in crossing.sides)]

    def _boot(self, host: Host) -> None:
        kernel = host.kernel
        # The files of all hosts are in one table, so that one epoll can wait for them all.
        process = processes.start(kernel, namespaces=("net", "uts"), share_files=True)
        kernel._processes.add(process)
        host._process = process
        process.syscall("sethostname", host.name.encode(), len(host.name.encode()))
        if host._node.forwards:
            for version, file in _FORWARDING.items():
                if version == 4 or self._subnets.base6:
                    _write(process, file, b"1")
        self._batches[host] = rtnetlink.Batch(process)
        host._prepare()

    def _lay(self, links: Iterable[Link]) -> None:
        """Make the cables, those of one host in one go."""
        messages: dict[Host, list[bytes]] = {}
        cables = [(link, cable) for link in links for cable in link._cables]
        for link, cable in cables:
            near, far = cable.hosts
            assert far._process is not None
            message = rtnetlink.new_cable(cable.ends, far._process.pid, cable.lines[0], link._mtu, link._queue)
            messages.setdefault(near, []).append(message)
        for host, batch in messages.items():
            self._send(host, batch)
        for _, cable in cables:
            if cable.lines[0] != cable.lines[1]:
                self._send(cable.hosts[1], [rtnetlink.change_cable(cable.ends[1].index, cable.lines[1])])

    def _set_routes(self, host: Host) -> None:
        routes = [*self._routes.get(host._node, ())]
        routes += [route for outside in self._outsides for route in outside.routes(host)]
        if routes:
            self._send(host, [rtnetlink.pack_route(*route) for route in routes])

    def _send(self, host: Host, messages: list[bytes]) -> None:
        try:
            self._batches[host].send(messages)
        except OSError as error:
            error.filename = host.name
            raise

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

    @property
    def kernel_is_alive(self) -> bool:
        """Whether the kernel is there and did not die."""
        return self._kernel is not None and not self._kernel.closed and self._kernel.dead is None

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
        from liblinux.asyncio._run import run  # noqa: PLC0415 - imports asyncio

        running = self._running()
        if self._outsides and self.kernel.clock == "virtual":
            main = self._serve(main)
        with running.entered():
            return run(
                self.kernel,
                self._faults.around(main),
                host._context() if host else None,
                running.turns,
                self.selector(),
            )

    def _running(self) -> Run:
        self.up()
        if self._run is None:
            from liblinux.running import Run  # noqa: PLC0415 - imports asyncio

            self._run = Run(self.kernel, self._seed, self.selector, **self._reactions)
        if self._attached < len(self._hosts):
            for host in self._hosts.values():
                self._run.attach(host.process)
            self._attached = len(self._hosts)
        return self._run

    def _run_blocking(self, function: Callable[..., _T], arguments: Any, named: Any, host: Host) -> _T:
        from liblinux.running._patches import translate  # noqa: PLC0415 - imports asyncio

        running = self._running()
        with running.entered(), self._faults.beside(running.turns):
            result: _T = host._context().run(translate(function), *arguments, **named)
            return result

    def _start_thread(self, target: Callable[..., object], arguments: Any, named: Any, host: Host) -> threading.Thread:
        import threading  # noqa: PLC0415 - as above

        from liblinux.running._patches import translate  # noqa: PLC0415 - as above

        run = self._running()
        name = f"{host.name}:{_name(target)}"
        thread = threading.Thread(target=translate(target), name=name, args=arguments, kwargs=named, daemon=True)
        run.start_thread(host._context(), thread)
        return thread

    def selector(self) -> KernelSelector:
        """A new selector, as of `selectors`, for descriptors of all hosts, by the network's clock."""
        from liblinux.asyncio._kernels import Bell, KernelsSelector  # noqa: PLC0415 - imports asyncio
        from liblinux.asyncio._selector import KernelSelector  # noqa: PLC0415 - as above

        self.up()
        if not self._other_kernels:
            made = KernelSelector(self.kernel)
        else:
            first, *others = self.kernels
            self._bells += [Bell(first, kernel) for kernel in others[len(self._bells) :]]
            made = KernelsSelector(first, self._bells)
        if self._run is not None and self._run.takes_part():
            made.take_turns(self._run.turns)
        return made

    async def _serve(self, main: Coroutine[Any, Any, _T]) -> _T:
        import asyncio  # noqa: PLC0415 - slow, and many networks do without

        for outside in self._outsides:
            outside.device.serve(asyncio.get_running_loop())
        return await main

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
            if self._run is not None and self.kernel_is_alive:
                self._run.close()
            for outside in self._outsides:
                outside.disconnect()
            if self._recorder is not None:
                self._recorder.close()
            if self._captures is not None:
                self._captures.end_all()
            if self.kernel_is_alive:
                for host in self._hosts.values():
                    host._close_netlinks()
        finally:
            self._closed = True
            kernels = self.kernels
            self._kernel = None
            self._other_kernels = {}
            if self._lender is not None and len(kernels) == 1 and not self._outsides:
                self._lender.take_back(kernels.pop())
            _close_all(kernels)

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the network is closed")


_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")


def _parse_addresses(host: Host, given: str | Iterable[str] | None) -> list[Any]:
    texts = [given] if isinstance(given, str) else list(given or ())
    if texts and host._node.switches:
        raise ValueError(f"{host.name} is a switch, and its ports have no addresses")
    return [parse_interface(text) for text in texts]


def _check_interface(host: Host, name: str | None) -> None:
    if name is None:
        return
    if not name or len(name.encode()) > _INTERFACE_BYTES or "/" in name or name != name.strip():
        raise ValueError(f"{name!r} is no name of an interface: it has up to {_INTERFACE_BYTES} letters, and no '/'")
    if name in (interface.name for interface in host._node.interfaces):
        raise ValueError(f"{host.name} has an interface {name!r} already")


def _close_all(kernels: list[Kernel]) -> None:
    """Close them, the last one first, and all of them."""
    try:
        if kernels:
            kernels[-1].close()
    finally:
        if kernels:
            _close_all(kernels[:-1])


def _name(target: Any) -> str:
    return str(getattr(target, "__qualname__", type(target).__name__))


def _write(process: Any, path: str, data: bytes) -> None:
    fd = process.os.open(path, process.os.O_WRONLY)
    try:
        process.os.write(fd, data)
    finally:
        process.os.close(fd)
