"""The seeds of `@pytest.mark.liblinux_seeds`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["parse_seeds"]

_USAGE = "write @pytest.mark.liblinux_seeds(100) or @pytest.mark.liblinux_seeds([1, 5, 17])"


def parse_seeds(arguments: Sequence[object], named: Mapping[str, object], first: int) -> list[int]:
    """The seeds that a marker asks for: a number of them from `first` on, or a list.

    Raises TypeError and ValueError for what is neither.
    """
    if len(arguments) != 1 or named:
        raise TypeError(f"liblinux_seeds takes one argument; {_USAGE}")
    (wanted,) = arguments
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if wanted < 1:
            raise ValueError(f"liblinux_seeds({wanted}) is no test at all; {_USAGE}")
        return list(range(first, first + wanted))
    if isinstance(wanted, str | bytes) or not isinstance(wanted, Iterable):
        raise TypeError(f"liblinux_seeds({wanted!r}) is neither a number of seeds nor a list; {_USAGE}")
    return _listed(list(wanted))


def _listed(seeds: list[object]) -> list[int]:
    if not seeds:
        raise ValueError(f"liblinux_seeds([]) is no test at all; {_USAGE}")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise TypeError(f"{seed!r} is no seed, which is an int from 0; {_USAGE}")
    return [seed for seed in seeds if isinstance(seed, int)]
