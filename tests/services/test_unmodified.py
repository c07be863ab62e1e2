"""Programs of asyncio run unchanged, on the network's time and sockets, and the same every time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from service_programs import ENCRYPTED, PROGRAMS

from liblinux import Network


def run(name: str, path: Path, seed: int) -> tuple[list[str], str]:
    """What the program saw, and a hash of all that crossed the wire."""
    with Network(clock="virtual", seed=seed) as net:
        net.link(net.host("client"), net.host("server"), rate="10Mbit", delay="10ms", jitter="1ms", loss=0.01)
        with net.capture(path):
            log = net.run(PROGRAMS[name](net))
    return log, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_runs_the_same_twice(name: str, tmp_path: Path) -> None:
    first, first_hash = run(name, tmp_path / "first.pcapng", 1)
    again, again_hash = run(name, tmp_path / "again.pcapng", 1)
    print("\n".join(first))
    if name not in ENCRYPTED:
        assert first == again
        assert first_hash == again_hash
