"""`iptables` and `ip6tables`: rules of the table filter, as expressions of nf_tables.

What iptables-nft does, for the matches that scripts use. Its own text of a rule
is kept with the rule, so that it can be listed and found again.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES, nfgen_msg
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFT_MSG_DELRULE,
    NFT_MSG_GETRULE,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWTABLE,
    nft_chain_msg,
    nft_rule_msg,
    nft_table_msg,
)
from pyroute2.nftables.expressions import genex

from liblinux.packetdrill._netlink import ACK, APPEND, CREATE, DUMP, NETFILTER, Netlink
from liblinux.packetdrill.shell._shell import Done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux.packetdrill.shell._shell import Shell

__all__ = ["ip6tables", "iptables"]

_TABLE = "filter"
_HOOKS = {"INPUT": 1, "FORWARD": 2, "OUTPUT": 3}
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_IPV4, _IPV6 = 2, 10
_VERDICTS = {"DROP": 0, "ACCEPT": 1, "RETURN": -5}
_STATES = {"INVALID": 1, "ESTABLISHED": 2, "RELATED": 4, "NEW": 8, "UNTRACKED": 64}
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}
_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0}
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_EQUAL, _NOT_EQUAL = 0, 1
_META_IIFNAME, _META_OIFNAME, _META_L4PROTO = 6, 7, 16
_NAME_BYTES = 16


class _Usage(Exception):
    """Arguments that are not among those served."""


@dataclass
class _Rule:
    """A rule: what it matches as text and as expressions, and where it leads."""

    words: list[str] = field(default_factory=list)
    expressions: list[Any] = field(default_factory=list)
    target: str = ""

    @property
    def text(self) -> str:
        return f"{' '.join(self.words)}|{self.target}"


def iptables(shell: Shell, arguments: list[str], _: str) -> Done:
    """`iptables -A|-I|-D CHAIN MATCHES [-j TARGET]`, `-F [CHAIN]`, `[-v] -S [CHAIN]`, for IPv4."""
    return _tables("iptables", shell, arguments, _IPV4)


def ip6tables(shell: Shell, arguments: list[str], _: str) -> Done:
    """The same for IPv6."""
    return _tables("ip6tables", shell, arguments, _IPV6)


def _tables(name: str, shell: Shell, arguments: list[str], family: int) -> Done:
    words = [one for one in arguments if one not in ("-w", "-v", "-n")]
    try:
        with Netlink(shell.kernel, NETFILTER) as netlink:
            filters = _Filter(netlink, family)
            match words:
                case ["-A" | "-I", chain, *rest] if chain in _HOOKS:
                    filters.add(chain, _parse(rest, family), append=words[0] == "-A")
                case ["-D", chain, *rest] if chain in _HOOKS:
                    if not filters.delete(chain, _parse(rest, family)):
                        return Done(1, errors=f"{name}: chain {chain} has no such rule\n")
                case ["-S", *rest] if len(rest) < 2:
                    return Done(output=filters.listing(rest[0] if rest else None, counters="-v" in arguments))
                case ["-F", *rest] if len(rest) < 2:
                    filters.flush(rest[0] if rest else None)
                case _:
                    raise _Usage
    except _Usage as usage:
        served = (
            "-A, -I, -D, -F, -S; -p, -s, -d, -i, -o, --sport, --dport, --syn, --tcp-flags, -m conntrack --ctstate, -j"
        )
        return Done(2, errors=f"{name} {' '.join(arguments)}: {usage or 'not served here'}; there are {served}\n")
    except OSError as error:
        return Done(1, errors=f"{name} {' '.join(arguments)}: {error.strerror}\n")
    return Done()


# ---- matches -----------------------------------------------------------------


def _cmp(data: bytes, op: int = _EQUAL) -> Any:
    return genex("cmp", {"sreg": 1, "op": op, "data": {"attrs": [("NFTA_DATA_VALUE", data)]}})


def _and(mask: bytes) -> Any:
    value = {"attrs": [("NFTA_DATA_VALUE", mask)]}
    nothing = {"attrs": [("NFTA_DATA_VALUE", bytes(len(mask)))]}
    return genex("bitwise", {"sreg": 1, "dreg": 1, "len": len(mask), "mask": value, "xor": nothing})


def _payload(base: int, offset: int, length: int) -> Any:
    return genex("payload", {"dreg": 1, "base": base, "offset": offset, "len": length})


def _protocol(name: str) -> list[Any]:
    number = _PROTOCOLS.get(name) or int(name)
    return [genex("meta", {"dreg": 1, "key": _META_L4PROTO}), _cmp(bytes([number]))]


def _state(names: str) -> list[Any]:
    wanted = 0
    for name in names.split(","):
        if name not in _STATES:
            raise _Usage(f"unknown state {name}")
        wanted |= _STATES[name]
    return [genex("ct", {"dreg": 1, "key": 0}), _and(struct.pack("=I", wanted)), _cmp(bytes(4), _NOT_EQUAL)]


def _tcp_flags(mask: str, value: str) -> list[Any]:
    bits = [sum(_FLAGS[name] for name in names.split(",")) for names in (mask, value)]
    return [_payload(_TRANSPORT_HEADER, 13, 1), _and(bytes([bits[0]])), _cmp(bytes([bits[1]]))]


def _port(offset: int, text: str) -> list[Any]:
    return [_payload(_TRANSPORT_HEADER, offset, 2), _cmp(struct.pack("!H", int(text)))]


def _address(text: str, family: int, *, source: bool) -> list[Any]:
    network = ipaddress.ip_network(text, strict=False)
    length = network.network_address.max_prefixlen // 8
    if (length == 16) != (family == _IPV6):
        raise _Usage(f"{text} is of the other version of IP")
    offset = (8 if family == _IPV6 else 12) + (0 if source else length)
    return [
        _payload(_NETWORK_HEADER, offset, length),
        _and(network.netmask.packed),
        _cmp(network.network_address.packed),
    ]


def _device(key: int, name: str) -> list[Any]:
    return [genex("meta", {"dreg": 1, "key": key}), _cmp(name.encode().ljust(_NAME_BYTES, b"\0"))]


def _parse(words: list[str], family: int) -> _Rule:
    """Read the matches and the target of a rule. Raises _Usage."""
    rule, rest = _Rule(), iter(words)
    try:
        for word in rest:
            if word in ("-j", "--jump"):
                rule.target = next(rest)
                if rule.target not in _VERDICTS:
                    raise _Usage(f"unknown target {rule.target}")
                continue
            taken = [word]
            rule.expressions += _match(taken, rest, family)
            rule.words += taken
    except (StopIteration, KeyError, ValueError) as error:
        raise _Usage(f"cannot read the rule {' '.join(words)} ({error})") from None
    return rule


def _match(taken: list[str], rest: Iterator[str], family: int) -> list[Any]:
    """The expressions of one match; its words are added to those taken."""

    def word() -> str:
        taken.append(next(rest))
        return taken[-1]

    match taken[0]:
        case "-m":
            if word() not in ("conntrack", "tcp", "udp", "state"):
                raise _Usage(f"unknown match {taken[-1]}")
            found: list[Any] = []
        case "-p":
            found = _protocol(word())
        case "--ctstate" | "--state":
            found = _state(word())
        case "--syn":
            found = _tcp_flags("FIN,SYN,RST,ACK", "SYN")
        case "--tcp-flags":
            found = _tcp_flags(word(), word())
        case "--sport" | "--dport" as option:
            found = _port(0 if option == "--sport" else 2, word())
        case "-s" | "-d" as option:
            found = _address(word(), family, source=option == "-s")
        case "-i" | "-o" as option:
            found = _device(_META_IIFNAME if option == "-i" else _META_OIFNAME, word())
        case unknown:
            raise _Usage(f"unknown option {unknown}")
    return found


# ---- the kernel's tables -----------------------------------------------------


class _Filter:
    """The table filter of one version of IP."""

    def __init__(self, netlink: Netlink, family: int) -> None:
        self._netlink, self._family = netlink, family

    def _message(self, kind: Any, attributes: list[Any]) -> Any:
        message = kind()
        message["nfgen_family"], message["attrs"] = self._family, attributes
        return message

    def _commit(self, *changes: tuple[Any, int, int]) -> None:
        """Changes are made all at once or not at all."""
        marks = []
        for _ in range(2):
            mark = nfgen_msg()
            mark["nfgen_family"], mark["res_id"] = socket.AF_UNSPEC, NFNL_SUBSYS_NFTABLES
            marks.append(mark)
        numbered = [(message, NFNL_SUBSYS_NFTABLES << 8 | kind, flags) for message, kind, flags in changes]
        self._netlink.batch([(marks[0], _BATCH_BEGIN, 0), *numbered, (marks[1], _BATCH_END, 0)], len(changes))

    def add(self, chain: str, rule: _Rule, *, append: bool) -> None:
        """A rule more; table and chain are made with the first one."""
        table = self._message(nft_table_msg, [("NFTA_TABLE_NAME", _TABLE)])
        hook = {"attrs": [("NFTA_HOOK_HOOKNUM", _HOOKS[chain]), ("NFTA_HOOK_PRIORITY", 0)]}
        base = self._message(
            nft_chain_msg,
            [
                ("NFTA_CHAIN_TABLE", _TABLE),
                ("NFTA_CHAIN_NAME", chain),
                ("NFTA_CHAIN_HOOK", hook),
                ("NFTA_CHAIN_TYPE", "filter"),
            ],
        )
        counter = genex("counter", {"bytes": 0, "packets": 0})
        verdict = [_verdict(rule.target)] if rule.target else []
        new = self._message(
            nft_rule_msg,
            [
                ("NFTA_RULE_TABLE", _TABLE),
                ("NFTA_RULE_CHAIN", chain),
                ("NFTA_RULE_EXPRESSIONS", [*rule.expressions, counter, *verdict]),
                ("NFTA_RULE_USERDATA", {"value": rule.text}),
            ],
        )
        self._commit(
            (table, NFT_MSG_NEWTABLE, ACK | CREATE),
            (base, NFT_MSG_NEWCHAIN, ACK | CREATE),
            (new, NFT_MSG_NEWRULE, ACK | CREATE | (APPEND if append else 0)),
        )

    def rules(self) -> list[Any]:
        """All rules of the table."""
        question = self._message(nft_rule_msg, [("NFTA_RULE_TABLE", _TABLE)])
        return self._netlink.request(question, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, DUMP)

    def delete(self, chain: str, rule: _Rule) -> bool:
        """The first rule that is written so; whether there was one."""
        for one in self.rules():
            if one.get_attr("NFTA_RULE_CHAIN") == chain and _text(one) == rule.text:
                self._remove(one)
                return True
        return False

    def flush(self, chain: str | None) -> None:
        """All rules, or those of a chain."""
        for one in self.rules():
            if chain in (None, one.get_attr("NFTA_RULE_CHAIN")):
                self._remove(one)

    def _remove(self, rule: Any) -> None:
        names = ("NFTA_RULE_TABLE", "NFTA_RULE_CHAIN", "NFTA_RULE_HANDLE")
        message = self._message(nft_rule_msg, [(name, rule.get_attr(name)) for name in names])
        self._commit((message, NFT_MSG_DELRULE, ACK))

    def listing(self, chain: str | None, *, counters: bool) -> str:
        """As `iptables -S` writes them."""
        lines = []
        for rule in self.rules():
            where = rule.get_attr("NFTA_RULE_CHAIN")
            if chain not in (None, where):
                continue
            words, _, target = _text(rule).partition("|")
            packets, size = _count(rule)
            counted = f" -c {packets} {size}" if counters else ""
            lines.append(f"-A {where} {words}{counted}{f' -j {target}' if target else ''}\n")
        return "".join(lines)


def _verdict(target: str) -> Any:
    code = {"attrs": [("NFTA_VERDICT_CODE", _VERDICTS[target])]}
    return genex("immediate", {"dreg": 0, "data": {"attrs": [("NFTA_DATA_VERDICT", code)]}})


def _text(rule: Any) -> str:
    kept = rule.get_attr("NFTA_RULE_USERDATA")
    return str(kept) if kept else ""


def _count(rule: Any) -> tuple[int, int]:
    for expression in rule.get_attr("NFTA_RULE_EXPRESSIONS"):
        if expression.get_attr("NFTA_EXPR_NAME") == "counter":
            data = expression.get_attr("NFTA_EXPR_DATA")
            return data.get_attr("NFTA_COUNTER_PACKETS"), data.get_attr("NFTA_COUNTER_BYTES")
    return 0, 0
