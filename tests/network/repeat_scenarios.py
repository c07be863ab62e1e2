"""Networks whose runs are compared: repeat_scenarios.py SEED NAME... prints a hash of what each left."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liblinux import Network, images

Scenario = Callable[[Network, Path], list[object]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """One that the test runs."""
    SCENARIOS[function.__name__] = function
    return function


def _all_of(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(100_000), b""))


def _exchange(net: Network, client: str, server: str, count: int = 5) -> list[object]:
    """Some connections by TCP, and what the client saw of them."""
    here, there = net.hosts[client], net.hosts[server]
    seen: list[object] = []

    def serve(listening: socket.socket) -> None:
        for _ in range(count):
            accepted, peer = listening.accept()
            with accepted:
                seen.append(peer)
                accepted.sendall(_all_of(accepted)[::-1])

    def ask() -> None:
        for number in range(count):
            with socket.create_connection((server, 80)) as sock:
                sock.sendall(os.urandom(20_000))
                sock.shutdown(socket.SHUT_WR)
                seen.append((number, sock.getsockname(), hashlib.sha256(_all_of(sock)).hexdigest()))

    with there.socket.create_server(("", 80)) as listening:
        there.thread(serve, listening)
        here.run_blocking(ask)
    return seen


@scenario
def kernels(net: Network, directory: Path) -> list[object]:
    """Hosts in four kernels, of all versions that there are, with one clock."""
    releases = {".".join(release.split(".")[:2]) for release in images() if not release.endswith("-debug")}
    others = [*sorted(releases), ":another", ":third"]
    router = net.router("router")
    net.link(router, net.host("first"), delay="1ms", jitter="500us", loss="1%")
    for number, version in enumerate(others):
        net.link(router, net.host(f"host{number}", kernel=version), delay="2ms", jitter="1ms", loss="1%", rate="50Mbit")
    with net.capture(directory / "all.pcapng"):
        seen: list[object] = [net.ping("first", f"host{number}", count=5) for number in range(len(others))]
        for number in range(len(others)):
            seen += _exchange(net, "first", f"host{number}", 2)
            seen += _exchange(net, f"host{number}", f"host{number - 1}" if number else "first", 2)
    return [*seen, *(kernel.now() for kernel in net.kernels)]


@scenario
def conntrack(net: Network, directory: Path) -> list[object]:
    """A router that translates addresses: what it writes into packets, and its table, in the order that it has it."""
    from pyroute2 import Conntrack
    from pyroute2.netlink import NETLINK_NETFILTER
    from pyroute2.nftables.expressions import ipv4addr, masq
    from pyroute2.nftables.main import NFTables

    router = net.router("router")
    for name in ("one", "two"):
        net.link(net.host(name), router, delay="5ms", loss="1%")
    net.link(router, net.host("outside"), rate="10Mbit", delay="10ms", queue=20)
    nft = router.netlink(NFTables, NETLINK_NETFILTER)
    nft.table("add", name="nat")
    nft.chain("add", table="nat", name="out", hook="postrouting", type="nat", policy=1, priority=100)
    for name in ("one", "two"):
        translate = (ipv4addr(src=net.hosts[name].address), masq())
        nft.rule("add", table="nat", chain="out", expressions=translate)
    with net.capture(directory / "all.pcapng"):
        seen = _exchange(net, "one", "outside") + _exchange(net, "two", "outside")
    entries: Any = router.netlink(Conntrack, NETLINK_NETFILTER).dump_entries()
    return [*seen, *(f"{entry.tuple_orig} {entry.tuple_reply}" for entry in entries)]


@scenario
def links(net: Network, directory: Path) -> list[object]:
    """A ring with a star in it, and several captures at a time: of all, of one host, of a part of the time."""
    ring = [net.router(f"r{number}") for number in range(6)]
    middle = net.switch("middle")
    for number, router in enumerate(ring):
        net.link(ring[number - 1], router, delay="1ms", jitter="200us", duplicate="1%", reorder="2%", loss="1%")
        net.link(router, middle, delay=("500us", "700us"), jitter="100us", rate="100Mbit")
    with net.capture(directory / "all.pcapng"), net.capture(directory / "one.pcapng", host="r0"):
        seen = _exchange(net, "r0", "r3")
        net.link(net.host("late"), "r5", loss="5%", delay="3ms")
        with net.capture(directory / "part.pcapng"):
            seen += _exchange(net, "late", "r2")
            seen.append(net.iperf("r1", "r4", seconds=0.2))
        net.links[0].down()
        seen += [net.ping(one, other) for one in ring for other in ring if one is not other]
    return seen


def run(name: str, seed: int, directory: Path) -> str:
    """One of them; the hash of its captures and of its log."""
    with Network(clock="virtual", seed=seed) as net:
        log = [*SCENARIOS[name](net, directory), net.kernel.now()]
    digest = hashlib.sha256("\n".join(map(str, log)).encode())
    for path in sorted(directory.iterdir()):
        digest.update(path.read_bytes())
        path.unlink()
    return digest.hexdigest()


def main() -> None:
    """Do what the command line asks for."""
    seed = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        for name in sys.argv[2:]:
            print(name, run(name, seed, Path(directory)))


if __name__ == "__main__":
    main()
