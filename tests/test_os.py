"""`kernel.os` is `os`: every test runs on both, on a tmpfs of ours and on a directory of the host."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(params=["host", "kernel"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Something os-shaped whose working directory is empty."""
    if request.param == "host":
        before = os.getcwd()
        os.chdir(tmp_path)
        yield os
        os.chdir(before)
        return
    kernel = request.getfixturevalue("shared_kernel")
    kernel.mount(None, "/scratch", type="tmpfs", options="mode=755")
    kernel.os.chdir("/scratch")
    yield kernel.os
    kernel.os.chdir("/")
    kernel.umount("/scratch", lazy=True)


def write(system: Any, path: str, data: bytes = b"data") -> None:
    fd = system.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    assert system.write(fd, data) == len(data)
    system.close(fd)


def read(system: Any, path: str) -> bytes:
    fd = system.open(path, os.O_RDONLY)
    data: bytes = system.read(fd, 1 << 20)
    system.close(fd)
    return data


def test_read_and_write(system: Any) -> None:
    fd = system.open("file", os.O_RDWR | os.O_CREAT, 0o600)
    assert system.write(fd, b"0123456789") == 10
    assert system.lseek(fd, 2, os.SEEK_SET) == 2
    assert system.read(fd, 3) == b"234"
    assert system.pread(fd, 4, 6) == b"6789"
    assert system.pwrite(fd, b"XY", 0) == 2
    first, second = bytearray(2), bytearray(3)
    system.lseek(fd, 0, os.SEEK_SET)
    assert system.readv(fd, [first, second]) == 5
    assert bytes(first + second) == b"XY234"
    assert system.writev(fd, [b"ab", b"", b"c"]) == 3
    assert system.preadv(fd, [first, second], 4) == 5
    assert bytes(first + second) == b"4abc8"
    assert system.pwritev(fd, [b"--", b"!"], 7) == 3
    assert system.pread(fd, 100, 0) == b"XY234ab--!"
    system.ftruncate(fd, 3)
    assert system.fstat(fd).st_size == 3
    system.truncate("file", 5)
    assert system.pread(fd, 100, 0) == b"XY2\0\0"
    system.fsync(fd)
    system.fdatasync(fd)
    system.close(fd)


def test_stat_result(system: Any) -> None:
    write(system, "file", b"x" * 5000)
    system.utime("file", ns=(1_111_111_111_123_456_789, 2_222_222_222_987_654_321))
    status = system.stat("file")
    assert type(status) is os.stat_result
    assert stat.S_IMODE(status.st_mode) == 0o644
    assert status.st_size == 5000
    assert status.st_blocks * 512 >= 5000
    assert status.st_blksize > 0
    assert status.st_nlink == 1
    assert status.st_atime_ns == 1_111_111_111_123_456_789
    assert status.st_mtime_ns == 2_222_222_222_987_654_321
    assert status.st_mtime == pytest.approx(2_222_222_222.98, abs=0.01)
    assert status[8] == 2_222_222_222
    assert system.lstat("file").st_ino == status.st_ino
    fd = system.open("file", os.O_RDONLY)
    assert system.stat(fd).st_ino == status.st_ino
    system.close(fd)


def test_utime(system: Any) -> None:
    write(system, "file")
    system.utime("file", (10, 20.5))
    assert (system.stat("file").st_atime_ns, system.stat("file").st_mtime_ns) == (10 * 10**9, 20_500_000_000)
    system.symlink("file", "link")
    system.utime("link", ns=(1, 2), follow_symlinks=False)
    assert system.lstat("link").st_mtime_ns == 2
    assert system.stat("link").st_mtime_ns == 20_500_000_000
    system.utime("file")
    assert system.stat("file").st_mtime > 1000
    with pytest.raises(ValueError, match="both"):
        system.utime("file", (1, 2), ns=(1, 2))


def test_directories(system: Any) -> None:
    system.mkdir("one")
    system.makedirs("one/two/three")
    system.makedirs("one/two/three", exist_ok=True)
    with pytest.raises(FileExistsError):
        system.makedirs("one/two/three")
    write(system, "one/file")
    assert sorted(system.listdir("one")) == ["file", "two"]
    assert sorted(system.listdir(b"one")) == [b"file", b"two"]
    with pytest.raises(OSError) as caught:
        system.rmdir("one")
    assert caught.value.errno == errno.ENOTEMPTY
    system.unlink("one/file")
    system.removedirs("one/two/three")
    assert system.listdir(".") == []


