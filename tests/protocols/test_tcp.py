"""TCP: congestion controls that are in use, and the options of the protocol."""

from __future__ import annotations

import itertools
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from wire import Wire, carry, connected, index, pair, routed

from liblinux import Network
from liblinux._sockets.sock import Socket

STREAM = (socket.AF_INET, socket.SOCK_STREAM)
MEGABYTE = bytes(range(256)) * 4096
_TCP_MD5SIG, _TCP_CC_INFO = 14, 26
_TCP_CA_RECOVERY = 3
_TCP = 6


class Course:
    """What a sender's TCP_INFO said in the course of a transfer."""

    def __init__(self, sending: Socket) -> None:
        self._sending = sending
        self.infos = [sending.tcp_info()]

    def look(self) -> None:
        """Take it once more."""
        info = self._sending.tcp_info()
        self.infos.append(info)

    @property
    def last(self) -> Any:
        """What it said last."""
        return self.infos[-1]

    def first_cut(self) -> float:
        """By what the window was multiplied when something was lost for the first time."""
        recovering = next(number for number, info in enumerate(self.infos) if info.tcpi_ca_state == _TCP_CA_RECOVERY)
        largest = max(info.tcpi_snd_cwnd for info in self.infos[:recovering])
        return float(self.infos[recovering].tcpi_snd_ssthresh / largest)


def _transfer(net: Network, control: str, data: bytes = MEGABYTE) -> tuple[Course, bytes, float]:
    """Send data by a congestion control; its course, what the control says of itself, and bits per second."""
    sending, receiving = connected(net, STREAM, congestion=control)
    with sending, receiving:
        name = sending.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        assert name.rstrip(b"\0").decode() == control
        course, start = Course(sending), net.kernel.now()
        assert carry(net, sending, receiving, data, course.look) == data
        rate = len(data) * 8e9 / (net.kernel.now() - start)
        return course, sending.getsockopt(socket.IPPROTO_TCP, _TCP_CC_INFO, 64), rate


@pytest.mark.parametrize(("control", "cut"), [("reno", 0.5), ("cubic", 0.7)])
def test_controls_that_wait_for_loss(control: str, cut: float, tmp_path: Path) -> None:
    with routed(rate="10Mbit", delay="10ms", queue=20) as net, Wire(net, tmp_path, most=0) as wire:
        course, _, rate = _transfer(net, control)
    assert course.last.tcpi_total_retrans > 0, "the queue was filled until it overflowed"
    assert course.first_cut() == pytest.approx(cut, abs=0.06)
    assert 7e6 < rate < 10e6
    # Read from where they are, as scapy would take its time for so many.
    sent = [int.from_bytes(frame[38:42], "big") for frame in wire.frames if len(frame) > 1000]
    assert any(later < earlier for earlier, later in itertools.pairwise(sent)), "what was lost was sent again"


def test_every_congestion_control_that_is_built_in(tmp_path: Path) -> None:
    """Each makes good what is lost, and sends little more than that."""
    data = MEGABYTE[:200_000]
    with pair() as net:
        controls = net.kernel.sysctl["net.ipv4.tcp_available_congestion_control"].split()
    assert {"reno", "cubic", "bbr", "dctcp", "vegas", "westwood", "htcp", "cdg"} <= set(controls)
    for control in controls:
        path = tmp_path / control
        path.mkdir()
        with pair(rate="10Mbit", delay="5ms", loss=("1%", 0)) as net, Wire(net, path, most=0) as wire:
            _transfer(net, control, data)
        carried = sum(len(frame) - 66 for _, frame in wire.sent("a:eth0") if len(frame) > 66)
        assert len(data) <= carried < 1.2 * len(data), control


