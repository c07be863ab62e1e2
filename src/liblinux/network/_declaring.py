"""Names of hosts and interfaces, addresses and numbers of links: what may be declared, and what is wrong."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.network._topology import Interface, parse_interface

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux.network._host import Host

__all__ = ["check_cable", "check_host_name", "make_ends"]

_SMALLEST_MTU, _LARGEST_MTU = 68, 65535
_NAME_BYTES = 64
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_INTERFACE_BYTES = 15


def check_host_name(name: str) -> None:
    """ValueError for what is none."""
    if not name or len(name.encode()) > _NAME_BYTES or not set(name.lower()) <= _NAME_LETTERS:
        raise ValueError(f"{name!r} is no host name: letters, digits, '-', '.' and '_' make one")


def check_cable(mtu: int, queue: int) -> None:
    """ValueError for an MTU, in bytes, or a queue, in frames, that there cannot be."""
    if not _SMALLEST_MTU <= mtu <= _LARGEST_MTU:
        raise ValueError(f"an MTU of {mtu} bytes is out of range: {_SMALLEST_MTU} to {_LARGEST_MTU}")
    if queue < 1:
        raise ValueError(f"a queue of {queue} frames holds nothing; 1 is the shortest")


def make_ends(
    hosts: tuple[Host, Host],
    names: tuple[str | None, str | None],
    addresses: tuple[str | Iterable[str] | None, str | Iterable[str] | None],
) -> tuple[Interface, Interface]:
    """The interfaces at both ends of a new link.

    ValueError for names and addresses that they cannot have.
    """
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
    if not name or len(name.encode()) > _INTERFACE_BYTES or "/" in name or name != name.strip():
        raise ValueError(f"{name!r} is no name of an interface: it has up to {_INTERFACE_BYTES} letters, and no '/'")
    if name in (interface.name for interface in host._node.interfaces):
        raise ValueError(f"{host.name} has an interface {name!r} already")
