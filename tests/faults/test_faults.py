"""Faults of networks by hand: each does what it says, at its time, and what ends it ends it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from liblinux import Host, Network

Check = Callable[[], Awaitable[bool]]


@pytest.fixture
def net() -> Iterator[Network]:
    """Three hosts at a switch."""
    with Network(clock="virtual", seed=1) as made:
        switch = made.switch("s")
        for name in "abc":
            made.link(made.host(name), switch, delay="1ms")
        yield made


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes."""
    try:
        while data := await reader.read(1000):
            writer.write(data)
    finally:
        writer.close()


async def serve() -> None:
    """Answer at port 80, for ever."""
    async with await asyncio.start_server(answer, "", 80) as server:
        await server.serve_forever()


async def reaches(host: Host, target: str, seconds: float = 2.0) -> bool:
    """Whether a connection from a host to another's server comes about."""

    async def connect() -> bool:
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(target, 80)
        except (TimeoutError, OSError):
            return False
        writer.close()
        return True

    return await host.create_task(connect())


def test_a_partition_parts_and_heals(net: Network) -> None:
    a, b, c = (net.hosts[name] for name in "abc")
    for host in (a, b, c):
        host.program(serve)

    async def main() -> list[bool]:
        net.partition("a")
        parted = [await reaches(a, "b"), await reaches(b, "a"), await reaches(b, "c"), await reaches(c, "b")]
        net.partition(["a", "b"], [c])
        parted += [await reaches(a, "b"), await reaches(c, "b")]
        net.heal()
        return [*parted, await reaches(a, "b"), await reaches(c, "a")]

    assert net.run(main()) == [False, False, True, True, True, False, True, True]


def test_a_partition_behind_a_router() -> None:
    with Network(clock="virtual", seed=1) as net:
        a, router, b = net.host("a"), net.router("r"), net.host("b")
        net.link(a, router)
        net.link(router, b)
        for host in (a, b):
            host.program(serve)

        async def main() -> list[bool]:
            net.partition("a")
            parted = await reaches(a, "b")
            parted_6 = await reaches(a, str(b.interfaces["eth0"].ipv6).partition("/")[0])
            net.heal()
            return [parted, parted_6, await reaches(a, "b")]

        assert net.run(main()) == [False, False, True]


def test_things_happen_at_their_time(net: Network) -> None:
    seen: list[tuple[str, float]] = []

    def note(what: str) -> None:
        seen.append((what, asyncio.get_running_loop().time()))

    async def main() -> None:
        net.at(3, lambda: note("three"))
        net.at(2, lambda: note("two"))
        await asyncio.sleep(10)

    net.at(1, lambda: note("one"))
    net.run(main())
    assert [(what, round(at, 3)) for what, at in seen] == [("one", 1), ("two", 2), ("three", 3)]
    with pytest.raises(ValueError, match="past"):
        net.run(in_the_past(net))
    with pytest.raises(ValueError, match="past"):
        net.at(-1, net.heal)


async def in_the_past(net: Network) -> None:
    """Ask for what cannot be."""
    net.at(1, net.heal)


def test_what_a_fault_raises_the_run_raises(net: Network) -> None:
    def fail() -> None:
        raise ArithmeticError("a fault of its own")

    net.at(1, fail)
    with pytest.raises(ArithmeticError, match="of its own"):
        net.run(asyncio.sleep(5))
    net.at(20, fail)
    with pytest.raises(ArithmeticError, match="of its own"):
        net.hosts["a"].run_blocking(time.sleep, 100)


