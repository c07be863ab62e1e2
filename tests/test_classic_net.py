"""The classic network tests of a kernel as a library, one by one, over each way to reach a peer.

A device is created, added, started, given an index, an address and a gateway, used,
and removed; over loopback, a TAP device of this machine, a pipe (a socket pair), a raw
socket (a packet socket on a veth pair) and between two hosts of one network.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import NetlinkError
from scapy.utils import RawPcapNgReader

import machine
from liblinux import Host, Network
from liblinux.network import FrameSocket, HostInterface, Tap

SECOND_NS = 10**9
SIOCETHTOOL = 0x8946
# linux/ethtool.h: commands that get and set one offload
OFFLOADS = {
    "rx-checksum": (0x14, 0x15),
    "tx-checksum": (0x16, 0x17),
    "scatter-gather": (0x18, 0x19),
    "tso": (0x1E, 0x1F),
    "gso": (0x23, 0x24),
    "gro": (0x2B, 0x2C),
}


class Ends:
    """The host that is tested, the addresses of its peer, and the peer: a host, or a namespace of this machine."""

    def __init__(self, host: Host, peer4: str, peer6: str, peer: Host | str) -> None:
        self.host = host
        self.peer4, self.peer6 = peer4, peer6
        self.peer = peer


def _namespaced(name: str, interface: str) -> None:
    """Give an interface of a namespace of this machine its addresses."""
    machine.ip("-n", name, "addr", "add", "10.9.0.2/24", "dev", interface)
    machine.ip("-n", name, "addr", "add", "fd09::2/64", "dev", interface, "nodad")
    machine.ip("-n", name, "link", "set", interface, "up")


@contextlib.contextmanager
def _loopback() -> Iterator[Ends]:
    with Network() as net:
        host = net.host("a")
        yield Ends(host, "127.0.0.1", "::1", host)


@contextlib.contextmanager
def _cable() -> Iterator[Ends]:
    with Network() as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, addresses=(["10.9.0.1/24", "fd09::1/64"], ["10.9.0.2/24", "fd09::2/64"]))
        yield Ends(a, "10.9.0.2", "fd09::2", b)


@contextlib.contextmanager
def _pipe() -> Iterator[Ends]:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Network() as one, Network() as other:
        for number, (net, end) in enumerate(zip((one, other), ends, strict=True), 1):
            addresses = ([f"10.9.0.{number}/24", f"fd09::{number}/64"], None)
            net.link(net.host("ab"[number - 1]), FrameSocket(end), addresses=addresses)
            net.up()
        yield Ends(one.hosts["a"], "10.9.0.2", "fd09::2", other.hosts["b"])


@contextlib.contextmanager
def _tap() -> Iterator[Ends]:
    with machine.namespace() as there, Network() as net:
        host = net.host("a")
        net.link(host, Tap("tap"), addresses=(["10.9.0.1/24", "fd09::1/64"], None))
        with machine.inside(there):
            net.up()
        _namespaced(there, "tap")
        yield Ends(host, "10.9.0.2", "fd09::2", there)


@contextlib.contextmanager
def _raw() -> Iterator[Ends]:
    with machine.namespace() as here, machine.namespace() as there, Network() as net:
        machine.ip("-n", here, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", there)
        machine.ip("-n", here, "link", "set", "near", "up")
        _namespaced(there, "far")
        host = net.host("a")
        net.link(host, HostInterface("near"), addresses=(["10.9.0.1/24", "fd09::1/64"], None))
        with machine.inside(here):
            net.up()
        yield Ends(host, "10.9.0.2", "fd09::2", there)


BACKENDS = {"loopback": _loopback, "cable": _cable, "pipe": _pipe, "tap": _tap, "raw": _raw}


@pytest.fixture(params=[pytest.param(name, marks=[machine.AS_ROOT] * (name in ("tap", "raw"))) for name in BACKENDS])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """A host and its peer, over each way there is."""
    with BACKENDS[request.param]() as made:
        yield made


@pytest.fixture
def host() -> Iterator[Host]:
    """A host alone."""
    with Network(clock="virtual", seed=1) as net:
        yield net.host("a")


def _link(host: Host, name: str) -> dict[str, object]:
    message = host.ip.link("get", ifname=name)[0]
    return {**message, **dict(message["attrs"])}


# ---- the life of a device, step by step ---------------------------------------


def test_device_from_creation_to_removal(host: Host) -> None:
    """Create, add, start, interface index, interface up, address, gateway, sleep, echo, stop, remove."""
    host.ip.link("add", ifname="d0", kind="dummy")
    index = host.socket.if_nametoindex("d0")
    assert host.socket.if_indextoname(index) == "d0"
    assert _link(host, "d0")["IFLA_OPERSTATE"] == "DOWN"
    host.ip.link("set", index=index, state="up")
    assert int(str(_link(host, "d0")["flags"])) & 1, "IFF_UP"
    host.ip.addr("add", index=index, address="10.5.0.1", prefixlen=24)
    host.ip.addr("add", index=index, address="fd05::1", prefixlen=64)
    host.ip.route("add", dst="default", gateway="10.5.0.254")
    host.ip.route("add", dst="default", gateway="fd05::254")
    gateways = {
        route.get_attr("RTA_GATEWAY")
        for family in (socket.AF_INET, socket.AF_INET6)
        for route in host.ip.get_default_routes(family=family)
    }
    assert gateways == {"10.5.0.254", "fd05::254"}
    before = host.kernel.now()
    host.syscall("nanosleep", struct.pack("=qq", 1, 0), None)
    assert host.kernel.now() - before >= SECOND_NS
    assert host.ping("10.5.0.1").received == 1
    host.ip.link("set", index=index, state="down")
    assert host.ping("10.5.0.254", timeout=0.1).received == 0
    host.ip.link("del", index=index)
    with pytest.raises(OSError, match="no interface"):
        host.socket.if_nametoindex("d0")


def test_several_interfaces(host: Host) -> None:
    for number in range(5):
        host.ip.link("add", ifname=f"d{number}", kind="dummy")
    names = [name for _, name in host.socket.if_nameindex()]
    assert names == ["lo", "d0", "d1", "d2", "d3", "d4"]
    assert len({index for index, _ in host.socket.if_nameindex()}) == 6


def _reached_in_time(host: Host, address: str, size: int = 56) -> bool:
    """An interface of this machine may take a moment until it sees its other end."""
    return any(host.ping(address, size=size, timeout=0.5).received for _ in range(120))


# ---- over every back end -------------------------------------------------------


def test_echo_there(ends: Ends) -> None:
    for address in (ends.peer4, ends.peer6):
        assert _reached_in_time(ends.host, address), address


def test_the_peer_asks(ends: Ends) -> None:
    """By an echo where it is a host; a namespace of this machine, which may have no ping, by a connection."""
    own4, own6 = ("127.0.0.1", "::1") if ends.peer4 == "127.0.0.1" else ("10.9.0.1", "fd09::1")
    for own, family in ((own4, socket.AF_INET), (own6, socket.AF_INET6)):
        if isinstance(ends.peer, Host):
            assert ends.peer.ping(own, timeout=60).received == 1
        else:
            _exchange_with_machine(ends.host, ends.peer, own, family, 1000)


# In a namespace of this machine: send what is asked for, and want the same back.
PEER = """
import os, socket, sys, threading
data = os.urandom(int(sys.argv[3]))
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
threading.Thread(target=peer.sendall, args=(data,)).start()
back = b""
while len(back) < len(data):
    back += peer.recv(1 << 20)
