"""Programs of asyncio as one finds them, none of which knows what it runs on.

Each is a function of a network that has the hosts "client" and "server"; it runs
servers and clients there, and returns a log of what they saw. Nothing in here but
`host.create_task` is the library's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import cache
from typing import Any

from liblinux import Host, Network

Program = Callable[[Network], Coroutine[Any, Any, list[str]]]
PROGRAMS: dict[str, Program] = {}
# OpenSSL draws its own random numbers, and no seed reaches them: what crosses the wire differs from run to run.
ENCRYPTED = {"tls_streams", "https"}


def program(function: Program) -> Program:
    """One that the tests run."""
    PROGRAMS[function.__name__] = function
    return function


def ends(net: Network) -> tuple[Host, Host]:
    """The two hosts."""
    return net.hosts["client"], net.hosts["server"]


@cache
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a client and of a server, whose certificate the client trusts."""
    import trustme

    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("server").configure_cert(serving)
    asking = ssl.create_default_context()
    authority.configure_trust(asking)
    return asking, serving


# ---- asyncio itself ----------------------------------------------------------


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async for line in reader:
        writer.write(line.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _ask(number: int, **options: Any) -> str:
    reader, writer = await asyncio.open_connection("server", 7000, **options)
    answers = []
    for word in ("one", "two", "three"):
        writer.write(f"{word} {number}\n".encode())
        await writer.drain()
        answers.append((await reader.readline()).decode().strip())
        await asyncio.sleep(0.05 * number)
    writer.close()
    await writer.wait_closed()
    return f"{time.monotonic():.9f} {answers}"


@program
async def streams(net: Network) -> list[str]:
    """A server of asyncio.start_server, and five clients at once."""
    client, server = ends(net)
    async with await server.create_task(asyncio.start_server(_echo, "", 7000)):
        return await _all_over([client.create_task(_ask(number)) for number in range(5)])


@program
async def tls_streams(net: Network) -> list[str]:
    """The same with TLS."""
    client, server = ends(net)
    asking, serving = tls()
    async with await server.create_task(asyncio.start_server(_echo, "", 7000, ssl=serving)):
        return await _all_over([client.create_task(_ask(number, ssl=asking)) for number in range(2)])


async def _all_over(tasks: list[asyncio.Task[str]]) -> list[str]:
    """Their results, when the server's ends of the connections are closed too."""
    answers = list(await asyncio.gather(*tasks))
    await asyncio.sleep(10)
    return answers


class _Echoes(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data[::-1], addr)


class _Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.queue.put_nowait(data)


async def _send_datagrams() -> list[str]:
    loop = asyncio.get_running_loop()
    transport, answers = await loop.create_datagram_endpoint(_Answers, remote_addr=("server", 7001))
    seen = []
    for number in range(10):
        transport.sendto(f"datagram {number}".encode())
        try:
            async with asyncio.timeout(0.2):
                seen.append((await answers.queue.get()).decode())
        except TimeoutError:
            seen.append("lost")
    transport.close()
    return seen


@program
async def datagrams(net: Network) -> list[str]:
    """UDP, there and back."""
    client, server = ends(net)

    async def serve() -> Any:
        loop = asyncio.get_running_loop()
        return (await loop.create_datagram_endpoint(_Echoes, local_addr=("0.0.0.0", 7001)))[0]  # noqa: S104

    transport = await server.create_task(serve())
    seen = await client.create_task(_send_datagrams())
    transport.close()
    return seen


# ---- HTTP ---------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _aiohttp_server(host: Host, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    from aiohttp import web

    async def hello(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path, "from": request.remote, "at": round(time.monotonic(), 9)})

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{tail:.*}", hello)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, None, 8080, ssl_context=context).start()
        return runner

    runner = await host.create_task(start())
    try:
        yield
    finally:
        await host.create_task(runner.cleanup())


async def _fetch(url: str, **options: Any) -> list[str]:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        seen = []
        for number in range(3):
            async with session.get(f"{url}/{number}", **options) as response:
                seen.append(f"{response.status} {await response.text()}")
    await asyncio.sleep(1)  # as aiohttp advises: connections with TLS are closed after their session
    return seen


@program
async def http(net: Network) -> list[str]:
    """aiohttp, both ends."""
    client, server = ends(net)
    async with _aiohttp_server(server):
        return await client.create_task(_fetch("http://server:8080"))


@program
async def https(net: Network) -> list[str]:
    """aiohttp with TLS, both ends."""
    client, server = ends(net)
    asking, serving = tls()
    async with _aiohttp_server(server, serving):
        return await client.create_task(_fetch("https://server:8080", ssl=asking))


@program
async def fastapi(net: Network) -> list[str]:
    """uvicorn with a FastAPI application, asked by httpx."""
    import httpx
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/items/{number}")
    async def item(number: int, wait: float = 0) -> dict[str, float]:
        await asyncio.sleep(wait)
        return {"number": number, "at": round(time.monotonic(), 9)}

    async def ask() -> list[str]:
        async with httpx.AsyncClient(base_url="http://server:8000", timeout=3600) as session:
            pages = ("/items/7", "/items/8?wait=600", "/items/x")
            return [f"{page.status_code} {page.text}" for page in [await session.get(name) for name in pages]]

    return await _uvicorn(net, app, ask)


