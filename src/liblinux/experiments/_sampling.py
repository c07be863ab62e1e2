"""Samples of a run, at equal steps of virtual time."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liblinux.experiments._flows import Running

__all__ = ["FlowSamples"]

# Of tcp_info(7): the kind of series, its unit, and what a value is multiplied with.
_TCP = (
    ("cwnd", "segments", "tcpi_snd_cwnd", 1.0),
    ("rtt", "s", "tcpi_rtt", 1e-6),
    ("delivery_rate", "bit/s", "tcpi_delivery_rate", 8.0),
    ("retransmits", "segments", "tcpi_total_retrans", 1.0),
)


class FlowSamples:
    """What arrives by each flow, and what TCP knows of it."""

    def __init__(self, flows: Sequence[Running], *, sockets: bool) -> None:
        self._flows = flows
        self._sockets = sockets
        self.times = array("d")
        self._received = [array("d") for _ in flows]
        self._tcp: list[dict[str, tuple[array[float], array[float]]]] = [
            {kind: (array("d"), array("d")) for kind, *_ in _TCP} for _ in flows
        ]

    def take(self, now: float) -> None:
        """One sample of all."""
        self.times.append(now)
        for flow, received, tcp in zip(self._flows, self._received, self._tcp, strict=True):
            flow.drain()
            received.append(flow.received)
            if self._sockets and (info := flow.tcp_info()) is not None:
                for kind, _, field, factor in _TCP:
                    times, values = tcp[kind]
                    times.append(now)
                    values.append(factor * getattr(info, field))

    def put_into(self, recording: Any) -> None:
        """All series: bytes and throughput of each flow, and those of TCP."""
        for flow, received, tcp in zip(self._flows, self._received, self._tcp, strict=True):
            recording.add("received", flow.name, "bytes", self.times, received)
            steps = range(1, len(self.times))
            rates = [8 * (received[i] - received[i - 1]) / (self.times[i] - self.times[i - 1]) for i in steps]
            recording.add("throughput", flow.name, "bit/s", self.times[1:], rates)
            for kind, unit, _, _ in _TCP:
                times, values = tcp[kind]
                if times:
                    recording.add(kind, flow.name, unit, times, values)
            if (delays := getattr(flow, "delays", None)) is not None and delays.values:
                recording.add("delay", flow.name, "s", delays.instants, delays.values)
