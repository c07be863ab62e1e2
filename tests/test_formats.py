"""qcow2, VMDK, VDI and compressed images, made by qemu-img and the packers: the disk in them, byte for byte."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Command, Images, run

QEMU_FORMATS = {
    "qcow2": ("qcow2",),
    "qcow2 of version 2": ("qcow2", "-o", "compat=0.10"),
    "qcow2, deflate": ("qcow2", "-c"),
    "qcow2, zstd": ("qcow2", "-c", "-o", "compression_type=zstd"),
    "qcow2, small clusters": ("qcow2", "-o", "cluster_size=512"),
    "qcow2, large clusters": ("qcow2", "-o", "cluster_size=2M"),
    "qcow2, subclusters": ("qcow2", "-o", "extended_l2=on"),
    "qcow2, preallocated": ("qcow2", "-o", "preallocation=metadata"),
    "vmdk": ("vmdk",),
    "vmdk, streamed": ("vmdk", "-o", "subformat=streamOptimized"),
    "vmdk, several sparse": ("vmdk", "-o", "subformat=twoGbMaxExtentSparse"),
    "vmdk, flat": ("vmdk", "-o", "subformat=monolithicFlat"),
    "vmdk, several flat": ("vmdk", "-o", "subformat=twoGbMaxExtentFlat"),
    "vmdk, zeros": ("vmdk", "-o", "zeroed_grain=on"),
    "vdi": ("vdi",),
    "vdi, fixed": ("vdi", "-o", "static=on"),
}
PACKERS = {"gz": ("gzip", "-1"), "xz": ("xz", "-0"), "zst": ("zstd", "-q"), "bz2": ("bzip2", "-1")}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ext4 with content here and there, and what does not compress."""
    images = Images(tmp_path_factory.mktemp("formats"))
    path = images.ext4(size=24 * MIB)
    with liblinux.open_image(path, "r+") as image:
        image.pipe("/noise", random.Random(1).randbytes(3 * MIB))
    return path


def convert(disk: Path, target: Path, *options: str) -> Path:
    run("qemu-img", "convert", "-O", *options, disk, target)
    return target


def device(path: Path) -> Iterator[bytes]:
    """What the kernel reads from the disk of an image file, all of it."""
    with liblinux.open_image(path) as image:
        fd = image.kernel.os.open(image.disk.path, os.O_RDONLY)
        while data := image.kernel.os.read(fd, MIB):
            yield data


@pytest.mark.parametrize("format", QEMU_FORMATS)
def test_as_qemu_makes_it(disk: Path, tmp_path: Path, format: str) -> None:
    path = convert(disk, tmp_path / "no-name-that-helps", *QEMU_FORMATS[format])
    before = path.read_bytes()
    assert b"".join(device(path)) == disk.read_bytes()
    assert path.read_bytes() == before


@pytest.mark.parametrize("packer", PACKERS)
def test_compressed(disk: Path, tmp_path: Path, packer: str) -> None:
    path = tmp_path / "image"
    with disk.open("rb") as source, path.open("wb") as target:
        subprocess.run(PACKERS[packer], stdin=source, stdout=target, check=True)
    assert b"".join(device(path)) == disk.read_bytes()


