"""pyroute2's NFTables on a socket that is there already, which its constructor does not take."""

from __future__ import annotations

from typing import Any

from pyroute2.netlink.nlsocket import AsyncNetlinkSocket
from pyroute2.nftables import main

__all__ = ["NFTables"]

_NETLINK_NETFILTER, _NFNL_SUBSYS_NFTABLES = 12, 10


class _AsyncNFTables(main.AsyncNFTables):  # type: ignore[misc]  # pyroute2 has no types
    def __init__(self, given: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        # Once more, with what is given; nothing has been opened yet.
        AsyncNetlinkSocket.__init__(self, family=_NETLINK_NETFILTER, **given)
        prefix = _NFNL_SUBSYS_NFTABLES << 8
        self.register_policy({number | prefix: message for number, message in self.policy.items()})


class NFTables(main.NFTables):  # type: ignore[misc]  # pyroute2 has no types
    """What `host.netlink(pyroute2.nftables.main.NFTables, NETLINK_NETFILTER)` makes."""

    def __init__(self, use_socket: Any, use_event_loop: Any, **options: Any) -> None:
        self.asyncore = _AsyncNFTables({"use_socket": use_socket, "use_event_loop": use_event_loop}, **options)
        use_event_loop.run_until_complete(self.asyncore.setup_endpoint())
