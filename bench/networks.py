"""Networks that are measured, each in a process of its own: `python networks.py WHOSE JOB [ARGUMENT]`.

WHOSE is `ours`, or `host`: then network namespaces and veth pairs of the machine, with
the same addresses and routes, made by `ip -batch`, which needs root. The programs that
measure are the same for both, from Python, on one thread. Prints the figure, and after
it what else there is to say.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import random
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from liblinux.asyncio import KernelSelector
from liblinux.network import Host, Network
from liblinux.network._ping import _answer, _request

_CHUNK = bytes(1 << 16)
_CLONE_NEWNET = 0x40000000
_TREE_CHILDREN = 10
_SEED = 1


class Ours:
    """A network of the library: sockets of its hosts, and its clock."""

    def __init__(self, net: Network) -> None:
        net.up()
        self._net = net
        self.selector: Callable[[], Any] = lambda: KernelSelector(net.kernel)

    def socket(self, name: str, *kind: int) -> Any:
        """A socket of a host."""
        return self._net.hosts[name].socket.socket(*kind)

    def close(self) -> None:
        """Nothing is left."""
        self._net.close()


class Machine:
    """The same network of the machine's own namespaces."""

    def __init__(self, net: Network) -> None:
        net._wiring.assign()
        self.selector: Callable[[], Any] = selectors.DefaultSelector
        self._prefix = f"llbench{os.getpid()}-"
        self._names = list(net.hosts)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        _ip([f"netns add {self._prefix}{name}" for name in self._names])
        _ip(
            f"link add name {here.name} netns {self._prefix}{here.node.name} type veth"
            f" peer name {there.name} netns {self._prefix}{there.node.name}"
            for here, there in (link.ends for link in net.links)
        )
        for host in net.hosts.values():
            self._within(host.name, functools.partial(_configure, net, host))

    def _within(self, name: str, act: Callable[[], Any]) -> Any:
        """Do something in a namespace; what is made there stays there."""
        with Path(f"/run/netns/{self._prefix}{name}").open() as there:
            self._enter(there.fileno())
        try:
            return act()
        finally:
            self._enter(self._home)

    def _enter(self, namespace: int) -> None:
        if self._libc.setns(namespace, _CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, f"setns: {os.strerror(error)}; a comparison with the machine needs root")

    def socket(self, name: str, *kind: int) -> Any:
        """A socket in the namespace of a host."""
        return self._within(name, lambda: socket.socket(*kind))

    def close(self) -> None:
        """Take all down again."""
        _ip(f"netns del {self._prefix}{name}" for name in self._names)


def _ip(lines: Any) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


def _configure(net: Network, host: Host) -> None:
    """Addresses and routes of one host, as the library has assigned them."""
    lines = ["link set lo up"]
    for interface in host._node.interfaces:
        lines += [f"addr add {interface.ipv4} dev {interface.name}", f"link set {interface.name} up"]
    for _, length, target, gateway in net._wiring.routes.get(host._node, []):
        lines.append(f"route add {socket.inet_ntoa(target)}/{length} via {socket.inet_ntoa(gateway)}")
    _ip(lines)
    if host._node.forwards:
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


WHOSE: dict[str, Callable[[Network], Any]] = {"ours": Ours, "host": Machine}


# ---- networks that are declared ------------------------------------------------


def _pair() -> Network:
    net = Network(ipv6=None)
    net.link(net.host("a"), net.host("b"), queue=1000)
    return net


def _torus(side: int) -> Network:
    net = Network(ipv6=None)
    grid = [[net.router(f"h{x}-{y}") for y in range(side)] for x in range(side)]
    for x in range(side):
        for y in range(side):
            net.link(grid[x][y], grid[(x + 1) % side][y])
            net.link(grid[x][y], grid[x][(y + 1) % side])
    return net