def test_several_streams(disk: Path, tmp_path: Path) -> None:
    """As `pigz`, `xz -T`, `pbzip2` and `cat` make them."""
    raw = disk.read_bytes()
    half = len(raw) // 2
    for name, pack in (("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)):
        path = tmp_path / name
        path.write_bytes(pack(raw[:half]) + pack(raw[half:]))
        with liblinux.open_image(path) as image:
            assert image.disk.size == len(raw), name
            assert image.cat("/hello.txt") == b"hello from the image\n"


def test_untrusted(disk: Path, tmp_path: Path) -> None:
    for options in (("qcow2", "-c"), ("vmdk",), ("vdi",)):
        path = convert(disk, tmp_path / options[0], *options)
        with liblinux.open_image(path, untrusted=True) as image:
            assert image.cat("/noise") == random.Random(1).randbytes(3 * MIB)


def test_other_sources(disk: Path, tmp_path: Path) -> None:
    """Bytes and file objects are containers as well."""
    path = convert(disk, tmp_path / "image", "qcow2", "-c")
    for source in (path.read_bytes(), io.BytesIO(path.read_bytes())):
        with liblinux.open_image(source) as image:
            assert image.cat("/hello.txt") == b"hello from the image\n"
    with path.open("rb") as file, liblinux.open_image(file) as image:
        assert image.cat("/hello.txt") == b"hello from the image\n"


def test_partitions_in_a_container(disk: Path, images: Images) -> None:
    whole = images.partitioned("gpt", [disk])
    path = convert(whole, images.directory / "image", "qcow2")
    with liblinux.open_image(path, partition="PARTLABEL=part-1") as image:
        assert image.exists("/noise")


def test_backing_files(disk: Path, tmp_path: Path) -> None:
    """A chain of three, the uppermost larger than what is below; each has something of its own."""
    base = convert(disk, tmp_path / "base.vmdk", "vmdk")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.vmdk", "-F", "vmdk", tmp_path / "middle.qcow2")
    run("qemu-io", "-c", "write -P 0xaa 20M 1000k", "-c", "write -z 1M 512k", tmp_path / "middle.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "extended_l2=on", "-b", "middle.qcow2", "-F", "qcow2",
        tmp_path / "top.qcow2", "32M")  # fmt: skip
    for write in ("write -P 0xbb 21M 3k", "write -z 2M 2k", "write -P 0xcc 30M 1k"):
        run("qemu-io", "-c", write, tmp_path / "top.qcow2")
    flat = convert(tmp_path / "top.qcow2", tmp_path / "flat", "raw")
    assert b"".join(device(tmp_path / "top.qcow2")) == flat.read_bytes()
    assert base.exists()


def test_external_data_file(disk: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.bin"
    path = convert(disk, tmp_path / "image", "qcow2", "-o", f"data_file={data}")
    assert b"".join(device(path)) == disk.read_bytes()


def test_snapshots_are_not_the_state(disk: Path, tmp_path: Path) -> None:
    path = convert(disk, tmp_path / "image", "qcow2")
    run("qemu-img", "snapshot", "-c", "first", path)
    run("qemu-io", "-c", "write -P 0x55 10M 1M", path)
    flat = convert(path, tmp_path / "flat", "raw")
    assert b"".join(device(path)) == flat.read_bytes() != disk.read_bytes()


# ---- files of the host that an image names -----------------------------------


@pytest.mark.parametrize("how", ["absolute", "relative", "link"])
def test_a_backing_file_elsewhere(disk: Path, tmp_path: Path, how: str) -> None:
    """It might be any file of the host."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "images").mkdir()
    secret = tmp_path / "secret" / "disk.img"
    secret.write_bytes(disk.read_bytes())
    (tmp_path / "images" / "link").symlink_to(secret)
    name = {"absolute": str(secret), "relative": "../secret/disk.img", "link": "link"}[how]
    path = tmp_path / "images" / "image"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", name, "-F", "raw", path)
    with pytest.raises(liblinux.FormatError, match="outside of its directory") as caught:
        liblinux.open_image(path)
    assert caught.value.advice.startswith("if you trust the image")
    with liblinux.open_image(path, backing=[secret.parent]) as image:
        assert image.exists("/noise")


def test_a_backing_file_that_is_not_there(disk: Path, tmp_path: Path) -> None:
    base = convert(disk, tmp_path / "base", "qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base", "-F", "qcow2", tmp_path / "top")
    base.unlink()
    with pytest.raises(liblinux.FormatError, match="'base' too, which is not there"):
        liblinux.open_image(tmp_path / "top")
    os.mkfifo(base)  # must not be waited for
    with pytest.raises(OSError, match="neither a regular file"):
        liblinux.open_image(tmp_path / "top")


def test_an_image_below_itself(tmp_path: Path) -> None:
    path = tmp_path / "circle"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "8M")
    run("qemu-img", "rebase", "-u", "-b", "circle", "-F", "qcow2", path)
    with pytest.raises(liblinux.FormatError, match="lie below each other"):
        liblinux.open_image(path)


def test_raw_is_raw(disk: Path, tmp_path: Path) -> None:
    """A guest may write the header of a container to the start of its disk."""
    trap = tmp_path / "trap"
    trap.write_bytes(convert(disk, tmp_path / "head", "qcow2").read_bytes()[:512] + disk.read_bytes()[512:])
    with pytest.raises(liblinux.FormatError):
        liblinux.open_image(trap)
    with liblinux.open_image(trap, format="raw") as image:
        assert image.exists("/noise")
    with pytest.raises(ValueError, match="format must be"):
        liblinux.open_image(trap, format="vhdx")


# ---- what cannot be read or written ------------------------------------------


@pytest.mark.parametrize("options", [("qcow2",), ("vmdk",), ("vdi",), ("gz",)])
def test_writing(disk: Path, tmp_path: Path, options: tuple[str, ...], command: Command) -> None:
    path = tmp_path / "image"
    if options == ("gz",):
        path.write_bytes(gzip.compress(disk.read_bytes(), 1))
    else:
        convert(disk, path, *options)
    before = path.read_bytes()
    with pytest.raises(OSError, match="only read") as caught:
        liblinux.open_image(path, "r+")
    assert caught.value.errno == 30  # EROFS
    with liblinux.open_image(path, "r+", overlay=True) as image:
        image.pipe("/new", b"in memory")
        assert image.cat("/new") == b"in memory"
    assert path.read_bytes() == before


@pytest.mark.parametrize("format", ["qcow2", "qcow2, deflate", "vmdk", "vmdk, streamed", "vdi", "vdi, fixed"])
def test_truncated(disk: Path, tmp_path: Path, format: str) -> None:
    """Said when it is opened, or an I/O error with the reason where it is read; never zeros instead of data."""
    path = convert(disk, tmp_path / "image", *QEMU_FORMATS[format])
    content = disk.read_bytes()
    for size in (100, 513, 70_000, path.stat().st_size // 2):
        os.truncate(path, size)
        try:
            got = b"".join(device(path))
        except (liblinux.FormatError, liblinux.MountError):
            continue
        except OSError as error:
            assert isinstance(error.__cause__, liblinux.FormatError), size
            continue
        # No more than the rest of one cluster.
        assert len(got) == len(content)
        pytest.fail(f"read as a whole, though cut to {size} bytes")


@pytest.mark.parametrize("packer", PACKERS)
def test_damaged_streams(disk: Path, tmp_path: Path, packer: str) -> None:
    path = tmp_path / "image"
    with disk.open("rb") as source, path.open("wb") as target:
        subprocess.run(PACKERS[packer], stdin=source, stdout=target, check=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(liblinux.FormatError, match="unpacked"):
        liblinux.open_image(path)
    path.write_bytes(whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :])
    with pytest.raises(liblinux.FormatError, match="unpacked"):
        liblinux.open_image(path)


@pytest.mark.parametrize("format", ["qcow2, deflate", "qcow2, zstd", "qcow2, subclusters", "vmdk, streamed", "vdi"])
def test_random_damage(disk: Path, tmp_path: Path, format: str) -> None:
    """Whatever is in the tables: an error or bytes, and the end comes soon."""
    path = convert(disk, tmp_path / "image", *QEMU_FORMATS[format])
    whole = path.read_bytes()
    chance = random.Random(7)
    for _ in range(15):
        data = bytearray(whole)
        for _ in range(8):
            place = chance.choice((chance.randrange(512), chance.randrange(min(len(data), 400_000))))
            data[place] = chance.randrange(256)
        try:
            with liblinux.open_image(bytes(data)) as image:
                image.find("/")
        except (OSError, ValueError):
            continue


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-f", "qcow",), "qcow of version 1"),
        (("-f", "vhdx",), "vhdx files are not read"),
        (("-f", "vpc",), "vhd files are not read"),
    ],
)  # fmt: skip
def test_not_supported(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    path = tmp_path / "image"
    run("qemu-img", "create", "-q", *options, path, "8M")
    with pytest.raises(liblinux.FormatError, match=reason) as caught:
        liblinux.open_image(path)
    assert "qemu-img convert" in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "value", "reason"), [(32, 2, "encrypted"), (72 + 4, 1 << 9, "features that are not known")]
)
def test_not_supported_in_qcow2(tmp_path: Path, offset: int, value: int, reason: str) -> None:
    path = tmp_path / "image"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "8M")
    data = bytearray(path.read_bytes())
    data[offset : offset + 4] = struct.pack(">I", value)
    with pytest.raises(liblinux.FormatError, match=reason):
        liblinux.open_image(data)


def test_differences_to_a_parent(tmp_path: Path) -> None:
    run("qemu-img", "create", "-q", "-f", "vmdk", tmp_path / "base", "8M")
    run("qemu-img", "create", "-q", "-f", "vmdk", "-b", "base", "-F", "vmdk", tmp_path / "top")
    with pytest.raises(liblinux.FormatError, match="differs from its parent"):
        liblinux.open_image(tmp_path / "top")
    vdi = tmp_path / "vdi"
    run("qemu-img", "create", "-q", "-f", "vdi", vdi, "8M")
    data = bytearray(vdi.read_bytes())
    data[76:80] = struct.pack("<I", 4)
    vdi.write_bytes(data)
    with pytest.raises(liblinux.FormatError, match="type differencing"):
        liblinux.open_image(vdi)


def test_command(disk: Path, tmp_path: Path, command: Command) -> None:
    path = convert(disk, tmp_path / "image", "qcow2")
    result = command("cat", f"{path}:/hello.txt")
    assert (result.exit_code, result.stdout) == (0, "hello from the image\n")
    os.truncate(path, 300_000)
    result = command("cat", f"{path}:/hello.txt")
    assert result.exit_code == 1
    assert "damaged or was not copied" in result.stderr
