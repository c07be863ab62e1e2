"""The targets of `fuzz/`, for a moment: the same ones in every run, unless `HYPOTHESIS_PROFILE` is "long".

With HYPOTHESIS_PROFILE=long each has a thousand times as many examples, other ones in each run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUZZ = Path(__file__).resolve().parent.parent / "fuzz"
sys.path.append(str(FUZZ))

import fuzzing  # noqa: E402 - the line above makes it findable
import liblinux  # noqa: E402
import loader  # noqa: E402
from liblinux._library import find_image  # noqa: E402
from liblinux._signatures import identify  # noqa: E402

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
_EXAMPLES = {"calls": 800, "builder": 150, "partitions": 60}


class _Drawn:
    """Choices that hypothesis makes, and can make smaller."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def data(self, length: int) -> bytes:
        return self._data.draw(st.binary(max_size=length))


@pytest.fixture(scope="module", autouse=True)
def _close() -> Iterator[None]:
    yield
    calls = fuzzing.TARGETS["calls"]
    assert isinstance(calls, fuzzing.Calls)
    calls.close()


@pytest.mark.timeout(0 if LONG else 600)
@pytest.mark.parametrize("name", fuzzing.TARGETS)
def test_target(name: str) -> None:
    examples = _EXAMPLES.get(name, 300)

    @settings(
        max_examples=examples * 1000 if LONG else examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        fuzzing.TARGETS[name](_Drawn(data))

    run()


def test_damaged_kernel_images_are_refused_or_boot(tmp_path: Path) -> None:
    answers = loader.fuzz(range(60_000 if LONG else 60), Path(find_image()), tmp_path)
    words = set(answers.values())
    assert "booted" in words
    assert "refused BuildError" in words
    assert not {word for word in words if word.startswith("died")}, answers


# Each of these killed the process, or wrote where it should not, before it was found by this fuzzing.
@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("text size in the file", 1 << 40),
        ("data size in the file", 0x2EAEB1),
        ("data size in memory", (1 << 64) - 0x1000),
        ("first dynamic tag", (1 << 64) - 64),
        ("size of the relocations", (1 << 64) - 8),
        ("no relocations", 0),
    ],
)
def test_damaged_header(place: str, value: int, tmp_path: Path) -> None:
    image = bytearray(Path(find_image()).read_bytes())
    headers = int.from_bytes(image[32:40], "little")
    dynamic = next(
        int.from_bytes(image[at + 8 : at + 16], "little")
        for at in range(headers, headers + 56 * 5, 56)
        if image[at] == 2  # PT_DYNAMIC
    )
    tags = {int.from_bytes(image[at : at + 8], "little"): at + 8 for at in range(dynamic, dynamic + 16 * 14, 16)}
    places = {
        "text size in the file": headers + 32,
        "data size in the file": headers + 56 + 32,
        "data size in memory": headers + 56 + 40,
        "first dynamic tag": dynamic,
        "size of the relocations": tags[35],
        "no relocations": tags[35],
    }
    at = places[place]
    image[at : at + 8] = value.to_bytes(8, "little")
    if place == "data size in the file":
        del image[-4096:]  # it ends behind the end of the file, too
    path = tmp_path / "liblinux-0.0.so"
    path.write_bytes(image)
    (word,) = loader.try_images([path])
    assert word in ("refused BuildError", "booted")
    assert (word == "booted") == (place == "first dynamic tag")  # a tag that nobody knows


def test_random_system_calls() -> None:
    program = [sys.executable, str(FUZZ / "syscalls.py"), "--seed", "1", "--count", "200000" if LONG else "1000"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "errno 14" in done.stdout  # bad addresses are answered


def test_content_of_a_short_disk() -> None:
    """The super block of ext4 was read behind the end of the disk."""
    head = bytearray(1082)
    head[1080:1082] = b"\x53\xef"
    content = identify(bytes(head))
    assert content is not None
    assert content.type == "ext2"


# ---- what was found -------------------------------------------------------------


def test_numbers_are_numbers(kernel: liblinux.Kernel) -> None:
    """The address of a buffer went to the kernel as the number, or the length of another buffer."""
    system: Any = kernel.os
    wrong: list[object] = [b"12", bytearray(12), memoryview(b"12"), "12", None, 1.5]
    for value in wrong:
        for call in (
            lambda value: system.chown("/tmp", value, 0),
            lambda value: system.chmod("/tmp", value),
            lambda value: system.truncate("/tmp", value),
            lambda value: system.kill(value, 0),
            lambda value: system.lseek(0, value, 0),
            system.setuid,
            system.umask,
            system.getrandom,
        ):
            with pytest.raises(TypeError):
                call(value)


@pytest.mark.parametrize("number", [1 << 32, -(1 << 31) - 1, 1 << 64, -(1 << 63) - 1])
def test_numbers_that_do_not_fit_are_not_cut(kernel: liblinux.Kernel, number: int) -> None:
    """The kernel took 32 bits of it: owner 2**32 was root."""
    for call in (kernel.os.setuid, kernel.os.dup, kernel.os.umask, kernel.os.getpgid, kernel.os.fsync):
        with pytest.raises(OverflowError):
            call(number)
    with pytest.raises(OverflowError):
        kernel.os.chown("/tmp", number, number)


def test_structures_of_numbers(kernel: liblinux.Kernel) -> None:
    """struct.error is no exception of os."""
    system: Any = kernel.os
    with pytest.raises(OverflowError):
        kernel.os.setgroups([1 << 32])
    with pytest.raises(TypeError):
        system.setgroups(["1"])
    with pytest.raises(OverflowError):
        kernel.os.sendfile(1, 0, 1 << 64, 1)
    for times in ({0: 1}, [1, 2], (1,), memoryview(b"12")):
        with pytest.raises(TypeError):
            system.utime("/tmp", times)