def _waited(wire: Wire) -> float:
    """How long a segment of the second half was in the router, at most, in seconds: until it left."""
    sent = {int.from_bytes(frame[38:42], "big"): when for when, frame in wire.sent("a:eth0") if frame[23] == _TCP}
    left = {int.from_bytes(frame[38:42], "big"): when for when, frame in wire.sent("r:eth1") if frame[23] == _TCP}
    # A large one leaves as several, of which the first has its number.
    waits = [left[number] - when for number, when in sent.items() if number in left]
    return max(waits[len(waits) // 2 :])


@pytest.mark.parametrize("control", ["vegas", "reno"])
def test_vegas_keeps_the_queue_short(control: str, tmp_path: Path) -> None:
    """Where 40 frames may wait, of 1.2 ms each and more; Reno fills that."""
    with routed(rate="10Mbit", delay="10ms", queue=40) as net, Wire(net, tmp_path, most=0) as wire:
        course, says, rate = _transfer(net, control)
    if control == "reno":
        assert _waited(wire) > 0.04, "the test would see it"
        return
    assert _waited(wire) < 0.02
    enabled, _, _, shortest = struct.unpack_from("=IIII", says)
    assert enabled == 1 and 20_000 < shortest < 30_000
    assert course.last.tcpi_total_retrans == 0
    assert course.last.tcpi_rtt < 1.3 * shortest
    assert rate > 7e6


def test_bbr_goes_on_where_others_take_loss_for_congestion(tmp_path: Path) -> None:
    rates, crossed = {}, {}
    for control in ("bbr", "cubic"):
        path = tmp_path / control
        path.mkdir()
        with pair(rate="10Mbit", delay="10ms", loss=("4%", 0)) as net, Wire(net, path, most=0) as wire:
            course, says, rates[control] = _transfer(net, control)
            assert course.last.tcpi_total_retrans > 10
        sent = [int.from_bytes(frame[38:42], "big") for frame in wire.frames if len(frame) > 1000]
        assert len(sent) - len(set(sent)) > 10, "what was lost was sent again"
        # A quarter of a second at a time, without what is left at the end.
        crossed[control] = sorted(wire.rates("a:eth0", 0.25))
        if control == "bbr":
            bandwidth = struct.unpack_from("=Q", says)[0] * 8
            assert bandwidth == pytest.approx(10e6, rel=0.1), "it has measured the rate of the cable"
    assert rates["bbr"] > 7e6 > 1.5 * rates["cubic"]
    middle = {control: of[len(of) // 2] for control, of in crossed.items()}
    assert middle["bbr"] > 9e6 and middle["cubic"] < 6e6, "the line is full, and is not"


def test_dctcp_is_slowed_by_marks_and_loses_nothing(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        ip, out = net.hosts["a"].ip, index(net, "a", "eth0")
        ip.tc("add", "htb", out, 0x10000, default=0x10010)
        ip.tc("add-class", "htb", out, 0x10010, parent=0x10000, rate="10mbit")
        ip.tc("add", "fq_codel", out, 0x20000, parent=0x10010, ce_threshold="1ms", ecn=1)
        course, says, rate = _transfer(net, "dctcp")
    enabled, _, alpha = struct.unpack_from("=HHI", says)
    assert enabled == 1 and 0 < alpha < 1024
    assert course.last.tcpi_total_retrans == 0
    assert course.last.tcpi_delivered_ce > 10
    assert rate > 7e6
    assert any(packet.tos & 3 == 3 for packet in wire.of(IP)), "marked on the way"
    assert any(packet.flags.E for packet in wire.of(TCP, sport=7)), "and told to the sender"


def test_explicit_congestion_notification(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        for host in net.hosts.values():
            host.sysctl["net.ipv4.tcp_ecn"] = 1
        sending, receiving = connected(net, STREAM)
        with sending, receiving:
            assert carry(net, sending, receiving, MEGABYTE) == MEGABYTE
            assert sending.tcp_info().tcpi_options & 8, "TCPI_OPT_ECN"
    syn, answer = wire.of(TCP)[:2]
    assert syn.flags == "SEC" and answer.flags == "SAE"
    assert all(packet.tos & 3 == 2 for packet in wire.of(IP) if len(packet[TCP].payload) > 500), "ECT(0)"


def test_fast_open_sends_data_with_the_first_segment(tmp_path: Path) -> None:
    with pair(delay="10ms") as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        for host in net.hosts.values():
            host.sysctl["net.ipv4.tcp_fastopen"] = 3
        with b.socket.create_server(("", 7)) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
            for text in (b"the cookie is fetched", b"the cookie is used"):
                with a.socket.socket() as client:
                    client.sendto(text, socket.MSG_FASTOPEN, (b.address, 7))
                    accepted, _ = server.accept()
                    with accepted:
                        assert accepted.recv(100) == text
    first, second = (packet for packet in wire.of(TCP) if packet.flags == "S")
    assert ("TFO", b"") in first.options or any(kind in ("TFO", 34) for kind, _ in first.options)
    assert not first.payload
    assert bytes(second.payload) == b"the cookie is used"


def test_selective_acknowledgements_name_what_is_missing(tmp_path: Path) -> None:
    with pair(rate="100Mbit", delay="5ms", loss=("3%", 0)) as net, Wire(net, tmp_path) as wire:
        sending, receiving = connected(net, STREAM)
        with sending, receiving:
            assert carry(net, sending, receiving, MEGABYTE) == MEGABYTE
            info = sending.tcp_info()
            assert info.tcpi_options & 2, "TCPI_OPT_SACK"
            assert 0 < info.tcpi_total_retrans < 60, "only what was lost is sent again"
    options = [dict(packet.options) for packet in wire.of(TCP)]
    assert "SAckOK" in options[0] and "SAckOK" in options[1]
    assert any("SAck" in one for one in options)


def test_windows_are_scaled(tmp_path: Path) -> None:
    with pair(delay="20ms") as net, Wire(net, tmp_path) as wire:
        sending, receiving = connected(net, STREAM)
        with sending, receiving:
            assert carry(net, sending, receiving, MEGABYTE) == MEGABYTE
            scale = sending.tcp_info().tcpi_snd_wscale
    answer = wire.of(TCP)[1]
    assert dict(answer.options)["WScale"] == scale
    flight = max(packet.window << scale for packet in wire.of(TCP, sport=7) if "S" not in packet.flags)
    assert flight > 65535, "more than the field of the header can say"


def _md5_key(address: str, key: bytes) -> bytes:
    """struct tcp_md5sig of linux/tcp.h."""
    peer = struct.pack("=H2x4s", socket.AF_INET, socket.inet_aton(address)).ljust(128, b"\0")
    return peer + struct.pack("=BBHi", 0, 0, len(key), 0) + key.ljust(80, b"\0")


def test_signed_segments(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        with b.socket.create_server(("", 7)) as server, a.socket.socket() as client, a.socket.socket() as stranger:
            server.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, _md5_key(a.address, b"the key"))
            client.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, _md5_key(b.address, b"the key"))
            client.connect((b.address, 7))
            receiving, _ = server.accept()
            with receiving:
                assert carry(net, client, receiving, b"signed") == b"signed"
            stranger.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, _md5_key(b.address, b"another key"))
            stranger.settimeout(3)
            with pytest.raises(TimeoutError):
                stranger.connect((b.address, 7))
    signatures = [dict(packet.options)["MD5"] for packet in wire.of(TCP)]
    assert all(len(one) == 16 for one in signatures) and len(set(signatures)) > 4
