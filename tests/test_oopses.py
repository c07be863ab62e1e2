"""A fault at places of every kind (tests/oopses.py) is a KernelPanic there, and a second kernel goes on."""

from __future__ import annotations

import pytest

import liblinux
from conftest import Images
from oopses import PLACES, Place, fail_at


def test_there_are_enough_places() -> None:
    assert len({place.function for place in PLACES}) >= 20


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.function)
def test_a_fault_becomes_an_exception(
    place: Place, shared_kernel: liblinux.Kernel, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OOPSES_IMAGE", str(images.ext4()))
    panic = fail_at(place)
    assert panic.function == place.function
    assert panic.log
    assert shared_kernel.os.uname().sysname == "Linux"