assert back == data
"""


def test_the_life_of_a_device_over_each_back_end(ends: Ends) -> None:
    """Made and started (by the fixture), index, up, address, gateway, sleep, echo, stop, start, remove."""
    host = ends.host
    lo = ends.peer4 == "127.0.0.1"
    name = "lo" if lo else "eth0"
    own4, own6 = ("127.0.0.1", "::1") if lo else ("10.9.0.1", "fd09::1")
    assert _reached_in_time(host, ends.peer4)
    index = host.socket.if_nametoindex(name)
    assert host.socket.if_indextoname(index) == name
    assert int(str(_link(host, name)["flags"])) & 1, "IFF_UP"
    assert {own4, own6} <= {one.get_attr("IFA_ADDRESS") for one in host.ip.get_addr(index=index)}
    if not lo:
        for gateway, family in ((ends.peer4, socket.AF_INET), (ends.peer6, socket.AF_INET6)):
            host.ip.route("add", dst="default", gateway=gateway)
            assert gateway in [one.get_attr("RTA_GATEWAY") for one in host.ip.get_default_routes(family=family)]
    before = host.kernel.now()
    host.syscall("nanosleep", struct.pack("=qq", 0, 10**7), None)
    assert host.kernel.now() - before >= 10**7
    host.ip.link("set", index=index, state="down")
    assert host.ping(ends.peer4, timeout=0.1).received == 0
    host.ip.link("set", index=index, state="up")
    assert _reached_in_time(host, ends.peer4)
    if lo:
        with pytest.raises(NetlinkError) as caught:
            host.ip.link("del", index=index)
        assert caught.value.code == errno.EOPNOTSUPP, "the loopback stays"
        return
    host.ip.link("del", index=index)
    with pytest.raises(OSError, match="no interface"):
        host.socket.if_nametoindex(name)
    assert host.ping(ends.peer4, timeout=0.1).received == 0


def _exchange_with_machine(host: Host, namespace: str, own: str, family: int, count: int) -> None:
    with host.socket.create_server(("", 0), family=family) as server:
        command = machine.program_in(namespace, PEER, own, str(server.getsockname()[1]), str(count))
        with subprocess.Popen(command) as peer:
            accepted, _ = server.accept()
            with accepted:
                while count:
                    data = accepted.recv(1 << 20)
                    accepted.sendall(data)
                    count -= len(data)
                assert peer.wait(60) == 0


def test_neighbours(ends: Ends) -> None:
    assert _reached_in_time(ends.host, ends.peer4)
    assert _reached_in_time(ends.host, ends.peer6)
    known = {entry.get_attr("NDA_DST"): entry.get_attr("NDA_LLADDR") for entry in ends.host.ip.get_neighbours()}
    if ends.peer4 == "127.0.0.1":
        assert ends.peer4 not in known, "the loopback needs none"
        return
    assert known[ends.peer4] == known[ends.peer6]
    assert len(known[ends.peer4].split(":")) == 6
    # One that is set by hand is kept.
    index = ends.host.socket.if_nametoindex("eth0")
    ends.host.ip.neigh("add", dst="10.9.0.77", lladdr="02:00:00:00:00:77", ifindex=index, state="permanent")
    entries = {entry.get_attr("NDA_DST"): entry["state"] for entry in ends.host.ip.get_neighbours()}
    assert entries["10.9.0.77"] == 0x80, "NUD_PERMANENT"


def test_a_stream_is_whole_with_offloads_on_and_off(ends: Ends) -> None:
    """Checksums and segments by whoever: what arrives is what was sent, in both directions."""
    interface = "lo" if ends.peer4 == "127.0.0.1" else "eth0"
    for on in (True, False):
        for name, (get, change) in OFFLOADS.items():
            with contextlib.suppress(OSError):  # some are fixed for some devices
                _ethtool(ends.host, interface, change, int(on))
            if name in ("gso", "gro"):
                assert _ethtool(ends.host, interface, get) == on, name
        for peer, own in ((ends.peer4, "10.9.0.1"), (ends.peer6, "fd09::1")):
            assert _reached_in_time(ends.host, peer, size=1400)
            if isinstance(ends.peer, Host):
                _stream(ends.host, ends.peer, peer)
                _stream(ends.peer, ends.host, peer if interface == "lo" else own)
            else:
                _exchange_with_machine(ends.host, ends.peer, own, _family(own), 300_000)


def _ethtool(host: Host, interface: str, command: int, value: int = 0) -> int:
    """struct ethtool_value by ioctl(2)."""
    argument = bytearray(struct.pack("=II", command, value))
    with host.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, _addressed(host, argument) as address:
        host.syscall("ioctl", sock.fileno(), SIOCETHTOOL, struct.pack("=16sQ16x", interface.encode(), address))
    return int(struct.unpack("=II", argument)[1])


@contextlib.contextmanager
def _addressed(host: Host, memory: bytearray) -> Iterator[int]:
    """The address of memory, which stays where it is meanwhile."""
    import ctypes

    yield ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _stream(sender: Host, receiver: Host, address: str, count: int = 300_000) -> None:
    data = os.urandom(count)
    with (
        receiver.socket.create_server(("", 0), family=_family(address)) as server,
        sender.socket.create_connection((address, server.getsockname()[1])) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            client.setblocking(False)
            received, sent = b"", 0
            while len(received) < count:
                with contextlib.suppress(BlockingIOError):
                    sent += client.send(data[sent : sent + 65536])
                with contextlib.suppress(BlockingIOError):
                    received += accepted.recv(1 << 20, socket.MSG_DONTWAIT)
    assert received == data


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("there", [True, False], ids=["sender-on", "sender-off"])
@pytest.mark.parametrize("back", [True, False], ids=["receiver-on", "receiver-off"])
def test_offloads_of_both_ends(there: bool, back: bool, version: int, tmp_path: Path) -> None:
    """What is on the wire shows them: frames longer than the MTU, and checksums that were left to the card."""
    with Network(clock="virtual", seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b)
        for host, on in ((a, there), (b, back)):
            net.up()
            for get, change in OFFLOADS.values():
                _ethtool(host, "eth0", change, int(on))
                assert _ethtool(host, "eth0", get) == on
        with net.capture(tmp_path / "x.pcapng"):
            _stream(a, b, _address(net, b, version))
            _stream(b, a, _address(net, a, version))
    with RawPcapNgReader(str(tmp_path / "x.pcapng")) as reader:
        frames = [(about.ifname, frame) for frame, about in reader if len(frame) > 1000]
    for interface, on in ((b"a:eth0", there), (b"b:eth0", back)):
        sent = [frame for name, frame in frames if name == interface]
        assert sent
        assert (max(map(len, sent)) > 1514) == on, "segments are the card's business, or the kernel's"
        assert {_is_finished(frame, version) for frame in sent} == {not on}, "and so are checksums"


def _is_finished(frame: bytes, version: int) -> bool:
    """Whether the checksum of TCP is right; RFC 9293, 3.1. Without options of IP."""
    addresses, segment = (frame[26:34], frame[34:]) if version == 4 else (frame[22:54], frame[54:])
    data = addresses + struct.pack("!II", len(segment), socket.IPPROTO_TCP) + segment
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])) + (data[-1] << 8) * (len(data) & 1)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


# ---- tables, rules, queues ------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
def test_routing_tables_and_rules(version: int) -> None:
    """What a rule says goes by another table, by source and by mark."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    target = "192.0.2.1" if version == 4 else "2001:db8::1"
    with Network(clock="virtual", seed=1) as net:
        a, b, c = (net.host(name) for name in "abc")
        for peer in (b, c):
            net.link(a, peer)
        for peer in (b, c):
            index = peer.socket.if_nametoindex("lo")
            peer.ip.addr("add", index=index, address=target, prefixlen=32 if version == 4 else 128)
        near = [_address(net, peer, version) for peer in (b, c)]
        prefix = f"{target}/{32 if version == 4 else 128}"
        a.ip.route("add", dst=prefix, gateway=near[0], family=family)
        a.ip.route("add", dst=prefix, gateway=near[1], table=100, family=family)
        a.ip.rule("add", table=100, priority=50, fwmark=7, family=family)
        assert _reached(a, family, target, 0, near) == 0
        assert _reached(a, family, target, 7, near) == 1
        a.ip.rule("del", table=100, priority=50, fwmark=7, family=family)
        assert _reached(a, family, target, 7, near) == 0


