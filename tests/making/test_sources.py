"""What images are made of: directories, archives on disk and from pipes, container images, trees of other images."""

from __future__ import annotations

import gzip
import json
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from container_images import BASE, LAYERS, SEEN, Member, docker_save, layout, packed, tar

from conftest import Command, Images, e2fsck
from liblinux import LiblinuxError, archives, make_image
from liblinux._image_root import ImageRoot

OPTIONS: dict[str, Any] = {"filesystem": "ext2", "table": None}


def contents(path: Path) -> dict[str, bytes | None]:
    """What is in an image: contents of files, what links say, None for directories."""
    e2fsck(path)
    found: dict[str, bytes | None] = {}
    with ImageRoot(path) as image:
        for entry in image.os.scantree("/"):
            if entry.is_symlink():
                found[entry.name] = b"-> " + os.fsencode(image.os.readlink(entry.path))
            elif entry.is_dir():
                found[entry.name] = None
            else:
                descriptor = image.os.open(entry.path, os.O_RDONLY)
                found[entry.name] = image.os.read(descriptor, 1 << 20)
                image.os.close(descriptor)
    assert found.pop("lost+found") is None
    return found


def test_an_oci_layout(tmp_path: Path) -> None:
    directory = layout(tmp_path / "oci", {"linux/amd64": LAYERS})
    image = tmp_path / "image"
    assert make_image(directory, image, **OPTIONS) == []
    assert contents(image) == SEEN
    with ImageRoot(image) as opened:
        status = opened.os.stat("/usr/bin/other name")
        assert (stat.S_IMODE(status.st_mode), status.st_nlink) == (0o4755, 1)
        assert opened.os.stat("/etc/passwd").st_uid == 70_000
        assert stat.S_IMODE(opened.os.stat("/etc").st_mode) == 0o750
        assert opened.os.stat("/etc/passwd").st_mtime == 1_600_000_000


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_oci_layout_as_a_tar(tmp_path: Path, compress: Any) -> None:
    path = packed(layout(tmp_path / "oci", {"linux/amd64": LAYERS}), tmp_path / "oci.tar")
    path.write_bytes(compress(path.read_bytes()))
    make_image(path, tmp_path / "image", **OPTIONS)
    assert contents(tmp_path / "image") == SEEN


def test_an_archive_of_docker(tmp_path: Path) -> None:
    path = docker_save(tmp_path / "saved.tar", {"a:1": LAYERS, "b:2": [BASE]})
    with pytest.raises(LiblinuxError, match="--reference; there are a:1, b:2"):
        make_image(path, tmp_path / "image", **OPTIONS)
    make_image(path, tmp_path / "image", reference="a:1", **OPTIONS)
    assert contents(tmp_path / "image") == SEEN
    make_image(path, tmp_path / "image", reference="b:2", **OPTIONS)
    assert contents(tmp_path / "image")["etc/shadow"] == b"secret"


def test_platforms(tmp_path: Path) -> None:
    directory = layout(tmp_path / "oci", {"linux/amd64": LAYERS, "linux/arm64": [BASE], "unknown/unknown": [BASE]})
    make_image(directory, tmp_path / "image", platform="linux/arm64", **OPTIONS)
    assert "etc/shadow" in contents(tmp_path / "image")
    make_image(directory, tmp_path / "image", platform="linux/amd64", **OPTIONS)
    assert "etc/shadow" not in contents(tmp_path / "image")
    with pytest.raises(LiblinuxError, match=r"no image fits.*linux/arm64"):
        make_image(directory, tmp_path / "image", platform="linux/s390x", **OPTIONS)


