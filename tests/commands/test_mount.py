"""`liblinux mount`: an image used through the host's own calls. Collected where FUSE can be used."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Images, e2fsck, run
from fuse_mounts import AS_NOBODY, LIBLINUX, mounted
from liblinux.fuse import _mounting as mounting

# <linux/fs.h>: what `chattr +F` does.
FS_IOC_SETFLAGS = 0x40086602
FS_CASEFOLD_FL = 0x40000000


@pytest.fixture
def readable(images: Images) -> Iterator[Path]:
    with mounted(images.ext4()) as top:
        yield top


@pytest.fixture
def writable(images: Images) -> Iterator[Path]:
    image = images.ext4()
    with mounted(image, "--rw") as top:
        yield top
    e2fsck(image)


def test_reading(images: Images) -> None:
    image = images.ext4()
    before = image.read_bytes()
    with mounted(image) as top:
        assert sorted(path.name for path in top.iterdir()) == ["hello.txt", "lost+found", "sub"]
        assert (top / "hello.txt").read_text() == "hello from the image\n"
        assert (top / "sub" / "data.bin").read_bytes() == bytes(range(256)) * 256
        with pytest.raises(OSError) as caught:
            (top / "new").write_text("")
        assert caught.value.errno == errno.EROFS
    assert image.read_bytes() == before


@pytest.mark.parametrize("type", ["ext4", "squashfs"])
def test_reading_in_odd_pieces(images: Images, type: str) -> None:
    """With O_DIRECT in the image's kernel and, where a file system has none, without; and as the host wants it."""
    source = images.directory / "source"
    source.mkdir()
    content = os.urandom(3 * MIB + 123)
    (source / "odd").write_bytes(content)
    (source / "small").write_bytes(content[:5])
    (source / "empty").touch()
    image = images.directory / f"{type}.img"
    if type == "squashfs":
        run("mksquashfs", source, image, "-quiet", "-no-progress")
    else:
        run("mke2fs", "-q", "-t", "ext4", "-d", source, image, "16M")
    with mounted(image) as top:
        assert (top / "odd").read_bytes() == content
        assert (top / "small").read_bytes() == content[:5]
        assert (top / "empty").read_bytes() == b""
        # The host passes these on as they are, past its cache.
        descriptor = os.open(top / "odd", os.O_RDONLY | os.O_DIRECT)
        try:
            for offset, length in ((77, 1000), (0, 4096), (4096, 5000), (len(content) - 100, 4096), (MIB, 2 * MIB)):
                assert os.pread(descriptor, length, offset) == content[offset : offset + length]
        finally:
            os.close(descriptor)


def test_what_is_shown_is_what_the_kernel_has(images: Images) -> None:
    content = images.directory / "content"
    content.mkdir()
    for number in range(500):
        (content / f"file-{number}").write_bytes(bytes(number))
    os.mkfifo(content / "pipe")
    (content / "link").symlink_to("file-1")
    image = images.ext4()
    with liblinux.open_image(image) as inside, mounted(image) as top:
        for entry in os.scandir(top):
            theirs, ours = inside.os.lstat(f"/{entry.name}"), entry.stat(follow_symlinks=False)
            for name in ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_blocks"):
                assert getattr(theirs, name) == getattr(ours, name), (entry.name, name)
            assert os.lstat(entry.path).st_ino == theirs.st_ino
        assert os.readlink(top / "link") == "file-1"
        space, free = os.statvfs(top), inside.os.statvfs("/")
        assert (space.f_blocks, space.f_bfree, space.f_files) == (free.f_blocks, free.f_bfree, free.f_files)


def test_names_that_are_not_utf8(images: Images) -> None:
    image = images.ext4()
    name = b"caf\xe9"
    with mounted(image, "--rw") as top:
        path = os.fsencode(top) + b"/" + name
        with open(path, "wb") as file:
            file.write(b"x")
        assert name in os.listdir(os.fsencode(top))
    with liblinux.open_image(image) as inside:
        assert name in [os.fsencode(entry) for entry in inside.os.listdir("/")]


