"""Networks: what is declared comes up, carries what it says, and is the same every time."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from shouting import ask, echo

from liblinux import Network


@pytest.fixture
def pair() -> Iterator[Network]:
    """Hosts a and b, 20 ms from each other, by 10 Mbit/s."""
    with Network(clock="virtual", seed=1) as net:
        net.link(net.host("a"), net.host("b"), rate="10Mbit", delay="20ms")
        yield net


def test_a_round_trip_takes_what_the_cable_says(pair: Network) -> None:
    first, second = pair.ping("a", "b", count=2, size=56).times
    assert first is not None and second is not None
    # 98 bytes each way at 10 Mbit/s, and before the first one ARP, which sends 42.
    assert second == pytest.approx(2 * (0.020 + 98 * 8 / 10e6), abs=5e-6)
    # Which may have to wait for a frame of IPv6, that tells the groups of the host.
    assert first == pytest.approx(second + 2 * (0.020 + 42 * 8 / 10e6), abs=2e-4)


def test_a_stream_fills_the_cable(pair: Network) -> None:
    measured = pair.iperf("a", "b", seconds=10, congestion="cubic")
    payload = 1448 / 1514  # of a full frame, with time stamps
    assert measured.bits_per_second == pytest.approx(10e6 * payload, rel=0.03)


def test_the_two_directions_of_a_cable_may_differ() -> None:
    with Network(clock="virtual", seed=1) as net:
        net.link(net.host("a"), net.host("b"), delay=("10ms", "30ms"), rate=("20Mbit", "2Mbit"))
        assert net.ping("a", "b", count=2).times[1] == pytest.approx(0.040, abs=1e-3)
        there, back = (net.iperf(*ends, seconds=5).bits_per_second for ends in (("a", "b"), ("b", "a")))
        assert there == pytest.approx(19e6, rel=0.1)
        assert back == pytest.approx(1.9e6, rel=0.1)


def test_loss_is_as_often_as_asked_for() -> None:
    with Network(clock="virtual", seed=7) as net:
        net.link(net.host("a"), net.host("b"), loss=("10%", 0))
        assert net.ping("a", "b", count=3).received, "ARP may have been lost, and is tried again after a second"
        lost = net.ping("a", "b", count=1000, interval=0.01, timeout=0.005).loss
        assert 0.06 < lost < 0.14


def test_a_link_changes_while_it_is_used(pair: Network) -> None:
    link = pair.links[0]
    assert pair.ping("a", "b", count=2).average == pytest.approx(0.060, abs=1e-3)
    link.set(delay="1ms")
    assert pair.ping("a", "b").average == pytest.approx(0.0022, abs=1e-4)
    link.set(loss=1)
    assert pair.ping("a", "b").received == 0
    link.set(loss=0)
    link.down()
    assert pair.ping("a", "b").received == 0
    link.up()
    assert pair.ping("a", "b", count=3).received == 3


def test_routers_find_the_way() -> None:
    with Network(clock="virtual", seed=1) as net:
        routers = [net.router(f"r{number}") for number in range(6)]
        for first, second in zip(routers, [*routers[1:], routers[0]], strict=True):
            net.link(first, second, delay="1ms")
        net.link(net.host("a"), "r0")
        net.link(net.host("b"), "r2")
        for version in (4, 6):
            address = next(one for one in net.resolve("b") if ipaddress.ip_address(one).version == version)
            assert net.ping("a", address, count=2).times[1] == pytest.approx(0.004, abs=1e-4), "over r1, both ways"


def test_switches_join_subnets() -> None:
    with Network(clock="virtual", seed=1) as net:
        one, two = net.switch("s1"), net.switch("s2")
        net.link(one, two)
        for name in "abcd":
            net.link(net.host(name), one if name in "ab" else two)
        assert [net.hosts[name].address for name in "abcd"] == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
        assert net.ping("a", "d", count=2).received == 2


def test_addresses_and_names_may_be_given() -> None:
    with Network(clock="virtual", seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, addresses=("192.168.7.1/24", ["192.168.7.9/24", "fd77::9/64"]), names=("wan", None))
        assert list(a.interfaces) == ["wan"]
        assert net.resolve("b") == ["192.168.7.9", "fd77::9"]
        assert a.ping("b").received == 1


def test_pyroute2_is_the_host_s(pair: Network) -> None:
    a = pair.hosts["a"]
    a.ip.link("add", ifname="d0", kind="dummy")
    assert [link.get_attr("IFLA_IFNAME") for link in a.ip.get_links()] == ["lo", "eth0", "d0"]
    assert "d0" not in [link.get_attr("IFLA_IFNAME") for link in pair.hosts["b"].ip.get_links()]


def test_pyroute2_inside_a_coroutine(pair: Network) -> None:
    async def main() -> int:
        return len(pair.hosts["a"].ip.get_links())

    assert pair.run(main()) == 2


async def _talk(net: Network) -> tuple[bytes, float]:
    a, b = net.hosts["a"], net.hosts["b"]
    server = await b.create_task(asyncio.start_server(echo, "", 8080))
    async with server:
        return await a.create_task(ask("b"))


def test_asyncio_runs_as_hosts(pair: Network) -> None:
    answer, seconds = pair.run(_talk(pair))
    assert answer == b"HELLO"
    assert seconds == pytest.approx(0.120, abs=2e-3), "neighbour discovery, handshake, request"


def test_an_hour_is_over_at_once(pair: Network) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - start

    assert pair.run(main()) == pytest.approx(3600, abs=1e-3)


def _captured(path: Path, seed: int) -> str:
    with Network(clock="virtual", seed=seed) as net:
        net.link(net.host("a"), net.host("b"), rate="10Mbit", delay="20ms", jitter="2ms", loss=0.01)
        with net.capture(path):
            net.iperf("a", "b", seconds=2)
            net.run(_talk(net))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_capture(tmp_path: Path) -> None:
    first, again, other = (_captured(tmp_path / f"{number}.pcapng", seed) for number, seed in enumerate((1, 1, 2)))
    assert first == again
    assert first != other


def test_a_capture_of_one_host_has_both_directions(tmp_path: Path) -> None:
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        net.link(net.host("a"), net.host("b"))
        with net.capture(tmp_path / "all.pcapng") as everything, net.capture(tmp_path / "a.pcapng", host="a") as one:
            net.ping("a", "b", count=3)
    assert everything.packets == one.packets == 2 * 3 + 2, "echoes and answers, and ARP"


@pytest.mark.parametrize(
    ("declare", "error", "says"),
    [
        (lambda net: net.host("a"), ValueError, "already"),
        (lambda net: net.host("a b"), ValueError, "no host name"),
        (lambda net: net.link("a", "x"), KeyError, "there are a, b"),
        (lambda net: net.link("a", "a"), ValueError, "two hosts"),
        (lambda net: net.link("a", "b", rate="fast"), ValueError, "10Mbit"),
        (lambda net: net.link("a", "b", rate=0), ValueError, "carry nothing"),
        (lambda net: net.link("a", "b", delay="20"), ValueError, "20ms"),
        (lambda net: net.link("a", "b", loss=1.5), ValueError, "0 to 1"),
        (lambda net: net.link("a", "b", mtu=10), ValueError, "68 to 65535"),
        (lambda net: net.link("a", "b", addresses=("10.0.0.1", None)), ValueError, "10.0.0.1/24"),
        (lambda net: net.link("a", "b", addresses=("10.0.0.300/24", None)), ValueError, "no address"),
        (lambda net: net.ping("a", "nowhere"), ValueError, "nowhere"),
        (lambda net: net.capture("/nonexistent/x.pcapng"), FileNotFoundError, "nonexistent"),
    ],
)
def test_bad_declarations(pair: Network, declare: object, error: type[Exception], says: str) -> None:
    assert callable(declare)
    with pytest.raises(error, match=says):
        declare(pair)
    assert pair.ping("a", "b").received == 1, "the network goes on"


def test_subnets_must_not_overlap() -> None:
    with Network() as net:
        for name in "abc":
            net.host(name)
        net.link("a", "b", addresses=("10.9.0.1/16", None))
        net.link("b", "c", addresses=("10.9.1.1/24", None))
        with pytest.raises(ValueError, match=r"10\.9\.1\.0/24 of b, c overlaps with 10\.9\.0\.0/16 of a, b"):
            net.up()


def test_an_address_belongs_to_one_interface() -> None:
    with Network() as net:
        net.link(net.host("a"), net.host("b"), addresses=("10.9.0.1/24", "10.9.0.1/24"))
        with pytest.raises(ValueError, match=r"10\.9\.0\.1 is given to a and to b"):
            net.up()


def test_who_is_pinged_must_be_somebody(pair: Network) -> None:
    with pytest.raises(ValueError, match="'c' is neither an address nor a host; the hosts are a, b"):
        pair.ping("a", "c")


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_more_datagrams_than_can_be_sent_are_measured(clock: Literal["real", "virtual"]) -> None:
    """As many as there is time for; one is received for each that is sent."""
    with Network(clock=clock, ipv6=None) as net:
        net.link(net.host("a"), net.host("b"))
        measured = net.iperf("a", "b", seconds=0.05, protocol="udp", rate="1Tbit")
    assert 0.9 * measured.sent < measured.received <= measured.sent


def test_a_full_disk_names_the_capture(pair: Network) -> None:
    capture = pair.capture("/dev/full")
    pair.ping("a", "b", count=3)
    with pytest.raises(OSError, match=r"not complete: No space left on device; make room, .*: '/dev/full'") as caught:
        capture.close()
    assert caught.value.errno == errno.ENOSPC


def test_a_closed_network_says_so() -> None:
    net = Network()
    net.close()
    net.close()
    with pytest.raises(ValueError, match="closed"):
        net.host("a")


def test_the_kernel_refuses_what_it_does_not_know(pair: Network) -> None:
    pair.up()
    with pytest.raises(OSError) as caught:
        pair._wiring.send(pair.hosts["a"], [b"\x10\0\0\0\xff\0\x01\0" + bytes(8)])
    assert caught.value.errno in (errno.EOPNOTSUPP, errno.EINVAL)
    assert caught.value.filename == "a"
