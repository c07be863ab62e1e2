"""pyroute2 on a host: its netlink sockets are the library's."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from liblinux.asyncio._loop import EventLoop

if TYPE_CHECKING:
    from liblinux._kernel import Kernel
    from liblinux.network._host import Host

__all__ = ["open_netlink"]

# As pyroute2 sets up sockets of its own.
_BUFFER_BYTES = 1 << 20
_SOL_NETLINK, _NETLINK_EXT_ACK = 270, 11
_NFTABLES = "pyroute2.nftables.main"


class _NestedLoop(EventLoop):
    """pyroute2 waits for an answer by running a loop until it is there, also inside of a coroutine."""

    def run_until_complete(self, future: Any) -> Any:
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return super().run_until_complete(future)
        finally:
            asyncio._set_running_loop(outer)


def open_netlink(host: Host, kind: type[Any], family: int, **options: Any) -> tuple[Any, EventLoop]:
    """An object of one of pyroute2's classes for a netlink family, in the namespace of `host`; and its loop."""
    kernel: Kernel = host.kernel
    if kind.__module__ == _NFTABLES:
        from liblinux.network._nftables import NFTables  # noqa: PLC0415 - for those who do

        kind = NFTables
    sock = host.socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, family)
    loop = _NestedLoop(kernel)
    try:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        opened = kind(use_socket=sock, use_event_loop=loop, **options)
        # Else classes that ask one question at a time would close the loop, and with it the socket, after each.
        opened.asyncore.local.keep_event_loop = True
        return opened, loop
    except BaseException:
        sock.close()
        loop.close()
        raise
