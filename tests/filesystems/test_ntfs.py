"""NTFS on a volume as small as they are made: Linux 6.1 can create nothing there, and says so."""

from __future__ import annotations

import errno
import os

import pytest
from formats import NTFS_CAN_GROW, check_ntfs

import liblinux
from conftest import Images, run


def test_creating_on_ntfs(kernel: liblinux.Kernel, images: Images) -> None:
    image = images.empty(size=32 << 20)
    run("mkfs.ntfs", "-FQq", image)
    kernel.mount(kernel.attach(image), "/mnt", type="ntfs3")
    if NTFS_CAN_GROW:
        kernel.os.close(kernel.os.open("/mnt/file", os.O_CREAT | os.O_WRONLY))
    else:
        with pytest.raises(OSError) as caught:
            kernel.os.open("/mnt/file", os.O_CREAT | os.O_WRONLY)
        assert caught.value.errno == errno.ENOSPC
    kernel.umount("/mnt")
    check_ntfs(image)
