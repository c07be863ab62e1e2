"""Odd values, made of choices. Whoever chooses (atheris, hypothesis, a seed) finds the same things."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

__all__ = ["Choices", "OddPath", "SeededChoices", "odd_value"]

T = TypeVar("T")


class Choices(Protocol):
    """Where the choices come from."""

    def integer(self, low: int, high: int) -> int:
        """A number from `low` to `high`."""

    def data(self, length: int) -> bytes:
        """At most so many bytes."""


class SeededChoices:
    """Choices of a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret

    def integer(self, low: int, high: int) -> int:
        """See :class:`Choices`."""
        return self._random.randint(low, high)

    def data(self, length: int) -> bytes:
        """See :class:`Choices`."""
        return self._random.randbytes(self._random.randint(0, length))


class OddPath:
    """A path-like object of which nobody knows what it says."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __fspath__(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class _OddIndex:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __index__(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def pick(choices: Choices, values: Sequence[T]) -> T:
    """One of `values`."""
    return values[choices.integer(0, len(values) - 1)]


_INTEGERS = (0, 1, -1, 2, 3, 4, 7, -2, -100, 100, 4095, 4096, 65536, 2**16 - 1)
_WIDE = tuple(sign * (2**bits + off) for bits in (31, 32, 63, 64, 65, 200) for off in (-1, 0, 1) for sign in (1, -1))
_STRINGS = ("", ".", "..", "/", "/tmp", "/tmp/file", "/tmp/directory", "file", "nowhere", "a\0b", "\udcff", "\ud800")
_LONG = ("x" * 255, "x" * 256, "x" * 4096, "/x" * 3000, "\U0001f427" * 60, "user.name", "user.")


def _released() -> memoryview:
    view = memoryview(bytearray(16))
    view.release()
    return view


def odd_value(choices: Choices, depth: int = 2) -> Any:
    """Anything that somebody might pass by mistake, and now and then what is right."""
    kind = choices.integer(0, 21 if depth else 15)
    simple: dict[int, Any] = {
        **dict.fromkeys((0, 1, 2), lambda: pick(choices, _INTEGERS)),
        **dict.fromkeys((3, 4, 5), lambda: pick(choices, _STRINGS)),
        6: lambda: pick(choices, _WIDE),
        7: lambda: pick(choices, _LONG),
        8: lambda: None,
        9: lambda: pick(choices, (True, False, 1.5, float("nan"), float("inf"), 1j, ..., object(), int, len)),
        10: lambda: choices.data(40),
        11: lambda: bytearray(choices.integer(0, 64)),
        12: lambda: memoryview(bytearray(64))[:: pick(choices, (2, -1, 3))],
        13: lambda: pick(choices, (memoryview(b"read-only"), memoryview(bytearray()), memoryview(b""))),
        14: _released,
        15: lambda: pick(choices, [memoryview(bytearray(64)).cast("i"), memoryview(bytearray(64)).cast("d")]),
    }
    if kind in simple:
        return simple[kind]()
    if kind == 16:
        return OddPath(pick(choices, (odd_value(choices, 0), ValueError("of the path"), b"/tmp/file", 7)))
    if kind == 17:
        return _OddIndex(pick(choices, (odd_value(choices, 0), ValueError("of the number"), 3)))
    if kind == 18:
        return {odd_key(choices): odd_value(choices, depth - 1)}
    several = [odd_value(choices, depth - 1) for _ in range(choices.integer(0, 3))]
    return pick(choices, (several, tuple(several), iter(several)))


def odd_key(choices: Choices) -> Any:
    """Something that can be a key of a dictionary."""
    return pick(choices, (None, 0, "key", b"key", 2**70))
