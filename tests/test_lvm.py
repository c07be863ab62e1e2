"""LVM volumes on physical volumes that lvm2 wrote the metadata of (tests/lvm/make.py), and damaged metadata."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Command, Images, run
from liblinux.volumes import Storage
from liblinux.volumes._lvm_text import parse_metadata

FIXTURE = Path(__file__).resolve().parent / "lvm"
PHYSICAL = 4
STRIPE = 64 << 10
CONTENT = bytes(range(256)) * 256
# Of the type: what the kernel reads, and what is left when one disk is away.
REDUNDANT = ("raid1", "raid5", "raid10", "raid6")


@pytest.fixture
def group(tmp_path: Path) -> list[Path]:
    """The four physical volumes, with nothing on them but metadata."""
    heads = lzma.decompress((FIXTURE / "heads.xz").read_bytes())
    paths = [tmp_path / f"pv{number}" for number in range(PHYSICAL)]
    for number, path in enumerate(paths):
        with path.open("wb") as file:
            file.write(heads[number * MIB : (number + 1) * MIB])
            file.truncate(64 * MIB)
    return paths


def places(name: str) -> list[list[tuple[int, int, int]]]:
    """Of each segment of a volume, as `lvs` has it: disk, first extent and number of extents of each stripe."""
    segments = json.loads((FIXTURE / "segments.json").read_text())
    found = []
    for segment in segments:
        if segment["lv_name"].strip("[]") == name:
            stripes = []
            for area in segment["seg_pe_ranges"].split():
                disk, _, extents = area.rpartition(":")
                first, last = map(int, extents.split("-"))
                if disk.startswith("pv"):
                    stripes.append((int(disk[2:]), first, last - first + 1))
                else:
                    ((below,),) = places(disk)
                    stripes.append(below)
            found.append(stripes)
    return found


def place(group: list[Path], name: str, content: bytes, *, mirrored: bool = False) -> None:
    """Write the content of a volume to where `lvs` says that it is."""
    files = [path.open("r+b") for path in group]
    try:
        for stripes in places(name):
            length = stripes[0][2] * MIB * (1 if mirrored else len(stripes))
            part, content = content[:length], content[length:]
            for number, (disk, first, _) in enumerate(stripes):
                files[disk].seek(MIB + first * MIB)
                if mirrored or len(stripes) == 1:
                    files[disk].write(part)
                else:
                    chunks = [part[start : start + STRIPE] for start in range(0, len(part), STRIPE)]
                    files[disk].write(b"".join(chunks[number :: len(stripes)]))
    finally:
        for file in files:
            file.close()


def storage(kernel: liblinux.Kernel, disks: list[Path], wanted: str) -> Storage:
    return Storage(
        kernel, [kernel.attach(disk) for disk in disks], readonly=False, in_place=True, wanted=f"vg-one/{wanted}"
    )


def fill(group: list[Path], name: str, content: bytes) -> None:
    """Write the content of a volume through the kernel."""
    with liblinux.Kernel() as kernel:
        (device,) = [device for device in storage(kernel, group, name).devices if device.name == f"vg-one/{name}"]
        with kernel.open(device.path, "r+b") as file:
            file.write(content)


@pytest.mark.parametrize("name", ["linear", "striped", "raid0", "mirror"])
def test_where_lvm_says_that_it_is(group: list[Path], images: Images, name: str) -> None:
    plain = images.ext4(size={"raid0": 8, "mirror": 8}.get(name, 12) * MIB, label="found")
    place(group, name, plain.read_bytes(), mirrored=name == "mirror")
    for arguments in ({"volume": f"vg-one/{name}"}, {"volume": "found"}, {"partition": "LABEL=found"}, {}):
        with liblinux.open_image(group[0], members=group[1:], **arguments) as image:  # type: ignore[arg-type]
            assert image.cat("/sub/data.bin") == CONTENT
    for spelt in (f"/dev/vg-one/{name}", f"/dev/mapper/vg--one-{name}"):
        with liblinux.open_image(group[0], members=group[1:], volume=spelt, untrusted=True) as image:
            assert image.exists("/hello.txt")


@pytest.mark.parametrize("name", REDUNDANT)
def test_raid(group: list[Path], images: Images, name: str) -> None:
    """Written through the kernel, as there is no other here; and read again with one disk away."""
    fill(group, name, images.ext4(size=(6 if name == "raid6" else 8) * MIB, options=("-b", "4096")).read_bytes())
    before = [path.read_bytes() for path in group]
    for away in range(2):
        here = group[:away] + group[away + 1 :]
        with liblinux.open_image(here[0], members=here[1:], volume=f"vg-one/{name}") as image:
            assert image.cat("/sub/data.bin") == CONTENT, away
    assert [path.read_bytes() for path in group] == before


def test_both_legs_are_written(group: list[Path], images: Images) -> None:
    plain = images.ext4(size=8 * MIB).read_bytes()
    for name, part in (("raid1", "raid1_rimage"), ("mirror", "mirror_mimage")):
        fill(group, name, plain)
        for number in range(2):
            (((disk, first, count),),) = places(f"{part}_{number}")
            start = MIB + first * MIB
            assert group[disk].read_bytes()[start : start + count * MIB] == plain, (part, number)


def test_thin(group: list[Path], images: Images) -> None:
    """20 MiB in a pool of 16."""
    with liblinux.Kernel() as kernel:
        found = storage(kernel, group, "thin")
        (thin,) = [device for device in found.devices if device.name == "vg-one/thin"]
        assert "not take its table" in thin.problem, "there is no volume number 1 in the pool yet"
        found._mapper.message("vg-one-pool", "create_thin 1")
    plain = images.ext4(size=20 * MIB)
    with liblinux.Kernel() as kernel:
        (thin,) = [device for device in storage(kernel, group, "thin").devices if device.name == "vg-one/thin"]
        kernel.mount(None, "/src", type="tmpfs", options="size=30m")
        content = plain.read_bytes()
        with kernel.open(thin.path, "r+b", buffering=0) as file:
            for start in range(0, len(content), 1 << 16):
                if any(piece := content[start : start + (1 << 16)]):
                    file.seek(start)
                    file.write(piece)
    with liblinux.open_image(group[0], members=group[1:], volume="vg-one/thin") as image:
        assert image.cat("/sub/data.bin") == CONTENT
        image_size = image.os.statvfs("/")
        assert image_size.f_blocks * image_size.f_frsize > 16 * MIB


def test_snapshot(group: list[Path], images: Images) -> None:
    """What is written to it goes to its store, what is written to its origin does not show in it."""
    place(group, "base", images.ext4(size=10 * MIB).read_bytes())
    rest = group[1:]
    with liblinux.open_image(group[0], "r+", members=rest, volume="vg-one/snap") as image:
        assert image.cat("/sub/data.bin") == CONTENT
        image.pipe("/in-snap", b"1")
    with liblinux.open_image(group[0], "r+", members=rest, volume="vg-one/base") as image:
        assert not image.exists("/in-snap")
        image.pipe("/in-base", b"2")
        image.rm("/sub/data.bin")
    with liblinux.open_image(group[0], members=rest, volume="vg-one/snap") as image:
        assert image.cat("/sub/data.bin") == CONTENT
        assert image.find("/", withdirs=False) == ["/hello.txt", "/in-snap", "/sub/data.bin"]
    with liblinux.open_image(group[0], members=rest, volume="vg-one/base") as image:
        assert image.find("/", withdirs=False) == ["/hello.txt", "/in-base"]


def test_writing(group: list[Path], images: Images) -> None:
    place(group, "linear", images.ext4(size=12 * MIB).read_bytes())
    with liblinux.open_image(group[0], "r+", members=group[1:], volume="vg-one/linear") as image:
        image.pipe("/new", b"kept")
    parts = []
    for ((disk, first, count),) in places("linear"):
        parts.append(group[disk].read_bytes()[MIB + first * MIB :][: count * MIB])
    plain = images.directory / "plain"
    plain.write_bytes(b"".join(parts))
    run("e2fsck", "-fn", plain)
    assert run("debugfs", "-R", "cat /new", plain) == "kept"


def test_on_a_partition(group: list[Path], images: Images) -> None:
    place(group, "base", images.ext4(size=10 * MIB).read_bytes())
    disk = images.partitioned("gpt", [images.ext4("boot", 8 * MIB), group[3]])  # pv3 has all of it
    with liblinux.open_image(disk, volume="vg-one/base") as image:
        assert image.exists("/hello.txt")
    with pytest.raises(liblinux.VolumeError, match="several file systems") as caught:
        liblinux.open_image(disk)
    assert "partition 1: ext" in str(caught.value)
    assert "lvm volume vg-one/base: ext" in str(caught.value)


# ---- what cannot be opened ---------------------------------------------------


def test_no_such_volume(group: list[Path], command: Command) -> None:
    result = command("cat", "--volume", "vg-one/none", "--with", group[1], f"{group[0]}:/f")
    assert result.exit_code == 1
    assert "there is no volume 'vg-one/none'" in result.stderr
    assert "found lvm volume vg-one/linear: unknown content, 12582912 bytes" in result.stderr


def test_a_missing_physical_volume(group: list[Path]) -> None:
    with pytest.raises(liblinux.VolumeError, match=r"physical volume pv1 \(UUID .* is missing"):
        liblinux.open_image(group[0], volume="vg-one/linear")
    with pytest.raises(liblinux.VolumeError, match="--with"):
        liblinux.open_image(group[0], volume="vg-one/linear")


DAMAGE: dict[str, tuple[Callable[[bytearray], None], str]] = {
    "label": (lambda data: data.__setitem__(slice(600, 604), b"\xff" * 4), "checksum of its label"),
    "area": (lambda data: data.__setitem__(slice(4096 + 20, 4096 + 24), b"\xff" * 4), "metadata area is damaged"),
    "text": (lambda data: data.__setitem__(slice(4096, MIB), data[4096:MIB].replace(b"extent_size", b"extent_sizf")),
             "checksum of its metadata"),
    "end": (lambda data: data.__delitem__(slice(6144, len(data))), "ends at byte|checksum|outside"),
}  # fmt: skip


@pytest.mark.parametrize("where", DAMAGE)
def test_damaged_metadata(group: list[Path], where: str) -> None:
    data = bytearray(group[3].read_bytes())
    damage, reason = DAMAGE[where]
    damage(data)
    with pytest.raises(liblinux.VolumeError, match=reason):
        liblinux.open_image(data, volume="vg-one/base")


def test_the_text() -> None:
    text = 'a = 1 # remark\nb { c = ["x \\"y\\"", 2]\n d = [] }\ne = 1.5\nf = "{"'
    assert parse_metadata(text) == {"a": 1, "b": {"c": ['x "y"', 2], "d": []}, "e": 1.5, "f": "{"}
    for wrong in ("a = ", "a {", "}", 'a = "', "a = [1 2]", "a b", "a = x", "a {" * 40 + "}" * 40):
        with pytest.raises(ValueError):
            parse_metadata(wrong)
