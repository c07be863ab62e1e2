"""`ip` and `tc`: the parts of iproute2 that set-up lines use, over netlink."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Any

from pyroute2.netlink import ctrlmsg, genlmsg
from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELQDISC,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWQDISC,
    RTM_NEWROUTE,
)
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import plugins, tcmsg

from liblinux.packetdrill._netlink import ACK, CREATE, EXCLUSIVE, GENERIC, REPLACE, ROUTE, Netlink
from liblinux.packetdrill.shell._shell import Done

if TYPE_CHECKING:
    from liblinux.packetdrill.shell._shell import Shell

__all__ = ["ip", "tc"]

_ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
_CHANGES = {"add": CREATE | EXCLUSIVE, "replace": CREATE | REPLACE, "change": REPLACE}
_CTRL_GETFAMILY = 3
_UP = 1
_NODAD = 0x2


class _Usage(Exception):
    """Arguments that are not among those served."""


def ip(shell: Shell, arguments: list[str], _: str) -> Done:
    """`ip tcp_metrics flush`, `ip [-6] addr|route|link ...`."""
    words = [one for one in arguments if not one.startswith("-")]
    ipv6 = "-6" in arguments
    try:
        match words:
            case ["tcp_metrics", "flush" | "del", *_]:
                _flush_metrics(shell)
            case ["addr" | "address" | "a", ("add" | "del" | "replace") as action, prefix, "dev", device, *rest]:
                _address(shell, action, prefix, device, rest)
            case ["route" | "ro" | "r", ("add" | "del" | "replace" | "change") as action, target, *rest]:
                _route(shell, action, target, rest, ipv6=ipv6)
            case ["link" | "l", "set", *rest]:
                _link(shell, rest)
            case _:
                raise _Usage
    except _Usage:
        served = "tcp_metrics flush, addr, route, link set"
        return Done(1, errors=f"ip {' '.join(arguments)}: not served here; there are {served}\n")
    except OSError as error:
        return Done(2, errors=f"ip {' '.join(arguments)}: {error.strerror}\n")
    return Done()


def tc(shell: Shell, arguments: list[str], _: str) -> Done:
    """`tc qdisc add|replace|change|del dev DEVICE root|ingress|parent HANDLE [handle HANDLE] KIND [OPTIONS]`."""
    words = [one for one in arguments if not one.startswith("-")]
    try:
        match words:
            case ["qdisc", ("add" | "replace" | "change" | "del") as action, "dev", device, *rest]:
                _qdisc(shell, action, device, rest)
            case _:
                raise _Usage
    except _Usage:
        return Done(1, errors=f"tc {' '.join(arguments)}: not served here; there is tc qdisc\n")
    except OSError as error:
        return Done(2, errors=f"tc {' '.join(arguments)}: {error.strerror}\n")
    return Done()


def _options(words: list[str], names: tuple[str, ...], flags: tuple[str, ...] = ()) -> dict[str, str]:
    """Pairs of a name and a value, and names that stand alone."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word in flags:
            found[word] = ""
        elif word in names:
            found[word] = next(rest, "")
        else:
            raise _Usage
    return found


# ---- ip ----------------------------------------------------------------------


def _flush_metrics(shell: Shell) -> None:
    """Forget what TCP remembers of hosts: generic netlink, family tcp_metrics, command DEL."""
    with Netlink(shell.kernel, GENERIC) as netlink:
        question = ctrlmsg()
        question["cmd"], question["version"] = _CTRL_GETFAMILY, 1
        question["attrs"] = [["CTRL_ATTR_FAMILY_NAME", "tcp_metrics"]]
        (family,) = netlink.request(question, 16)
        deletion = genlmsg()
        deletion["cmd"], deletion["version"] = 2, 1
        netlink.request(deletion, family.get_attr("CTRL_ATTR_FAMILY_ID"))


def _address(shell: Shell, action: str, prefix: str, device: str, rest: list[str]) -> None:
    options = _options(rest, ("peer", "scope"), ("nodad",))
    interface = ipaddress.ip_interface(prefix)
    message = ifaddrmsg()
    message["family"] = socket.AF_INET6 if interface.version == 6 else socket.AF_INET
    message["prefixlen"] = interface.network.prefixlen
    message["flags"] = _NODAD if "nodad" in options else 0
    address = str(interface.ip)
    message["attrs"] = [["IFA_LOCAL", address], ["IFA_ADDRESS", options.get("peer", address).partition("/")[0]]]
    with Netlink(shell.kernel, ROUTE) as netlink:
        message["index"] = netlink.index(device)
        if action == "del":
            netlink.request(message, RTM_DELADDR)
        else:
            netlink.request(message, RTM_NEWADDR, ACK | _CHANGES[action])


