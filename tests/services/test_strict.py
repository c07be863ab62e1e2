"""What a program does by mistake under virtual time is an error that names it, and all goes on afterwards."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from socket import socket as taken_socket
from time import monotonic as taken_monotonic
from time import sleep as taken_sleep
from typing import Any

import pytest

from liblinux import BusyWait, Deadlock, HostAccess, Network
from until import when_it_waits


@pytest.fixture
def strict() -> Iterator[Network]:
    with Network(clock="virtual", seed=1, strict=True) as net:
        net.link(net.host("a"), net.host("b"), delay="1ms")
        yield net


def _still_works(net: Network) -> None:
    async def main() -> float:
        await asyncio.sleep(1)
        return time.monotonic()

    assert net.run(main()) > 1
    assert net.ping("a", "b").received == 1


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda: socket.socket(socket.AF_INET), "a socket of this machine"),
        (lambda: taken_socket(socket.AF_INET), "a socket of this machine"),
        (lambda: socket.create_connection(("127.0.0.1", 1)), "looked up by this machine"),
        (lambda: socket.getaddrinfo("localhost", 80), "looked up by this machine"),
        (lambda: socket.gethostbyname("localhost"), "looked up by this machine"),
        (lambda: time.sleep(0.1), "time.sleep"),
        (lambda: taken_sleep(0.1), "time.sleep"),
    ],
)
def test_what_is_the_machine_s_own_is_refused(strict: Network, mistake: Callable[[], Any], says: str) -> None:
    async def main() -> None:
        mistake()

    with pytest.raises(HostAccess, match=says) as caught:
        strict.run(main())
    assert "test_strict.py" in str(caught.value), "the stack of who did it"
    _still_works(strict)
    socket.socket().close()  # outside of a run it is nobody's business


@pytest.mark.parametrize("strict", [False, True])
def test_what_asyncio_cannot_wait_for_is_said(strict: bool) -> None:
    """Also where it is allowed to use the machine's sockets: an event loop waits for those of hosts."""
    with Network(clock="virtual", seed=1, strict=strict) as net:
        net.link(net.host("a"), net.host("b"))
        for mistake in (
            asyncio.open_connection("127.0.0.1", 9),
            asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0),
        ):
            with pytest.raises(HostAccess, match="of this machine") as caught:
                net.run(mistake)
            assert "host.create_task()" in str(caught.value) and "asyncio/streams.py" in str(caught.value)
        _still_works(net)


def test_a_name_of_the_network_that_the_machine_was_asked_for() -> None:
    with Network(clock="virtual", seed=1) as net:
        net.link(net.host("a"), net.host("b"))

        async def connect() -> None:
            socket.create_connection(("b.invalid", 80))

        with pytest.raises(socket.gaierror) as caught:
            net.run(connect())
        assert any("as no host" in note for note in caught.value.__notes__)

        async def wait_for_another() -> None:
            asyncio.get_running_loop().add_reader(4711, print)

        with pytest.raises(OSError, match="Bad file descriptor") as failed:
            net.run(wait_for_another())
        assert any("no descriptor of the network" in note for note in failed.value.__notes__)


def test_hosts_may_use_their_own(strict: Network) -> None:
    a, b = strict.hosts["a"], strict.hosts["b"]

    def ask() -> bytes:
        time.sleep(1)  # a thread may
        with socket.create_connection(("b", 80)) as sock:
            return sock.recv(10)

    async def main() -> bytes:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()
            await writer.wait_closed()

        async with await b.create_task(asyncio.start_server(greet, "", 80)):
            return await a.create_task(asyncio.to_thread(ask))

    assert strict.run(main()) == b"hello"


async def _polls_the_loop() -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.5
    while loop.time() < end:  # noqa: ASYNC110 - what is tested
        await asyncio.sleep(0)


async def _polls_the_clock() -> None:
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass


async def _polls_a_clock_that_it_took() -> None:
    end = taken_monotonic() + 0.5
    while taken_monotonic() < end:
        pass


async def _polls_nothing() -> None:
    done: list[bool] = []
    asyncio.get_running_loop().call_later(0.5, done.append, True)
    while not done:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)


POLLERS = [_polls_the_loop, _polls_the_clock, _polls_a_clock_that_it_took, _polls_nothing]


