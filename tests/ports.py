"""Ports of this machine for tests that have to know one before anybody listens at it."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

__all__ = ["free_port"]

_FIRST = 10_000
_OF_A_PROCESS = 64
_TAKEN = itertools.count()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody has, and that nobody is given who asks for any.

    It lies below those that the machine hands out, and processes that test at the same time begin at different ones.
    """
    lowest = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0]
    room = max(int(lowest) - _FIRST, _OF_A_PROCESS)
    for _ in range(room):
        port = _FIRST + (os.getpid() * _OF_A_PROCESS + next(_TAKEN)) % room
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"of the ports from {_FIRST} on none is free")
