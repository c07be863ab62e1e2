"""Partitions: hosts that hear nothing of each other, whatever is between them.

A host drops what comes from hosts of other groups as it arrives: by the hardware
address of who sent it, if that is one of theirs, and by the address in the IP
header, if routers are between. So nobody notices who sends, as with a failure far
away. Routers and switches forward as before, unless they are in a group themselves.
"""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING
from liblinux.network.faults._filters import drop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from liblinux.network._host import Host
    from liblinux.network._topology import Interface
    from liblinux.network.faults._filters import Filters, Program

__all__ = ["ALL", "Partition", "from_hosts"]

PRIORITY = 2
# linux/bpf_common.h: A = word or half word or byte at k; if A == k; return k; jump by k
_LOAD_4, _LOAD_2, _IF_EQUAL, _RETURN, _JUMP = 0x20, 0x28, 0x15, 0x06, 0x05
_MATCH = (_RETURN, 0, 0, 0xFFFFFFFF)
_NO_MATCH = (_RETURN, 0, 0, 0)
_SOURCE_MAC, _TYPE, _IPV4_SOURCE, _IPV6_SOURCE = 6, 12, 26, 22
_ETH_IPV4, _ETH_IPV6 = 0x0800, 0x86DD
_HOSTS_IN_A_PROGRAM = 64  # with some addresses each it stays below 4096 instructions

ALL: Program = [_MATCH]


def _equal(offset: int, value: bytes) -> Program:
    """Match when these bytes are there, else go on behind."""
    steps: list[tuple[int, int, int]] = []
    start = 0
    while start < len(value):
        size = 4 if len(value) - start >= 4 else 2
        number = int.from_bytes(value[start : start + size], "big")
        steps.append((_LOAD_4 if size == 4 else _LOAD_2, offset + start, number))
        start += size
    program: Program = []
    for place, (load, where, number) in enumerate(steps):
        rest = 2 * (len(steps) - place - 1) + 1  # to behind the match
        program += [(load, 0, 0, where), (_IF_EQUAL, 0, rest, number)]
    return [*program, _MATCH]


def _under(kind: int, tests: Program) -> Program:
    """The tests for frames of one Ethernet type."""
    return [(_LOAD_2, 0, 0, _TYPE), (_IF_EQUAL, 1, 0, kind), (_JUMP, 0, 0, len(tests)), *tests]


def from_hosts(hosts: Iterable[Host]) -> Program:
    """A program that matches what comes from any of the hosts."""
    ends = [interface for host in hosts for interface in host._node.interfaces]
    program = [one for end in ends for one in _equal(_SOURCE_MAC, end.mac)]
    packed = [(address.version, address.ip.packed) for end in ends for address in end.addresses()]
    four = [one for version, address in packed if version == 4 for one in _equal(_IPV4_SOURCE, address)]
    six = [one for version, address in packed if version == 6 for one in _equal(_IPV6_SOURCE, address)]
    return [*program, *_under(_ETH_IPV4, four), *_under(_ETH_IPV6, six), _NO_MATCH]


class Partition:
    """The partition of a network at present: groups of hosts, none of whom hear those of another."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self.groups: list[list[Host]] = []
        self._placed: list[tuple[Host, Interface]] = []

    def state(self) -> tuple[list[list[Host]], list[tuple[Host, Interface]]]:
        """What :meth:`restore` takes."""
        return self.groups, self._placed

    def restore(self, state: tuple[list[list[Host]], list[tuple[Host, Interface]]]) -> None:
        """Be again as then; the kernel is already."""
        self.groups, self._placed = state

    def set(self, groups: Sequence[Sequence[Host]]) -> None:
        """Another partition; no groups are none."""
        for host, interface in self._placed:
            self._filters.remove(host, interface, priority=PRIORITY)
        self.groups, self._placed = [], []
        done = [list(group) for group in groups]
        for group in done:
            others = [host for other in done if other is not group for host in other]
            programs = [from_hosts(part) for part in _parts(others)]
            ends = [(host, interface) for host in group for interface in host._node.interfaces]
            for host, interface in ends if programs else ():
                for program in programs:
                    self._filters.add(host, interface, program, drop(), priority=PRIORITY)
                self._placed.append((host, interface))
        self.groups = done


def _parts(hosts: list[Host]) -> Iterator[list[Host]]:
    for start in range(0, len(hosts), _HOSTS_IN_A_PROGRAM):
        yield hosts[start : start + _HOSTS_IN_A_PROGRAM]
