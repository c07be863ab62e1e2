"""Addresses and routes of the device under test."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pyroute2.netlink.rtnl import RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from liblinux.packetdrill._netlink import ACK, CREATE, EXCLUSIVE, ROUTE, Netlink

if TYPE_CHECKING:
    from liblinux._kernel import Kernel
    from liblinux.packetdrill._config import Config

__all__ = ["bring_up"]

_UP = 1
_NODAD = 0x2
_TABLE_MAIN, _PROTOCOL_BOOT, _UNICAST = 254, 3, 1
# The kernel's own questions to routers would only be noise.
_QUIET = ("router_solicitations", "accept_ra", "dad_transmits")


def bring_up(kernel: Kernel, device: str, config: Config) -> None:
    """Give the device its address and MTU, and send everything else through it."""
    for name in _QUIET:
        kernel.sysctl[f"net.ipv6.conf.{device}.{name}"] = "0"
    with Netlink(kernel, ROUTE) as netlink:
        index = netlink.index(device)
        # The loopback device, for the sake of programs that look at 127.0.0.1.
        _link(netlink, netlink.index("lo"), [])
        _link(netlink, index, [["IFLA_MTU", config.mtu]])
        _address(netlink, index, config)
        _default_route(netlink, index, socket.AF_INET6 if config.wire_version == 6 else socket.AF_INET)


def _link(netlink: Netlink, index: int, attributes: list[object]) -> None:
    message = ifinfmsg()
    message["index"], message["flags"], message["change"] = index, _UP, _UP
    message["attrs"] = attributes
    netlink.request(message, RTM_NEWLINK)


def _address(netlink: Netlink, index: int, config: Config) -> None:
    message = ifaddrmsg()
    message["family"] = socket.AF_INET6 if config.wire_version == 6 else socket.AF_INET
    message["index"], message["prefixlen"], message["flags"] = index, config.prefix, _NODAD
    message["attrs"] = [["IFA_LOCAL", config.local_ip], ["IFA_ADDRESS", config.local_ip]]
    netlink.request(message, RTM_NEWADDR, ACK | CREATE | EXCLUSIVE)


def _default_route(netlink: Netlink, index: int, family: int) -> None:
    message = rtmsg()
    message["family"], message["table"] = family, _TABLE_MAIN
    message["proto"], message["type"] = _PROTOCOL_BOOT, _UNICAST
    message["attrs"] = [["RTA_OIF", index]]
    netlink.request(message, RTM_NEWROUTE, ACK | CREATE | EXCLUSIVE)
