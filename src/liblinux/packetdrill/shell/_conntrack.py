"""`conntrack -L`: the connections that netfilter knows, over netlink."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_CTNETLINK
from pyroute2.netlink.nfnetlink.nfctsocket import nfct_msg

from liblinux.packetdrill._netlink import DUMP, NETFILTER, Netlink
from liblinux.packetdrill.shell._shell import Done

if TYPE_CHECKING:
    from liblinux.packetdrill.shell._shell import Shell

__all__ = ["conntrack"]

_GET = 1
_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_PROTOCOLS = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6"}
_SEEN_REPLY, _ASSURED = 1 << 1, 1 << 2
# enum tcp_conntrack of linux/netfilter/nf_conntrack_tcp.h
_STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)


def conntrack(shell: Shell, arguments: list[str], _: str) -> Done:
    """`conntrack -L [-f ipv4|ipv6] [-p PROTOCOL] [--sport PORT] [--dport PORT]`."""
    wanted, rest = {"-f": "ipv4"}, iter(arguments)
    listing = False
    for word in rest:
        if word in ("-L", "--dump"):
            listing = True
        elif word in ("-f", "-p", "--sport", "--dport"):
            wanted[word] = next(rest, "")
        else:
            return Done(2, errors=f"conntrack: unknown option {word}; there are -L, -f, -p, --sport, --dport\n")
    if not listing or wanted["-f"] not in _FAMILIES:
        return Done(2, errors="conntrack: there is conntrack -L [-f ipv4|ipv6]\n")
    question = nfct_msg()
    question["nfgen_family"] = _FAMILIES[wanted["-f"]]
    with Netlink(shell.kernel, NETFILTER) as netlink:
        entries = netlink.request(question, NFNL_SUBSYS_CTNETLINK << 8 | _GET, DUMP)
    lines = [_line(entry) for entry in entries if _is_wanted(entry, wanted)]
    errors = f"conntrack: {len(lines)} flow entries have been shown.\n"
    return Done(output="".join(lines), errors=errors)


def _protocol(entry: Any) -> Any:
    return entry.get_attr("CTA_TUPLE_ORIG").get_attr("CTA_TUPLE_PROTO")


def _is_wanted(entry: Any, wanted: dict[str, str]) -> bool:
    protocol = _protocol(entry)
    found = {
        "-p": _PROTOCOLS.get(protocol.get_attr("CTA_PROTO_NUM"), ""),
        "--sport": str(protocol.get_attr("CTA_PROTO_SRC_PORT")),
        "--dport": str(protocol.get_attr("CTA_PROTO_DST_PORT")),
    }
    return all(wanted[name] == value for name, value in found.items() if name in wanted)


def _line(entry: Any) -> str:
    """As conntrack(8) writes an entry."""
    number = _protocol(entry).get_attr("CTA_PROTO_NUM")
    status = entry.get_attr("CTA_STATUS")
    words = [f"{_PROTOCOLS.get(number, 'unknown'):<8} {number}"]
    if entry.get_attr("CTA_TIMEOUT") is not None:
        words.append(str(entry.get_attr("CTA_TIMEOUT")))
    info = entry.get_attr("CTA_PROTOINFO")
    tcp = info.get_attr("CTA_PROTOINFO_TCP") if info else None
    if tcp is not None:
        words.append(_STATES[tcp.get_attr("CTA_PROTOINFO_TCP_STATE")])
    words += _tuple(entry.get_attr("CTA_TUPLE_ORIG"))
    if not status & _SEEN_REPLY:
        words.append("[UNREPLIED]")
    words += _tuple(entry.get_attr("CTA_TUPLE_REPLY"))
    if status & _ASSURED:
        words.append("[ASSURED]")
    words += [f"mark={entry.get_attr('CTA_MARK') or 0}", f"use={entry.get_attr('CTA_USE')}"]
    return " ".join(words) + "\n"


def _tuple(one: Any) -> list[str]:
    address, protocol = one.get_attr("CTA_TUPLE_IP"), one.get_attr("CTA_TUPLE_PROTO")
    source, destination = (
        address.get_attr(f"CTA_IP_V4_{end}") or address.get_attr(f"CTA_IP_V6_{end}") for end in ("SRC", "DST")
    )
    ports = protocol.get_attr("CTA_PROTO_SRC_PORT"), protocol.get_attr("CTA_PROTO_DST_PORT")
    return [f"src={source}", f"dst={destination}", f"sport={ports[0]}", f"dport={ports[1]}"]