@pytest.mark.parametrize(("how", "end"), [("power", "silence"), ("reset", "ConnectionResetError"), ("process", "b''")])
def test_what_the_peer_of_a_killed_host_sees(net: Network, how: str, end: str) -> None:
    a, b = net.hosts["a"], net.hosts["b"]
    ended: list[str] = []
    opened: list[asyncio.StreamWriter] = []

    async def programmed() -> None:
        try:
            await serve()
        finally:
            ended.append(how)

    b.program(programmed)

    async def client() -> tuple[str, str]:
        reader, writer = await asyncio.open_connection("b", 80)
        opened.append(writer)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        b.kill(how)  # type: ignore[arg-type]  # a parameter of the test
        assert not b.alive
        try:
            async with asyncio.timeout(5):
                seen = repr(await reader.read(1))
        except TimeoutError:
            seen = "silence"
        except OSError as error:
            seen = type(error).__name__
        b.restart()
        writer.write(b"y")
        try:
            async with asyncio.timeout(60):
                after = repr(await reader.read(1))
        except OSError as error:
            after = type(error).__name__
        return seen, after

    async def main() -> tuple[str, str, bool]:
        found = await a.create_task(client())
        opened[0].close()
        return *found, await reaches(a, "b")

    seen, after, again = net.run(main())
    assert (seen, again) == (end, True)
    # A machine that is back knows nothing of the connection, and says so.
    assert how != "power" or after == "ConnectionResetError"
    assert ended[0] == how


def test_a_paused_host_stands_still_and_goes_on(net: Network) -> None:
    a, b = net.hosts["a"], net.hosts["b"]
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(1)

    b.program(serve)
    b.program(tick)

    async def client() -> tuple[float, int]:
        reader, writer = await asyncio.open_connection("b", 80)
        loop = asyncio.get_running_loop()
        writer.write(b"before")
        await reader.readexactly(6)
        b.pause()
        counted = len(ticks)
        writer.write(b"while")
        net.at(loop.time() + 10, b.resume)
        before = loop.time()
        await asyncio.sleep(9)
        assert len(ticks) == counted
        await reader.readexactly(5)
        waited = loop.time() - before
        await asyncio.sleep(3.5)
        writer.close()
        return waited, len(ticks) - counted

    waited, more = net.run(client(), host=a)
    assert 10 <= waited < 10.1
    assert 3 <= more <= 5


def test_threads_pause_and_die(net: Network) -> None:
    host = net.hosts["b"]
    beats: list[float] = []
    ended: list[str] = []

    def beat() -> None:
        try:
            while True:
                beats.append(time.monotonic())
                time.sleep(1)
        finally:
            ended.append("beat")

    host.program(beat)

    def main() -> list[int]:
        counts = []
        start = time.monotonic()
        net.at(start + 5.5, host.pause)
        net.at(start + 10.5, host.resume)
        net.at(start + 15.5, host.kill)
        net.at(start + 20.5, host.restart)
        for _ in range(5):
            time.sleep(5)
            counts.append(len(beats))
            beats.clear()
        return counts

    first, paused, on, dead, again = net.hosts["a"].run_blocking(main)
    assert first in (5, 6) and paused <= 1 and on in (5, 6) and dead <= 1 and again in (4, 5, 6)
    assert ended == ["beat"]


def test_clocks_that_go_wrong(net: Network) -> None:
    a, b = net.hosts["a"], net.hosts["b"]

    async def look() -> tuple[float, float, float]:
        return asyncio.get_running_loop().time(), time.monotonic(), time.time()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        right = await a.create_task(look())
        b.step_clock(3600)
        b.skew_clock(2)
        stepped = await b.create_task(look())
        assert stepped[2] - right[2] == pytest.approx(3600, abs=0.01)
        assert stepped[1] - right[1] == pytest.approx(0, abs=0.01)
        await asyncio.sleep(10)
        later, right_later = await b.create_task(look()), await a.create_task(look())
        assert later[0] - stepped[0] == pytest.approx(20, abs=0.01)
        assert later[1] - stepped[1] == pytest.approx(20, abs=0.01)
        assert later[2] - stepped[2] == pytest.approx(20, abs=0.01)
        assert right_later[0] - right[0] == pytest.approx(10, abs=0.01)
        before = loop.time()
        await b.create_task(sleep(4))
        assert loop.time() - before == pytest.approx(2, abs=0.01)
        async with asyncio.timeout(5):
            await a.create_task(sleep(4))
        with pytest.raises(TimeoutError):
            await b.create_task(late())
        assert loop.time() - before == pytest.approx(2 + 4 + 1, abs=0.01)

    async def late() -> None:
        async with asyncio.timeout(2):
            await asyncio.Event().wait()

    net.run(main())
    with pytest.raises(ValueError, match="forward"):
        b.skew_clock(0)


