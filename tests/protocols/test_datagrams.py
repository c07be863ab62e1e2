"""UDP, UDP-Lite, multicast, Unix sockets, netlink."""

from __future__ import annotations

import array
import contextlib
import socket
import struct
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6MLReport2, IPv6
from scapy.layers.l2 import Ether
from wire import Wire, index, pair, wait

from liblinux import Network

_UDPLITE_SEND_CSCOV, _UDPLITE_RECV_CSCOV = 10, 11
_RTMGRP_LINK = 1
_RTM_NEWLINK = 16
_CREATE = 0x605  # NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE
_ETH_P_ALL = 3


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_udp(family: int, tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        address = next(one for one in net.resolve("b") if (":" in one) == (family == socket.AF_INET6))
        with (
            a.socket.socket(family, socket.SOCK_DGRAM) as asking,
            b.socket.socket(family, socket.SOCK_DGRAM) as answering,
        ):
            answering.bind(("", 7))
            asking.sendto(b"question", (address, 7))
            data, source = answering.recvfrom(100)
            answering.sendto(data.upper(), source)
            assert asking.recv(100) == b"QUESTION"
    assert [bytes(packet.payload) for packet in wire.of(UDP)] == [b"question", b"QUESTION"]
    assert all(packet.chksum for packet in wire.of(UDP))


def test_udp_lite_checks_as_much_as_asked_for(tmp_path: Path) -> None:
    lite = (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDPLITE)
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        with a.socket.socket(*lite) as sending, b.socket.socket(*lite) as receiving, b.scapy("eth0") as tap:
            receiving.bind(("", 7))
            receiving.settimeout(1)
            sending.setsockopt(socket.IPPROTO_UDPLITE, _UDPLITE_SEND_CSCOV, 12)
            sending.sendto(b"head, and a body", (b.address, 7))
            assert receiving.recv(100) == b"head, and a body"
            frame = bytes(tap.sniff(count=10, timeout=0.1, lfilter=lambda packet: packet.haslayer(IP))[0])
            with a.scapy("eth0") as forging:
                # What is not covered may be damaged; what is, not.
                forging.send(Ether(frame.replace(b"a body", b"a bodY")))
                assert receiving.recv(100) == b"head, and a bodY"
                forging.send(Ether(frame.replace(b"head", b"Head")))
                with pytest.raises(TimeoutError):
                    receiving.recv(100)
    datagram = bytes(wire.of(IP, proto=socket.IPPROTO_UDPLITE)[0].payload)
    assert struct.unpack_from("!4H", datagram)[1:3] == (7, 12), "the port, and the coverage in place of the length"


def _star() -> Network:
    net = Network(clock="virtual", seed=1)
    net.switch("s")
    for name in "abc":
        net.link(net.host(name), "s")
    return net


def test_multicast_of_ipv4(tmp_path: Path) -> None:
    group = "239.1.2.3"
    with _star() as net, Wire(net, tmp_path) as wire:
        a, b, c = (net.hosts[name].socket for name in "abc")
        sockets = [one.socket(socket.AF_INET, socket.SOCK_DGRAM) for one in (a, b, c)]
        for name, receiving in zip("bc", sockets[1:], strict=True):
            receiving.bind(("", 7))
            receiving.settimeout(1)
            if name == "b":
                member = socket.inet_aton(group) + socket.inet_aton(net.hosts[name].address)
                receiving.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sockets[0].setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(net.hosts["a"].address))
        sockets[0].sendto(b"to all", (group, 7))
        assert sockets[1].recv(100) == b"to all"
        with pytest.raises(TimeoutError):
            sockets[2].recv(100)
    reports = [bytes(packet.payload) for packet in wire.of(IP, proto=socket.IPPROTO_IGMP)]
    assert any(report[0] == 0x22 and socket.inet_aton(group) in report for report in reports), "of IGMPv3"
    sent = next(packet for packet in wire.packets if IP in packet and packet[IP].dst == group)
    assert sent[Ether].dst == "01:00:5e:01:02:03"


def test_multicast_of_ipv6(tmp_path: Path) -> None:
    group = "ff05::7"
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"].socket, net.hosts["b"].socket
        with (
            a.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sending,
            b.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiving,
        ):
            receiving.bind(("", 7))
            member = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=i", b.if_nametoindex("eth0"))
            receiving.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
            sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, a.if_nametoindex("eth0"))
            sending.sendto(b"to all", (group, 7))
            assert receiving.recv(100) == b"to all"
            wait(net, 1)
    assert any(record.dst == group for report in wire.of(ICMPv6MLReport2) for record in report.records)
    assert next(packet for packet in wire.packets if IPv6 in packet and packet[IPv6].dst == group).dst == (
        "33:33:00:00:00:07"
    )


def test_unix_sockets_carry_descriptors_and_who_sent() -> None:
    with pair() as net:
        host = net.hosts["a"]
        first, second = host.socket.socketpair()
        with first, second, host.open("/note", "wb+") as file:
            file.write(b"a file that is handed over")
            file.flush()
            second.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            fds = array.array("i", [file.raw.fd])
            first.sendmsg([b"here"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            data, control, _, _ = second.recvmsg(10, 200)
        assert data == b"here"
        kinds = {kind: value for _, kind, value in control}
        received = struct.unpack("=i", kinds[socket.SCM_RIGHTS])[0]
        assert received != fds[0]
        assert host.os.pread(received, 100, 0) == b"a file that is handed over"
        assert struct.unpack("=3i", kinds[socket.SCM_CREDENTIALS])[0] == host.process.pid


def test_unix_sockets_with_names() -> None:
    with pair() as net:
        host = net.hosts["a"].socket
        with (
            host.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server,
            host.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client,
        ):
            server.bind(b"\0of no file")
            server.listen()
            client.connect(b"\0of no file")
            accepted, _ = server.accept()
            with accepted:
                client.send(b"one")
                client.send(b"two")
                assert [accepted.recv(100), accepted.recv(100)] == [b"one", b"two"], "each by itself"
        with net.hosts["b"].socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other, pytest.raises(OSError):
            other.connect(b"\0of no file")


def test_netlink_tells_of_changes() -> None:
    """The wire of netlink is an interface of the kind nlmon, which sees all messages of its namespace."""
    with pair() as net:
        a = net.hosts["a"]
        a.ip.link("add", ifname="monitor", kind="nlmon")
        a.ip.link("set", index=index(net, "a", "monitor"), state="up")
        wire = a.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        wire.bind(("monitor", _ETH_P_ALL))
        wire.settimeout(1)
        with a.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as listening:
            listening.bind((0, _RTMGRP_LINK))
            listening.settimeout(1)
            a.ip.link("add", ifname="d0", kind="dummy")
            message = listening.recv(65536)
            assert struct.unpack_from("=IH", message) == (len(message), _RTM_NEWLINK)
            assert b"d0\0" in message and b"dummy" in message
            net.hosts["b"].ip.link("add", ifname="d1", kind="dummy")
            with pytest.raises(TimeoutError):
                listening.recv(65536)
        with wire:
            crossed = []
            with contextlib.suppress(TimeoutError):
                while True:
                    crossed.append(wire.recv(65536))
    assert message in crossed, "what the kernel has told"
    requests = [one for one in crossed if struct.unpack_from("=IHH", one)[1:] == (_RTM_NEWLINK, _CREATE)]
    assert len(requests) == 1 and b"d0\0" in requests[0], "and what it was asked for"
    assert not any(b"d1\0" in one for one in crossed), "but nothing of the other host"
