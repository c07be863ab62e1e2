"""Programs that block run in threads of hosts, one at a time, in an order that the seed gives."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import queue
import select
import selectors
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from service_programs import tls

from liblinux import Network

BUILT = os.environ.get("LIBLINUX_BUILT", "6.12 6.1").split()


@pytest.fixture
def net() -> Iterator[Network]:
    with Network(clock="virtual", seed=1) as made:
        made.link(made.host("client"), made.host("server"), delay="10ms")
        yield made


class _Upper(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line.upper())


def _serve(kind: type[socketserver.BaseServer], handler: type[socketserver.BaseRequestHandler]) -> None:
    with kind(("", 7000), handler) as server:
        server.serve_forever()


@pytest.mark.parametrize("kind", [socketserver.TCPServer, socketserver.ThreadingTCPServer])
def test_socketserver_and_a_client_with_files(net: Network, kind: type[socketserver.BaseServer]) -> None:
    net.hosts["server"].thread(_serve, kind, _Upper)

    def ask() -> list[str]:
        with socket.create_connection(("server", 7000), timeout=10) as sock, sock.makefile("rw") as file:
            answers = []
            for word in ("one", "two"):
                file.write(word + "\n")
                file.flush()
                answers.append(file.readline())
            return answers

    assert net.hosts["client"].run_blocking(ask) == ["ONE\n", "TWO\n"]
    assert net.hosts["client"].run_blocking(ask) == ["ONE\n", "TWO\n"], "the server goes on in the next run"


def test_tls_in_threads(net: Network) -> None:
    asking, serving = tls()

    def serve() -> None:
        with socket.create_server(("", 443)) as listening:
            plain, _ = listening.accept()
            with serving.wrap_socket(plain, server_side=True) as sock:
                sock.sendall(sock.recv(100).upper())

    def ask() -> tuple[bytes, str | None]:
        with (
            socket.create_connection(("server", 443)) as plain,
            asking.wrap_socket(plain, server_hostname="server") as sock,
        ):
            sock.sendall(b"secret")
            return sock.recv(100), sock.version()

    net.hosts["server"].thread(serve)
    assert net.hosts["client"].run_blocking(ask) == (b"SECRET", "TLSv1.3")
    assert ssl.SSLContext.wrap_socket.__module__ == "ssl", "as it was"


def test_time_passes_only_when_all_wait(net: Network) -> None:
    def work() -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []
        event, things = threading.Event(), queue.Queue[str]()

        def sleeper(name: str, seconds: float) -> None:
            time.sleep(seconds)
            seen.append((name, time.monotonic()))

        def getter() -> None:
            seen.append((things.get(timeout=5000), time.monotonic()))
            with pytest.raises(queue.Empty):
                things.get(timeout=50)

        threads = [threading.Thread(target=sleeper, args=(name, wait)) for name, wait in (("a", 3), ("b", 1), ("c", 2))]
        threads.append(threading.Thread(target=getter))
        threading.Timer(1000, things.put, ("put",)).start()
        start = time.monotonic()
        for thread in threads:
            thread.start()
        assert not event.wait(0.5)
        assert threads[0].is_alive()
        threads[0].join(0.1)
        assert threads[0].is_alive()
        for thread in threads:
            thread.join()
        assert not threads[0].is_alive()
        return [(name, at - start) for name, at in [*seen, ("end", time.monotonic())]]

    found = net.hosts["client"].run_blocking(work)
    assert [name for name, _ in found] == ["b", "c", "a", "put", "end"]
    assert [at for _, at in found] == pytest.approx([1, 2, 3, 1000, 1050], abs=1e-3)


def _order(seed: int) -> list[int]:
    """In which order threads get a lock that all want at the same time."""
    with Network(clock="virtual", seed=seed) as net:
        host = net.host("a")

        def race() -> list[int]:
            order: list[int] = []
            lock = threading.Lock()

            def run(number: int) -> None:
                time.sleep(1)
                with lock:
                    order.append(number)
                    time.sleep(0.001)

            threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return order

        return host.run_blocking(race)


def test_the_order_is_the_seed_s() -> None:
    orders = [_order(seed) for seed in (1, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1
    assert all(sorted(order) == list(range(8)) for order in orders)


def test_executors_beside_coroutines(net: Network) -> None:
    client, server = net.hosts["client"], net.hosts["server"]

    def double(number: int) -> tuple[int, str]:
        time.sleep(number)
        return 2 * number, socket.gethostname()

    async def main() -> list[tuple[int, str]]:
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                ticks.append(time.monotonic())
                await asyncio.sleep(1)

        ticking = asyncio.create_task(tick())
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = await asyncio.gather(
                client.create_task(asyncio.to_thread(double, 3)),
                server.create_task(asyncio.to_thread(double, 5)),
                *(loop.run_in_executor(pool, double, number) for number in range(4)),
            )
        ticking.cancel()
        assert len(ticks) >= 5, "the loop went on"
        return found

    found = client.run(main())
    assert found[:2] == [(6, "client"), (10, "server")]
    assert [number for number, _ in found[2:]] == [0, 2, 4, 6]


def test_a_thread_talks_to_the_loop(net: Network) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()

        async def answer() -> str:
            await asyncio.sleep(10)
            return "from the loop"

        def ask() -> str:
            return asyncio.run_coroutine_threadsafe(answer(), loop).result(timeout=100)

        return await asyncio.to_thread(ask)

    assert net.run(main()) == "from the loop"


@pytest.mark.parametrize("selector", ["select", "PollSelector", "EpollSelector", "SelectSelector"])
def test_selecting(net: Network, selector: str) -> None:
    def wait() -> tuple[float, bytes]:
        with socket.create_server(("", 7000), family=socket.AF_INET) as listening:
            start = time.monotonic()
            if selector == "select":
                assert select.select([listening], [], [], 0.5) == ([], [], [])
                assert select.select([listening], [], [], 60)[0] == [listening]
            else:
                with getattr(selectors, selector)() as waiting:
                    waiting.register(listening, selectors.EVENT_READ)
                    assert waiting.select(0.5) == []
                    ((key, _),) = waiting.select(60)
                    assert key.fileobj is listening
            sock, _ = listening.accept()
            with sock:
                return time.monotonic() - start, sock.recv(10)

    def connect() -> None:
        time.sleep(5)
        with socket.create_connection(("server", 7000)) as sock:
            sock.sendall(b"hello")

    net.hosts["client"].thread(connect)
    seconds, data = net.hosts["server"].run_blocking(wait)
    assert data == b"hello"
    assert seconds == pytest.approx(5.08, abs=0.02)


def test_timeouts_of_sockets(net: Network) -> None:
    def wait() -> list[float]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("", 9))
            sock.settimeout(30)
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                sock.recv(10)
            sock.settimeout(None)
            with pytest.raises(BlockingIOError):
                sock.recv(10, socket.MSG_DONTWAIT)
            return [time.monotonic() - start]

    assert net.hosts["server"].run_blocking(wait) == pytest.approx([30], abs=1e-3)


def test_what_a_thread_raises_is_raised(net: Network) -> None:
    with pytest.raises(ZeroDivisionError):
        net.hosts["client"].run_blocking(lambda: 1 / 0)

    async def nested() -> Any:
        return net.hosts["client"].run_blocking(time.monotonic)

    with pytest.raises(RuntimeError, match="runs already"):
        net.run(nested())


def test_threads_end_with_their_network() -> None:
    ended: list[str] = []

    def serve() -> None:
        try:
            with socket.create_server(("", 80)) as listening:
                listening.accept()
        finally:
            ended.append("in order")

    with Network(clock="virtual", seed=1) as net:
        host = net.host("a")
        thread = host.thread(serve)
        assert not thread.is_alive()
        host.run_blocking(time.sleep, 1)
        assert thread.is_alive()
    thread.join(60)
    assert ended == ["in order"]
    assert not thread.is_alive()


def test_names_are_asked_for_while_the_loop_goes_on(net: Network) -> None:
    """The name server is a coroutine of the same loop."""
    import dns.message
    import dns.rrset

    client, server = net.hosts["client"], net.hosts["server"]
    client.socket.nameservers = [server.address]

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            if query.question[0].rdtype == dns.rdatatype.A:
                answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", server.address))
            asyncio.get_running_loop().call_later(1, self.transport.sendto, answer.to_wire(), addr)

    async def ask() -> tuple[bytes, float]:
        reader, writer = await asyncio.open_connection("www.example.com", 80)
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
        return data, time.monotonic()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()

    async def main() -> tuple[bytes, float]:
        loop = asyncio.get_running_loop()
        transport, _ = await server.create_task(loop.create_datagram_endpoint(Server, local_addr=("0.0.0.0", 53)))  # noqa: S104
        async with await server.create_task(asyncio.start_server(greet, "", 80)):
            try:
                return await client.create_task(ask())
            finally:
                transport.close()

    data, seconds = net.run(main())
    assert data == b"hello"
    assert seconds > 2, "two questions, for IPv6 and IPv4, a second each"


def test_threads_of_hosts_in_two_kernels() -> None:
    def serve() -> None:
        with socket.create_server(("", 80)) as listening:
            for _ in range(2):
                sock, _ = listening.accept()
                with sock:
                    while data := sock.recv(100):
                        time.sleep(1)
                        sock.sendall(data.upper())

    def ask() -> tuple[bytes, float]:
        start = time.monotonic()
        with socket.create_connection(("server", 80)) as sock:
            sock.sendall(b"hello")
            return sock.recv(100), time.monotonic() - start

    with Network(clock="virtual", seed=1) as net:
        client = net.host("client")
        server = net.host("server", kernel=BUILT[-1])
        net.link(client, server, delay="10ms")
        server.thread(serve)
        for _ in range(2):
            data, seconds = client.run_blocking(ask)
            assert data == b"HELLO"
            assert seconds == pytest.approx(1.05, abs=0.1)
