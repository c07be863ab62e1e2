"""Raw and packet sockets, BPF filters, and scapy on them."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import time
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw
from wire import Wire, pair

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_ETH_P_ALL = 3
# Classic BPF: load a byte, compare, return how much is let through.
_LOAD_BYTE, _EQUAL, _RETURN = 0x30, 0x15, 0x06


def test_raw_sockets(tmp_path: Path) -> None:
    raw = (socket.AF_INET, socket.SOCK_RAW, 253)  # for experiments: RFC 3692
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        with a.socket.socket(*raw) as sending, b.socket.socket(*raw) as receiving:
            sending.sendto(b"of no protocol", (b.address, 0))
            packet, source = receiving.recvfrom(100)
            assert packet[20:] == b"of no protocol" and source[0] == a.address
            sending.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
            sending.sendto(bytes(IP(src="192.0.2.1", dst=b.address, proto=253) / b"forged"), (b.address, 0))
            assert receiving.recvfrom(100)[1][0] == "192.0.2.1"
    seen = [(packet.src, bytes(packet.payload)) for packet in wire.of(IP, proto=253)]
    assert seen == [("10.0.0.1", b"of no protocol"), ("192.0.2.1", b"forged")]


def _only_protocol(number: int) -> list[tuple[int, int, int, int]]:
    """The filter of "ip proto NUMBER" on Ethernet."""
    return [(_LOAD_BYTE, 0, 0, 23), (_EQUAL, 0, 1, number), (_RETURN, 0, 0, 65535), (_RETURN, 0, 0, 0)]


def test_a_filter_in_the_kernel(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        with b.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as listening:
            program = b"".join(struct.pack("=HBBI", *one) for one in _only_protocol(socket.IPPROTO_UDP))
            memory = ctypes.create_string_buffer(program, len(program))
            filtering = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(memory))
            listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filtering)
            listening.bind(("eth0", _ETH_P_ALL))
            listening.settimeout(0.5)
            with a.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                net.ping("a", "b", count=3)
                sending.sendto(b"this one", (b.address, 7))
            assert b"this one" in listening.recv(2000), "and no echo before it"
            net.ping("a", "b")
            with pytest.raises(TimeoutError):
                listening.recv(2000)
            listening.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            net.ping("a", "b")
            assert listening.recv(2000)
    crossed = [ICMP in packet for packet in wire.packets if IP in packet]
    assert crossed == [True] * 6 + [False, True] + [True] * 4, "what was not let through has crossed the wire"


def test_scapy_asks_and_is_answered() -> None:
    with pair(delay="5ms") as net:
        a, b = net.hosts["a"], net.hosts["b"]
        with a.scapy("eth0") as sock:
            answer = sock.sr1(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=a.address, pdst=b.address), timeout=1)
            assert answer[ARP].psrc == b.address
        with a.scapy() as sock, b.socket.create_server(("", 7)):
            syn = sock.sr1(IP(dst=b.address) / TCP(sport=4000, dport=7, flags="S"), timeout=1)
            assert syn[TCP].flags == "SA"
            assert sock.sr1(IP(dst=b.address) / TCP(sport=4000, dport=8, flags="S"), timeout=1)[TCP].flags == "RA"
            answered, not_answered = sock.sr(
                [IP(dst=b.address, ttl=64) / ICMP(id=9), IP(dst="10.0.0.99") / ICMP(id=9)], timeout=2
            )
            assert (len(answered), len(not_answered)) == (1, 1)


def test_scapy_says_that_it_does_not_filter() -> None:
    """What is given to libpcap otherwise would be left out: all packets would be there."""
    with pair() as net, net.hosts["a"].scapy("eth0") as sock, pytest.raises(ValueError, match="give lfilter="):
        sock.sniff(filter="tcp", timeout=1)


def test_scapy_waits_by_the_kernel_s_clock() -> None:
    with pair() as net, net.hosts["a"].scapy("eth0") as sock:
        before, start = time.monotonic(), net.kernel.now()
        found = sock.sniff(timeout=300, lfilter=lambda packet: UDP in packet)
        assert len(found) == 0
        assert 300e9 <= net.kernel.now() - start < 310e9
        assert time.monotonic() - before < 60


def test_without_scapy_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "liblinux.network._scapy", raising=False)
    monkeypatch.setitem(sys.modules, "scapy.config", None)
    with pair() as net, pytest.raises(ImportError, match=r"pip install 'liblinux\[packets\]'"):
        net.hosts["a"].scapy("eth0")


def test_scapy_sees_tags_and_times() -> None:
    with pair() as net:
        a, b = net.hosts["a"], net.hosts["b"]
        with a.scapy("eth0") as sending, b.scapy("eth0") as sniffing:
            sending.send(Ether(dst="ff:ff:ff:ff:ff:ff") / Dot1Q(vlan=7) / IP(dst="10.0.0.2") / UDP() / Raw(b"tagged"))
            (packet,) = sniffing.sniff(count=1, timeout=1, lfilter=lambda one: Raw in one)
        assert packet[Dot1Q].vlan == 7 and packet[Raw].load == b"tagged"
        with pytest.raises(OSError):
            a.scapy("eth9")
