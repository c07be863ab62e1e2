"""Volumes on volumes: LVM in LUKS on md, in a qcow2 image."""

from __future__ import annotations

from pathlib import Path

import liblinux
from conftest import MIB, Images, run
from md_arrays import blank, make_90
from test_luks import SECRET, VARIANTS, fill, luks
from test_lvm import group as group  # noqa: PLC0414 - a fixture
from test_lvm import place


def test_lvm_in_luks_on_md(images: Images, tmp_path: Path, group: list[Path]) -> None:
    place(group, "base", images.ext4(size=10 * MIB, label="deep").read_bytes())
    inner = luks(images.empty("luks", 70 * MIB), *VARIANTS["LUKS1"])
    fill(inner, group[3])
    disks = blank(tmp_path, "raid0")
    make_90(disks, "raid0", inner.read_bytes())
    packed = []
    for disk in disks:
        packed.append(disk.with_suffix(".qcow2"))
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, packed[-1])
    for name in ("vg-one/base", "deep", "LABEL=deep"):
        with liblinux.open_image(packed[0], members=packed[1:], passphrase=SECRET, volume=name) as image:
            assert image.cat("/hello.txt") == b"hello from the image\n", name
    with liblinux.open_image(disks[0], "r+", members=disks[1:], passphrase=SECRET, volume="deep") as image:
        image.pipe("/new", b"through four layers")
    with liblinux.open_image(disks[0], members=disks[1:], passphrase=SECRET, volume="deep") as image:
        assert image.cat("/new") == b"through four layers"
