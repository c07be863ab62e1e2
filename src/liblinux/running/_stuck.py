"""Who waits, where and for what, when nothing can ever happen again."""

from __future__ import annotations

import asyncio
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liblinux.running._turns import strand_here

if TYPE_CHECKING:
    from types import FrameType

    from liblinux.running._turns import Strand, Turns

__all__ = ["describe", "of_task"]

_LIBRARY = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_OURS = str(Path(__file__).parent.parent)


def describe(turns: Turns) -> list[str]:
    """A line for each coroutine and thread of a run that waits."""
    loop = asyncio._get_running_loop()
    lines = []
    if loop is not None:
        tasks = sorted(asyncio.all_tasks(loop), key=lambda task: (getattr(task, "_hash", 0), task.get_name()))
        lines = [of_task(task) for task in tasks]
    strands = [*turns.strands]
    if turns.main is not None and loop is None:
        strands.insert(0, turns.main)
    return lines + [_of_strand(strand) for strand in strands]


def of_task(task: asyncio.Task[Any]) -> str:
    """As which host a coroutine runs, where it is, and what it waits for."""
    host = getattr(getattr(task, "host", None), "name", None)
    acts = f"as host {host}" if host else "as no host"
    places = [(frame.f_code.co_filename, line, frame.f_code.co_qualname) for frame, line in _await_chain(task)]
    waiting = getattr(task, "_fut_waiter", None)
    return f"task {task.get_name()!r} {acts}, {_places(places)}, waits for {_short(waiting)}"


def _await_chain(task: asyncio.Task[Any]) -> list[tuple[FrameType, int]]:
    """The frames of a coroutine and of all that it awaits, the innermost last."""
    frames: list[tuple[FrameType, int]] = []
    awaited: Any = task.get_coro()
    while awaited is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                frames.append((frame, frame.f_lineno))
                awaited = getattr(awaited, f"{kind}_await", None) or getattr(awaited, "gi_yieldfrom", None)
                break
        else:
            break
    return frames


def _of_strand(strand: Strand) -> str:
    here = strand is strand_here()
    frame = sys._getframe() if here else sys._current_frames().get(strand.ident)
    places = []
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_OURS):
            places.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname))
        frame = frame.f_back
    what = strand.wait.what if strand.wait is not None else "its first turn"
    return f"thread {strand.name!r}, {_places(places[::-1])}, waits for {what}"


def _places(places: list[tuple[str, int, str]]) -> str:
    """Where in the program's own code it is, and where in the library that it called."""
    if not places:
        return "nowhere"
    own = [place for place in places if not place[0].startswith(_LIBRARY)]
    shown = own[-1:] + ([places[-1]] if not own or places[-1] != own[-1] else [])
    return ", in ".join(f"{function} ({file}:{line})" for file, line, function in shown)


def _short(waiting: object) -> str:
    text = repr(waiting)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


_SHOWN = 200