def test_listdir_of_a_descriptor(system: Any) -> None:
    system.mkdir("directory")
    write(system, "directory/file")
    fd = system.open("directory", os.O_RDONLY)
    assert system.listdir(fd) == ["file"]
    assert system.listdir(fd) == ["file"]
    assert system.stat("file", dir_fd=fd).st_size == 4
    system.close(fd)


def test_scandir(system: Any) -> None:
    system.mkdir("directory")
    write(system, "file", b"12345")
    system.symlink("directory", "link")
    system.symlink("nowhere", "broken")
    with system.scandir(".") as entries:
        found = {entry.name: entry for entry in entries}
    assert set(found) == {"directory", "file", "link", "broken"}
    assert found["file"].path == "./file"
    assert found["file"].is_file() and not found["file"].is_dir() and not found["file"].is_symlink()
    assert found["file"].stat().st_size == 5
    assert found["file"].inode() == system.stat("file").st_ino
    assert found["link"].is_symlink() and found["link"].is_dir()
    assert not found["link"].is_dir(follow_symlinks=False)
    assert stat.S_ISLNK(found["link"].stat(follow_symlinks=False).st_mode)
    assert not found["broken"].is_file() and not found["broken"].is_dir()
    with pytest.raises(FileNotFoundError):
        found["broken"].stat()
    assert os.fspath(found["file"]) == "./file"


def test_scandir_of_a_descriptor(system: Any) -> None:
    write(system, "file", b"12345")
    fd = system.open(".", os.O_RDONLY)
    (entry,) = system.scandir(fd)
    assert (entry.name, entry.path, entry.stat().st_size) == ("file", "file", 5)
    system.close(fd)


def test_walk(system: Any) -> None:
    system.makedirs("top/a/b")
    write(system, "top/a/file")
    system.symlink("a", "top/link")
    down = [(path, sorted(dirs), sorted(files)) for path, dirs, files in system.walk("top")]
    assert down[0] == ("top", ["a", "link"], [])
    assert sorted(path for path, _, _ in down) == ["top", "top/a", "top/a/b"]
    up = [path for path, _, _ in system.walk("top", topdown=False)]
    assert up.index("top/a/b") < up.index("top/a") < up.index("top")
    followed = [path for path, _, _ in system.walk("top", followlinks=True)]
    assert "top/link/b" in followed
    assert list(system.walk("missing")) == []
    errors: list[OSError] = []
    list(system.walk("missing", onerror=errors.append))
    assert errors[0].errno == errno.ENOENT


def test_walk_can_be_pruned(system: Any) -> None:
    system.makedirs("top/keep/x")
    system.makedirs("top/skip/y")
    seen = []
    for path, directories, _ in system.walk("top"):
        directories[:] = [name for name in directories if name != "skip"]
        seen.append(path)
    assert sorted(seen) == ["top", "top/keep", "top/keep/x"]


def test_fwalk(system: Any) -> None:
    system.makedirs("top/a/b")
    write(system, "top/a/file", b"123")
    for path, _, files, fd in system.fwalk("top"):
        for name in files:
            assert (path, name, system.stat(name, dir_fd=fd).st_size) == ("top/a", "file", 3)


def test_links(system: Any) -> None:
    write(system, "file")
    system.link("file", "hard")
    assert system.stat("hard").st_nlink == 2
    system.symlink("file", "soft")
    assert system.readlink("soft") == "file"
    assert system.readlink(b"soft") == b"file"
    system.link("soft", "hard-soft")
    assert stat.S_ISLNK(system.lstat("hard-soft").st_mode)
    system.unlink("file")
    with pytest.raises(FileNotFoundError) as caught:
        system.stat("soft")
    assert caught.value.filename == "soft"
    with pytest.raises(OSError) as invalid:
        system.readlink("hard")
    assert invalid.value.errno == errno.EINVAL


def test_rename(system: Any) -> None:
    write(system, "a", b"a")
    write(system, "b", b"b")
    system.rename("a", "c")
    system.replace("c", "b")
    assert read(system, "b") == b"a"
    system.renames("b", "new/place/b")
    assert read(system, "new/place/b") == b"a"
    with pytest.raises(FileNotFoundError) as caught:
        system.rename("missing", "there")
    assert (caught.value.filename, caught.value.filename2) == ("missing", "there")


