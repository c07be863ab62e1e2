"""Ctrl-C at many moments of a command: it ends with 130, and there is the old, or the new, and nothing else."""

from __future__ import annotations

import contextlib
import dis
import functools
import gc
import itertools
import os
import shutil
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import liblinux
from conftest import Command, Images, e2fsck
from liblinux import cli
from liblinux._image_root import ImageRoot

_OURS = os.path.dirname(liblinux.__file__)
# After these Python looks whether signals have come.
_LOOKS = ("CALL", "CALL_FUNCTION_EX", "RESUME", "JUMP_BACKWARD")
_TIMES = 30


@functools.cache
def _moments(code: CodeType) -> frozenset[int]:
    """Where in it a KeyboardInterrupt can come; what has no line begins a handler, where Python does not look."""
    pairs = itertools.pairwise(dis.get_instructions(code))
    found = [after for before, after in pairs if before.opname in _LOOKS]
    return frozenset(one.offset for one in found if one.positions and one.positions.lineno is not None)


def _is_ours(frame: FrameType) -> bool:
    """Whether it is code of ours, or what a `with` of ours calls, that has to take it."""
    if frame.f_code.co_filename == contextlib.__file__ and frame.f_back is not None:
        frame = frame.f_back
    name = frame.f_code.co_filename
    return name.startswith(_OURS) and name != cli.__file__ and not _is_told(frame)


def _is_told(frame: FrameType | None) -> bool:
    """Whether Python itself tells what was raised, and goes on."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


class _CtrlC:
    """Counts the moments in code of ours; raises KeyboardInterrupt in the one of that number."""

    def __init__(self, moment: int = 0) -> None:
        self.count = 0
        self.where = ""
        self._moment = moment

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "call":
            if not _is_ours(frame):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode" and frame.f_lasti in _moments(frame.f_code):
            self.count += 1
            if self.count == self._moment:
                sys.settrace(None)
                self.where = "".join(traceback.format_stack(frame))
                raise KeyboardInterrupt
        return self


@pytest.mark.parametrize(
    ("arguments", "results"),
    [
        (("cp", "-r", "{tree}", "{there}/disk.img:/tree"), []),
        (("cp", "-r", "{there}/disk.img:/sub", "{there}/out"), ["out"]),
        (("mkimage", "{tree}", "{there}/new.img"), ["new.img"]),
        (("tar", "{there}/disk.img:/", "--file", "{there}/new.tar"), ["new.tar"]),
        (("extract", "{there}/disk.img", "{there}/out"), ["out", "out.manifest.jsonl"]),
    ],
    ids=lambda value: value[0] if value else "",
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # between what opens and `with`; memory closes it
def test_interrupted_anywhere(
    arguments: tuple[str, ...], results: list[str], images: Images, tmp_path: Path, command: Command
) -> None:
    image, tree, there = images.ext4(), tmp_path / "tree", tmp_path / "there"
    tree.mkdir()
    for name in ("one", "two"):
        (tree / name).write_bytes(os.urandom(5000))
    words = [word.format(tree=tree, there=there) for word in arguments]
    _run(_CtrlC(), command, words, image, there)  # the first time imports
    code, moments = _run(_CtrlC(), command, words, image, there)
    assert code == 0
    assert sorted(os.listdir(there)) == ["disk.img", *results]
    content = _content(there, results)
    for moment in range(1, moments, max(1, moments // _TIMES)):
        ctrl_c = _CtrlC(moment)
        code, _ = _run(ctrl_c, command, words, image, there)
        gc.collect()  # as at the end of a process
        assert code == (130 if ctrl_c.where else 0), ctrl_c.where  # one loop less, and it may not come so far
        left = set(os.listdir(there)) - {"disk.img"}
        assert left <= set(results), ctrl_c.where
        assert {name: value for name, value in content.items() if name in left} == _content(there, left), ctrl_c.where
        assert not _needs_recovery(there / "disk.img"), ctrl_c.where
        e2fsck(there / "disk.img")
        with ImageRoot(there / "disk.img") as root:
            names = root.os.listdir("/")
            assert not [name for name in names if "part" in name], ctrl_c.where
            if "tree" in names:
                assert sorted(root.os.listdir("/tree")) == ["one", "two"], ctrl_c.where


def _needs_recovery(image: Path) -> bool:
    """Whether an ext4 image was not unmounted."""
    with image.open("rb") as file:
        return bool(os.pread(file.fileno(), 1, 1024 + 0x60)[0] & 4)


def _run(ctrl_c: _CtrlC, command: Command, words: list[str], image: Path, there: Path) -> tuple[int, int]:
    """Exit code and moments of the command, with a copy of the image in a new directory."""
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir()
    shutil.copy(image, there / "disk.img")
    # What other tests have left is not to be collected meanwhile: its callbacks would take the interrupt, and lose it.
    gc.collect()
    gc.disable()
    before = sys.gettrace()
    sys.settrace(ctrl_c)
    try:
        result = command(*words)
    finally:
        sys.settrace(before)
        gc.enable()
    return result.exit_code, ctrl_c.count


def _content(there: Path, names: Iterable[str]) -> dict[str, Any]:
    """What is in trees among them; images and archives have times in them, and only their sizes are told."""
    return {
        name: sorted(os.listdir(there / name)) if (there / name).is_dir() else (there / name).stat().st_size
        for name in names
    }