# As `tcpdump -ddd -y EN10MB udp` prints it for IPv4.
_UDP = "6,40 0 0 12,21 0 3 2048,48 0 0 23,21 0 1 17,6 0 0 262144,6 0 0 0"


def test_packets_that_a_program_matches_are_dropped(net: Network) -> None:
    a, b = net.hosts["a"], net.hosts["b"]
    link = net.links[1]  # of b
    kind = socket.SOCK_DGRAM
    with a.socket.socket(type=kind) as sending, b.socket.socket(type=kind) as receiving:
        receiving.bind((b.address, 7))
        receiving.settimeout(1)
        with link.drop(_UDP, toward=b):
            sending.sendto(b"lost", (b.address, 7))
            with pytest.raises(TimeoutError):
                receiving.recv(10)
            assert net.ping(a, b).received == 1
        sending.sendto(b"there", (b.address, 7))
        assert receiving.recv(10) == b"there"
    for wrong in ("x", "3,1 2 3 4", "1,1 2 3"):
        with pytest.raises(ValueError, match=r"bytecode|instruction"):
            link.drop(wrong)
    with pytest.raises(ValueError, match="not at the end"):
        link.drop(_UDP, toward=a)


def test_packets_that_python_drops_and_alters(net: Network) -> None:
    a, b = net.hosts["a"], net.hosts["b"]
    link = net.links[1]
    seen: list[bytes] = []

    def choose(frame: bytes) -> bytes | list[bytes] | None:
        if frame[12:14] != b"\x08\x00" or frame[23] != 17:
            return frame
        seen.append(frame)
        if b"drop" in frame:
            return None
        if b"twice" in frame:
            return [frame, frame]
        # Without a checksum, as UDP allows over IPv4.
        return frame[:40] + b"\0\0" + frame[42:].replace(b"old", b"new")

    async def main() -> list[bytes]:
        loop: Any = asyncio.get_running_loop()  # whose sockets are the library's
        receiving = b.socket.socket(type=b.socket.SOCK_DGRAM)
        receiving.bind((b.address, 7))
        receiving.setblocking(False)
        sending = a.socket.socket(type=a.socket.SOCK_DGRAM)
        got: list[bytes] = []
        b.program(serve)
        before = loop.time()
        with link.intercept(choose, toward=b) as intercept:
            for text in (b"drop this", b"old", b"twice"):
                sending.sendto(text, (b.address, 7))
            while len(got) < 3:
                got.append(await loop.sock_recv(receiving, 100))
            assert loop.time() - before < 0.01
            # Large frames come cut, and with their checksums: TCP goes on.
            reader, writer = await a.create_task(connect("b"))
            writer.write(bytes(100_000))
            assert await reader.readexactly(100_000) == bytes(100_000)
            writer.close()
            assert intercept.seen > 60 and intercept.dropped == 1
        sending.sendto(b"old", (b.address, 7))
        got.append(await loop.sock_recv(receiving, 100))
        sending.close()
        receiving.close()
        return got

    assert net.run(main()) == [b"new", b"twice", b"twice", b"old"]
    assert len(seen) == 3


async def connect(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a host's server."""
    return await asyncio.open_connection(target, 80)


def test_bad_input(net: Network) -> None:
    with pytest.raises(KeyError, match="no host 'x'"):
        net.partition("x")
    with pytest.raises(ValueError, match="two groups"):
        net.partition(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="killed by one of"):
        net.hosts["a"].kill("softly")  # type: ignore[arg-type]  # that is what is tried


def test_a_restored_network_has_no_faults(net: Network) -> None:
    a, b = net.hosts["a"], net.hosts["b"]
    prepared = net.snapshot()
    net.partition("a")
    assert net.ping(a, b).received == 0
    b.program(serve)
    with pytest.raises(RuntimeError, match="programs"):
        net.snapshot()
    net.restore(prepared)
    assert net.ping(a, b).received == 1
    net.partition("a")
    assert net.ping(a, b).received == 0
    assert net.ping(b, net.hosts["c"]).received == 1
