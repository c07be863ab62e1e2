"""Virtual time: nothing for an hour, small tests of services, HTTP beside the host's loopback."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from aiohttp import ClientSession, web

from liblinux import Host, Network
from measure import OURS, Row, at_most, medians
from subjects import Bench

_HOUR_MS = 5.0
_TESTS = 7000
_TESTS_S = 60.0
# The clock of this machine, in a run too.
_monotonic = time.clock_gettime


def measure(bench: Bench) -> list[Row]:
    """Three figures of issue "Deterministic time"."""
    return [_hour(bench), _tests(bench), _http(bench)]


def _network() -> Network:
    net = Network(clock="virtual", seed=1)
    net.link(net.host("a"), net.host("b"), delay="1ms")
    net.up()
    return net


def _timed() -> float:
    return _monotonic(time.CLOCK_MONOTONIC)


def _hour(bench: Bench) -> Row:
    with _network() as net:

        def sleep() -> float:
            started = _timed()
            net.run(asyncio.sleep(3600))
            return (_timed() - started) * 1e3

        figures, _ = medians({OURS: sleep}, bench.rounds * 4)
    return Row(
        "virtual", "one virtual hour with nothing to do", "ms", f"{_HOUR_MS:g} ms", figures, at_most(figures, _HOUR_MS)
    )


# ---- small tests ----------------------------------------------------------------


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _ask() -> bytes:
    reader, writer = await asyncio.open_connection("b", 8080)
    writer.write(b"hello\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


async def _test(a: Host, b: Host) -> None:
    async with await b.create_task(asyncio.start_server(_answer, "", 8080)):
        if await a.create_task(_ask()) != b"HELLO\n":
            raise RuntimeError("the server has answered something else")
        await asyncio.sleep(60)


def _tests(bench: Bench) -> Row:
    count = _TESTS // 20 if bench.quick else _TESTS
    with _network() as net:
        a, b = net.hosts["a"], net.hosts["b"]
        prepared = net.snapshot()

        def run() -> float:
            started = _timed()
            for _ in range(count):
                net.restore(prepared)
                net.run(_test(a, b))
            return (_timed() - started) * _TESTS / count

        figures, _ = medians({OURS: run}, 1 if bench.quick else 3)
    return Row(
        "virtual",
        f"{_TESTS:,} tests with a server, a client and a minute's sleep, each on a fresh network",
        "s",
        f"{_TESTS_S:g} s",
        figures,
        at_most(figures, _TESTS_S),
        {"looptime": "120 s for as many tests, without any network (published)"},
        note=f"{count:,} tests were run" if count != _TESTS else "",
    )


# ---- HTTP ------------------------------------------------------------------------


async def _serve(address: str | None, port: int) -> tuple[web.AppRunner, int]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    return runner, int(runner.addresses[0][1])


async def _get(url: str, count: int) -> float:
    """Requests per second of this machine's time."""
    async with ClientSession() as session:
        started = _timed()
        for _ in range(count):
            async with session.get(url) as response:
                await response.text()
        return count / (_timed() - started)


async def _on_loopback(count: int) -> float:
    runner, port = await _serve("127.0.0.1", 0)
    try:
        return await _get(f"http://127.0.0.1:{port}/", count)
    finally:
        await runner.cleanup()


async def _on_network(client: Host, server: Host, count: int) -> float:
    runner, port = await server.create_task(_serve(None, 8080))
    try:
        return await client.create_task(_get(f"http://{server.address}:{port}/", count))
    finally:
        await server.create_task(runner.cleanup())


def _http(bench: Bench) -> Row:
    count = 300 if bench.quick else 3000
    with _network() as net:
        a, b = net.hosts["a"], net.hosts["b"]
        players: dict[str, Any] = {
            OURS: lambda: net.run(_on_network(a, a, count)),
            "liblinux, two hosts": lambda: net.run(_on_network(a, b, count)),
            "host loopback": lambda: asyncio.run(_on_loopback(count)),
        }
        figures, skipped = medians(players, bench.rounds)
    reached = figures[OURS] >= figures["host loopback"] if {OURS, "host loopback"} <= figures.keys() else None
    return Row(
        "virtual",
        "HTTP requests one after the other, aiohttp client and server",
        "1/s",
        "host loopback",
        figures,
        reached,
        {},
        skipped,
        note=f"virtual time, the loopback of one host; the two hosts are 1 ms apart; {os.cpu_count()} processors",
    )
