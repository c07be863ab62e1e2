"""`kernel.os`: what `os` has not, or not everywhere: attributes, whole trees, and which names there are."""

from __future__ import annotations

import errno
import os

import pytest

import liblinux
from conftest import Images


@pytest.fixture
def tree(kernel: liblinux.Kernel, images: Images) -> liblinux.Kernel:
    """A kernel with an ext4 file system on /mnt."""
    kernel.mount(kernel.attach(images.ext4()), "/mnt")
    return kernel


def test_xattrs(tree: liblinux.Kernel) -> None:
    system = tree.os
    path = "/mnt/hello.txt"
    system.setxattr(path, "user.short", b"value")
    system.setxattr(path, b"user.empty", b"")
    system.setxattr(path, "trusted.root", bytes(range(256)))
    assert sorted(system.listxattr(path)) == ["trusted.root", "user.empty", "user.short"]
    assert system.getxattr(path, "user.short") == b"value"
    assert system.getxattr(path, "user.empty") == b""
    fd = system.open(path, os.O_RDONLY)
    assert system.getxattr(fd, "trusted.root") == bytes(range(256))
    system.removexattr(fd, "user.empty")
    assert "user.empty" not in system.listxattr(fd)
    system.close(fd)
    with pytest.raises(FileExistsError):
        system.setxattr(path, "user.short", b"x", os.XATTR_CREATE)
    with pytest.raises(OSError) as caught:
        system.getxattr(path, "user.missing")
    assert caught.value.errno == errno.ENODATA
    system.symlink("hello.txt", "/mnt/link")
    system.setxattr("/mnt/link", "trusted.link", b"1", follow_symlinks=False)
    assert system.listxattr("/mnt/link", follow_symlinks=False) == ["trusted.link"]


def but_atime(status: os.stat_result) -> tuple[int, ...]:
    """Reading a directory changes when it was accessed."""
    return (*status[:7], status.st_mtime_ns, status.st_ctime_ns, status.st_blocks, status.st_rdev)


def test_scantree_is_walk_and_lstat(tree: liblinux.Kernel) -> None:
    system = tree.os
    system.makedirs("/mnt/deep/er")
    system.symlink("nowhere", "/mnt/deep/link")
    slow = {}
    for path, directories, files in system.walk("/mnt"):
        for name in (*directories, *files):
            slow[f"{path}/{name}"] = but_atime(system.lstat(f"{path}/{name}"))
    fast = {entry.path: but_atime(entry.stat(follow_symlinks=False)) for entry in system.scantree("/mnt")}
    assert fast == slow
    assert {entry.name for entry in system.scantree(b"/mnt")} == {
        b"hello.txt", b"sub", b"sub/data.bin", b"lost+found", b"deep", b"deep/er", b"deep/link",
    }  # fmt: skip
    with pytest.raises(FileNotFoundError) as caught:
        system.scantree("/missing")
    assert caught.value.filename == "/missing"


def test_scantree_stays_on_the_file_system(tree: liblinux.Kernel) -> None:
    tree.mount(None, "/mnt/sub", type="tmpfs")
    with tree.open("/mnt/sub/inside", "w"):
        pass
    assert "sub/inside" in {entry.name for entry in tree.os.scantree("/mnt")}
    assert "sub/inside" not in {entry.name for entry in tree.os.scantree("/mnt", follow_mounts=False)}


def test_scantree_reports_what_it_cannot_read(kernel: liblinux.Kernel) -> None:
    kernel.os.makedirs("/tree/open")
    kernel.os.makedirs("/tree/closed/below")
    kernel.os.chmod("/tree/closed", 0)
    with kernel.process(uid=1000, gid=1000) as user:
        with pytest.raises(PermissionError) as caught:
            user.os.scantree("/tree")
        assert caught.value.filename == "/tree/closed"
        errors: list[OSError] = []
        names = {entry.name for entry in user.os.scantree("/tree", onerror=errors.append)}
    assert names == {"open", "closed"}
    assert [error.errno for error in errors] == [errno.EACCES]


def test_getpid_is_bound_to_the_extension(kernel: liblinux.Kernel) -> None:
    assert not hasattr(kernel.os.getpid, "__code__")


def test_constants_are_those_of_os(kernel: liblinux.Kernel) -> None:
    assert kernel.os.O_RDONLY == os.O_RDONLY
    assert kernel.os.SEEK_END == os.SEEK_END
    assert kernel.os.fspath("x") == "x"
    with pytest.raises(AttributeError, match="environ"):
        _ = kernel.os.environ


def test_a_tree_is_a_sequence(tree: liblinux.Kernel) -> None:
    found = tree.os.scantree("/mnt")
    assert [found[at].path for at in range(len(found))] == [entry.path for entry in found]
    assert found[-1].name == list(found)[-1].name
    assert [entry.name for entry in found[:2]] == [found[0].name, found[1].name]
    with pytest.raises(IndexError):
        found[len(found)]


def test_a_column_of_a_tree(tree: liblinux.Kernel) -> None:
    found = tree.os.scantree("/mnt")
    entries = [entry.stat(follow_symlinks=False) for entry in found]
    for name in ("st_mode", "st_ino", "st_size", "st_uid", "st_nlink", "st_blocks", "st_mtime_ns", "st_blksize"):
        assert list(found.column(name)) == [getattr(entry, name) for entry in entries], name
    with pytest.raises(ValueError, match="st_size"):
        found.column("size")
