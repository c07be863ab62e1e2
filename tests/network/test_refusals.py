"""Bad input: the standard exception, with a message that says what to do, and nothing is worse off afterwards."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from liblinux import Network
from liblinux.network import FrameSocket, Functions, Internet, Tap, _devices


@pytest.fixture
def net() -> Iterator[Network]:
    with Network(clock="virtual", seed=1) as net:
        net.link(net.host("a"), net.host("b"))
        yield net


def _twice(net: Network, **options: Any) -> None:
    host = net.hosts["a"].socket
    with host.create_server(("", 80), **options), host.socket() as sock:
        sock.bind(("", 80))


def _unprivileged(net: Network) -> None:
    with net.kernel.process(uid=1000, gid=1000) as user, user.socket.socket() as sock:
        sock.bind(("127.0.0.1", 80))


def _unix_twice(net: Network) -> None:
    host = net.hosts["a"].socket
    with host.socket(socket.AF_UNIX) as sock, host.socket(socket.AF_UNIX) as other:
        sock.bind("/run.sock")
        other.bind("/run.sock")


def _abstract_twice(net: Network) -> None:
    host = net.hosts["a"].socket
    with host.socket(socket.AF_UNIX) as sock, host.socket(socket.AF_UNIX) as other:
        sock.bind("\0name")
        other.bind("\0name")


# What is done, the exception, and the part of its message that says what to do.
CASES: dict[str, tuple[Callable[[Network], object], type[Exception], str]] = {
    "subnets": (lambda _: Network(subnets="ten"), ValueError, r"write it as '10\.0\.0\.0/8'"),
    "ipv6": (lambda _: Network(ipv6="fd00::/200"), ValueError, "write it as 'fd00::/16'"),
    "clock": (lambda _: Network(clock="fast"), ValueError, "'real' or 'virtual'"),  # type: ignore[arg-type]
    "host": (lambda net: net.host(5), TypeError, "is a string"),  # type: ignore[arg-type]
    "mtu-number": (lambda net: net.link("a", "b", mtu="1500"), TypeError, "whole number"),  # type: ignore[arg-type]
    "mtu-ipv6": (lambda net: net.link("a", "b", mtu=1000), ValueError, r"1280.*Network\(ipv6=None\)"),
    "queue": (lambda net: net.link("a", "b", queue=1 << 31), ValueError, "2147483647 is the longest"),
    "pair": (lambda net: net.link("a", "b", addresses="10.9.0.1/24"), ValueError, "give a pair"),  # type: ignore[arg-type]
    "name-space": (lambda net: net.link("a", "b", names=("w lan", None)), ValueError, "no space"),
    "name-dots": (lambda net: net.link("a", "b", names=("..", None)), ValueError, "no name of an interface"),
    "name-format": (lambda net: net.link("a", "b", names=("e%d", None)), ValueError, "none of '/:%'"),
    "name-loopback": (lambda net: net.link("a", "b", names=("lo", None)), ValueError, "already"),
    "loopback": (lambda net: net.link("a", "b", addresses=("127.0.0.2/8", None)), ValueError, "take one of a host"),
    "multicast": (lambda net: net.link("a", "b", addresses=("ff02::1/64", None)), ValueError, "take one of a host"),
    "subnet": (lambda net: net.link("a", "b", addresses=("10.9.0.0/24", None)), ValueError, "take one of a host"),
    "broadcast": (lambda net: net.link("a", "b", addresses=("10.9.0.255/24", None)), ValueError, "take one of a host"),
    "ping-size": (lambda net: net.ping("a", "b", size=65508), ValueError, "0 to 65507"),
    "ping-count": (lambda net: net.ping("a", "b", count=0), ValueError, "one echo is the least"),
    "ping-timeout": (lambda net: net.ping("a", "b", timeout=0), ValueError, "timeout is not 0"),
    "iperf-seconds": (lambda net: net.iperf("a", "b", seconds=0), ValueError, "more than 0"),
    "congestion": (lambda net: net.iperf("a", "b", congestion="warp"), ValueError, "it has .*bbr.*cubic"),
    "port-in-use": (_twice, OSError, "port 80 at any address; .*SO_REUSEADDR.*port 0 for a free one"),
    "unix-in-use": (_unix_twice, OSError, r"unlink\(\) it"),
    "name-in-use": (_abstract_twice, OSError, "another socket has the name .*close it"),
    "no-right-to-port": (_unprivileged, PermissionError, "take another one than 80"),
    "no-such-address": (
        lambda net: net.hosts["a"].socket.create_server(("192.0.2.1", 80)),
        OSError,
        "no interface of this host has 192.0.2.1, .*''",
    ),
    "no-such-name": (
        lambda net: net.hosts["a"].socket.create_connection(("nobody", 80)),
        socket.gaierror,
        "'nobody' is in no table of hosts",
    ),
    "no-such-setting": (lambda net: net.hosts["a"].sysctl["net.ipv4.no"], KeyError, r"sorted\(sysctl\)"),
    "no-such-value": (
        lambda net: net.hosts["a"].sysctl.__setitem__("net.ipv4.tcp_congestion_control", "warp"),
        FileNotFoundError,
        "does not take 'warp' for it: 'net.ipv4.tcp_congestion_control'",
    ),
    "capture": (lambda net: net.capture("/nonexistent/x.pcapng"), FileNotFoundError, "a directory that is there"),
    "capture-directory": (lambda net: net.capture("/"), IsADirectoryError, "give the path of a file"),
    "no-coroutine": (lambda net: net.run(print), TypeError, "call the function"),  # type: ignore[arg-type]
    "netlink": (lambda net: net.hosts["a"].netlink(object, 31), OSError, "Protocol not supported"),
    "functions": (lambda _: Functions(5), TypeError, "is a function"),  # type: ignore[arg-type]
    "unix-frames": (lambda _: FrameSocket.unix("/nonexistent/s"), FileNotFoundError, "somebody has to listen there"),
    "udp-frames": (lambda _: FrameSocket.udp(("1.2.3.400", 0), ("127.0.0.1", 9)), ValueError, "address in numbers"),
    "virtual": (lambda net: net.link("a", Internet()), ValueError, r"Network\(clock='real'\)"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_said_what_to_do(net: Network, case: str) -> None:
    do, kind, says = CASES[case]
    links = len(net.links)
    with pytest.raises(kind, match=says):
        do(net)
    assert len(net.links) == links
    assert net.ping("a", "b").received == 1, "the network goes on"


def test_a_port_in_use_keeps_its_errno(net: Network) -> None:
    with pytest.raises(OSError) as caught:
        _twice(net)
    assert caught.value.errno == errno.EADDRINUSE
    assert str(caught.value).startswith("[Errno 98] Address already in use")


def test_a_udp_port_of_this_machine_that_is_in_use() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="take another port") as caught:
            FrameSocket.udp(taken.getsockname(), ("127.0.0.1", 9))
    assert caught.value.errno == errno.EADDRINUSE


def test_a_forwarded_port_that_is_in_use() -> None:
    with Network() as net, socket.create_server(("127.0.0.1", 0)) as taken:
        internet = Internet()
        net.link(net.host("a"), internet)
        net.up()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 .*; take another one"):
            internet.forward(port, to=80)


@pytest.mark.parametrize("wrong", [{"mtu": 1}, {"names": ("lo", None)}, {"rate": "fast"}])
def test_a_device_whose_link_was_refused_can_have_another(wrong: dict[str, Any]) -> None:
    device = Functions(lambda frame: None)
    with Network(clock="virtual", seed=1) as net:
        host = net.host("a")
        with pytest.raises(ValueError):
            net.link(host, device, **wrong)
        net.link(host, device)
        net.up()
        assert list(host.interfaces) == ["eth0"]


def test_both_addresses_of_two_are_of_hosts() -> None:
    """The subnet's and the broadcast address are none where there are just two: RFC 3021."""
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        net.link(net.host("a"), net.host("b"), addresses=("10.9.0.0/31", "10.9.0.1/31"))
        assert net.ping("a", "b").received == net.ping("b", "a").received == 1


