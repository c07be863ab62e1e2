"""Which of the return addresses on a stack are callers, in an image of a few functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from liblinux._symbols import Symbols, pack

_FUNCTIONS = ["stat", "do_stat", "sys_stat", "execute", "user_mode", "anchor", "clock", "poll", "end"]
_SIZE = 64
_OTHERWISE = b"\xff\x55\x00\x90\x90"  # call *0(%rbp)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Each function calls others: ten bytes after each other, a call of five bytes first."""
    calls: dict[str, list[str | None]] = {
        "do_stat": ["stat"],
        "sys_stat": ["poll", "do_stat"],
        "execute": [None],
        "user_mode": ["execute"],
        "anchor": [None],
        "clock": ["anchor"],
        "poll": [None],
    }
    text = bytearray(_SIZE * len(_FUNCTIONS))
    for name, called in calls.items():
        for at, target in enumerate(called):
            place = _place(name) + 10 * at
            distance = 0 if target is None else _place(target) - place - 5
            text[place : place + 5] = (
                _OTHERWISE if target is None else b"\xe8" + distance.to_bytes(4, "little", signed=True)
            )
    path = tmp_path / "image"
    path.write_bytes(text)
    return path


def _place(name: str) -> int:
    return _FUNCTIONS.index(name) * _SIZE


def _certain(image: Path, innermost: str | None, *after: tuple[str, int], inside: str | None = None) -> list[str]:
    symbols = Symbols(pack([(_place(name), name) for name in _FUNCTIONS]), str(image))
    trace = [_place(name) + 10 * call + 5 for name, call in after]
    frames = symbols.backtrace(None if innermost is None else _place(innermost), trace, inside=inside)
    assert [frame.function for frame in frames] == [*([innermost] if innermost else []), *(name for name, _ in after)]
    return [frame.function for frame in frames if frame.certain]


_STAT = [("do_stat", 0), ("sys_stat", 1), ("execute", 0), ("user_mode", 0)]


def test_callers_by_name_are_certain(image: Path) -> None:
    assert _certain(image, "stat", *_STAT) == ["stat", "do_stat", "sys_stat", "user_mode"]


def test_leftovers_that_fit_together_are_not_preferred(image: Path) -> None:
    """`anchor` could have called `do_stat` by its pointer, and `clock` calls `anchor`; both are over."""
    left = [_STAT[0], ("anchor", 0), ("clock", 0), ("poll", 0), *_STAT[1:]]
    assert _certain(image, "stat", *left) == ["stat", "do_stat", "sys_stat", "user_mode"]


def test_a_call_by_a_pointer_is_gone_through(image: Path) -> None:
    assert _certain(image, "do_stat", ("anchor", 0), ("clock", 0), ("execute", 0), ("user_mode", 0)) == [
        "do_stat",
        "clock",
        "user_mode",
    ]


def test_where_execution_was_may_be_unknown(image: Path) -> None:
    assert _certain(image, None, *_STAT) == ["do_stat", "sys_stat", "user_mode"]
    assert _certain(image, None, *_STAT, inside="stat") == ["do_stat", "sys_stat", "user_mode"]
    assert _certain(image, None, *_STAT[2:], inside="stat") == ["user_mode"]
    assert _certain(image, None, ("clock", 0), inside="stat") == []