def test_writing(writable: Path) -> None:
    content = os.urandom(3 * MIB + 17)
    (writable / "new").write_bytes(content)
    assert (writable / "new").read_bytes() == content
    (writable / "directory" / "below").mkdir(parents=True)
    shutil.move(writable / "new", writable / "directory" / "moved")
    (writable / "directory").rename(writable / "other")
    assert (writable / "other" / "moved").read_bytes() == content
    with (writable / "other" / "moved").open("r+b") as file:
        file.seek(100)
        file.write(b"changed")
        os.fsync(file.fileno())
    assert (writable / "other" / "moved").read_bytes()[95:110] == content[95:100] + b"changed" + content[107:110]
    os.truncate(writable / "other" / "moved", 10)
    assert (writable / "other" / "moved").stat().st_size == 10
    shutil.rmtree(writable / "other")
    assert not (writable / "other").exists()


def test_hard_links_are_one_file(writable: Path) -> None:
    first, second = writable / "first", writable / "second"
    first.write_text("one")
    os.link(first, second)
    assert first.stat().st_nlink == 2
    assert first.stat().st_ino == second.stat().st_ino
    with second.open("a") as file:
        file.write(" and the same")
    assert first.read_text() == "one and the same"
    first.unlink()
    assert second.read_text() == "one and the same"
    assert second.stat().st_nlink == 1


def test_metadata(writable: Path) -> None:
    path = writable / "file"
    path.write_text("")
    os.chown(path, 70_000, 80_000)
    path.chmod(0o4751)
    os.utime(path, ns=(123_456_789, 987_654_321_012_345_678))
    os.setxattr(path, "user.note", b"kept")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (70_000, 80_000, 0o4751)
    assert (status.st_atime_ns, status.st_mtime_ns) == (123_456_789, 987_654_321_012_345_678)
    assert os.getxattr(path, "user.note") == b"kept"
    assert os.listxattr(path) == ["user.note"]
    os.removexattr(path, "user.note")
    with pytest.raises(OSError) as caught:
        os.getxattr(path, "user.note")
    assert caught.value.errno == errno.ENODATA
    os.symlink("where", writable / "link")
    os.utime(writable / "link", ns=(1, 2), follow_symlinks=False)
    assert (writable / "link").lstat().st_mtime_ns == 2
    os.mknod(writable / "device", stat.S_IFBLK | 0o600, os.makedev(8, 300))
    assert os.lstat(writable / "device").st_rdev == os.makedev(8, 300)


def test_access_lists(writable: Path) -> None:
    path = writable / "file"
    path.write_text("")
    run("setfacl", "-m", "user:33:rw", path)
    assert "user:33:rw" in run("getfacl", "-n", path)
    run("setfacl", "-d", "-m", "user:34:r", writable / "sub")
    (writable / "sub" / "inherits").write_text("")
    assert "user:34:r" in run("getfacl", "-n", writable / "sub" / "inherits")


def test_an_open_file_without_a_name(writable: Path) -> None:
    descriptor = os.open(writable / "gone", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"still")
    os.unlink(writable / "gone")
    (writable / "gone").write_text("another one")
    os.write(descriptor, b" here")
    os.ftruncate(descriptor, 8)
    os.fchmod(descriptor, 0o600)
    assert os.pread(descriptor, 100, 0) == b"still he"
    assert os.fstat(descriptor).st_nlink == 0
    os.close(descriptor)
    assert (writable / "gone").read_text() == "another one"


def test_what_the_binding_has_no_handlers_for(images: Images) -> None:
    """README, "Not supported": a program is told so, or gets less, and the image's own calls have it all."""
    image = images.ext4()
    with mounted(image, "--rw") as top:
        descriptor = os.open(top / "sparse", os.O_RDWR | os.O_CREAT)
        os.pwrite(descriptor, b"x", MIB)
        assert os.lseek(descriptor, 0, os.SEEK_DATA) == 0  # as if there were no hole
        assert os.fstat(descriptor).st_blocks * 512 < MIB  # and yet there is
        for lost in (["fallocate", "-l", "1M", str(top / "reserved")], ["chattr", "+i", str(top / "sparse")]):
            done = subprocess.run(lost, capture_output=True, text=True, check=False)
            assert done.returncode == 1
            assert "not supported" in done.stderr or "Inappropriate ioctl" in done.stderr
        with pytest.raises(OSError) as caught:
            os.open(top, os.O_TMPFILE | os.O_RDWR)
        assert caught.value.errno == errno.EOPNOTSUPP
        # Those that there are other ways for go that way.
        os.posix_fallocate(descriptor, 2 * MIB, MIB)
        target = os.open(top / "copy", os.O_RDWR | os.O_CREAT)
        assert os.copy_file_range(descriptor, target, 3 * MIB, 0, 0) == 3 * MIB
        assert os.pread(target, 1, MIB) == b"x"
        os.close(target)
        os.close(descriptor)
    e2fsck(image)
    with liblinux.open_image(image) as inside:
        opened = inside.os.open("/sparse", os.O_RDONLY)
        assert inside.os.lseek(opened, 0, os.SEEK_DATA) == MIB


