"""Samples of a run, at equal steps of virtual time.

What the kernel knows is asked by a :class:`Recorder`, without Python; what has arrived at the programs
is counted here. Series are called as the flows and links are in the file: "bulk-3"; "bottleneck", and
"bottleneck (back)" for the other direction.
"""

from __future__ import annotations

import contextlib
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING

from liblinux.observing import Recorder, Recording
from liblinux.observing._assemble import _end_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from liblinux.experiments._flows import Running
    from liblinux.experiments._model import Record
    from liblinux.network import Link, Network

__all__ = ["FlowSamples", "record", "rename"]

_BITS = 8


class FlowSamples:
    """What has arrived by each flow."""

    def __init__(self, flows: Sequence[Running]) -> None:
        self._flows = flows
        self._times = array("d")
        self._received = [array("d") for _ in flows]

    def take(self, now: float) -> None:
        """One sample of all."""
        self._times.append(now)
        for flow, received in zip(self._flows, self._received, strict=True):
            flow.drain()
            received.append(flow.received)

    def put_into(self, recording: Recording) -> None:
        """Bytes, throughput, and delays where a flow measures them."""
        for flow, received in zip(self._flows, self._received, strict=True):
            rate = recording.add("received", flow.name, "bytes", self._times, received).rate(_BITS)
            recording.add("throughput", flow.name, "bit/s", rate.times, rate.values)
            if flow.delays.values:
                recording.add("delay", flow.name, "s", flow.delays.instants, flow.delays.values)


@contextlib.contextmanager
def record(
    part: Record, network: Network, flows: Sequence[Running], links: dict[str, list[Link]]
) -> Iterator[Recording]:
    """Record during a `with` statement; the recording is filled at its end."""
    recording = Recording()
    # The recorder knows networks of one kernel.
    if len(network.kernels) > 1 or not (part.sockets or part.queues):
        yield recording
        return
    hosts = dict.fromkeys(flow.source for flow in flows if flow.over_tcp) if part.sockets else {}
    named = [link for these in links.values() for link in these] if part.queues else []
    with Recorder(network, part.interval, hosts=hosts, links=named) as recorder:
        yield recording
    found = recorder.recording
    recording.series.update(found.series)
    recording.topology, recording.metadata = found.topology, found.metadata


def rename(recording: Recording, flows: Sequence[Running], links: dict[str, list[Link]]) -> None:
    """Call series as flows and links are called in the file, and add what each direction of a link carries."""
    names = {f"{flow.source.name} -> {flow.target.name}:{flow.port}": flow.name for flow in flows}
    end_name = _end_names([end for these in links.values() for link in these for end in link.ends])
    for name, these in links.items():
        for number, link in enumerate(these):
            label = name if len(these) == 1 else f"{name}-{number + 1}"
            names[end_name(link.ends[0])] = label
            names[end_name(link.ends[1])] = f"{label} (back)"
    old = recording.series
    recording.series = {}
    for (kind, name), series in old.items():
        base, again, which = name.partition(" #")
        # A second connection, or a second path of MPTCP, has the same name with a number.
        label = names.get(base, base) + again + which
        recording.series[kind, label] = replace(series, name=label)
        if kind == "sent_bytes":
            rate = series.rate(_BITS)
            recording.add("carried", label, "bit/s", rate.times, rate.values)
