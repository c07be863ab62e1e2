"""Chance in a run comes from the network's seed.

`random`, os.urandom(), and by them `secrets` and `uuid`. OpenSSL draws its own
numbers from the host, which nothing can reach from here: what TLS puts on the wire
differs from run to run, and so does the order of sets of strings unless
PYTHONHASHSEED is given.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

from liblinux.running._turns import strand_here

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Chance", "choose_bytes", "choose_seed"]

_SEED_BYTES = 32
_urandom = os.urandom


class Chance:
    """The numbers of one network: `turns` for who is next, `bytes` for programs that ask the system."""

    def __init__(self, seed: int | str | bytes | None) -> None:
        text = _urandom(_SEED_BYTES) if seed is None else repr(seed).encode()
        self.turns = random.Random(b"turns " + text)  # noqa: S311 - repeatable, and no secret
        self._bytes = random.Random(b"bytes " + text)  # noqa: S311 - repeatable, and no secret
        self._state = random.Random(b"random " + text).getstate()  # noqa: S311 - repeatable, and no secret
        self._outside: Any = None

    def bytes(self, count: int) -> bytes:
        """What os.urandom() gives."""
        return self._bytes.randbytes(count)

    def state(self) -> tuple[Any, ...]:
        """What :meth:`restore` takes; not during a run."""
        return self.turns.getstate(), self._bytes.getstate(), self._state

    def restore(self, state: tuple[Any, ...]) -> None:
        """Be again as then."""
        self.turns.setstate(state[0])
        self._bytes.setstate(state[1])
        self._state = state[2]

    def enter(self) -> None:
        """The functions of `random` go on where they were at the end of the last run."""
        self._outside = random.getstate()
        random.setstate(self._state)

    def leave(self) -> None:
        """And those outside where they were before this one."""
        self._state = random.getstate()
        random.setstate(self._outside)


def choose_bytes(real: Callable[..., bytes]) -> Callable[..., bytes]:
    """What takes the place of os.urandom() and os.getrandom()."""

    def choice(size: int, *flags: int) -> bytes:
        strand = strand_here()
        return real(size, *flags) if strand is None else strand.turns.chance.bytes(size)

    choice.__name__ = choice.__qualname__ = real.__name__
    choice.__doc__ = real.__doc__
    return choice


def choose_seed(real: Callable[..., None]) -> Callable[..., None]:
    """What takes the place of random.Random.seed(): without a seed it asks the system, in C."""

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        strand = strand_here()
        if a is None and strand is not None and type(self) is not random.SystemRandom:
            a = strand.turns.chance.bytes(_SEED_BYTES)
        real(self, a, version)

    return seed
