"""Faults in a network as a script: partitions, links, hosts, clocks, packets, at virtual times.

By hand there are methods: `net.at(3, net.heal)`, `net.partition()`, `host.kill()`,
`host.pause()`, `host.skew_clock()`, `link.down()`, `link.set()`, `link.drop()`,
`link.intercept()`. Here they are as values, to be played by `net.play(schedule)`.

Schedule               faults in the order of their times    _schedule.py
  Partition, Kill, ... one fault                             _values.py
Draw                   a schedule by chance                  _draw.py
what is pending, runs  Network.at() and around a run         _faulting.py
partitions             by classic BPF, where frames arrive   _partition.py, _filters.py
death, restart, pause  tasks, threads and sockets of a host  _life.py, _destroy.py, _silence.py
frames in Python       a detour through a TAP device         _intercept.py
clocks                 liblinux/running/_skew.py
"""

from __future__ import annotations

from liblinux.network.faults._draw import Draw
from liblinux.network.faults._schedule import Schedule
from liblinux.network.faults._values import (
    Call,
    ClockRate,
    ClockStep,
    Drop,
    Fault,
    Heal,
    Intercept,
    Kill,
    LinkDown,
    LinkSet,
    LinkUp,
    Partition,
    Pause,
    Restart,
    Resume,
)

__all__ = [
    "Call",
    "ClockRate",
    "ClockStep",
    "Draw",
    "Drop",
    "Fault",
    "Heal",
    "Intercept",
    "Kill",
    "LinkDown",
    "LinkSet",
    "LinkUp",
    "Partition",
    "Pause",
    "Restart",
    "Resume",
    "Schedule",
]