def test_names_that_are_given_stand_in_nobody_s_way() -> None:
    with Network(clock="virtual", seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, names=("eth1", None))
        net.link(a, b)
        net.up()
        assert (list(a.interfaces), list(b.interfaces)) == (["eth1", "eth2"], ["eth0", "eth1"])


def test_a_machine_without_tap_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_devices, "_TUN", str(tmp_path / "tun"))
    with Network() as net:
        net.link(net.host("a"), Tap("tap9"))
        with pytest.raises(FileNotFoundError, match=r"modprobe tun.*Internet\(\)"):
            net.up()


def test_without_permission_it_is_said_how_to_get_it(as_nobody: None) -> None:
    with Network() as net:
        net.link(net.host("a"), Tap("lltap9"))
        with pytest.raises(PermissionError) as caught:
            net.up()
    said = str(caught.value)
    assert re.search(r"ip tuntap add dev lltap9 mode tap user \$USER", said), said
    assert "Internet()" in said and "FrameSocket()" in said, "the ways without rights"


def test_what_has_vanished_says_what_to_do() -> None:
    here, there = socket.socketpair()
    with Network() as net:
        device = FrameSocket(here, "the far end")
        net.link(net.host("a"), device)
        net.up()
        there.close()
        for _ in range(500):
            if device.error is not None:
                break
            net.hosts["a"].syscall("nanosleep", bytes(8) + (10**7).to_bytes(8, "little"), None)
        assert "begin a new Network with a new device" in str(device.error)
