"""Values of an experiment's file: rates, times and chances, one for both directions of a link, or a pair."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from liblinux.network import _units

__all__ = ["Bytes", "Chances", "Delays", "Instant", "NameList", "Rate", "Rates", "Span", "Text"]

_LONGEST_S = 30 * 24 * 3600
_FASTEST_BITS = 10**13
_NUMBER = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-zA-Z]*)\s*")
_TIMES = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60, "h": 3600, "d": 86400}
_SIZES: dict[str, float] = {"": 1, "b": 1}
_SIZES |= {f"{prefix}{unit}": factor for prefix, factor in zip("kmg", (10**3, 10**6, 10**9), strict=True)
           for unit in ("", "b")}  # fmt: skip
_SIZES |= {f"{prefix}i{unit}": factor for prefix, factor in zip("kmg", (2**10, 2**20, 2**30), strict=True)
           for unit in ("", "b")}  # fmt: skip


def _seconds(value: Any) -> float:
    """A time in seconds, of "20ms" or a number of seconds."""
    length = _number(value) if not isinstance(value, str) else _with_unit(value, _TIMES, "a time", "'20ms' or '5min'")
    if not 0 <= length <= _LONGEST_S:
        raise ValueError(f"a time of {value!r} is out of range: 0 to 30 days")
    return length


def _span(value: Any) -> float:
    if (length := _seconds(value)) == 0:
        raise ValueError(f"{value!r} is no time at all; write it as '60s'")
    return length


def _size(value: Any) -> int:
    """A number of bytes, of "10MB", "64KiB" or a number."""
    size = _number(value) if not isinstance(value, str) else _with_unit(value, _SIZES, "a size", "'10MB' or '64KiB'")
    if not 1 <= size <= 2**50:
        raise ValueError(f"a size of {value!r} is out of range: 1 byte to 1 PiB")
    return round(size)


def _rate(value: Any) -> int:
    """Bits per second."""
    bits = _units.rate(value if isinstance(value, str) else _number(value))
    if bits > _FASTEST_BITS:
        raise ValueError(f"a rate of {value!r} is impossible: no link carries more than 10 Tbit/s")
    return bits


def _delay(value: Any) -> float:
    """Seconds, as a link can delay frames."""
    return _units.nanoseconds(value if isinstance(value, str) else _number(value)) / 1e9


def _chance(value: Any) -> float:
    return _units.chance(value if isinstance(value, str) else _number(value))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number, and no text with a unit")
    return value


def _with_unit(text: str, units: dict[str, float], what: str, example: str) -> float:
    found = _NUMBER.fullmatch(text)
    factor = units.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise ValueError(f"{text!r} is not {what}; write it as {example}")
    return float(found[1]) * factor


def _pair(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
    """What takes one value for both directions, or a list of two."""

    def both(value: Any) -> tuple[Any, Any]:
        if not isinstance(value, list | tuple):
            return (read(value), read(value))
        if len(value) != 2:
            raise ValueError(f"{value!r}: a list has two values, one for each direction")
        return (read(value[0]), read(value[1]))

    return both


def _names(value: Any) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"{value!r} is no name, nor a list of names")
    return texts


def _schema(description: str, *examples: Any, pair: bool = False) -> WithJsonSchema:
    one: dict[str, Any] = {"type": ["string", "number"]}
    kinds = {"anyOf": [one, {"type": "array", "items": one, "minItems": 2, "maxItems": 2}]} if pair else one
    return WithJsonSchema({**kinds, "description": description, "examples": list(examples)})


_BOTH = "; a list of two is for the two directions"
# What they are read as: seconds, bits per second, bytes, chances from 0 to 1; or a pair of these.
Instant = Annotated[float, BeforeValidator(_seconds), _schema("A time, in seconds or with a unit.", "1.5s", "20ms", 3)]
Span = Annotated[float, BeforeValidator(_span), _schema("A length of time, in seconds or with a unit.", "60s", "1h")]
Bytes = Annotated[int, BeforeValidator(_size), _schema("A number of bytes, or with a unit.", 1448, "10MB", "64KiB")]
Rate = Annotated[int, BeforeValidator(_rate), _schema("Bits per second, or as tc(8) writes them.", "10Mbit")]
Rates = Annotated[
    tuple[int, int], BeforeValidator(_pair(_rate)), _schema(f"A rate{_BOTH}.", "10Mbit", ["8Mbit", "1Mbit"], pair=True)
]
Delays = Annotated[tuple[float, float], BeforeValidator(_pair(_delay)), _schema(f"A time{_BOTH}.", "20ms", pair=True)]
Chances = Annotated[tuple[float, float], BeforeValidator(_pair(_chance)), _schema(f"A chance{_BOTH}.", "1%", pair=True)]
Text = Annotated[str, WithJsonSchema({"type": "string"})]
NameList = Annotated[
    list[str],
    BeforeValidator(_names),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "A name, 'host{1..10}' for several, or a list of such.",
        }
    ),
]
