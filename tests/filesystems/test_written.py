"""Every file system that can be written: a tree of everything it holds survives, and its checker finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from formats import FORMATS, Format
from images import fingerprint
from planting import churn, differences, read, write
from quiet import quiet_kernel
from trees import PLAN


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_a_written_tree_is_checked_and_read_by_a_fresh_kernel(format: Format, tmp_path: Path) -> None:
    image = format.image(tmp_path / "disk.img")
    with quiet_kernel(format.remarks) as kernel:
        disk = kernel.attach(image, sector_size=format.sector_size)
        assert disk.content is not None
        assert disk.content.type == format.type
        with kernel.mount(disk, "/mnt", options=format.options) as mount:
            assert mount.type == format.type  # found by looking, as no type is given
            churn(kernel.os, "/mnt/churn")
            write(kernel.os, "/mnt/tree", format.holds)
        disk.detach()
    format.check(image)

    before = fingerprint(image)
    with quiet_kernel(format.remarks) as kernel:
        disk = kernel.attach(image, readonly=True, sector_size=format.sector_size)
        kernel.mount(disk, "/mnt", options=format.options)
        found = read(kernel.os, "/mnt/tree", format.holds)
        assert kernel.os.path.exists("/mnt/tree/SET/Read-Only") == format.holds.folds_case
    different = differences(found, format.holds.find(PLAN))
    assert not different, "\n".join(different)
    assert fingerprint(image) == before