def test_a_process_that_is_not_root_takes_set_user_id_bits_away_by_writing(images: Images) -> None:
    image = images.ext4()
    with liblinux.open_image(image, "r+") as inside:
        inside.pipe("/program", b"one")
        inside.os.chmod("/program", 0o6777)
    with mounted(image, "--rw", "--allow-other") as top:
        with (top / "program").open("a") as file:
            file.write(", by root")
        assert stat.S_IMODE((top / "program").stat().st_mode) == 0o6777
        run(*AS_NOBODY, "python3", "-c", "import sys; open(sys.argv[1], 'a').write('!')", top / "program")
        assert stat.S_IMODE((top / "program").stat().st_mode) == 0o777


def test_numbers_of_inodes_that_are_used_again(writable: Path) -> None:
    """A file that is remembered, though it was removed, is not the one that has its number now."""
    descriptors, numbers = [], []
    for turn in range(20):
        path = writable / f"turn-{turn}"
        path.write_text(str(turn))
        descriptors.append(os.open(path, os.O_PATH))
        numbers.append(path.stat().st_ino)
        assert path.read_text() == str(turn)
        path.unlink()
    assert len(set(numbers)) < len(numbers)
    last = writable / "last"
    last.write_text("last")
    for descriptor in descriptors:
        os.close(descriptor)
    assert last.read_text() == "last"
    assert last.stat().st_nlink == 1


def test_numbers_that_mean_something_to_fuse(images: Images) -> None:
    """SquashFS counts inodes from 1, which is FUSE's number of the root."""
    source = images.directory / "source"
    (source / "directory").mkdir(parents=True)
    (source / "directory" / "file").write_text("content")
    image = images.directory / "squashfs.img"
    run("mksquashfs", source, image, "-quiet", "-no-progress")
    with liblinux.open_image(image) as inside, mounted(image) as top:
        numbers = [inside.os.lstat(path).st_ino for path in ("/", "/directory", "/directory/file")]
        assert 1 in numbers
        shown = [path.stat().st_ino for path in (top, top / "directory", top / "directory" / "file")]
        assert len(set(shown)) == len(shown)
        assert [number for number in shown if number in numbers] == [number for number in numbers if number != 1]
        assert (top / "directory" / "file").read_text() == "content"


def test_subvolumes(images: Images) -> None:
    image = images.empty("btrfs.img", 128 * MIB)
    run("mkfs.btrfs", "-q", image)
    with liblinux.open_image(image, "r+") as inside:
        inside.pipe("/file", b"one")
    run(*LIBLINUX, "snapshot", "create", f"{image}:/", f"{image}:/before")
    with mounted(image, "--rw") as top:
        (top / "file").write_text("two")
        assert (top / "before" / "file").read_text() == "one"
        paths = [top, top / "file", top / "before", top / "before" / "file"]
        assert len({path.stat().st_ino for path in paths}) == len(paths)


def test_a_damaged_inode_is_listed(images: Images) -> None:
    image = images.ext4()
    run("debugfs", "-w", "-R", "set_inode_field hello.txt mode 0xffff", image)
    with mounted(image) as top:
        assert "hello.txt" in os.listdir(top)
        with pytest.raises(OSError) as caught:
            (top / "hello.txt").stat()
        assert caught.value.errno in {errno.EIO, errno.EUCLEAN}
        assert (top / "sub" / "data.bin").stat().st_size == 65536
        assert {".", ".."} < set(run("ls", "-a", top).split())