def _tree(count: int) -> Network:
    net = Network(ipv6=None)
    hosts = [net.router(f"h{number}") for number in range(count)]
    for number in range(1, count):
        net.link(hosts[number], hosts[(number - 1) // _TREE_CHILDREN])
    return net


# ---- what is measured ----------------------------------------------------------


def tcp(whose: str, seconds: str) -> str:
    """Bits per second of one stream from a to b."""
    net = _pair()
    address = net.hosts["b"].address
    there = WHOSE[whose](net)
    try:
        with _connected(there, address) as (sending, receiving), there.selector() as selector:
            return str(_pump(selector, sending, receiving, float(seconds)))
    finally:
        there.close()


@contextlib.contextmanager
def _connected(there: Any, address: str) -> Iterator[tuple[Any, Any]]:
    """A stream from a to b, which has the address: the ends."""
    with (
        there.socket("b", socket.AF_INET, socket.SOCK_STREAM) as listening,
        there.socket("a", socket.AF_INET, socket.SOCK_STREAM) as sending,
    ):
        listening.bind(("", 5001))
        listening.listen()
        sending.connect((address, 5001))
        receiving, _ = listening.accept()
        with receiving:
            yield sending, receiving


def _pump(selector: Any, sending: Any, receiving: Any, seconds: float) -> float:
    sending.setblocking(False)
    receiving.setblocking(False)
    selector.register(sending, selectors.EVENT_WRITE)
    selector.register(receiving, selectors.EVENT_READ)
    buffer, total, start = bytearray(len(_CHUNK)), 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        for key, _ in selector.select(1):
            if key.fileobj is sending:
                sending.send(_CHUNK)
            else:
                total += receiving.recv_into(buffer)
    return total * 8 / (time.perf_counter() - start)


def ping(whose: str, count: str) -> str:
    """Median of the round trips from a to b, in microseconds."""
    net = _pair()
    address = net.hosts["b"].address
    there = WHOSE[whose](net)
    try:
        times = _echoes(there, "a", [address] * int(count))
        return str(statistics.median(times) * 1e6)
    finally:
        there.close()


def _echoes(there: Any, source: str, addresses: list[str]) -> list[float]:
    """The time of one echo of each address; all must answer."""
    times = []
    with there.socket(source, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        for sequence, address in enumerate(addresses):
            start = time.perf_counter_ns()
            refused = _request(sock, address, 4, sequence, 56)
            answer = None if refused else _answer(sock, 4, sequence, start, time.perf_counter_ns, 5)
            if answer is None:
                raise RuntimeError(f"{address} does not answer {source}")
            times.append(answer)
    return times


def torus(whose: str, side: str) -> str:
    """Seconds until a torus is configured and one host has reached all others."""
    start = time.perf_counter()
    net = _torus(int(side))
    addresses = [host.address for host in net.hosts.values()]
    there = WHOSE[whose](net)
    try:
        configured = time.perf_counter()
        _echoes(there, "h0-0", addresses)
        end = time.perf_counter()
        return f"{end - start} {configured - start}"
    finally:
        there.close()


def tree(whose: str, count: str) -> str:
    """Seconds until a tree is configured and 100 random pairs have reached each other; KiB of a host."""
    before = _resident()
    start = time.perf_counter()
    net = _tree(int(count))
    there = WHOSE[whose](net)
    try:
        configured = time.perf_counter()
        chosen = random.Random(_SEED)  # noqa: S311 - the same pairs every time
        names = list(net.hosts)
        for _ in range(100):
            source, target = chosen.sample(names, 2)
            _echoes(there, source, [net.hosts[target].address])
        end = time.perf_counter()
        return f"{end - start} {configured - start} {(_resident() - before) / len(names)}"
    finally:
        there.close()


def _resident() -> float:
    """KiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


JOBS = {"tcp": tcp, "ping": ping, "torus": torus, "tree": tree}

if __name__ == "__main__":
    print(JOBS[sys.argv[2]](sys.argv[1], sys.argv[3]))
