"""A network is prepared once, and each of many tests finds it as it was."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_programs import streams

from liblinux import Network


@pytest.fixture
def net() -> Iterator[Network]:
    with Network(clock="virtual", seed=1) as made:
        made.link(made.host("client"), made.host("server"), delay="10ms", jitter="1ms", loss=0.01)
        yield made


def test_each_run_is_the_first(net: Network, tmp_path: Path) -> None:
    net.run(asyncio.sleep(1))
    prepared = net.snapshot()
    seen = []
    for number in range(5):
        net.restore(prepared)
        path = tmp_path / f"{number}.pcapng"
        with net.capture(path):
            log = net.run(streams(net))
        seen.append((log, hashlib.sha256(path.read_bytes()).hexdigest(), net.kernel.now()))
    assert seen.count(seen[0]) == len(seen)


def test_what_was_prepared_is_kept(net: Network) -> None:
    client, server = net.hosts["client"], net.hosts["server"]
    client.ip.link("add", ifname="d0", kind="dummy")
    listening = server.socket.create_server(("", 80))
    prepared = net.snapshot()
    for _ in range(3):
        client.socket.create_connection((server.address, 80)).close()
        client.ip.link("add", ifname="d1", kind="dummy")
        assert len(client.ip.get_links()) == 4
        assert len(server.ip.get_links()) == 2
        net.restore(prepared)
        assert len(client.ip.get_links()) == 3
        with pytest.raises(BlockingIOError):
            listening.setblocking(False)
            listening.accept()
    listening.close()


def test_chance_of_runs_is_put_back(net: Network) -> None:
    host = net.hosts["client"]
    prepared = net.snapshot()
    first = host.run_blocking(random.random)
    assert host.run_blocking(random.random) != first
    net.restore(prepared)
    assert host.run_blocking(random.random) == first


def test_not_while_something_runs(net: Network, tmp_path: Path) -> None:
    prepared = net.snapshot()

    async def main() -> None:
        net.restore(prepared)

    with pytest.raises(RuntimeError, match="main"):
        net.run(main())
    with net.capture(tmp_path / "x.pcapng"), pytest.raises(RuntimeError, match=r"x\.pcapng"):
        net.snapshot()
    net.hosts["client"].thread(time.sleep, 100)
    with pytest.raises(RuntimeError, match="client:sleep"):
        net.restore(prepared)


def test_not_with_other_hosts(net: Network) -> None:
    prepared = net.snapshot()
    net.host("another")
    with pytest.raises(ValueError, match="added since"):
        net.restore(prepared)
    with pytest.raises(TypeError, match="snapshot"):
        net.restore(net.kernel.snapshot())  # type: ignore[arg-type]  # that is what is tried
