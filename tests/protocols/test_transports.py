"""SCTP, DCCP and MPTCP: several streams, several paths."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

import pytest
from pyroute2.netlink import NETLINK_GENERIC
from pyroute2.netlink.generic.mptcp import MPTCP
from scapy.layers.inet import IP, TCP
from scapy.layers.sctp import SCTP, SCTPChunkData
from wire import Wire, carry, pair

from liblinux import Network
from liblinux._sockets.sock import Socket

_IPPROTO_DCCP, _IPPROTO_MPTCP, _SOL_DCCP, _SOL_SCTP = 33, 262, 269, 132
_SOCK_DCCP = 6
_DCCP_SERVICE, _DCCP_CURRENT_MPS = 2, 5
_SCTP_RTOINFO, _SCTP_INITMSG, _SCTP_EVENTS, _SCTP_BINDX_ADD = 0, 2, 11, 100
_SCTP_SNDRCV = 1
_MPTCP_OPTION = 30
_SIGNAL = 1  # MPTCP_PM_ADDR_FLAG_SIGNAL
_DATA = bytes(range(256)) * 4096


def _sockaddr(address: str, port: int) -> bytes:
    return struct.pack("=H", socket.AF_INET) + port.to_bytes(2, "big") + socket.inet_aton(address) + bytes(8)


def _bind_all(sock: Socket, addresses: list[str], port: int) -> None:
    """sctp_bindx(3)."""
    sock.bind((addresses[0], port))
    for address in addresses[1:]:
        sock.setsockopt(_SOL_SCTP, _SCTP_BINDX_ADD, _sockaddr(address, sock.getsockname()[1]))


def _associate(net: Network) -> tuple[Socket, Socket]:
    """An association over all addresses of both hosts, with ten streams each way."""
    a, b = net.hosts["a"], net.hosts["b"]
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    addresses = {name: [one for one in net.resolve(name) if ":" not in one] for name in "ab"}
    with b.socket.socket(*kind) as listening:
        client = a.socket.socket(*kind)
        for sock in (listening, client):
            sock.setsockopt(_SOL_SCTP, _SCTP_INITMSG, struct.pack("=4H", 10, 10, 0, 0))
            sock.setsockopt(_SOL_SCTP, _SCTP_RTOINFO, struct.pack("=4I", 0, 300, 500, 100))
            sock.setsockopt(_SOL_SCTP, _SCTP_EVENTS, b"\1" + bytes(13))  # with what arrives, its stream
        _bind_all(listening, addresses["b"], 7)
        _bind_all(client, addresses["a"], 0)
        listening.listen()
        client.connect((addresses["b"][0], 7))
        server, _ = listening.accept()
    return client, server


def _send_on(sock: Socket, stream: int, data: bytes) -> None:
    information = struct.pack("=HHHxxIIIIIi", stream, 0, 0, socket.htonl(99), 0, 0, 0, 0, 0)
    sock.sendmsg([data], [(_SOL_SCTP, _SCTP_SNDRCV, information)])


def _receive_on(sock: Socket) -> tuple[int, bytes]:
    data, control, _, _ = sock.recvmsg(1000, 200)
    information = next(value for _, kind, value in control if kind == _SCTP_SNDRCV)
    return struct.unpack_from("=H", information)[0], data


def test_sctp_has_streams(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        client, server = _associate(net)
        with client, server:
            for stream in (0, 7, 3):
                _send_on(client, stream, b"on stream %d" % stream)
            assert [_receive_on(server) for _ in range(3)] == [(n, b"on stream %d" % n) for n in (0, 7, 3)]
    # Each once, also when the acknowledgement was late.
    chunks = dict.fromkeys((chunk.stream_id, chunk.stream_seq) for chunk in wire.of(SCTPChunkData))
    assert list(chunks) == [(0, 0), (7, 0), (3, 0)]
    assert all(chunk.proto_id == 99 for chunk in wire.of(SCTPChunkData))


def test_sctp_goes_on_by_another_path(tmp_path: Path) -> None:
    with pair(links=2, delay="5ms") as net, Wire(net, tmp_path) as wire:
        client, server = _associate(net)
        with client, server:
            _send_on(client, 0, b"by the first")
            assert _receive_on(server) == (0, b"by the first")
            net.links[0].set(loss=1)
            start = net.kernel.now()
            _send_on(client, 0, b"by the second")
            assert _receive_on(server) == (0, b"by the second")
            assert net.kernel.now() - start < 2e9, "after retransmissions, which begin after 0.1 to 0.5 s"
    paths = [packet.sniffed_on for packet in wire.packets if SCTPChunkData in packet]
    assert paths[0] == "a:eth0" and paths[-1] == "a:eth1"
    assert any(SCTP in packet for packet in wire.sent_by("b:eth1"))


def test_dccp(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        kind = (socket.AF_INET, _SOCK_DCCP, _IPPROTO_DCCP)
        with b.socket.socket(*kind) as listening, a.socket.socket(*kind) as client:
            for sock in (listening, client):
                sock.setsockopt(_SOL_DCCP, _DCCP_SERVICE, struct.pack("!I", 42))
            listening.bind(("", 7))
            listening.listen()
            client.connect((b.address, 7))
            server, _ = listening.accept()
            with server:
                assert client.getsockopt(_SOL_DCCP, _DCCP_CURRENT_MPS) > 1000
                for number in range(3):
                    client.send(b"datagram %d" % number)
                assert [server.recv(100) for _ in range(3)] == [b"datagram 0", b"datagram 1", b"datagram 2"]
    packets = [bytes(packet.payload) for packet in wire.of(IP, proto=_IPPROTO_DCCP)]
    kinds = [packet[8] >> 1 & 15 for packet in packets]
    assert kinds[:3] == [0, 1, 3], "request, response, acknowledgement"
    assert kinds.count(2) + kinds.count(4) >= 3 and packets[0][16:20] == struct.pack("!I", 42), "the service code"


def _paths(net: Network) -> None:
    """Two paths for MPTCP: b tells of its second address, and a joins to it."""
    for host in "ab":
        mptcp = net.hosts[host].netlink(MPTCP, NETLINK_GENERIC)
        mptcp.limits("set", subflows=2, rcv_add_addrs=2)
    second = [one for one in net.resolve("b") if ":" not in one][1]
    mptcp.endpoint("add", addr=second, flags=_SIGNAL)


@pytest.mark.parametrize("dead", [0, 1])
def test_mptcp_goes_on_when_a_path_fails(dead: int, tmp_path: Path) -> None:
    with pair(links=2, rate="20Mbit", delay="5ms") as net, Wire(net, tmp_path, most=900) as wire:
        _paths(net)
        calls = 0

        def during() -> None:
            nonlocal calls
            calls += 1
            if calls == 300:
                net.links[dead].set(loss=1)

        a, b = net.hosts["a"], net.hosts["b"]
        kind = (socket.AF_INET, socket.SOCK_STREAM, _IPPROTO_MPTCP)
        # The one that listens has to stay: it takes the further paths.
        with b.socket.socket(*kind) as listening, a.socket.socket(*kind) as client:
            listening.bind(("", 7))
            listening.listen()
            client.connect((b.address, 7))
            server, _ = listening.accept()
            with server:
                assert carry(net, client, server, _DATA, during) == _DATA
        assert calls > 300
    carried = [sum(len(packet) for packet in wire.sent_by(f"a:eth{number}")) for number in (0, 1)]
    assert min(carried) > 30_000, "both paths carried"
    kinds = {bytes(value)[0] >> 4 for packet in wire.of(TCP) for kind, value in packet.options if kind == _MPTCP_OPTION}
    assert {0, 1, 2} <= kinds, "MP_CAPABLE, MP_JOIN, DSS"


def test_mptcp_falls_back_to_tcp(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        net.hosts["b"].sysctl["net.mptcp.enabled"] = 0
        a, b = net.hosts["a"], net.hosts["b"]
        with (
            b.socket.create_server(("", 7)) as listening,
            a.socket.socket(socket.AF_INET, socket.SOCK_STREAM, _IPPROTO_MPTCP) as client,
        ):
            client.connect((b.address, 7))
            server, _ = listening.accept()
            with server:
                assert carry(net, client, server, b"plain") == b"plain"
            with pytest.raises(OSError) as caught:
                b.socket.socket(socket.AF_INET, socket.SOCK_STREAM, _IPPROTO_MPTCP)
            assert caught.value.errno == errno.ENOPROTOOPT
    first, answer = wire.of(TCP)[:2]
    assert _MPTCP_OPTION in dict(first.options) and _MPTCP_OPTION not in dict(answer.options)
