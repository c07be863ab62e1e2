"""What commands print: names as the bytes that they are, sizes for people, JSON for programs."""

from __future__ import annotations

import os
import sys

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

__all__ = ["human_size", "print_json", "print_line"]

_UNITS = ("", "K", "M", "G", "T", "P")
_STEP = 1024
_WHOLE = 10  # from here on a decimal says nothing


def print_line(text: str, end: str = "\n") -> None:
    """Print a line that may hold names; those that are not UTF-8 come out as the bytes that they were."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(text + end))


def print_json(value: Any) -> None:
    """Print a value as JSON. Bytes of names that are not UTF-8 are escaped, as os.fsdecode() has them."""
    import json  # noqa: PLC0415 - a millisecond that few calls need

    print_line(json.dumps(value, indent=2))


def human_size(size: int) -> str:
    """A size in bytes as "4.0K" or "12M", as `ls -h` has it: rounded up."""
    value = float(size)
    unit = 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value /= _STEP
        unit += 1
    if not unit:
        return str(size)
    return f"{-(-value * 10 // 1) / 10:.1f}{_UNITS[unit]}" if value < _WHOLE else f"{-(-value // 1):.0f}{_UNITS[unit]}"
