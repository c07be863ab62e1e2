"""Finding, unpacking and proving the source, with small trees in place of Linux."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import run
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


def test_a_damaged_tarball_says_what_and_what_to_do(tarball: Path, cache: Cache) -> None:
    tarball.write_bytes(b"nonsense")
    with pytest.raises(BuildError, match=r"linux-6\.12\.7\.tar\.xz: .*(?<!exiting now); .*fetch it again"):
        unpack(find("6.12", tarball, cache), cache)


def package_of(tarball: Path, directory: Path) -> Path:
    """A Debian package of a kernel's source, as Debian's is made."""
    root = directory / "root"
    (root / "usr/src").mkdir(parents=True)
    (root / "DEBIAN").mkdir()
    shutil.copyfile(tarball, root / "usr/src/linux-source-6.12.tar.xz")
    lines = ("Package: linux-source-6.12", "Version: 6.12.7-1", "Architecture: all", "Maintainer: a", "Description: b")
    (root / "DEBIAN/control").write_text("\n".join(lines) + "\n")
    package = directory / "linux-source-6.12_6.12.7-1_all.deb"
    run("dpkg-deb", "--build", "-Znone", "--root-owner-group", root, package)
    return package


APT_GET = """#!/bin/sh
case "$*" in
*download*) {download} ;;
esac
"""
# As apt says it to German users, if it is not asked to speak plainly.
POLICY = """#!/bin/sh
case "$LC_ALL" in
C*) word=Candidate ;;
*) word=Installationskandidat ;;
esac
printf '%s:\\n  %s: 6.12.7-1\\n' "$2" "$word"
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """An apt that does something else when it is to download; nothing is installed."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setattr(source, "_INSTALLED", tmp_path)

    def make(download: str) -> None:
        for name, text in (("apt-get", APT_GET.format(download=download)), ("apt-cache", POLICY)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)

    return make


@pytest.mark.parametrize(
    ("download", "said"),
    [
        ("echo 'E: Failed to fetch: timed out' >&2; echo 'E: some more' >&2; exit 100", "timed out"),
        ("exit 0", "brought no package"),
        ("printf '!<arch>' > linux-source-6.12_6.12.7-1_all.deb", "is not a readable package"),
    ],
    ids=["fails", "nothing", "damaged"],
)
def test_a_download_that_fails_leaves_nothing(
    download: str, said: str, cache: Cache, apt: Callable[[str], None], tarball: Path, tmp_path: Path
) -> None:
    apt(download)
    with pytest.raises(BuildError, match=f"{said}.*--source"):
        find("6.12", None, cache)
    assert list(cache.packages.iterdir()) == []
    apt(f"cp {package_of(tarball, tmp_path)} .")
    assert unpack(find("6.12", None, cache), cache).version == (6, 12, 7)


def test_a_download_that_was_cut_is_fetched_again(
    cache: Cache, apt: Callable[[str], None], tarball: Path, tmp_path: Path
) -> None:
    """dpkg-deb can still say its name and version, so it is found out when it is unpacked."""
    package = package_of(tarball, tmp_path)
    apt(f"head -c {package.stat().st_size - 9_500} {package} > {package.name}")
    with pytest.raises(BuildError, match="removed from the cache: run the same again"):
        unpack(find("6.12", None, cache), cache)
    assert list(cache.packages.iterdir()) == list(cache.sources.iterdir()) == []
    apt(f"cp {package} .")
    assert unpack(find("6.12", None, cache), cache).version == (6, 12, 7)


FULL_TAR = """#!/bin/sh
case "$*" in
*--strip-components*) trap '' XFSZ; ulimit -f 0 ;;
esac
exec {} "$@"
"""


@pytest.mark.timeout(120)
def test_a_disk_that_is_full_is_said(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hung; and the package stays, for nothing is wrong with it."""
    tarball = tmp_path / "linux-6.12.7.tar.xz"
    with tarfile.open(tarball, "w:xz") as archive:
        # What tar complains of, and what is still to come, are both more than a pipe holds.
        for number in range(1000):
            member = tarfile.TarInfo(f"linux-6.12.7/{number:0100}")
            member.size = 1000
            archive.addfile(member, io.BytesIO(os.urandom(1000)))
    package = package_of(tarball, tmp_path)
    kept = Path(shutil.copy(package, cache.packages))
    full = tmp_path / "programs"
    full.mkdir()
    # Each file fails, as on a full disk, and tar reads on to the end.
    (full / "tar").write_text(FULL_TAR.format(shutil.which("tar")))
    (full / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", f"{full}:{os.environ['PATH']}")
    monkeypatch.setattr(source, "_INSTALLED", tmp_path)
    with pytest.raises(BuildError, match="cannot unpack"):
        unpack(find("6.12", None, cache), cache)
    assert kept.exists()
    assert list(cache.sources.iterdir()) == []


def test_a_tree_that_was_changed_is_unpacked_again(tarball: Path, cache: Cache) -> None:
    tree = tree_of(tarball, cache)
    (tree / "init/main.c").write_text("edited\n")
    (tree / "README").unlink()
    assert (tree_of(tarball, cache) / "init/main.c").read_text() == "int main;\n" * 1000
    assert (tree / "README").exists()


def test_a_cache_that_was_moved(tarball: Path, cache: Cache, tmp_path: Path) -> None:
    tree_of(tarball, cache)
    moved = Cache(cache.root.rename(tmp_path / "moved"))
    record = source.read_record(next(moved.sources.glob("*/source.json")))
    assert record.package.resolve() == moved.packages.resolve() / tarball.name
    assert record.package.exists()


def test_a_tree_whose_package_is_gone_is_unpacked_again(tarball: Path, cache: Cache) -> None:
    """Else nothing could say whether it is the package's."""
    tree = tree_of(tarball, cache)
    before = tree.stat().st_ino
    shutil.rmtree(cache.packages)
    assert tree_of(tarball, cache) == tree
    assert tree.stat().st_ino != before
    assert source.read_record(tree.parent / "source.json").package.exists()


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
