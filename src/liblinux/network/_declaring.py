"""Names of hosts and interfaces, addresses and numbers of links: what may be declared, and what is wrong."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.network._host import BRIDGE
from liblinux.network._topology import Interface, parse_interface

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux.network._host import Host

__all__ = ["check_cable", "check_host_name", "make_ends", "parse_subnets"]

_Net = TypeVar("_Net", IPv4Network, IPv6Network)
_SMALLEST_MTU, _SMALLEST_MTU_6, _LARGEST_MTU = 68, 1280, 65535
_LONGEST_QUEUE = (1 << 31) - 1
_NAME_BYTES = 64
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_INTERFACE_BYTES = 15


def check_host_name(name: str) -> None:
    """ValueError for what is none."""
    if not isinstance(name, str):
        raise TypeError(f"a host's name is a string, not {type(name).__name__}")
    if not name or len(name.encode()) > _NAME_BYTES or not set(name.lower()) <= _NAME_LETTERS:
        raise ValueError(f"{name!r} is no host name: letters, digits, '-', '.' and '_' make one")


def check_cable(mtu: int, queue: int, *, ipv6: bool) -> None:
    """ValueError for an MTU, in bytes, or a queue, in frames, that there cannot be; TypeError for no numbers."""
    for name, value in (("mtu", mtu), ("queue", queue)):
        if not isinstance(value, int):
            raise TypeError(f"{name}={value!r}: it is a whole number, of {'bytes' if name == 'mtu' else 'frames'}")
    if not _SMALLEST_MTU <= mtu <= _LARGEST_MTU:
        raise ValueError(f"an MTU of {mtu} bytes is out of range: {_SMALLEST_MTU} to {_LARGEST_MTU}")
    if ipv6 and mtu < _SMALLEST_MTU_6:
        raise ValueError(
            f"an MTU of {mtu} bytes is too small for IPv6, which wants {_SMALLEST_MTU_6} (RFC 8200); "
            "give a larger one, or make the network without: Network(ipv6=None)"
        )
    if queue < 1:
        raise ValueError(f"a queue of {queue} frames holds nothing; 1 is the shortest")
    if queue > _LONGEST_QUEUE:
        raise ValueError(f"a queue of {queue} frames is too long; {_LONGEST_QUEUE} is the longest")


def parse_subnets(text: str, kind: type[_Net]) -> _Net:
    """What subnets are taken from; ValueError says how to write it."""
    example = "'10.0.0.0/8'" if kind is IPv4Network else "'fd00::/16'"
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is nothing that subnets can be taken from: {error}; write it as {example}"
        ) from None


def make_ends(
    hosts: tuple[Host, Host],
    names: tuple[str | None, str | None],
    addresses: tuple[str | Iterable[str] | None, str | Iterable[str] | None],
) -> tuple[Interface, Interface]:
    """The interfaces at both ends of a new link.

    ValueError for names and addresses that they cannot have.
    """
    for what, pair in (("names", names), ("addresses", addresses)):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"{what}={pair!r}: give a pair, of the first and of the second host; None leaves one out")
    asked = [_parse_addresses(host, given) for host, given in zip(hosts, addresses, strict=True)]
    for host, name in zip(hosts, names, strict=True):
        _check_interface(host, name)
    first, second = (Interface(host._node, name, given) for host, name, given in zip(hosts, names, asked, strict=True))
    first.peer, second.peer = second, first
    return first, second


def _parse_addresses(host: Host, given: str | Iterable[str] | None) -> list[Any]:
    texts = [given] if isinstance(given, str) else list(given or ())
    if texts and host._node.switches:
        raise ValueError(f"{host.name} is a switch, and its ports have no addresses")
    return [parse_interface(text) for text in texts]


def _check_interface(host: Host, name: str | None) -> None:
    if name is None:
        return
    # dev_valid_name() of net/core/dev.c; "%" is where it would put a number.
    wrong = set(name) & set("/:%") or any(letter.isspace() for letter in name) or name in (".", "..")
    if not name or wrong or len(name.encode()) > _INTERFACE_BYTES:
        raise ValueError(
            f"{name!r} is no name of an interface: it has up to {_INTERFACE_BYTES} letters, no space and none of '/:%'"
        )
    own = ["lo", *([BRIDGE[0]] if host._node.switches else ())]
    if name in own or name in (interface.name for interface in host._node.interfaces):
        raise ValueError(f"{host.name} has an interface {name!r} already")
