"""Which crash points are tried."""

from __future__ import annotations

import random

from liblinux.crash._image import ATOMIC_BYTES, CrashImage
from liblinux.crash._log import Recording
from liblinux.crash._points import CrashPoint, draw

__all__ = ["crash_points"]

_DRAWS = 8


def crash_points(recording: Recording, points: int, seed: int | str, atomic: int = ATOMIC_BYTES) -> list[CrashPoint]:
    """`points` crash points, sorted by position, from a seed.

    Every position comes up once before any comes up again; where nothing may be lost,
    there is only one image, and once is enough. An image that was there already is
    drawn again, some times; recordings of a few requests have no more than so many.
    """
    chance = random.Random(f"liblinux crash points {seed}")  # noqa: S311 - the same again, not a secret
    image = CrashImage(recording, atomic)
    drawn: list[CrashPoint] = []
    seen: set[int] = set()
    for position in _positions(image, points, chance):
        for _ in range(_DRAWS):
            point = draw(position, chance)
            identity = image.identity(point)
            if identity not in seen:
                break
        seen.add(identity)
        drawn.append(point)
    return sorted(drawn)


def _positions(image: CrashImage, points: int, chance: random.Random) -> list[int]:
    """So many positions, sorted."""
    count = image.recording.positions
    if points < count:  # spread evenly, not by luck
        return [chance.randrange(turn * count // points, (turn + 1) * count // points) for turn in range(points)]
    positions = list(range(count))
    open_positions = [position for position in range(count) if image.pieces(position)] or positions
    while len(positions) < points:
        positions += chance.sample(open_positions, min(len(open_positions), points - len(positions)))
    return sorted(positions)