def test_a_damaged_layer(tmp_path: Path) -> None:
    directory = layout(tmp_path / "oci", {"linux/amd64": LAYERS})
    largest = max((directory / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes() + b"\0")
    with pytest.raises(archives.ArchiveError, match=f"{largest.name} has the digest"):
        make_image(directory, tmp_path / "image", **OPTIONS)
    largest.unlink()
    with pytest.raises(archives.ArchiveError, match=f"it has no blobs/sha256/{largest.name}"):
        make_image(directory, tmp_path / "image", **OPTIONS)
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b"])
def test_a_layer_that_leads_outside(tmp_path: Path, name: str) -> None:
    directory = layout(tmp_path / "oci", {"linux/amd64": [[(name, {}, b"x")]]})
    with pytest.raises(archives.ArchiveError, match="refused"):
        make_image(directory, tmp_path / "image", **OPTIONS)
    index = json.loads((directory / "index.json").read_text())
    index["manifests"][0]["digest"] = "sha256:" + "../" * 20 + "aaaa"
    (directory / "index.json").write_text(json.dumps(index))
    with pytest.raises(archives.ArchiveError, match="is no digest"):
        make_image(directory, tmp_path / "image", **OPTIONS)


def test_a_link_to_a_file_that_a_layer_replaces(tmp_path: Path) -> None:
    layers: list[list[Member]] = [
        BASE,
        [("usr/bin/.wh.tool", {}, b"")],
        [("again", {"type": tarfile.LNKTYPE, "linkname": "etc/passwd"}, b"")],
    ]
    make_image(layout(tmp_path / "oci", {"linux/amd64": layers}), tmp_path / "image", **OPTIONS)
    found = contents(tmp_path / "image")
    assert "usr/bin/tool" not in found and found["usr/bin/other name"] == b"old tool"
    assert found["again"] == b"root"
    with ImageRoot(tmp_path / "image") as opened:
        assert opened.os.stat("/again").st_nlink == 2


def test_a_tar_with_the_same_name_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar([("a", {}, b"first"), ("b", {}, b"other"), ("a", {}, b"second")]))
    make_image(path, tmp_path / "image", **OPTIONS)
    assert contents(tmp_path / "image") == {"a": b"second", "b": b"other"}


def test_from_standard_input(tmp_path: Path, images: Images, command: Command) -> None:
    image_tar = packed(layout(tmp_path / "oci", {"linux/amd64": LAYERS}), tmp_path / "oci.tar")
    for data in (tar(BASE), gzip.compress(tar(BASE)), image_tar.read_bytes()):
        result = command("mkimage", "-", tmp_path / "image", "--fs", "ext2", "--no-partition-table", input=data)
        assert (result.exit_code, result.stderr) == (0, "")
        assert contents(tmp_path / "image")["etc/passwd"] == b"root"


def test_an_initramfs(tmp_path: Path, images: Images) -> None:
    with ImageRoot(images.ext4()) as image, (tmp_path / "initrd").open("wb") as file:
        archives.cpio(image.os, "/", file, compression="zstd")
    make_image(tmp_path / "initrd", tmp_path / "image", **OPTIONS)
    assert contents(tmp_path / "image")["hello.txt"] == b"hello from the image\n"


@pytest.mark.parametrize("untrusted", [False, True])
def test_a_tree_of_another_image(tmp_path: Path, images: Images, command: Command, untrusted: bool) -> None:
    disk = images.partitioned("gpt", [images.ext4("first.img"), images.ext4("second.img")])
    options = ["--fs", "ext2", "--no-partition-table", "--partition", "2", *["--untrusted"] * untrusted]
    result = command("mkimage", f"{disk}:/sub", tmp_path / "image", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert contents(tmp_path / "image") == {"data.bin": bytes(range(256)) * 256}
    assert "several partitions" in command("mkimage", f"{disk}:/sub", tmp_path / "image").stderr


@pytest.mark.parametrize(
    "data", [b"", b"no archive at all", gzip.compress(tar(BASE), mtime=0)[:-20], tar(BASE)[:-9000]]
)
def test_no_archive(tmp_path: Path, command: Command, data: bytes) -> None:
    path = tmp_path / "bad.tar"
    path.write_bytes(data)
    (tmp_path / "image").write_bytes(b"what was there")
    result = command("mkimage", path, tmp_path / "image")
    assert result.exit_code == 1
    assert result.stderr.startswith("liblinux: ") and result.stderr.count("\n") == 1
    assert (tmp_path / "image").read_bytes() == b"what was there"
    assert sorted(os.listdir(tmp_path)) == ["bad.tar", "image"]


def test_an_archive_with_a_path_outside(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "bad.tar"
    path.write_bytes(tar([("good", {}, b""), ("../evil", {}, b"x")]))
    result = command("mkimage", path, tmp_path / "image")
    assert result.exit_code == 1
    assert "'..', ../evil" in result.stderr
    assert os.listdir(tmp_path) == ["bad.tar"]


def test_a_file_called_manifest_does_not_make_a_container_image(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar([("blobs/x", {}, b"mine")]))
    make_image(path, tmp_path / "image", **OPTIONS)
    assert contents(tmp_path / "image") == {"blobs": None, "blobs/x": b"mine"}


def test_a_kind_that_it_is_not(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar(BASE))
    assert "no container image" in command("mkimage", path, tmp_path / "i", "--source-type", "oci").stderr
    assert "no directory" in command("mkimage", path, tmp_path / "i", "--source-type", "directory").stderr
    assert "no tar archive" in command("mkimage", tmp_path, tmp_path / "i", "--source-type", "tar").stderr
