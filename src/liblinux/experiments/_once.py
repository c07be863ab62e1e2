"""One run of an experiment, with one seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from liblinux.experiments import _model as model
from liblinux.experiments._datagrams import Datagrams, Echoes
from liblinux.experiments._declare import declare
from liblinux.experiments._errors import ExperimentError, Problem
from liblinux.experiments._loop import Loop
from liblinux.experiments._names import expand_all, pairs
from liblinux.experiments._requests import Asking
from liblinux.experiments._sampling import FlowSamples, record, rename
from liblinux.experiments._setting_up import set_up
from liblinux.experiments._streams import Bulk, Messages

if TYPE_CHECKING:
    from liblinux.experiments._flows import Running
    from liblinux.network import Link, Network
    from liblinux.observing import Recording

__all__ = ["Outcome", "run_once"]

_FIRST_PORT = 5001
_PORTS = 50_000
_TELL_S = 0.25
_KINDS: dict[str, Callable[..., Running]] = {
    "tcp": Bulk, "mptcp": Bulk, "sctp": Messages, "udp": Datagrams, "ping": Echoes, "request": Asking,
}  # fmt: skip
_CHANGES = ("rate", "delay", "jitter", "loss", "duplicate", "reorder")


@dataclass
class Outcome:
    """What has come of a run: results by flow, all series, frames that were sent.

    `seconds` of real time, of which `setup` until the first flow was ready to start.
    """

    seed: int
    parameters: dict[str, Any]
    flows: list[dict[str, Any]]
    recording: Recording
    frames: int
    seconds: float
    setup: float


def run_once(
    experiment: model.Experiment,
    seed: int,
    parameters: dict[str, Any] | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Outcome:
    """Run it; `progress` is called now and then with the virtual time in seconds, and the frames so far."""
    began = time.perf_counter()
    problems: list[Problem] = []
    laid = declare(experiment, seed, problems)
    if problems:
        laid.network.close()
        raise ExperimentError(experiment.title, problems)
    with laid.network as network:
        set_up(experiment, laid)
        loop = Loop(network)
        flows = list(_flows(experiment, network, loop))
        running = [flow for flow, _ in flows]
        samples = FlowSamples(running)
        frames = network.frames
        _schedule(experiment, seed, loop, flows, laid.links)
        _sample(experiment, loop, samples, _Teller(progress, network))
        ready = time.perf_counter()
        with record(experiment.record, network, running, laid.links) as recording:
            loop.run(experiment.duration)
        rename(recording, running, laid.links)
        for flow in running:
            flow.drain()
        results = [{"flow": flow.name, "kind": part.kind, **flow.results()} for flow, part in flows]
        samples.put_into(recording)
        sent = network.frames - frames
        for flow in running:
            flow.close()
        loop.close()
    return Outcome(seed, parameters or {}, results, recording, sent, time.perf_counter() - began, ready - began)


def _flows(experiment: model.Experiment, network: Network, loop: Loop) -> Iterator[tuple[Running, model.Flow]]:
    port = _FIRST_PORT
    for part in experiment.flow:
        between = pairs(expand_all(part.source), expand_all(part.target))
        several = len(between) * part.count > 1
        for number in range(len(between) * part.count):
            hosts = tuple(network.hosts[name] for name in between[number % len(between)])
            name = f"{part.name}-{number + 1}" if several else part.name
            running = _KINDS[part.kind](loop, name, hosts, port, part)
            running.listen()
            yield running, part
            port = _FIRST_PORT + (port - _FIRST_PORT + 1) % _PORTS


def _schedule(
    experiment: model.Experiment,
    seed: int,
    loop: Loop,
    flows: list[tuple[Running, model.Flow]],
    links: dict[str, list[Link]],
) -> None:
    groups: dict[str, list[Running]] = {}
    for flow, part in flows:
        groups.setdefault(part.name, []).append(flow)
    for part in experiment.flow:
        # Of its own for each flow of the file: another flow more does not change when the others start.
        chance = random.Random(f"{seed} {part.name}")  # noqa: S311 - the same every time
        for flow in groups[part.name]:
            loop.at(part.start + part.spread * chance.random(), flow.start)
            if part.stop is not None and part.stop < experiment.duration:
                loop.at(part.stop, flow.stop)
    for event in experiment.event:
        for link in links[event.link]:
            loop.at(event.at, partial(_happen, event, link))


def _happen(event: model.Event, link: Link) -> None:
    if event.state is not None:
        (link.up if event.state == "up" else link.down)()
    changes = {name: value for name in _CHANGES if (value := getattr(event, name)) is not None}
    if changes:
        link.set(**changes)


class _Teller:
    """Tells how far a run is, a few times a second of real time.

    Without a call of the kernel: one at an instant of real time would make each run another one.
    """

    def __init__(self, progress: Callable[[float, int], None] | None, network: Network) -> None:
        self._progress = progress
        self._network = network
        self._before = network.frames
        self._next = time.perf_counter() + _TELL_S

    def tell(self, now: float) -> None:
        if self._progress is not None and time.perf_counter() >= self._next:
            self._progress(now, self._network.frames - self._before)
            self._next = time.perf_counter() + _TELL_S


def _sample(experiment: model.Experiment, loop: Loop, samples: FlowSamples, teller: _Teller) -> None:
    interval = experiment.record.interval
    number = 0

    def take() -> None:
        nonlocal number
        samples.take(loop.now)
        teller.tell(loop.now)
        number += 1
        loop.at(number * interval, take)

    loop.at(0, take)
