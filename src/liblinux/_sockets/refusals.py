"""What to do when the kernel refuses an address: said in the message of the OSError, which stays the standard one."""

from __future__ import annotations

import errno
import os
import socket

from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liblinux._sockets.address import Address

__all__ = ["explain_bind"]

_UNPRIVILEGED_PORT = 1024


def explain_bind(error: OSError, family: int, address: Address) -> OSError:
    """The error of bind(2) as it was, with the address and what to do in its message. Source: ip(7), unix(7)."""
    advice = _advice(error.errno, family, address)
    return OSError(error.errno, f"{error.strerror}: {advice}") if advice else error


def _advice(number: int | None, family: int, address: Any) -> str | None:
    if family == socket.AF_UNIX:
        return _of_name(address) if number == errno.EADDRINUSE else None
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    host, port = address[:2]
    advice = {
        errno.EADDRINUSE: f"another socket of this host has port {port} at {host or 'any address'}; "
        "close it (and set SO_REUSEADDR, if it was connected a minute ago), or take port 0 for a free one",
        errno.EADDRNOTAVAIL: f"no interface of this host has {host}, or not yet; take '' for all, or give it one first",
        errno.EACCES: f"ports below {_UNPRIVILEGED_PORT} (or net.ipv4.ip_unprivileged_port_start) are for uid 0; "
        f"take another one than {port}",
    }
    return advice.get(number or 0)


def _of_name(address: str | bytes) -> str:
    """What stands in the way of a Unix socket: a file, or with a zero in front another socket."""
    if os.fsencode(address)[:1] == b"\0":
        return f"another socket has the name {address!r}; close it, or take another name"
    return f"{address!r} is there; unlink() it if nobody listens there any more, or take another name"
