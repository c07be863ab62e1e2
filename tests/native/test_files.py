"""Reading, writing, stat, listing and walking."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from liblinux import _native
from native.kernels import write_file


def test_reading_and_writing(init: _native.Process, directory: str) -> None:
    fd = init.open(f"{directory}/file", os.O_RDWR | os.O_CREAT, 0o600)
    assert init.write(fd, b"hello world") == 11
    assert init.pwrite(fd, memoryview(b"HELLO"), 0) == 5
    assert init.pread(fd, 5, 6) == b"world"
    assert init.pread(fd, 100, 6) == b"world"
    assert init.read(fd, 100) == b""
    room = bytearray(8)
    assert init.preadinto(fd, room, 3) == 8
    assert room == b"LO world"
    init.close(fd)
    fd = init.open(f"{directory}/file".encode(), os.O_RDONLY)
    assert init.readinto(fd, room) == 8
    assert room == b"HELLO wo"
    assert init.read(fd, 0) == b""
    with pytest.raises(OSError, match="descriptor"):
        init.write(fd, b"x")
    with pytest.raises(OSError, match="Invalid"):
        init.read(fd, -1)
    with pytest.raises(BufferError):
        init.readinto(fd, b"constant")
    init.close(fd)
    with pytest.raises(OSError, match="descriptor"):
        init.close(fd)


def test_open_takes_mode_and_directory(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    top = init.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    fd = init.open("below", os.O_WRONLY | os.O_CREAT, mode=0o640, dir_fd=top)
    assert stat.S_IMODE(init.stat("below", dir_fd=top)[0]) == 0o640
    assert init.syscall(nr["fcntl"], fd, 1) == 1  # F_GETFD: FD_CLOEXEC
    init.close(fd)
    init.close(top)
    with pytest.raises(FileExistsError):
        init.open(f"{directory}/below", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with pytest.raises(TypeError, match="unexpected"):
        init.open("/", 0, colour=1)  # type: ignore[call-arg]  # that is the test


def test_stat(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    path = f"{directory}/file"
    write_file(init, path, b"12345")
    init.syscall(nr["symlink"], "file", f"{directory}/link")
    init.syscall(nr["mknod"], f"{directory}/device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    status = init.stat(path)
    assert stat.S_ISREG(status[0])
    assert status[3:7] == (1, 0, 0, 5)
    assert init.stat(f"{directory}/link") == status
    assert stat.S_ISLNK(init.stat(f"{directory}/link", follow_symlinks=False)[0])
    assert init.stat(f"{directory}/device")[12] == os.makedev(1, 3)
    fd = init.open(path, os.O_RDONLY)
    assert init.stat(fd) == status
    init.close(fd)
    for bad in (fd, -1, -100):
        with pytest.raises(OSError, match="descriptor"):
            init.stat(bad)
    with pytest.raises(TypeError):
        init.stat(1.5)  # type: ignore[arg-type]  # that is the test


def test_times_beyond_64_bits_of_nanoseconds(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    seconds = 2**34
    times = memoryview(bytearray(32)).cast("q")
    times[0], times[1], times[2], times[3] = seconds, 1, -seconds, 999_999_999
    init.syscall(nr["utimensat"], -100, directory, times, 0)
    status = init.stat(directory)
    assert status[7] == seconds * 10**9 + 1
    assert status[8] == -seconds * 10**9 + 999_999_999


def test_listdir(init: _native.Process, directory: str) -> None:
    # More than one buffer of records.
    names = {f"{number:0200d}".encode() for number in range(600)}
    for name in names:
        write_file(init, directory.encode() + b"/" + name, b"")
    entries = init.listdir(directory)
    assert {name for name, _, _ in entries} == names
    name, inode, kind = entries[0]
    assert inode == init.stat(directory.encode() + b"/" + name)[1]
    assert kind == 8  # DT_REG
    fd = init.open(directory, os.O_RDONLY)
    assert init.listdir(fd) == init.listdir(fd) == entries
    init.close(fd)
    with pytest.raises(NotADirectoryError):
        init.listdir(directory.encode() + b"/" + name)
    with pytest.raises(FileNotFoundError):
        init.listdir("/nowhere")


def test_walk(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    init.syscall(nr["mkdir"], f"{directory}/a", 0o755)
    init.syscall(nr["mkdir"], f"{directory}/a/b", 0o755)
    init.syscall(nr["symlink"], "/", f"{directory}/a/loop")
    write_file(init, f"{directory}/a/b/file", b"123")
    found, errors = init.walk(directory)
    assert errors == []
    assert {name for name, _ in found} == {b"a", b"a/b", b"a/loop", b"a/b/file"}
    order = [name for name, _ in found]
    assert order.index(b"a") < order.index(b"a/b") < order.index(b"a/b/file")
    for name, status in found:
        now = init.stat(directory.encode() + b"/" + name, follow_symlinks=False)
        # But for the time of access (7), which reading a directory changes.
        assert (*status[:7], *status[8:]) == (*now[:7], *now[8:])
    with pytest.raises(NotADirectoryError):
        init.walk(f"{directory}/a/b/file")


def test_walk_deeper_than_a_path_may_be_long(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    depth, name = 40, "d" * 250
    init.syscall(nr["chdir"], directory)
    for _ in range(depth):
        init.syscall(nr["mkdir"], name, 0o755)
        init.syscall(nr["chdir"], name)
    write_file(init, "leaf", b"")
    init.syscall(nr["chdir"], "/")
    found, errors = init.walk(directory)
    assert errors == []
    assert found[-1][0] == b"/".join([name.encode()] * depth + [b"leaf"])


def test_walk_and_mounts(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    init.syscall(nr["mkdir"], f"{directory}/mounted", 0o755)
    init.syscall(nr["mount"], "none", f"{directory}/mounted", "tmpfs", 0, None)
    write_file(init, f"{directory}/mounted/inside", b"")
    assert [name for name, _ in init.walk(directory)[0]] == [b"mounted", b"mounted/inside"]
    assert [name for name, _ in init.walk(directory, follow_mounts=False)[0]] == [b"mounted"]
    init.syscall(nr["umount2"], f"{directory}/mounted", 0)


def test_walk_collects_what_cannot_be_read(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    init.syscall(nr["mkdir"], f"{directory}/locked", 0)
    init.syscall(nr["mkdir"], f"{directory}/open", 0o755)
    user = init.spawn()
    user.syscall(nr["setresuid"], 1000, 1000, 1000)
    found, errors = user.walk(directory)
    user.exit()
    assert {name for name, _ in found} == {b"locked", b"open"}
    assert errors == [(b"locked", errno.EACCES)]
