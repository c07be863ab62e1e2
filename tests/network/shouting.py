"""A service for tests: it answers in capitals. And who asks it."""

from __future__ import annotations

import asyncio
import time

__all__ = ["ask", "echo"]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection."""
    writer.write((await reader.read(100)).upper())
    await writer.drain()
    writer.close()


async def ask(host: str) -> tuple[bytes, float]:
    """The answer, and how many seconds of the network it took."""
    start = time.monotonic()
    reader, writer = await asyncio.open_connection(host, 8080)
    writer.write(b"hello")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer, time.monotonic() - start
