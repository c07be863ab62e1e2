"""A small replicated store, with a mistake in it that a partition brings out.

Three hosts keep a copy each. Who puts something sends it to all, and takes it as
kept when enough of them have answered; who gets something asks all, and believes
when enough have answered. Enough are more than half: then whoever gets hears at
least one of those who have it. But see QUORUM.

    liblinux explore examples/explore/store.py::keeps_what_it_promised --faults partition
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from liblinux import Network

HOSTS = ("a", "b", "c")
PORT = 7000
QUORUM = len(HOSTS) // 2  # the mistake: that is half of them, and not more


async def replica(disk: dict[str, Any]) -> None:
    """Answer questions at a port, for ever; `disk` is what stays when the host dies."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = json.loads(await reader.readline())
            if question["do"] == "put":
                disk[question["key"]] = question["value"]
            writer.write(json.dumps(disk).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError):
            pass  # who asked is gone
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "", PORT)
    async with server:
        await server.serve_forever()


async def ask(host: str, question: dict[str, Any]) -> Any:
    """One replica's answer."""
    reader, writer = await asyncio.open_connection(host, PORT)
    try:
        writer.write(json.dumps(question).encode() + b"\n")
        line = await reader.readline()
        if not line:
            raise ConnectionResetError(f"{host} did not answer")
        return json.loads(line)
    finally:
        writer.close()


async def ask_enough(question: dict[str, Any]) -> list[Any]:
    """The answers of enough replicas; TimeoutError when there are none within a second."""
    asking = {asyncio.create_task(ask(host, question)) for host in HOSTS}
    answers: list[Any] = []
    try:
        async with asyncio.timeout(1):
            while len(answers) < QUORUM:
                done, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                answers += [task.result() for task in done if task.exception() is None]
                if not asking and len(answers) < QUORUM:
                    raise TimeoutError("too few replicas answer")
        # The others may have it as well, if they can be reached.
        await asyncio.sleep(0.1)
        return answers
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def client(name: str, kept: list[str]) -> None:
    """Put something every second, and remember what is kept."""
    for number in range(18):
        key = f"{name}{number}"
        try:
            await ask_enough({"do": "put", "key": key, "value": name})
            kept.append(key)
        except TimeoutError:
            pass  # nothing was promised
        await asyncio.sleep(1)


async def missing(kept: list[str]) -> list[str]:
    """What was promised, and is not there."""
    found = {key for disk in await ask_enough({"do": "get"}) for key in disk}
    return [key for key in kept if key not in found]


async def keeps_what_it_promised(net: Network, schedule: Any) -> None:
    """Whatever happens for twenty seconds: afterwards, all that was promised is there."""
    switch = net.switch("switch")
    for name in HOSTS:
        net.link(net.host(name), switch, delay="2ms", jitter="1ms")
        net.hosts[name].program(replica, {})
    net.play(schedule)

    kept: list[str] = []
    clients = [net.hosts[name].create_task(client(name, kept)) for name in HOSTS]
    await asyncio.wait(clients)
    await asyncio.sleep(max(25 - asyncio.get_running_loop().time(), 0))
    for name in HOSTS:
        lost = await net.hosts[name].create_task(missing(kept))
        assert not lost, f"{name} does not find {', '.join(lost)}, which was promised"
