"""Which crash points are tried: from a seed, everywhere, and none twice if that can be."""

from __future__ import annotations

import random

from liblinux.crash._image import ATOMIC_BYTES, CrashImage
from liblinux.crash._log import Recording
from liblinux.crash._points import CrashPoint, draw

__all__ = ["crash_points"]

# A recording of a few requests has only so many images: after so many tries some come twice.
_ROUNDS = 32
# A position with more pieces than this has images enough.
_MOST_PIECES = 32


def crash_points(recording: Recording, points: int, seed: int | str, atomic: int = ATOMIC_BYTES) -> list[CrashPoint]:
    """`points` crash points, sorted by position.

    Every position comes up once before any comes up again, and those more often where
    more may be lost. What would be the same image with the same promises is drawn again.
    """
    chance = random.Random(f"liblinux crash points {seed}")  # noqa: S311 - the same again, not a secret
    image = CrashImage(recording, atomic)
    everywhere = range(recording.positions)
    weights = [1 + min(len(image.pieces(position)), _MOST_PIECES) for position in everywhere]
    chosen: dict[int, CrashPoint] = {}
    twice: list[CrashPoint] = []
    positions = _spread(recording.positions, points, chance)
    for _ in range(_ROUNDS):
        positions += chance.choices(everywhere, weights, k=points - len(chosen) - len(positions))
        for position in sorted(positions):
            point = draw(position, chance)
            if chosen.setdefault(image.identity(point), point) is not point:
                twice.append(point)
        positions = []
        if len(chosen) == points:
            break
    return sorted([*chosen.values(), *twice[: points - len(chosen)]])


def _spread(count: int, points: int, chance: random.Random) -> list[int]:
    """Every position, or if there are fewer points some, evenly and not by luck."""
    if points >= count:
        return list(range(count))
    return [chance.randrange(turn * count // points, (turn + 1) * count // points) for turn in range(points)]