async def _uvicorn(net: Network, app: Any, ask: Callable[[], Any]) -> list[str]:
    import uvicorn

    client, server = ends(net)
    serving = uvicorn.Server(uvicorn.Config(app, host="0.0.0.0", port=8000, log_level="warning"))  # noqa: S104
    task = server.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)
    seen: list[str] = await client.create_task(ask())
    serving.should_exit = True
    await task
    return seen


@program
async def starlette(net: Network) -> list[str]:
    """uvicorn with a Starlette application: a stream, and a function that blocks, in a thread."""
    import httpx
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def ticks(request: Any) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            for number in range(5):
                yield f"tick {number}\n"
                await asyncio.sleep(60)

        return StreamingResponse(lines())

    def slowly(request: Any) -> PlainTextResponse:
        time.sleep(30)
        return PlainTextResponse(f"slept until {time.monotonic():.9f}")

    async def ask() -> list[str]:
        async with httpx.AsyncClient(base_url="http://server:8000", timeout=3600) as session:
            return [(await session.get(name)).text for name in ("/ticks", "/slowly")]

    return await _uvicorn(net, Starlette(routes=[Route("/ticks", ticks), Route("/slowly", slowly)]), ask)


# ---- other protocols -----------------------------------------------------------


@program
async def websocket(net: Network) -> list[str]:
    """The library websockets, both ends."""
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    client, server = ends(net)

    async def answer(connection: Any) -> None:
        async for message in connection:
            await connection.send(message * 2)

    async def talk() -> list[str]:
        async with connect("ws://server:8765", proxy=None) as connection:
            seen = []
            for text in ("a", "bc", "def"):
                await connection.send(text)
                seen.append(str(await connection.recv()))
                await asyncio.sleep(30)  # longer than its pings
            return seen

    listening = await server.create_task(_entered(serve(answer, "", 8765)))
    seen = await client.create_task(talk())
    listening.close()
    await listening.wait_closed()
    return seen


async def _entered(manager: Any) -> Any:
    return await manager.__aenter__()


class _Store:
    """A server that speaks enough of Redis' protocol (RESP2) for GET, SET, INCRBY, RPUSH and BLPOP."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.lists: dict[bytes, asyncio.Queue[bytes]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                writer.write(await self._answer(await self._command(reader)))
                await writer.drain()
        writer.close()

    async def _command(self, reader: asyncio.StreamReader) -> list[bytes]:
        count = int((await reader.readuntil(b"\r\n"))[1:])
        words = []
        for _ in range(count):
            length = int((await reader.readuntil(b"\r\n"))[1:])
            words.append((await reader.readexactly(length + 2))[:-2])
        return words

    async def _answer(self, words: list[bytes]) -> bytes:
        match [words[0].upper(), *words[1:]]:
            case [b"SET", key, value]:
                self.values[key] = value
                return b"+OK\r\n"
            case [b"GET", key]:
                found = self.values.get(key)
                return b"$-1\r\n" if found is None else b"$%d\r\n%s\r\n" % (len(found), found)
            case [b"INCRBY", key, b"1"]:
                self.values[key] = b"%d" % (int(self.values.get(key, b"0")) + 1)
                return b":%s\r\n" % self.values[key]
            case [b"RPUSH", key, value]:
                self.lists.setdefault(key, asyncio.Queue()).put_nowait(value)
                return b":1\r\n"
            case [b"BLPOP", key, _]:
                value = await self.lists.setdefault(key, asyncio.Queue()).get()
                return b"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value)
            case _:
                return b"-ERR unknown command\r\n"


@program
async def redis(net: Network) -> list[str]:
    """redis-py against a small server: pipelines, and a client that waits for another one."""
    from redis.asyncio import Redis

    client, server = ends(net)
    listening = await server.create_task(asyncio.start_server(_Store().serve, "", 6379))

    async def count() -> list[str]:
        async with Redis(host="server", protocol=2, driver_info=None, socket_timeout=None) as store:
            await store.set("greeting", "hello")
            numbers = [await store.incr("number") for _ in range(3)]
            await asyncio.sleep(900)
            await store.rpush("jobs", "work")
            return [str(await store.get("greeting")), str(numbers)]

    async def work() -> list[str]:
        async with Redis(host="server", protocol=2, driver_info=None, socket_timeout=None) as store:
            return [str(await store.blpop(["jobs"], timeout=0)), f"{time.monotonic():.9f}"]

    async with listening:
        counted, worked = await asyncio.gather(client.create_task(count()), client.create_task(work()))
        await asyncio.sleep(10)
    return counted + worked


# ---- threads --------------------------------------------------------------------


def _http_server() -> Any:
    """http.server with a thread for each request."""
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(5)
            body = f"{self.path} {time.monotonic():.9f}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    return http.server.ThreadingHTTPServer(("", 8000), Handler)


@program
async def threads(net: Network) -> list[str]:
    """requests and http.server, in threads, four requests at once."""
    import threading

    import requests

    client, server = ends(net)
    listening = await server.create_task(asyncio.to_thread(_http_server))
    serving = server.thread(listening.serve_forever)
    seen: list[str] = []

    def get(number: int) -> None:
        seen.append(requests.get(f"http://server:8000/{number}", timeout=60).text)

    def get_all() -> None:
        asking = [threading.Thread(target=get, args=(number,)) for number in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()

    await client.create_task(asyncio.to_thread(get_all))
    await server.create_task(asyncio.to_thread(listening.shutdown))
    await asyncio.to_thread(serving.join)
    listening.server_close()
    return seen