def _address(net: Network, host: Host, version: int) -> str:
    return next(one for one in net.resolve(host.name) if (":" in one) == (version == 6))


def _reached(host: Host, family: int, target: str, mark: int, gateways: list[str]) -> int:
    """Which gateway a packet with this mark goes to."""
    with host.socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        sock.connect((target, 9))
        own = sock.getsockname()[0]
    nets = [gateway.rpartition("." if family == socket.AF_INET else ":")[0] for gateway in gateways]
    return nets.index(own.rpartition("." if family == socket.AF_INET else ":")[0])


@pytest.mark.parametrize("kind", ["pfifo", "fq", "fq_codel", "sfq", "tbf", "netem"])
def test_queueing_disciplines(kind: str) -> None:
    options: dict[str, dict[str, object]] = {
        "pfifo": {"limit": 100},
        "tbf": {"rate": "10mbit", "latency": "50ms", "burst": 5000},
        "netem": {"delay": 10000},
    }
    with Network(clock="virtual", seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b)
        net.up()
        index = a.socket.if_nametoindex("eth0")
        a.ip.tc("replace", kind, index, handle=0x10000, **options.get(kind, {}))
        assert [qdisc.get_attr("TCA_KIND") for qdisc in a.ip.get_qdiscs(index=index)] == [kind]
        times = net.ping("a", "b", count=2).times
        assert times[1] is not None
        assert times[1] == pytest.approx(0.010 if kind == "netem" else 0.0, abs=2e-3)


def test_the_library_s_own_tap_has_offloads_of_both_directions() -> None:
    """IFF_VNET_HDR: the header of virtio in front of a frame, without mergeable receive buffers, which TAP has not."""
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        host = net.host("a")
        tap = host.os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        host.syscall("ioctl", tap, 0x400454CA, struct.pack("=16sh22x", b"t0", 0x5002))
        for offloads in (0xF, 0):
            host.syscall("ioctl", tap, 0x400454D0, offloads)
            tso = _ethtool(host, "t0", OFFLOADS["tso"][0])
            assert bool(tso) == bool(offloads)
        host.os.close(tap)
