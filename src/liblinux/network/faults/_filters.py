"""Filters on interfaces of hosts: classic BPF by traffic control, which drops or detours what it matches.

A frame is looked at as it arrives (the sender does not learn of it, as with a frame
lost on the way), or as a host sends it. One `clsact` discipline for each
interface; filters differ by their priority, the lowest is asked first.

Source: tc-bpf(8), linux/filter.h, linux/pkt_cls.h.
"""

from __future__ import annotations

import errno
import struct

from liblinux._typing import TYPE_CHECKING
from liblinux.network._rtnetlink import _attribute, _message, _u32

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from liblinux.network._host import Host
    from liblinux.network._topology import Interface

__all__ = ["INGRESS", "Filters", "Instruction", "Program", "detour", "drop", "pack", "parse", "set_mac"]

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k
Program = list[Instruction]

INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
_CLSACT, _CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
_RTM_NEWLINK, _RTM_NEWQDISC, _RTM_NEWTFILTER, _RTM_DELTFILTER = 16, 36, 44, 45
_NLM_F_EXCL, _NLM_F_CREATE = 0x200, 0x400
_ALL_PROTOCOLS = 0x0300  # ETH_P_ALL, big endian
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_ACT, _TCA_BPF_OPS_LEN, _TCA_BPF_OPS = 1, 4, 5
_TCA_ACT_KIND, _TCA_ACT_OPTIONS = 1, 2
_TCA_GACT_PARMS, _TCA_MIRRED_PARMS, _TCA_SKBEDIT_PARMS, _TCA_SKBEDIT_MARK = 2, 2, 2, 5
_TC_ACT_SHOT, _TC_ACT_STOLEN, _TC_ACT_PIPE = 2, 4, 3
_EGRESS_REDIRECT, _INGRESS_REDIRECT = 1, 3
_IFLA_ADDRESS = 1
_MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS
_TRAFFIC = struct.Struct("=BxxxiIII")
_GENERIC = struct.Struct("=IIiii")
_MIRRED = struct.Struct("=IIiiiiI")
_LINK = struct.Struct("=BxHiII")
_INSTRUCTION = struct.Struct("=HBBI")


def parse(program: str | Iterable[Instruction]) -> Program:
    """A program of classic BPF: instructions, or text as of `tcpdump -ddd` or of tc: "N,code jt jf k,...".

    ValueError for what is none. Source: tc-bpf(8), "bytecode".
    """
    if not isinstance(program, str):
        instructions = [tuple(map(int, one)) for one in program]
    else:
        lines = [line.split() for line in program.replace(",", "\n").splitlines() if line.strip()]
        try:
            numbers = [tuple(map(int, line)) for line in lines]
        except ValueError:
            raise ValueError(f"{program!r} is no bytecode: 'tcpdump -ddd -y EN10MB EXPRESSION' prints such") from None
        if not numbers or numbers[0] != (len(numbers) - 1,):
            raise ValueError(f"{program!r} is no bytecode: it begins with the number of its instructions")
        instructions = numbers[1:]
    if not 0 < len(instructions) <= _MOST_INSTRUCTIONS or any(len(one) != 4 for one in instructions):
        raise ValueError(f"a program has 1 to {_MOST_INSTRUCTIONS} instructions, each of four numbers: code jt jf k")
    return [(code, yes, no, k) for code, yes, no, k in instructions]


def pack(program: Program) -> bytes:
    """As the kernel has it."""
    try:
        return b"".join(_INSTRUCTION.pack(*one) for one in program)
    except struct.error as error:
        raise ValueError(f"an instruction of a BPF program is out of range: {error}") from None


def _action(kind: str, parameters: int, content: bytes, *more: bytes) -> bytes:
    options = _attribute(parameters, content) + b"".join(more)
    return _attribute(_TCA_ACT_KIND, kind.encode() + b"\0") + _attribute(_TCA_ACT_OPTIONS, options)


