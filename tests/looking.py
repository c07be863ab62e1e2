"""An image with one of everything in it, written by the kernel, and running `liblinux` as a process."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from conftest import ENVIRONMENT, Images
from liblinux._image_root import ImageRoot

MOMENT = 1_700_000_000_123_456_789
LARGE_ID = 4_000_000_000
NOT_UTF8 = b"/odd/caf\xe9"
LABEL = b"system_u:object_r:etc_t:s0\0"
NET_RAW = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
USERS = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:100::/:/bin/sh\n"
GROUPS = "root:x:0:\nusers:x:100:\nalice:x:1000:\nstaff:x:50:alice\n"
HOLE_BYTES = 1 << 20


def acl(*entries: tuple[int, int, int]) -> bytes:
    """The value of system.posix_acl_access: tags, permissions, numbers."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


# user::rw-, user:alice:r--, group::r--, mask::rw-, other::---
ALICE_READS = acl((1, 6, 0xFFFFFFFF), (2, 4, 1000), (4, 4, 0xFFFFFFFF), (0x10, 6, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF))


def write(image: ImageRoot, path: str | bytes, content: bytes = b"") -> None:
    """A file with this content."""
    descriptor = image.os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    image.os.write(descriptor, content)
    image.os.close(descriptor)


def fill(image: ImageRoot) -> None:
    """One of everything that a file of Linux can be and have."""
    image.os.umask(0)
    for directory in ("/etc", "/odd", "/dev", "/home", "/home/alice"):
        image.os.mkdir(directory, 0o755)
    write(image, "/etc/passwd", USERS.encode())
    write(image, "/etc/group", GROUPS.encode())
    write(image, "/etc/small", b"small enough for an inode\n")
    image.os.link("/etc/small", "/etc/small.too")
    image.os.symlink("../etc/small", "/home/link")
    write(image, "/home/alice/notes", bytes(range(256)) * 64)
    image.os.chown("/home/alice/notes", 1000, 1000)
    image.os.utime("/home/alice/notes", ns=(MOMENT + 1, MOMENT))
    write(image, "/home/alice/.hidden")
    write(image, "/odd/large-owner")
    image.os.chown("/odd/large-owner", LARGE_ID, LARGE_ID + 1)
    write(image, "/odd/setuid", b"#!/bin/sh\n")
    image.os.chmod("/odd/setuid", 0o6755)
    write(image, "/odd/attributes")
    image.os.setxattr("/odd/attributes", "user.comment", b"as text")
    image.os.setxattr("/odd/attributes", "user.binary", b"\0\xff\1")
    image.os.setxattr("/odd/attributes", "security.selinux", LABEL)
    image.os.setxattr("/odd/attributes", "security.capability", NET_RAW)
    image.os.setxattr("/odd/attributes", "system.posix_acl_access", ALICE_READS)
    write(image, NOT_UTF8, b"a name in Latin-1\n")
    descriptor = image.os.open("/odd/sparse", os.O_WRONLY | os.O_CREAT, 0o644)
    image.os.pwrite(descriptor, b"A" * 4096, 0)
    image.os.pwrite(descriptor, b"Z" * 4096, HOLE_BYTES)
    image.os.close(descriptor)
    image.os.mknod("/dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    image.os.mknod("/dev/sda", stat.S_IFBLK | 0o660, os.makedev(8, 0))
    image.os.mkfifo("/dev/pipe", 0o600)
    image.os.mknod("/dev/log", stat.S_IFSOCK | 0o666)


def rich_image(images: Images) -> Path:
    """An ext4 with all of it."""
    path = images.empty("rich.img")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "inline_data", path], env=ENVIRONMENT, check=True)
    with ImageRoot(path, writable=True) as image:
        fill(image)
    return path


def liblinux(
    *arguments: object, environment: Mapping[str, str] = ENVIRONMENT, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own, where bytes matter or the rights of the process."""
    program = [*prefix, sys.executable, "-c", "from liblinux.cli import main; main()"]
    return subprocess.run(
        [*program, *map(os.fsencode, map(str, arguments))], env=environment, capture_output=True, check=False
    )