def test_permissions(system: Any) -> None:
    write(system, "file")
    system.chmod("file", 0o4751)
    assert stat.S_IMODE(system.stat("file").st_mode) == 0o4751
    fd = system.open("file", os.O_RDWR)
    system.fchmod(fd, 0o600)
    assert stat.S_IMODE(system.fstat(fd).st_mode) == 0o600
    system.chmod(fd, 0o640)
    assert stat.S_IMODE(system.fstat(fd).st_mode) == 0o640
    system.close(fd)
    assert system.access("file", os.R_OK | os.W_OK)
    assert not system.access("missing", os.F_OK)


def test_owners(system: Any) -> None:
    if system.getuid() != 0:
        assert system is os  # ours is always root
        return
    write(system, "file")
    system.chown("file", 1234, 70000)
    assert (system.stat("file").st_uid, system.stat("file").st_gid) == (1234, 70000)
    system.chown("file", -1, 5)
    assert (system.stat("file").st_uid, system.stat("file").st_gid) == (1234, 5)
    system.symlink("file", "link")
    system.lchown("link", 7, 8)
    assert system.lstat("link").st_uid == 7
    assert system.stat("link").st_uid == 1234


def test_nodes(system: Any) -> None:
    system.mkfifo("fifo")
    assert stat.S_ISFIFO(system.stat("fifo").st_mode)
    system.mknod("regular")
    assert stat.S_ISREG(system.stat("regular").st_mode)
    if system is not os:
        device = os.makedev(259, 70000)
        system.mknod("device", stat.S_IFBLK | 0o600, device)
        assert system.stat("device").st_rdev == device
        assert (os.major(system.stat("device").st_rdev), os.minor(system.stat("device").st_rdev)) == (259, 70000)


def test_statvfs(system: Any) -> None:
    here = system.statvfs(".")
    assert type(here) is os.statvfs_result
    assert here.f_namemax == 255
    assert 0 < here.f_bavail <= here.f_blocks
    fd = system.open(".", os.O_RDONLY)
    assert system.fstatvfs(fd).f_blocks == system.statvfs(fd).f_blocks == here.f_blocks
    system.close(fd)


def test_working_directory(system: Any) -> None:
    start = system.getcwd()
    system.mkdir("below")
    system.chdir("below")
    assert system.getcwd() == f"{start}/below"
    assert system.getcwdb() == f"{start}/below".encode()
    fd = system.open("..", os.O_RDONLY)
    system.fchdir(fd)
    assert system.getcwd() == start
    system.close(fd)


def test_pipes_and_duplicates(system: Any) -> None:
    reader, writer = system.pipe()
    system.write(writer, b"pipe")
    copy = system.dup(reader)
    assert system.read(copy, 10) == b"pipe"
    assert system.dup2(writer, copy) == copy
    system.write(copy, b"again")
    assert system.read(reader, 10) == b"again"
    for fd in (reader, writer, copy):
        system.close(fd)


def test_copying_inside_the_kernel(system: Any) -> None:
    write(system, "source", b"0123456789")
    source = system.open("source", os.O_RDONLY)
    target = system.open("target", os.O_RDWR | os.O_CREAT)
    assert system.copy_file_range(source, target, 4, 2, 0) == 4
    assert system.pread(target, 10, 0) == b"2345"
    assert system.sendfile(target, source, 6, 4) == 4
    reader, writer = system.pipe()
    assert system.splice(source, writer, 5, offset_src=5) == 5
    assert system.read(reader, 10) == b"56789"
    for fd in (source, target, reader, writer):
        system.close(fd)


def test_allocation(system: Any) -> None:
    fd = system.open("file", os.O_RDWR | os.O_CREAT)
    system.posix_fallocate(fd, 0, 8192)
    assert system.fstat(fd).st_size == 8192
    system.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    system.close(fd)


def test_memfd_and_eventfd(system: Any) -> None:
    fd = system.memfd_create("name")
    system.write(fd, b"memory")
    assert system.pread(fd, 10, 0) == b"memory"
    system.close(fd)
    counter = system.eventfd(2)
    system.eventfd_write(counter, 3)
    assert system.eventfd_read(counter) == 5
    system.close(counter)


