"""Names that stand for several: "left{1..100}", "{red,blue}"; as in the braces of a shell."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["expand", "expand_all", "pairs"]

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 100_000


def expand(text: str) -> list[str]:
    """All names that `text` stands for; ValueError for braces that say nothing."""
    parts = _BRACES.split(text)
    if any("{" in part or "}" in part for part in parts[::2]):
        raise ValueError(f"{text!r} has a brace without its other half; write it as 'host{{1..10}}'")
    choices = [[part] if number % 2 == 0 else _choices(part, text) for number, part in enumerate(parts)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _choices(inside: str, text: str) -> list[str]:
    found = _RANGE.fullmatch(inside)
    if not found:
        if "," not in inside:
            raise ValueError(f"{text!r}: braces hold a range, '{{1..10}}', or a list, '{{red,blue}}'")
        return inside.split(",")
    first, last = int(found[1]), int(found[2])
    if last < first or last - first >= _MOST:
        raise ValueError(f"{text!r}: a range goes from a number to a larger one, at most {_MOST:,} of them")
    return [str(number) for number in range(first, last + 1)]


def expand_all(texts: Iterable[str]) -> list[str]:
    """All names of a list."""
    return [name for text in texts for name in expand(text)]


def pairs(left: Sequence[str], right: Sequence[str]) -> list[tuple[str, str]]:
    """Those of both sides together: the first with the first, ..., or all with the only one.

    ValueError when there are not as many on both sides.
    """
    if len(left) == 1:
        left = list(left) * len(right)
    if len(right) == 1:
        right = list(right) * len(left)
    if len(left) != len(right):
        raise ValueError(f"{len(left)} names on one side and {len(right)} on the other; give as many on both, or one")
    return list(zip(left, right, strict=True))
