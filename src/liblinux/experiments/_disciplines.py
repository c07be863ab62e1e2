"""Queueing disciplines as the kernel takes them: the attributes of TCA_OPTIONS. Source: linux/pkt_sched.h.

pyroute2 knows neither red, pie nor fq, and says of the names of codel's parameters that they will change.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux.experiments._model import Discipline

__all__ = ["known_options", "pack_options", "unknown_options"]

_MICROSECONDS = 1_000_000
# By discipline: the number of the attribute that an option is. All are u32; times are in microseconds.
_NUMBERS = {
    "fq": {"limit": 1, "ce_threshold": 12},
    "fq_codel": {"target": 1, "limit": 2, "interval": 3, "ecn": 4, "flows": 5, "ce_threshold": 7},
    "codel": {"target": 1, "limit": 2, "interval": 3, "ecn": 4, "ce_threshold": 5},
    "pie": {"target": 1, "limit": 2, "interval": 3, "ecn": 6},
    "pfifo": {"limit": 0},
    "bfifo": {"limit": 0},
    "red": dict.fromkeys(("limit", "min", "max", "probability", "ecn", "nodrop", "weight"), 0),
    "sfq": {},
    "cake": {},
}
_OPTIONS = (
    "limit",
    "target",
    "interval",
    "ecn",
    "ce_threshold",
    "flows",
    "min",
    "max",
    "probability",
    "nodrop",
    "weight",
)
_RED_PARMS, _RED_STAB, _RED_MAX_P, _RED_FLAGS = 1, 2, 3, 4
_RED_PACKET_BYTES = 1000  # what tc(8) takes for an average one
_RED_WEIGHT = 0.002
_RED_ECN, _RED_NODROP = 1, 8
_SLOWEST_BYTES = 1_250_000  # per second, tc(8)'s own assumption for a link that has no rate


def unknown_options(discipline: Discipline) -> list[str]:
    """The options that are set and that this discipline has not."""
    known = _NUMBERS[discipline.kind]
    return [name for name in _OPTIONS if getattr(discipline, name) is not None and name not in known]


def known_options(kind: str) -> list[str]:
    """The options that a discipline has."""
    return list(_NUMBERS[kind])


def pack_options(discipline: Discipline, bits_per_second: int) -> bytes:
    """The content of TCA_OPTIONS; empty for the kernel's own defaults."""
    if discipline.kind == "red":
        return _pack_red(discipline, bits_per_second / 8 or _SLOWEST_BYTES)
    if discipline.kind in ("pfifo", "bfifo"):
        return struct.pack("=I", discipline.limit) if discipline.limit is not None else b""
    parts = []
    for name, number in _NUMBERS[discipline.kind].items():
        value = getattr(discipline, name)
        if value is not None:
            number_of = round(value * _MICROSECONDS) if isinstance(value, float) else int(value)
            parts.append(_attribute(number, struct.pack("=I", number_of)))
    return b"".join(parts)


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", len(content) + 4, kind) + content + bytes(-len(content) % 4)


def _pack_red(discipline: Discipline, bytes_per_second: float) -> bytes:
    """RED wants a table of how its average decays while the line is idle, as tc(8) makes it."""
    assert discipline.min is not None and discipline.max is not None, "the checks have seen to it"
    weight_log = round(-math.log2(discipline.weight or _RED_WEIGHT))
    limit = discipline.limit or 4 * discipline.max
    cell_log, table = _idle_table(weight_log, bytes_per_second)
    flags = _RED_ECN * bool(discipline.ecn) | _RED_NODROP * bool(discipline.nodrop)
    # The newer flags have an attribute of their own, and then all are to be in there (struct nla_bitfield32).
    newer = _attribute(_RED_FLAGS, struct.pack("=II", flags, flags)) if discipline.nodrop else b""
    parameters = struct.pack(
        "=IIIBBBB", limit, discipline.min, discipline.max, weight_log, 0, cell_log, 0 if newer else flags
    )
    chance = min(round((discipline.probability or 0.02) * 2**32), 2**32 - 1)
    return b"".join(
        (
            _attribute(_RED_PARMS, parameters),
            _attribute(_RED_STAB, table),
            _attribute(_RED_MAX_P, struct.pack("=I", chance)),
            newer,
        )
    )


def _idle_table(weight_log: int, bytes_per_second: float) -> tuple[int, bytes]:
    if weight_log == 0:  # no average: what it was does not matter
        return 0, bytes(256)
    microseconds = _RED_PACKET_BYTES / bytes_per_second * _MICROSECONDS
    decay = -math.log(1 - 2.0**-weight_log) / microseconds
    cell_log = max(0, math.ceil(math.log2(31 / decay / 512)))
    table = bytes(min(31, round((cell << cell_log) * decay)) for cell in range(255)) + b"\x1f"
    return cell_log, table