def test_randomness(system: Any) -> None:
    assert len(system.getrandom(16)) == 16
    assert len(system.urandom(1000)) == 1000
    assert system.urandom(16) != system.urandom(16)


def test_identity(system: Any) -> None:
    assert system.getpid() > 0
    assert system.getuid() == system.geteuid() == system.getresuid()[0]
    assert system.getgid() == system.getegid() == system.getresgid()[2]
    assert all(isinstance(group, int) for group in system.getgroups())
    assert system.umask(system.umask(0o22)) == 0o22
    assert system.uname().machine == "x86_64"
    assert type(system.uname()) is os.uname_result
    assert type(system.times()) is os.times_result
    assert system.nice(0) in range(-20, 20)
    system.sched_yield()


def test_names_that_are_not_utf8(system: Any) -> None:
    raw = b"caf\xe9 \xff"
    name = raw.decode("utf-8", "surrogateescape")
    write(system, name)
    assert system.listdir(".") == [name]
    assert system.listdir(b".") == [raw]
    assert system.stat(raw).st_ino == system.stat(name).st_ino
    assert [entry.name for entry in system.scandir(b".")] == [raw]


def test_paths_of_all_kinds(system: Any) -> None:
    write(system, "file")
    assert system.stat(Path("file")).st_ino == system.stat(b"file").st_ino
    with pytest.raises(ValueError, match="null"):
        system.stat("fi\0le")
    with pytest.raises(TypeError):
        system.stat(1.5)
    with pytest.raises(TypeError):
        system.open(None, os.O_RDONLY)


@pytest.mark.parametrize(
    ("call", "arguments", "kind", "number"),
    [
        ("open", ("missing", os.O_RDONLY), FileNotFoundError, errno.ENOENT),
        ("mkdir", ("directory",), FileExistsError, errno.EEXIST),
        ("unlink", ("directory",), IsADirectoryError, errno.EISDIR),
        ("rmdir", ("file",), NotADirectoryError, errno.ENOTDIR),
        ("listdir", ("file",), NotADirectoryError, errno.ENOTDIR),
        ("scandir", ("missing",), FileNotFoundError, errno.ENOENT),
        ("stat", ("file/below",), NotADirectoryError, errno.ENOTDIR),
        ("stat", ("x" * 256,), OSError, errno.ENAMETOOLONG),
        ("truncate", ("directory", 0), IsADirectoryError, errno.EISDIR),
        ("readlink", ("file",), OSError, errno.EINVAL),
        ("chdir", ("file",), NotADirectoryError, errno.ENOTDIR),
        ("statvfs", ("missing",), FileNotFoundError, errno.ENOENT),
        ("chmod", ("missing", 0), FileNotFoundError, errno.ENOENT),
        ("symlink", ("x", "file"), FileExistsError, errno.EEXIST),
    ],
)
def test_errors_name_the_file(
    system: Any, call: str, arguments: tuple[Any, ...], kind: type[OSError], number: int
) -> None:
    write(system, "file")
    system.mkdir("directory")
    with pytest.raises(kind) as caught:
        getattr(system, call)(*arguments)
    assert caught.value.errno == number
    assert caught.value.filename in arguments


@pytest.mark.parametrize("call", ["close", "fstat", "fsync", "dup", "fstatvfs", "fchdir"])
def test_errors_of_descriptors(system: Any, call: str) -> None:
    with pytest.raises(OSError) as caught:
        getattr(system, call)(9999)
    assert caught.value.errno == errno.EBADF


def test_os_path(system: Any) -> None:
    system.mkdir("directory")
    write(system, "directory/file", b"123")
    system.symlink("directory/file", "link")
    system.symlink("broken", "broken")
    path = system.path
    assert path.exists("link") and not path.exists("broken") and path.lexists("broken")
    assert path.isdir("directory") and not path.isdir("link")
    assert path.isfile("link") and path.islink("link") and not path.islink("directory")
    assert path.getsize("link") == 3
    assert path.samefile("link", "directory/file")
    assert path.ismount("/") and not path.ismount("directory")
    assert path.join("a", "b") == "a/b"
    assert path.realpath("link") == f"{path.realpath('.')}/directory/file"
    assert path.realpath("directory/../link") == path.realpath("link")
    assert path.abspath("x/../y") == f"{system.getcwd()}/y"
