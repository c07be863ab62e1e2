"""No file of the kernel is edited, and how that is found out."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from liblinux.builder import pristine, source
from liblinux.builder.cache import Cache
from liblinux.builder.pristine import verify_pristine

FILES = {"Makefile": "VERSION = 6\n", "init/main.c": "int main;\n" * 1000, "README": "read\n"}
EDITED = ["added: arch/library.c", "changed: init/main.c", "changed: link", "missing: README"]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "linux-6.12.7.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"linux-6.12.7/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("linux-6.12.7/link")
        link.type, link.linkname = tarfile.SYMTYPE, "README"
        archive.addfile(link)
    return path


@pytest.fixture
def tree(tarball: Path, tmp_path: Path) -> Path:
    with tarfile.open(tarball) as archive:
        archive.extractall(tmp_path, filter="tar")
    return tmp_path / "linux-6.12.7"


def edit(tree: Path) -> None:
    """One byte of a file, and what else can be done to a tree; sizes and times stay."""
    path = tree / "init/main.c"
    before = path.stat()
    path.write_text("int main;\n" * 999 + "int nain;\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (tree / "arch").mkdir(exist_ok=True)
    (tree / "arch/library.c").touch()
    (tree / "README").unlink()
    (tree / "link").unlink()
    (tree / "link").symlink_to("elsewhere")


def test_pristine_and_not(tree: Path, tarball: Path) -> None:
    assert verify_pristine(tree, tarball) == []
    (tree / "arch/lib").mkdir(parents=True)
    (tree / "arch/lib/Kconfig").touch()
    assert verify_pristine(tree, tarball) == []
    edit(tree)
    assert sorted(verify_pristine(tree, tarball)) == EDITED


def test_a_package_is_decompressed_once(
    tree: Path, tarball: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verify_pristine(tree, tarball, cache) == []
    with monkeypatch.context() as once:
        once.delattr(pristine, "open_tarball")
        assert verify_pristine(tree, tarball, cache) == []
        edit(tree)
        assert sorted(verify_pristine(tree, tarball, cache)) == EDITED


def test_another_package_has_another_manifest(tree: Path, tarball: Path, cache: Cache) -> None:
    assert verify_pristine(tree, tarball, cache) == []
    edit(tree)
    (tree / "README").write_text("read\n")
    with tarfile.open(tarball, "w:xz") as archive:
        archive.add(tree, "linux-6.12.7")
    assert verify_pristine(tree, tarball, cache) == []


def real_trees() -> list[Path]:
    """The records of the trees in the cache whose packages are there, too.

    Of the kernel that is tested, if it is said which.
    """
    wanted = os.environ.get("LIBLINUX_KERNEL", "").partition("-")[0]
    records = sorted(Cache.default().sources.glob("*/source.json"))
    records = [record for record in records if source.read_record(record).package.exists()]
    return [record for record in records if wanted in ("", series(record.parent / "linux"))]


def series(tree: Path) -> str:
    return "{}.{}".format(*source.kernel_version(tree)[:2])


@pytest.mark.timeout(600)  # the first time the whole package is decompressed
@pytest.mark.parametrize("record", real_trees() or [None], ids=lambda record: record and record.parent.name)
def test_no_kernel_file_is_edited(record: Path | None) -> None:
    """The promise: every file of the real trees is the package's, but for ``arch/lib``."""
    if record is None:
        pytest.skip("no kernel has been built yet, or its package was deleted")
    facts = source.read_record(record)
    if facts.package.is_dir():
        pytest.skip("this tree was copied from a directory")
    assert verify_pristine(record.parent / "linux", facts.package, Cache.default()) == []
