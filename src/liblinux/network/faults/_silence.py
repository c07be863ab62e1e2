"""Hosts that are off: nothing leaves them, and nothing is heard."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING
from liblinux.network.faults._filters import EGRESS, INGRESS, drop
from liblinux.network.faults._partition import ALL

if TYPE_CHECKING:
    from liblinux.network._host import Host
    from liblinux.network.faults._filters import Filters

__all__ = ["Silence"]

_PRIORITY = 1  # before all others


class Silence:
    """Which hosts of a network are silent."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self.hosts: frozenset[Host] = frozenset()

    def set(self, host: Host, *, silent: bool) -> None:
        """Drop all frames of a host, in both directions; or no longer."""
        if silent == (host in self.hosts):
            return
        for interface in host._node.interfaces:
            for place in (INGRESS, EGRESS):
                if silent:
                    self._filters.add(host, interface, ALL, drop(), place=place, priority=_PRIORITY)
                else:
                    self._filters.remove(host, interface, place=place, priority=_PRIORITY)
        self.hosts = self.hosts | {host} if silent else self.hosts - {host}
