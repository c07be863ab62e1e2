"""Finding, unpacking and proving the source, with small trees in place of Linux."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from liblinux._errors import BuildError
from liblinux.builder import source
from liblinux.builder.cache import Cache
from liblinux.builder.source import Source, find, kernel_version, unpack

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 7\nEXTRAVERSION =\n"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path / "cache")
    with cache.locked():
        pass
    return cache


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "linux-6.12.7.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name, text in {"Makefile": MAKEFILE, "init/main.c": "int main;\n" * 1000, "README": "read\n"}.items():
            member = tarfile.TarInfo(f"linux-6.12.7/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("linux-6.12.7/link")
        link.type, link.linkname = tarfile.SYMTYPE, "README"
        archive.addfile(link)
    return path


def tree_of(tarball: Path, cache: Cache) -> Path:
    return unpack(find("6.12", tarball, cache), cache).path


def test_a_tarball_is_unpacked_once(tarball: Path, cache: Cache) -> None:
    found = find("6.12", tarball, cache)
    tree = unpack(found, cache)
    assert tree.version == (6, 12, 7)
    tarball.unlink()
    assert unpack(found, cache).path == tree.path


def test_a_directory_is_copied_and_never_written(tmp_path: Path, cache: Cache) -> None:
    original = tmp_path / "mine"
    (original / "init").mkdir(parents=True)
    (original / "Makefile").write_text(MAKEFILE)
    (original / "init/main.c").write_text("int main;\n")
    tree = unpack(find("6.12", original, cache), cache)
    assert tree.path != original
    assert (tree.path / "init/main.c").read_text() == "int main;\n"
    (original / "init/main.c").write_text("int changed;\n")
    assert find("6.12", original, cache).identity != tree.source.identity


def test_a_tree_that_was_built_in_is_refused(tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / ".config").touch()
    with pytest.raises(BuildError, match="mrproper"):
        find("6.12", tmp_path, cache)


def test_a_path_that_does_not_exist(tmp_path: Path, cache: Cache) -> None:
    with pytest.raises(BuildError, match="nowhere does not exist"):
        find("6.12", tmp_path / "nowhere", cache)


def test_a_directory_that_is_not_linux(tmp_path: Path, cache: Cache) -> None:
    with pytest.raises(BuildError, match="not a Linux source tree"):
        find("6.12", tmp_path, cache)


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "not Linux"])
def test_a_damaged_tarball_leaves_nothing(damage: str, tarball: Path, cache: Cache, tmp_path: Path) -> None:
    if damage == "truncated":
        tarball.write_bytes(tarball.read_bytes()[:-100])
    elif damage == "garbage":
        tarball.write_bytes(bytes(range(256)) * 16)
    elif damage == "empty":
        tarball.write_bytes(b"")
    else:
        with tarfile.open(tarball, "w:xz") as archive:
            archive.addfile(tarfile.TarInfo("other/file"))
    with pytest.raises(BuildError, match=r"cannot unpack|not a Linux source tree"):
        unpack(find("6.12", tarball, cache), cache)
    assert list(cache.sources.iterdir()) == []


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_a_damaged_package(tmp_path: Path, cache: Cache) -> None:
    package = tmp_path / "linux-source-6.12_1_all.deb"
    package.write_bytes(b"!<arch>\nnonsense")
    with pytest.raises(BuildError, match="not a readable Debian package"):
        find("6.12", package, cache)
    with pytest.raises(BuildError, match="damaged"):
        unpack(Source(package, "1"), cache)
    assert list(cache.sources.iterdir()) == []


def test_a_tree_that_was_changed_is_unpacked_again(tarball: Path, cache: Cache) -> None:
    tree = tree_of(tarball, cache)
    (tree / "init/main.c").write_text("edited\n")
    (tree / "README").unlink()
    assert (tree_of(tarball, cache) / "init/main.c").read_text() == "int main;\n" * 1000
    assert (tree / "README").exists()


def test_leftovers_of_a_killed_build_are_swept(cache: Cache) -> None:
    leftover = cache.sources / ".incomplete-xyz"
    leftover.mkdir()
    with cache.locked():
        assert not leftover.exists()


def test_a_cache_where_make_cannot_work_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="XDG_CACHE_HOME"), Cache(tmp_path / "a b").locked():
        pass


def test_no_source_at_all(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_candidate", lambda name: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: "/bin/true")
    with pytest.raises(BuildError, match=r"linux-source-9\.9.*--source"):
        find("9.9", None, cache)


def test_the_newest_package_of_the_cache_is_taken(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_output", lambda command: "found" if command[0] == "dpkg-deb" else "")
    for version in ("6.12.9-1", "6.12.117-1~deb12u1", "6.12.117-1"):
        (cache.packages / f"linux-source-6.12_{version}_all.deb").touch()
    (cache.packages / "linux-source-6.1_6.1.999-1_all.deb").touch()
    assert find("6.12", None, cache).path.name == "linux-source-6.12_6.12.117-1~deb12u1_all.deb"


def test_the_version_of_a_tree(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    assert kernel_version(tmp_path) == (6, 12, 7)
