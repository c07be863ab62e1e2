"""Mobile IPv6 (RFC 6275): what Linux has of it, the way of packets between a mobile node and its correspondent.

Bindings are made by xfrm netlink, as a daemon of Mobile IPv6 does it: the home address option (in a destination
options header) on the way there, the routing header of type 2 on the way back.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import HAO, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting
from wire import Wire, index, wait
from xfrm import IN, OUT, ROUTE_OPTIMIZATION, add_policy, add_state, selector_of

from liblinux import Network

_HOME = "fd99::1"
_HOME_ADDRESS_FLAG = 0x10  # IFA_F_HOMEADDRESS
_THERE, _BACK = socket.IPPROTO_DSTOPTS, socket.IPPROTO_ROUTING


@pytest.fixture
def roaming() -> Iterator[Network]:
    """A mobile node that is away, its correspondent, and the router of its home, where nobody is."""
    with Network(clock="virtual", seed=1) as net:
        switch = net.switch("switch")
        for name in ("mobile", "correspondent", "home"):
            net.link(net.host(name), switch)
        net.up()
        mobile, correspondent = net.hosts["mobile"], net.hosts["correspondent"]
        mobile.ip.addr(
            "add", index=index(net, "mobile", "eth0"), address=_HOME, prefixlen=128, flags=_HOME_ADDRESS_FLAG
        )
        # As everybody, the correspondent sends to the home of the mobile node: for all that it knows it is there.
        correspondent.ip.route("add", dst=f"{_HOME}/128", gateway=_own(net, "home"))
        mobile.ip.route("add", dst=f"{_own(net, 'correspondent')}/128", oif=index(net, "mobile", "eth0"), prefsrc=_HOME)
        wait(net, 3)  # for duplicate address detection
        yield net


def _own(net: Network, name: str) -> str:
    return next(address for address in net.resolve(name) if ":" in address)


def _bind(net: Network) -> None:
    """What both ends know after a binding update: where the home address is to be reached."""
    care_of, other = _own(net, "mobile"), _own(net, "correspondent")
    there, back = (_HOME, other), (other, _HOME)
    for name in ("mobile", "correspondent"):
        host = net.hosts[name]
        for ends, protocol in ((there, _THERE), (back, _BACK)):
            direction = OUT if (ends == there) == (name == "mobile") else IN
            add_state(host, *ends, 0, ROUTE_OPTIMIZATION, protocol, care_of)
            add_policy(
                host, direction, selector_of(*(f"{end}/128" for end in ends)), ends, ROUTE_OPTIMIZATION, protocol
            )


def _exchange(net: Network) -> tuple[str, bytes]:
    """The mobile node asks by its home address; who it seems to be to the other one, and the answer."""
    mobile, correspondent = net.hosts["mobile"], net.hosts["correspondent"]
    with (
        correspondent.socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server,
        mobile.socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("", 7))
        client.bind((_HOME, 0))
        for sock in (server, client):
            sock.settimeout(5)
        client.sendto(b"question", (_own(net, "correspondent"), 7))
        question, address = server.recvfrom(100)
        assert question == b"question"
        server.sendto(b"answer", address)
        return address[0], client.recv(100)


def test_route_optimization_goes_past_the_home(roaming: Network, tmp_path: Path) -> None:
    _bind(roaming)
    with Wire(roaming, tmp_path) as wire:
        assert _exchange(roaming) == (_HOME, b"answer"), "programs see the home address alone"
    care_of, other = _own(roaming, "mobile"), _own(roaming, "correspondent")
    question = next(packet for packet in wire.packets if b"question" in bytes(packet))
    assert (question[IPv6].src, question[IPv6].dst) == (care_of, other)
    options = question[IPv6ExtHdrDestOpt].options
    assert [option.hoa for option in options if isinstance(option, HAO)] == [_HOME]
    answer = next(packet for packet in wire.packets if b"answer" in bytes(packet))
    assert (answer[IPv6].src, answer[IPv6].dst) == (other, care_of)
    routing = answer[IPv6ExtHdrRouting]
    assert (routing.type, routing.segleft, routing.addresses) == (2, 1, [_HOME])
    assert question.haslayer(UDP) and answer.haslayer(UDP)


def test_without_a_binding_the_answer_goes_home(roaming: Network, tmp_path: Path) -> None:
    """The test above would see nothing if packets found the mobile node by themselves."""
    with Wire(roaming, tmp_path) as wire, pytest.raises(TimeoutError):
        _exchange(roaming)
    answers = [packet for packet in wire.packets if packet.haslayer(UDP) and b"answer" in bytes(packet)]
    assert answers and all(packet[IPv6].dst == _HOME for packet in answers)


def test_a_home_address_that_was_not_bound_is_refused(roaming: Network, tmp_path: Path) -> None:
    """RFC 6275, 9.3.1: else anyone could speak for anyone. The node is told by a binding error or not at all."""
    care_of, other = _own(roaming, "mobile"), _own(roaming, "correspondent")
    mobile = roaming.hosts["mobile"]
    add_state(mobile, _HOME, other, 0, ROUTE_OPTIMIZATION, _THERE, care_of)
    add_policy(mobile, OUT, selector_of(f"{_HOME}/128", f"{other}/128"), (_HOME, other), ROUTE_OPTIMIZATION, _THERE)
    with Wire(roaming, tmp_path) as wire, pytest.raises(TimeoutError):
        _exchange(roaming)
    assert any(packet.haslayer(HAO) and packet[IPv6].src == care_of for packet in wire.packets), "it was sent"