_ROUTE_NAMES = ("via", "dev", "src", "metric", "mtu", "advmss", "initcwnd", "initrwnd", "cwnd", "rto_min", "quickack")
_ROUTE_METRICS = {"mtu", "advmss", "initcwnd", "initrwnd", "cwnd", "quickack", "rto_min"}


def _route(shell: Shell, action: str, target: str, rest: list[str], *, ipv6: bool) -> None:
    options = _options([one for one in rest if one != "lock"], _ROUTE_NAMES)
    message, attributes = rtmsg(), list[list[Any]]()
    version = 6 if ipv6 else 4
    if target != "default":
        network = ipaddress.ip_network(target, strict=False)
        version = network.version
        message["dst_len"] = network.prefixlen
        attributes.append(["RTA_DST", str(network.network_address)])
    message["family"] = socket.AF_INET6 if version == 6 else socket.AF_INET
    message["table"], message["proto"], message["type"] = 254, 3, 1
    with Netlink(shell.kernel, ROUTE) as netlink:
        if "dev" in options:
            attributes.append(["RTA_OIF", netlink.index(options["dev"])])
        for name, attribute in (("via", "RTA_GATEWAY"), ("src", "RTA_PREFSRC")):
            if name in options:
                attributes.append([attribute, options[name]])
        if "metric" in options:
            attributes.append(["RTA_PRIORITY", int(options["metric"])])
        metrics = [[f"RTAX_{name.upper()}", _metric(name, options[name])] for name in _ROUTE_METRICS & options.keys()]
        if metrics:
            attributes.append(["RTA_METRICS", {"attrs": metrics}])
        message["attrs"] = attributes
        if action == "del":
            netlink.request(message, RTM_DELROUTE)
        else:
            netlink.request(message, RTM_NEWROUTE, ACK | _CHANGES[action])


def _metric(name: str, text: str) -> int:
    if name != "rto_min":
        return int(text)
    # In eighths of a millisecond, as the kernel keeps it (RTAX_RTO_MIN).
    found = re.fullmatch(r"(\d+)(ms|s)?", text)
    if not found:
        raise _Usage
    return int(found[1]) * (1000 if found[2] == "s" else 1) * 8


def _link(shell: Shell, words: list[str]) -> None:
    if words and words[0] == "dev":
        words = words[1:]
    if not words:
        raise _Usage
    device, options = (
        words[0],
        _options(words[1:], ("mtu", "txqueuelen", "gso_max_size", "gso_max_segs"), ("up", "down")),
    )
    message = ifinfmsg()
    if "up" in options or "down" in options:
        message["flags"], message["change"] = _UP if "up" in options else 0, _UP
    attributes = {
        "mtu": "IFLA_MTU",
        "txqueuelen": "IFLA_TXQLEN",
        "gso_max_size": "IFLA_GSO_MAX_SIZE",
        "gso_max_segs": "IFLA_GSO_MAX_SEGS",
    }
    message["attrs"] = [[attributes[name], int(value)] for name, value in options.items() if name in attributes]
    with Netlink(shell.kernel, ROUTE) as netlink:
        message["index"] = netlink.index(device)
        netlink.request(message, RTM_NEWLINK)


# ---- tc ----------------------------------------------------------------------


def _handle(text: str) -> int:
    major, _, minor = text.partition(":")
    return int(major or "0", 16) << 16 | int(minor or "0", 16)


def _qdisc(shell: Shell, action: str, device: str, words: list[str]) -> None:
    message = tcmsg()
    message["family"] = socket.AF_UNSPEC
    rest = iter(words)
    attributes: list[list[Any]] = []
    for word in rest:
        if word == "root":
            message["parent"] = _ROOT
        elif word == "ingress":
            message["parent"], message["handle"] = _INGRESS, 0xFFFF0000
            attributes.append(["TCA_KIND", "ingress"])
        elif word == "parent":
            message["parent"] = _handle(next(rest, ""))
        elif word == "handle":
            message["handle"] = _handle(next(rest, ""))
        else:
            attributes += _kind(word, list(rest))
    message["attrs"] = attributes
    with Netlink(shell.kernel, ROUTE) as netlink:
        message["index"] = netlink.index(device)
        if action == "del":
            netlink.request(message, RTM_DELQDISC)
        else:
            netlink.request(message, RTM_NEWQDISC, ACK | _CHANGES[action])


def _kind(kind: str, words: list[str]) -> list[list[Any]]:
    """The kind of a queueing discipline, and its options as pyroute2 knows them."""
    attributes: list[list[Any]] = [["TCA_KIND", kind]]
    if not words:
        return attributes
    plugin = plugins.get(kind)
    if plugin is None or not hasattr(plugin, "get_parameters") or len(words) % 2:
        raise _Usage
    pairs = {
        name: int(value) if value.isdigit() else value for name, value in zip(words[::2], words[1::2], strict=True)
    }
    return [*attributes, ["TCA_OPTIONS", plugin.get_parameters(pairs)]]
