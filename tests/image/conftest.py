"""An ext4 image, and the image opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import liblinux
from conftest import Images, e2fsck


@pytest.fixture
def path(images: Images) -> Path:
    return images.ext4()


@pytest.fixture(params=[False, True], ids=["in-process", "untrusted"])
def image(path: Path, request: pytest.FixtureRequest) -> Iterator[liblinux.ImageFileSystem]:
    """The image for writing; untrusted or not, all is the same."""
    with liblinux.open_image(path, "r+", untrusted=request.param) as opened:
        assert opened.kernel.isolated is request.param
        yield opened
    e2fsck(path)


@pytest.fixture
def reading(path: Path) -> Iterator[liblinux.ImageFileSystem]:
    with liblinux.open_image(path) as opened:
        yield opened
