"""Traffic control: rates and delays that are measured, and queues that are fair."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, UDP
from wire import Wire, carry, connected, index, pair

from liblinux import Network

_SO_MAX_PACING_RATE = 47
_DATAGRAM_BITS = 1400 * 8  # of iperf
_ROOT, _CLASS, _CHILD = 0x10000, 0x10010, 0x20000


def _set(net: Network, kind: str, **options: Any) -> None:
    net.hosts["a"].ip.tc("add", kind, index(net, "a", "eth0"), handle=_ROOT, **options)


def _limit(net: Network, rate: str) -> None:
    """HTB, with one class of that rate."""
    ip, out = net.hosts["a"].ip, index(net, "a", "eth0")
    ip.tc("add", "htb", out, _ROOT, default=_CLASS)
    ip.tc("add-class", "htb", out, _CLASS, parent=_ROOT, rate=rate)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("kind", ["none", "htb", "tbf", "cake"])
def test_a_rate_is_limited(kind: str, protocol: Any, tmp_path: Path) -> None:
    """20 Mbit/s are offered; half a second at a time no more than 5 cross the wire, unless nothing limits them."""
    with pair(rate="20Mbit") as net:
        if kind == "htb":
            _limit(net, "5mbit")
        elif kind == "tbf":
            _set(net, "tbf", rate="5mbit", burst=16000, latency="50ms")
        elif kind == "cake":
            _set(net, "cake", bandwidth="5mbit")
        with Wire(net, tmp_path, most=0) as wire:
            measured = net.iperf("a", "b", seconds=3, protocol=protocol, rate="20Mbit")
    rates = wire.rates("a:eth0")
    expected = 20e6 if kind == "none" else 5e6
    assert len(rates) >= 5
    # Not the first one, which has the burst that is let through, or the slow start.
    assert rates[1:] == pytest.approx([expected] * (len(rates) - 1), rel=0.05)
    assert measured.bits_per_second == pytest.approx(expected, rel=0.08)
    if protocol == "udp":
        assert measured.sent * _DATAGRAM_BITS == pytest.approx(3 * 20e6, rel=0.001), "it does not wait for room"


def test_netem_delays_and_loses(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        # Neighbours are known from here on: what is lost is nobody's question for them.
        assert net.ping("a", "b").received == 1
        _set(net, "netem", delay=30000, loss=20)
        answer = net.ping("a", "b", count=100, interval=0.05, timeout=0.5)
        assert 5 < 100 - answer.received < 40
        assert min(time for time in answer.times if time is not None) == pytest.approx(0.030, abs=1e-3)
    assert len([p for p in wire.sent_by("a:eth0") if ICMP in p]) == 1 + answer.received, "lost before the cable"


def test_fq_paces(tmp_path: Path) -> None:
    with pair(delay="5ms") as net, Wire(net, tmp_path, most=0) as wire:
        _set(net, "fq")
        sending, receiving = connected(net, (socket.AF_INET, socket.SOCK_STREAM))
        with sending, receiving:
            sending.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, 125_000)
            start = net.kernel.now()
            carry(net, sending, receiving, bytes(1_000_000))
            assert net.kernel.now() - start == pytest.approx(8e9, rel=0.1)
        # TCP would pace by itself without it: that it was fq says fq.
        assert _throttled(net) > 200
    # With headers; the first second has the burst that fq lets through.
    rates = wire.rates("a:eth0", 1.0)[1:]
    assert len(rates) >= 6
    assert rates == pytest.approx([1e6 * 1514 / 1448] * len(rates), rel=0.04)


def _throttled(net: Network) -> int:
    """How often fq has held a flow back: `throttled` of struct tc_fq_qd_stats (linux/pkt_sched.h)."""
    (qdisc,) = net.hosts["a"].ip.get_qdiscs(index=index(net, "a", "eth0"))
    statistics = bytes.fromhex(qdisc.get_attr("TCA_XSTATS").replace(":", ""))
    return int(struct.unpack_from("=4Q", statistics)[3])


@pytest.mark.parametrize("kind", ["pfifo", "sfq", "fq_codel", "cake"])
def test_a_ping_beside_a_flood(kind: str, tmp_path: Path) -> None:
    """Behind 60 datagrams at 1 Mbit/s it waits 0.7 s, unless the queue is fair."""
    with pair() as net:
        assert net.ping("a", "b").received == 1
        if kind == "cake":
            _set(net, "cake", bandwidth="1mbit")
        else:
            _limit(net, "1mbit")
            options = {"limit": 1000} if kind == "pfifo" else {}
            net.hosts["a"].ip.tc("add", kind, index(net, "a", "eth0"), _CHILD, parent=_CLASS, **options)
        with Wire(net, tmp_path) as wire, net.hosts["a"].socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for _ in range(60):
                flood.sendto(bytes(1400), (net.hosts["b"].address, 9))
            time = net.ping("a", "b", timeout=5).times[0]
    assert time is not None
    assert time > 0.6 if kind == "pfifo" else time < 0.1
    before = sum(1 for p in wire.sent_by("a:eth0")[: _place(wire)] if UDP in p)
    assert before > 50 if kind == "pfifo" else before < 15


def _place(wire: Wire) -> int:
    """Where the ping is among what a has sent."""
    return next(number for number, packet in enumerate(wire.sent_by("a:eth0")) if ICMP in packet)
