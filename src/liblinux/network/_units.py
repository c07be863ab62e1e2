"""Rates, times and chances as tc(8) writes them: "10Mbit", "20ms", "1%"; or as plain numbers."""

from __future__ import annotations

import math
import re

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["chance", "nanoseconds", "rate"]

_NUMBER = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([A-Za-z/%]*)\s*", re.IGNORECASE)
# tc(8): "bit" counts bits, "bps" bytes, in powers of ten, or of two with an "i".
_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_RATES = {
    "": 1,
    **{
        prefix + unit: factor * bits
        for prefix, factor in (*_PREFIXES.items(), *_BINARY.items())
        for unit, bits in (("bit", 1), ("bit/s", 1), ("bps", 8), ("b/s", 8))
    },
}
_TIMES = {
    "s": 10**9, "sec": 10**9, "secs": 10**9,
    "ms": 10**6, "msec": 10**6, "msecs": 10**6,
    "us": 10**3, "usec": 10**3, "usecs": 10**3,
    "ns": 1, "nsec": 1, "nsecs": 1,
}  # fmt: skip
LONGEST_NS = 1000 * 10**9
_PERCENT = 100


def rate(value: float | str | None) -> int:
    """A rate in bits per second, of "10Mbit", a number of bits per second, or None for no limit (0)."""
    if value is None:
        return 0
    bits = value if isinstance(value, int | float) else _read(value, _RATES, "a rate", "'10Mbit'")
    if not math.isfinite(bits) or round(bits) < 1:
        raise ValueError(f"a rate of {value!r} can carry nothing; leave it out for a link without a limit")
    return round(bits)


def nanoseconds(value: float | str) -> int:
    """A time in nanoseconds, of "20ms" or a number of seconds."""
    length = value * 1e9 if isinstance(value, int | float) else _read(value, _TIMES, "a time", "'20ms'")
    if not 0 <= length <= LONGEST_NS:
        raise ValueError(f"a time of {value!r} is out of range: 0 to 1000 s")
    return round(length)


def chance(value: float | str) -> float:
    """A probability from 0 to 1, of "1%" or 0.01."""
    number = value if isinstance(value, int | float) else _read(value, {"": 1, "%": 1 / _PERCENT}, "a chance", "'1%'")
    if not 0 <= number <= 1:
        raise ValueError(f"a chance of {value!r} is not from 0 to 1 (0% to 100%)")
    return float(number)


def _read(text: str, units: Mapping[str, float], what: str, example: str) -> float:
    found = _NUMBER.fullmatch(text)
    factor = units.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise ValueError(f"{text!r} is not {what}; write it as {example}")
    return float(found[1]) * factor