@pytest.mark.parametrize("poll", POLLERS)
def test_who_only_waits_for_the_clock_is_named(strict: Network, poll: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with pytest.raises(BusyWait, match="stands still") as caught:
        strict.run(poll())
    assert poll.__name__ in str(caught.value)
    _still_works(strict)


@pytest.mark.parametrize("poll", POLLERS)
def test_or_time_is_moved_on_for_it(
    poll: Callable[[], Coroutine[Any, Any, None]], caplog: pytest.LogCaptureFixture
) -> None:
    with Network(clock="virtual", seed=1) as net, caplog.at_level(logging.WARNING, "liblinux.time"):
        net.host("a")

        async def main() -> float:
            start = time.monotonic()
            await poll()
            return time.monotonic() - start

        assert net.run(main()) == pytest.approx(0.5, abs=0.002)
    assert poll.__name__ in caplog.text


def test_who_reads_the_clock_often_is_no_poller(strict: Network) -> None:
    async def work(number: int) -> float:
        async with asyncio.timeout(100):
            await asyncio.sleep(1)
        return time.monotonic()

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(30_000)))

    strict.run(main())


async def _waits_for_nothing(net: Network) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            writer.close()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("b", 80)
        try:
            await reader.read()
        finally:
            writer.close()

    async with await net.hosts["b"].create_task(asyncio.start_server(serve, "", 80)):
        await net.hosts["a"].create_task(ask())


def test_a_deadlock_names_the_coroutines(strict: Network) -> None:
    with pytest.raises(Deadlock) as caught:
        strict.run(_waits_for_nothing(strict))
    text = str(caught.value)
    here = r"test_strict\.py:\d+"
    for expected in (
        rf"as no host, _waits_for_nothing \(\S+{here}\)",
        rf"as host a, _waits_for_nothing\.<locals>\.ask \(\S+{here}\), in StreamReader._wait_for_data",
        rf"as host b, _waits_for_nothing\.<locals>\.serve \(\S+{here}\), in Event.wait",
    ):
        assert _matches(expected, text), text
    _still_works(strict)


def test_a_deadlock_names_the_threads(strict: Network) -> None:
    a, b = strict.hosts["a"], strict.hosts["b"]

    def forever() -> None:
        threading.Event().wait()

    b.thread(forever)

    def accept() -> None:
        with socket.create_server(("", 80)) as listening:
            listening.accept()

    with pytest.raises(Deadlock) as caught:
        a.run_blocking(accept)
    text = str(caught.value)
    assert _matches(r"thread 'main', \S*accept \(\S+test_strict.py:\d+\), waits for socket \d+", text), text
    assert _matches(r"thread 'b:\S*forever', \S*forever \(\S+test_strict.py:\d+\), in Condition.wait", text), text
    _still_works(strict)


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


async def _ticks() -> None:
    while True:  # noqa: ASYNC110 - it goes on for ever
        await asyncio.sleep(1)


@pytest.mark.parametrize("clock", ["virtual", "real"])
@pytest.mark.parametrize("with_thread", [False, True])
def test_ctrl_c_ends_a_run(clock: Any, with_thread: bool) -> None:
    with Network(clock=clock, seed=1) as net:
        net.link(net.host("a"), net.host("b"))
        if with_thread:
            net.hosts["b"].thread(time.sleep, 1e9)
        # What the first run imports takes longer than the timer when the machine is busy.
        net.run(asyncio.sleep(0))
        runs: tuple[Callable[[], None], ...] = (
            lambda: net.run(_ticks() if clock == "virtual" else asyncio.sleep(100)),
            lambda: net.hosts["a"].run_blocking(_tick if clock == "virtual" else lambda: time.sleep(100)),
        )
        for run in runs:
            with pytest.raises(KeyboardInterrupt):
                finger = when_it_waits(lambda: os.kill(os.getpid(), signal.SIGINT), computes=clock == "virtual")
                run()
            finger.join()
        assert net.ping("a", "b", count=2).received


def _tick() -> None:
    while True:
        time.sleep(1)


def test_an_unknown_reaction_is_refused() -> None:
    with pytest.raises(ValueError, match="'step' or 'error'"):
        Network(busy_wait="ignore")  # type: ignore[arg-type]  # that is what is tried
