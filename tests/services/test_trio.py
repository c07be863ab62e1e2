"""trio, and anyio over both, on a network's time and sockets."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from liblinux import Host, Network
from until import when_it_waits


@pytest.fixture
def net() -> Iterator[Network]:
    with Network(clock="virtual", seed=1) as made:
        made.link(made.host("client"), made.host("server"), delay="10ms")
        yield made


async def _echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data.upper())


async def _serve(task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    await trio.serve_tcp(_echo, 7000, task_status=task_status)


async def _talk(number: int, seen: list[str]) -> None:
    async with await trio.open_tcp_stream("server", 7000) as stream:
        for word in ("one", "two"):
            await stream.send_all(f"{word} {number}".encode())
            seen.append(f"{(await stream.receive_some()).decode()} {time.monotonic():.9f}")
            await trio.sleep(60)


async def _client_and_server(client: Host, server: Host) -> list[str]:
    seen: list[str] = []
    async with trio.open_nursery() as serving:
        with server.acts():
            await serving.start(_serve)
        async with trio.open_nursery() as asking:
            with client.acts():
                for number in range(5):
                    asking.start_soon(_talk, number, seen)
        serving.cancel_scope.cancel()
    return seen


def _run(path: Path, seed: int) -> tuple[list[str], str]:
    with Network(clock="virtual", seed=seed) as net:
        client, server = net.host("client"), net.host("server")
        net.link(client, server, delay="10ms", jitter="1ms", loss=0.01)
        with net.capture(path):
            seen = client.run_blocking(trio.run, _client_and_server, client, server)
    return seen, hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    first, again, other = (_run(tmp_path / f"{number}.pcapng", seed) for number, seed in enumerate((1, 1, 2)))
    assert sorted(line.rpartition(" ")[0] for line in first[0]) == sorted(
        f"{word} {number}" for word in ("ONE", "TWO") for number in range(5)
    )
    assert first == again
    assert first != other


def test_time_is_the_network_s(net: Network) -> None:
    async def main() -> list[float]:
        start, of_trio = time.monotonic(), trio.current_time()
        with trio.move_on_after(3600):
            await trio.sleep_forever()
        await trio.to_thread.run_sync(time.sleep, 50)
        return [time.monotonic() - start, trio.current_time() - of_trio]

    assert net.hosts["client"].run_blocking(trio.run, main) == pytest.approx([3650, 3650], abs=1e-3)


async def _twice() -> tuple[bytes, float]:
    """Any of anyio's kinds of things: a listener, a connection, a group of tasks, a thread."""

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(await stream.receive() * 2)

    listening = await anyio.create_tcp_listener(local_port=7000)
    async with anyio.create_task_group() as group:
        group.start_soon(listening.serve, handle)
        async with await anyio.connect_tcp("localhost", 7000) as stream:
            await stream.send(b"ab")
            data = await stream.receive()
        await anyio.sleep(5)
        group.cancel_scope.cancel()
    await listening.aclose()
    return data, await anyio.to_thread.run_sync(time.monotonic)


def test_anyio_over_trio(net: Network) -> None:
    data, seconds = net.hosts["client"].run_blocking(anyio.run, _twice, backend="trio")
    assert data == b"abab"
    assert seconds == pytest.approx(5, abs=0.1)


def test_anyio_over_asyncio(net: Network) -> None:
    data, seconds = net.hosts["client"].run(_twice())
    assert data == b"abab"
    assert seconds == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("clock", ["virtual", "real"])
def test_ctrl_c(clock: Any) -> None:
    async def forever() -> None:
        while True:  # noqa: ASYNC110 - it goes on for ever
            await trio.sleep(1 if clock == "virtual" else 100)

    with Network(clock=clock, seed=1) as net:
        net.link(net.host("a"), net.host("b"))
        with pytest.raises(KeyboardInterrupt):
            finger = when_it_waits(lambda: os.kill(os.getpid(), signal.SIGINT), computes=clock == "virtual")
            net.hosts["a"].run_blocking(trio.run, forever)
        finger.join()
        assert net.ping("a", "b", count=2).received
