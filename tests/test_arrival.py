"""Files that arrive whole: there is the old one, or the new one, and nothing else, wherever Ctrl-C hits."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from liblinux._arrival import arriving


class _CtrlC:
    """Traces the code of arriving(), and raises KeyboardInterrupt before the step of that number."""

    def __init__(self, step: int) -> None:
        self._left = step

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code is not inspect.unwrap(arriving).__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self._left -= 1
            if self._left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


def _write(path: Path, content: bytes) -> None:
    with arriving(str(path)) as name, open(name, "wb") as file:
        file.write(content)


def _interrupted(path: Path, step: int) -> bool:
    """Whether there is a step of that number."""
    before = sys.gettrace()
    sys.settrace(_CtrlC(step))
    try:
        _write(path, b"new")
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # between open() and close() it is the memory's
@pytest.mark.parametrize("old", [None, b"old"])
def test_interrupted_anywhere(old: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    found: list[bytes | None] = []
    step = 1
    while True:
        if old is not None:
            path.write_bytes(old)
        went_on = _interrupted(path, step)
        assert os.listdir(tmp_path) in ([], ["file"])
        found.append(path.read_bytes() if path.exists() else None)
        if not went_on:
            break
        path.unlink(missing_ok=True)
        step += 1
    first_new = found.index(b"new")
    assert found == [old] * first_new + [b"new"] * (len(found) - first_new)
    assert first_new > 50


def test_names_as_long_as_they_may_be(tmp_path: Path) -> None:
    name = "名" * 85
    _write(tmp_path / name, b"content")
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"content"


def test_what_cannot_be_made_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file"
    with pytest.raises(FileNotFoundError) as caught:
        _write(path, b"")
    assert caught.value.filename == str(path)
