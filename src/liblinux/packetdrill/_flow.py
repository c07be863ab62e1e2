"""Connections as a script sees them: relative numbers here, those of the wire there.

A script counts sequence numbers from the SYN of either side, which is 0. The
number of an inbound SYN is itself sent as it is written; everything else is
relative to what the two SYNs had. Time stamps of the kernel are whatever they
are: an inbound `ecr` is the one that was seen where the script wrote that `val`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from liblinux.packetdrill._script import Tcp, TcpOption
from liblinux.packetdrill._segment import FLAG_BITS, Segment, flag_letters

__all__ = ["Flow", "Flows"]

_MASK = 0xFFFFFFFF
FIRST_REMOTE_PORT = 40_000


@dataclass
class Flow:
    """One connection, or one pair of UDP ports."""

    local_port: int
    remote_port: int
    local_start: int | None = None
    remote_start: int | None = None
    renewed: bool = False  # the peer has begun anew: our next SYN may have another number
    stamps: dict[int, int] = field(default_factory=dict)  # the script's time stamps to those seen
    first_stamp: tuple[int, int] | None = None  # the first one seen, and when, in microseconds

    def to_wire(self, packet: Tcp) -> Segment:
        """An inbound packet of the script with the numbers of the wire."""
        syn = "S" in packet.flags
        sequence = packet.sequence if syn else packet.sequence + (self.remote_start or 0)
        if syn:
            if self.remote_start is None:
                self.remote_start = packet.sequence
            self.renewed = "." not in packet.flags
        options = tuple(self._option_to_wire(option) for option in packet.options or ())
        ports = packet.ports or (self.remote_port, self.local_port)
        return Segment(
            source_port=ports[0],
            destination_port=ports[1],
            sequence=sequence & _MASK,
            ack=((self.local_start or 0) + packet.ack) & _MASK if packet.ack is not None else 0,
            flags=sum(FLAG_BITS[flag] for flag in set(packet.flags)),
            window=packet.window or 0,
            urgent=packet.urgent or 0,
            options=options,
            payload=bytes(packet.length),
        )

    def _option_to_wire(self, option: TcpOption) -> TcpOption:
        if option.kind == "sack":
            return replace(option, numbers=tuple((n + (self.local_start or 0)) & _MASK for n in option.numbers))
        if option.kind == "TS":
            value, echo = option.numbers
            return replace(option, numbers=(value, self._stamp_to_wire(echo)))
        return option

    def _stamp_to_wire(self, echo: int) -> int:
        if echo in self.stamps:
            return self.stamps[echo]
        if not self.stamps or not echo:
            return echo
        # One that was never sent: as far from the first as the script says.
        script, seen = next(iter(self.stamps.items()))
        return (seen + echo - script) & _MASK

    def learn(self, segment: Segment, expected: Tcp | None) -> None:
        """Take the start of our numbers from an outbound SYN."""
        if segment.flags & FLAG_BITS["S"] and (self.local_start is None or self.renewed):
            self.local_start = (segment.sequence - (expected.sequence if expected else 0)) & _MASK
            self.renewed = False

    def from_wire(self, segment: Segment) -> Tcp:
        """An outbound segment with the numbers of the script."""
        flags = flag_letters(segment.flags)
        # As the number of an inbound SYN is sent as it is written, so is its acknowledgement.
        ack_from = 0 if "S" in flags else self.remote_start or 0
        return Tcp(
            inbound=False,
            flags=flags,
            sequence=(segment.sequence - (self.local_start or 0)) & _MASK,
            length=len(segment.payload),
            ack=(segment.ack - ack_from) & _MASK if "." in flags else None,
            window=segment.window,
            urgent=segment.urgent or None,
            options=tuple(self._option_from_wire(option) for option in segment.options),
        )

    def _option_from_wire(self, option: TcpOption) -> TcpOption:
        if option.kind == "sack":
            return replace(option, numbers=tuple((n - (self.remote_start or 0)) & _MASK for n in option.numbers))
        return option


class Flows:
    """All connections of a script, and which one an unnamed packet belongs to."""

    def __init__(self, local_port: int) -> None:
        self._default_port = local_port
        self._flows: list[Flow] = []
        self._next_port = FIRST_REMOTE_PORT
        self.current: Flow | None = None
        self._listening = False

    def listen(self) -> None:
        """A socket began to listen: the next SYN is of a new connection."""
        self._listening = True

    def inbound(self, ports: tuple[int, int] | None, *, syn: bool) -> Flow:
        """The connection that an inbound packet belongs to; `ports` of source and destination."""
        if ports is not None:
            remote, local = ports
            return self._find(local, remote) or self._add(local, remote)
        if self.current is None or (syn and self._listening):
            self._listening = False
            self._next_port += 1
            return self._add(self._default_port, self._next_port - 1)
        return self.current

    def outbound(self, local_port: int, remote_port: int) -> Flow:
        """The connection of an outbound packet; a new one when it is the first."""
        return self._find(local_port, remote_port) or self._add(local_port, remote_port)

    def _find(self, local: int, remote: int) -> Flow | None:
        for flow in reversed(self._flows):
            if (flow.local_port, flow.remote_port) == (local, remote):
                return flow
        return None

    def _add(self, local: int, remote: int) -> Flow:
        self.current = Flow(local, remote)
        self._flows.append(self.current)
        return self.current
