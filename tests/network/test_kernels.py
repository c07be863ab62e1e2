"""Networks of several kernels: one clock, the same links, and what crosses them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import struct
from pathlib import Path

import pytest
from shouting import ask, echo

from liblinux import BuildError, Deadlock, KernelPanic, Network

IPPROTO_MPTCP = 262
BUILT = os.environ.get("LIBLINUX_BUILT", "6.12 6.1").split()


def _other() -> str:
    """A version that is built, and is another one if there is."""
    mine = os.environ.get("LIBLINUX_KERNEL", "6.12")
    return next((version for version in BUILT if version != mine), mine)


def _network(clock: str = "virtual", seed: int = 1, **options: object) -> Network:
    net = Network(clock=clock, seed=seed)  # type: ignore[arg-type]
    net.link(net.host("a"), net.host("b", kernel=_other()), **options)  # type: ignore[arg-type]
    return net


@pytest.mark.parametrize("clock", ["virtual", "real"])
@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        (socket.SOCK_STREAM, socket.IPPROTO_TCP),
        (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
        (socket.SOCK_STREAM, IPPROTO_MPTCP),
    ],
    ids=["tcp", "sctp", "mptcp"],
)
def test_a_connection_between_two_versions(clock: str, kind: int, protocol: int) -> None:
    with _network(clock, delay="5ms") as net:
        a, b = net.hosts["a"], net.hosts["b"]
        if _other() != os.environ.get("LIBLINUX_KERNEL", "6.12"):
            assert a.kernel.release != b.kernel.release
        with (
            b.socket.socket(socket.AF_INET, kind, protocol) as listening,
            a.socket.socket(socket.AF_INET, kind, protocol) as client,
        ):
            listening.bind(("", 5000))
            listening.listen(1)
            client.connect((b.address, 5000))
            server, peer = listening.accept()
            with server:
                assert peer[0] == a.address
                data = os.urandom(20_000)
                client.sendall(data)
                received = b""
                while len(received) < len(data):
                    received += server.recv(len(data))
                assert received == data
                server.sendall(b"thank you")
                assert client.recv(100) == b"thank you"


def test_mptcp_does_not_fall_back() -> None:
    with _network() as net:
        a, b = net.hosts["a"], net.hosts["b"]
        with b.socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as listening:
            listening.bind(("", 5000))
            listening.listen(1)
            with a.socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as client:
                client.connect((b.address, 5000))
                server, _ = listening.accept()
                with server:
                    # Of a connection that is TCP only this says so. Source: MPTCP_INFO, linux/mptcp.h.
                    info = client.getsockopt(284, 1, 64)
                    assert not struct.unpack_from("=I", info, 8)[0] & 1, "MPTCP_INFO_FLAG_FALLBACK"


def test_delays_are_exact_and_time_is_one() -> None:
    with _network(rate="10Mbit", delay="20ms") as net:
        first, second = net.ping("a", "b", count=2).times
        assert first is not None
        assert second == pytest.approx(2 * (0.020 + 98 * 8 / 10e6), abs=1e-5)
        back = net.ping("b", "a", count=2).times[1]
        assert back == pytest.approx(second, abs=1e-5)
        assert net.hosts["a"].kernel.now() == net.hosts["b"].kernel.now()
        before = net.kernel.now()
        net.hosts["b"].syscall("nanosleep", struct.pack("=qq", 3600, 0), None)
        assert net.kernel.now() - before == pytest.approx(3600e9, abs=1e6)


def test_the_two_directions_may_differ_and_change() -> None:
    with _network(delay=("10ms", "30ms")) as net:
        assert net.ping("a", "b", count=2).times[1] == pytest.approx(0.040, abs=1e-4)
        net.links[0].set(delay="1ms")
        assert net.ping("a", "b").times[0] == pytest.approx(0.002, abs=1e-4)
        net.links[0].down()
        assert net.ping("a", "b").received == 0
        net.links[0].up()
        assert net.ping("a", "b", count=2).received == 2


def _captured(path: Path, seed: int) -> str:
    with _network(seed=seed, rate="10Mbit", delay="3ms", jitter="1ms", loss=0.01) as net, net.capture(path):
        a, b = net.hosts["a"], net.hosts["b"]
        with b.socket.create_server(("", 80)) as server, a.socket.create_connection((b.address, 80)) as client:
            accepted, _ = server.accept()
            with accepted:
                for _ in range(20):
                    client.sendall(bytes(3000))
                    left = 3000
                    while left:
                        left -= len(accepted.recv(left))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_capture(tmp_path: Path) -> None:
    first, again, other = (_captured(tmp_path / f"{number}.pcapng", seed) for number, seed in enumerate((1, 1, 2)))
    assert first == again
    assert first != other


@pytest.mark.parametrize("clock", ["virtual", "real"])
def test_asyncio_runs_as_hosts_of_all_kernels(clock: str) -> None:
    with _network(clock, delay="20ms") as net:
        for client, server in (("a", "b"), ("b", "a")):

            async def main(client: str = client, server: str = server) -> tuple[bytes, float]:
                listening = await net.hosts[server].create_task(asyncio.start_server(echo, "", 8080))
                async with listening:
                    return await net.hosts[client].create_task(ask(server))

            answer, seconds = net.run(main())
            assert answer == b"HELLO"
            if clock == "virtual":
                # Neighbour discovery for the first, handshake, request.
                assert seconds == pytest.approx(0.120 if client == "a" else 0.080, abs=2e-3)


def test_iperf_between_kernels() -> None:
    with _network(rate="10Mbit", delay="5ms") as net:
        assert net.iperf("a", "b", seconds=3).bits_per_second == pytest.approx(10e6 * 1448 / 1514, rel=0.03)
        assert net.iperf("b", "a", seconds=3).bits_per_second == pytest.approx(10e6 * 1448 / 1514, rel=0.03)


def test_routes_lead_through_other_kernels() -> None:
    with Network(clock="virtual", seed=1) as net:
        kernels = [None, _other(), f"{_other()}:second"]
        hosts = [net.host(name, kernel=kernel) for name, kernel in zip("abc", kernels, strict=True)]
        router = net.router("r", kernel=_other())
        for host in hosts:
            net.link(host, router, delay="1ms")
        for one in hosts:
            for other in hosts:
                if one is not other:
                    assert net.ping(one, other, count=2).received == 2
        assert len(net.kernels) == 3


def test_waiting_for_ever_in_one_of_them_is_a_deadlock() -> None:
    # With IPv6 routers are asked for every hour, which in another kernel somebody hears.
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        net.link(net.host("a"), net.host("b", kernel=_other()))
        with net.hosts["b"].socket.create_server(("", 80)) as server, pytest.raises(Deadlock):
            server.accept()
        assert net.ping("a", "b").received == 1


def test_a_kernel_that_dies_leaves_the_others() -> None:
    with _network() as net:
        net.up()
        assert net.ping("a", "b").received == 1
        net.hosts["b"].kernel.abort()
        assert net.ping("a", "b").received == 0
        with pytest.raises(KernelPanic):
            net.ping("b", "a")


def test_an_unknown_version_is_told() -> None:
    with Network() as net:
        net.host("a", kernel="2.4")
        with pytest.raises(BuildError, match=r"2\.4"):
            net.up()
