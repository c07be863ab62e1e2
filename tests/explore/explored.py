"""Tests that are explored by tests: each fails in a way of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from liblinux import Network


def from_37(seed: int) -> None:
    """Some seeds fail, the lowest of them is 37."""
    print(f"this is {seed}")
    assert seed != 37 and seed < 41, f"{seed} is no good number"


def passes() -> None:
    """Nothing can be wrong with it."""


def once() -> None:
    """Fails in the first process that tries it, and never again."""
    marker = Path(os.environ["EXPLORED"])
    if not marker.exists():
        marker.touch()
        raise RuntimeError("the first time")


def dies(seed: int) -> None:
    """Takes its process with it."""
    if seed == 3:
        print("it was nice", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)


def hangs(seed: int) -> None:
    """Never ends."""
    while seed == 2:
        pass


def takes_its_time(seed: int) -> None:
    """Some real time, so that there is something left to do when a worker is lost."""
    time.sleep(0.02)
    assert seed < 390


def wants_a_lot(net: Network, answer: int) -> None:
    """A parameter that nobody gives."""


async def cut_off_twice(net: Network, schedule: Any) -> None:
    """Fails when both hosts have been cut off from the third, one after the other."""
    switch = net.switch("switch")
    hosts = [net.host(name) for name in ("a", "b", "c")]
    for host in hosts:
        net.link(host, switch)
    net.play(schedule, hosts=["a", "b"])
    lost = set()
    while asyncio.get_running_loop().time() < 11:
        lost |= {host.name for host in hosts[:2] if not net.ping(host, hosts[2], timeout=0.05).received}
        await asyncio.sleep(0.2)
    assert lost != {"a", "b"}, "both were cut off"
