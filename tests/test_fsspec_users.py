"""Libraries that read through fsspec, from an image: pandas, pyarrow, zarr."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec.implementations.asyn_wrapper
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import zarr
from pyarrow import dataset, parquet
from pyarrow.fs import FSSpecHandler, PyFileSystem

import liblinux
from conftest import Images, e2fsck


@pytest.fixture
def path(images: Images) -> Path:
    return images.ext4()


@pytest.fixture
def image(path: Path) -> Iterator[liblinux.ImageFileSystem]:
    with liblinux.open_image(path, "r+", auto_mkdir=True) as opened:
        yield opened
    e2fsck(path)


def test_pandas(image: liblinux.ImageFileSystem, path: Path) -> None:
    frame = pd.DataFrame({"name": ["a", "b"], "number": [1, 2]})
    with image.open("/table.csv", "w") as file:
        frame.to_csv(file, index=False)
    image.close()
    read = pd.read_csv("liblinux:///table.csv", storage_options={"image": str(path)})
    pd.testing.assert_frame_equal(read, frame)


def test_pyarrow(image: liblinux.ImageFileSystem) -> None:
    """A file, and a data set of several in directories that say what is in them."""
    system = PyFileSystem(FSSpecHandler(image))
    table = pa.table({"year": [2024, 2024, 2025], "n": [1, 2, 3]})
    parquet.write_table(table, "one.parquet", filesystem=system)
    assert parquet.read_table("one.parquet", filesystem=system) == table
    part = dataset.partitioning(pa.schema([("year", pa.int64())]), flavor="hive")
    dataset.write_dataset(table, "/many", format="parquet", partitioning=part, filesystem=system)
    assert [name.rpartition("/")[0] for name in image.find("/many")] == ["/many/year=2024", "/many/year=2025"]
    read = dataset.dataset("/many", format="parquet", partitioning=part, filesystem=system)
    assert read.to_table(filter=dataset.field("year") == 2025)["n"].to_pylist() == [3]


def test_zarr(image: liblinux.ImageFileSystem) -> None:
    data = np.arange(10_000).reshape(100, 100)
    # zarr asks in an event loop, so a file system that answers at once is wrapped.
    wrapped = fsspec.implementations.asyn_wrapper.AsyncFileSystemWrapper(image, asynchronous=True)
    store = zarr.storage.FsspecStore(wrapped, path="/array.zarr")
    array = zarr.create_array(store, shape=data.shape, chunks=(10, 100), dtype=data.dtype)
    array[:] = data
    assert len([name for name in image.find("/array.zarr") if "/c/" in name]) == 10
    assert np.array_equal(np.asarray(zarr.open_array(store, mode="r")[20:30, 5]), data[20:30, 5])