def test_renames_with_flags(writable: Path) -> None:
    (writable / "a").write_text("a")
    (writable / "b").mkdir()
    (writable / "b" / "inside").write_text("b")
    program = "import ctypes, os, sys; libc = ctypes.CDLL(None, use_errno=True); os.chdir(sys.argv[1]); "
    swap = program + "print(libc.renameat2(-100, b'a', -100, b'b', 2))"
    keep = program + "print(libc.renameat2(-100, b'a', -100, b'b', 1), ctypes.get_errno())"
    assert run("python3", "-c", swap, writable).strip() == "0"
    assert (writable / "b").read_text() == "a"
    assert (writable / "a" / "inside").read_text() == "b"
    assert run("python3", "-c", keep, writable).strip() == f"-1 {errno.EEXIST}"


def test_a_full_image(images: Images) -> None:
    image = images.ext4(size=4 * MIB)
    with mounted(image, "--rw") as top:
        with pytest.raises(OSError) as caught:
            (top / "large").write_bytes(bytes(8 * MIB))
        assert caught.value.errno == errno.ENOSPC
    e2fsck(image)


def test_spellings_of_one_name(images: Images) -> None:
    image = images.empty("fat.img")
    run("mkfs.fat", "-F", "32", image)
    with mounted(image, "--rw") as top:
        assert not (top / "NAME.TXT").exists()
        (top / "name.txt").write_text("one")
        assert (top / "NAME.TXT").read_text() == "one"
        (top / "name.txt").unlink()
        assert not (top / "NAME.TXT").exists()
        (top / "Name.txt").write_text("two")
        (top / "NAME.txt").rename(top / "other")
        assert os.listdir(top) == ["other"]
    run("fsck.fat", "-n", image)


@pytest.mark.parametrize("mkfs", ["mkfs.ext4 -q -O casefold", "mkfs.f2fs -q -C utf8 -O casefold"], ids=["ext4", "f2fs"])
def test_directories_that_fold_case(images: Images, mkfs: str) -> None:
    image = images.empty("folds.img", 64 * MIB)
    run(*mkfs.split(), image)
    with liblinux.open_image(image, "r+") as inside:
        inside.os.mkdir("/folding")
        folding = inside.os.open("/folding", os.O_RDONLY)
        assert inside.os.call("ioctl", folding, FS_IOC_SETFLAGS, struct.pack("i", FS_CASEFOLD_FL)) == 0
        inside.os.close(folding)
    with mounted(image, "--rw") as top:
        assert not (top / "folding" / "NAME").exists()
        (top / "folding" / "name").write_text("one")
        assert (top / "folding" / "NAME").read_text() == "one"
        (top / "folding" / "name").unlink()
        assert not (top / "folding" / "NAME").exists()


def test_owners_as_asked_for(images: Images) -> None:
    image = images.ext4()
    with liblinux.open_image(image, "r+") as inside:
        inside.os.mkdir("/home")
        inside.os.chown("/home", 1234, 1235)
    with mounted(image, "--rw", "--owner", "42:43") as top:
        assert {(path.stat().st_uid, path.stat().st_gid) for path in top.iterdir()} == {(42, 43)}
        (top / "home" / "mine").write_text("")
        with pytest.raises(PermissionError):
            os.chown(top / "home" / "mine", 7, 7)
    with liblinux.open_image(image) as inside:
        status = inside.os.stat("/home/mine")
        assert (status.st_uid, status.st_gid) == (1234, 1235)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests are as a user then")
def test_without_root(images: Images) -> None:
    # Not below pytest's own directory, which is its user's alone again whenever another session begins.
    with tempfile.TemporaryDirectory(prefix="liblinux-") as directory:
        Path(directory).chmod(0o755)
        image = Path(shutil.move(images.ext4(), directory))
        os.chown(image, 65534, 65534)
        with mounted(image, "--rw", prefix=tuple(AS_NOBODY)) as top:
            assert mounting.mounted(str(top)) == mounting.TYPE
            with pytest.raises(PermissionError):
                os.listdir(top)  # not even root, without --allow-other
            make = "import sys; open(sys.argv[1] + '/made', 'w').write('by nobody')"
            run(*AS_NOBODY, "python3", "-c", make, top)
        e2fsck(image)
        with liblinux.open_image(image) as inside:
            assert inside.cat("/made") == b"by nobody"
            assert inside.os.stat("/made").st_uid == 65534