def drop() -> list[bytes]:
    """The action that drops."""
    return [_action("gact", _TCA_GACT_PARMS, _GENERIC.pack(0, 0, _TC_ACT_SHOT, 0, 0))]


def detour(target: int, *, arriving: bool = False, mark: int = 0) -> list[bytes]:
    """The actions that send a frame out of another interface, or let it arrive there; with a mark."""
    way = _INGRESS_REDIRECT if arriving else _EGRESS_REDIRECT
    redirect = _action("mirred", _TCA_MIRRED_PARMS, _MIRRED.pack(0, 0, _TC_ACT_STOLEN, 0, 0, way, target))
    if not mark:
        return [redirect]
    edit = _GENERIC.pack(0, 0, _TC_ACT_PIPE, 0, 0)
    return [_action("skbedit", _TCA_SKBEDIT_PARMS, edit, _u32(_TCA_SKBEDIT_MARK, mark)), redirect]


def set_mac(index: int, mac: bytes) -> bytes:
    """Another hardware address."""
    return _message(_RTM_NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0), _attribute(_IFLA_ADDRESS, mac))


class Filters:
    """The filters of all hosts of a network that faults have put there."""

    def __init__(self) -> None:
        self._prepared: set[tuple[Host, int]] = set()

    def state(self) -> frozenset[tuple[Host, int]]:
        """What :meth:`restore` takes."""
        return frozenset(self._prepared)

    def restore(self, state: frozenset[tuple[Host, int]]) -> None:
        """Be again as then; the kernel is already."""
        self._prepared = set(state)

    def add(
        self, host: Host, interface: Interface | int, program: Program, actions: Sequence[bytes],
        *, place: int = INGRESS, priority: int,
    ) -> None:  # fmt: skip
        """Do the actions with all frames that the program matches (returns other than 0 for)."""
        index = interface if isinstance(interface, int) else interface.index
        self._prepare(host, index)
        numbered = b"".join(_attribute(number, action) for number, action in enumerate(actions, 1))
        options = (
            _attribute(_TCA_BPF_ACT, numbered)
            + _attribute(_TCA_BPF_OPS_LEN, len(program).to_bytes(2, "little"))
            + _attribute(_TCA_BPF_OPS, pack(program))
        )
        head = _TRAFFIC.pack(0, index, 0, place, priority << 16 | _ALL_PROTOCOLS)
        kind = _attribute(_TCA_KIND, b"bpf\0")
        flags = _NLM_F_CREATE | _NLM_F_EXCL
        try:
            host.network._wiring.send(
                host, [_message(_RTM_NEWTFILTER, flags, head, kind, _attribute(_TCA_OPTIONS, options))]
            )
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise ValueError("the kernel refused the BPF program: a jump or an instruction is wrong") from error
            raise

    def remove(self, host: Host, interface: Interface | int, *, place: int = INGRESS, priority: int) -> None:
        """Take the filters of a priority away."""
        index = interface if isinstance(interface, int) else interface.index
        head = _TRAFFIC.pack(0, index, 0, place, priority << 16 | _ALL_PROTOCOLS)
        host.network._wiring.send(host, [_message(_RTM_DELTFILTER, 0, head)])

    def forget(self, host: Host, index: int) -> None:
        """An interface is gone, and its filters with it."""
        self._prepared.discard((host, index))

    def _prepare(self, host: Host, index: int) -> None:
        if (host, index) in self._prepared:
            return
        head = _TRAFFIC.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0)
        flags = _NLM_F_CREATE | _NLM_F_EXCL
        try:
            host.network._wiring.send(host, [_message(_RTM_NEWQDISC, flags, head, _attribute(_TCA_KIND, b"clsact\0"))])
        except FileExistsError:
            raise FileExistsError(
                errno.EEXIST,
                f"interface {index} of {host.name} has an ingress discipline already, where faults would be put; "
                "take that away, or use the faults of links instead (link.set, link.down)",
            ) from None
        self._prepared.add((host, index))
