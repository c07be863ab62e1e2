"""fsspec's own tests of a file system, over an image that is written to."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator

import pytest
from fsspec.tests import abstract

import liblinux
from conftest import Images, e2fsck


class ImageFixtures(abstract.AbstractFixtures):  # type: ignore[misc]  # fsspec has no types
    @pytest.fixture(scope="class")
    def fs(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[liblinux.ImageFileSystem]:
        path = Images(tmp_path_factory.mktemp("conformance")).ext4()
        # As fsspec tests its own local file system.
        with liblinux.open_image(path, "r+", auto_mkdir=True) as image:
            yield image
        e2fsck(path)

    @pytest.fixture
    def fs_path(self) -> str:
        return "/sub"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return posixpath.join


class TestCopy(abstract.AbstractCopyTests, ImageFixtures):  # type: ignore[misc]
    pass


class TestGet(abstract.AbstractGetTests, ImageFixtures):  # type: ignore[misc]
    pass


class TestPut(abstract.AbstractPutTests, ImageFixtures):  # type: ignore[misc]
    pass


class TestOpen(abstract.AbstractOpenTests, ImageFixtures):  # type: ignore[misc]
    pass


class TestPipe(abstract.AbstractPipeTests, ImageFixtures):  # type: ignore[misc]
    pass
