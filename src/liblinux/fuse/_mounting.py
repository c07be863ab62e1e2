"""Putting /dev/fuse and a directory together, and taking them apart.

As root by mount(2); as anybody else by `fusermount3`, the set-user-id program of
Debian's package fuse3, which hands the descriptor over a socket. Source: mount.fuse3(8),
and util/fusermount.c of libfuse for the words between the two.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import os
import re
import shutil
import socket
import stat
import subprocess

from liblinux._abi import MNT_DETACH, MS_NODEV, MS_NOSUID, MS_RDONLY

__all__ = ["DEVICE", "FUSERMOUNT", "SERVER_ATTRIBUTE", "TYPE", "check", "connect", "mounted", "server_of", "unmount"]

DEVICE = "/dev/fuse"
FUSERMOUNT = "fusermount3"
CONFIGURATION = "/etc/fuse.conf"
TYPE = "fuse.liblinux"
# Answered by the root directory of a mount, so that who unmounts can wait for the server to end.
SERVER_ATTRIBUTE = "user.liblinux.server"
# How much the host reads ahead of a program, where we may say so. It would be 128 KiB.
_READ_AHEAD_KIB = 1024
_NO_FUSERMOUNT = f"{FUSERMOUNT}, which mounts for users without root, is not installed: apt-get install fuse3"


def check(mountpoint: str, *, allow_other: bool) -> None:
    """Find out whether mounting there can work, before anything is opened for it.

    Raises FileNotFoundError or NotADirectoryError for a mount point that is
    none, OSError (EBUSY) when something is mounted there, FileNotFoundError
    without /dev/fuse or fusermount3, PermissionError when `allow_other` is not
    allowed. Every one says what to do.
    """
    mode = os.stat(mountpoint).st_mode
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, "the mount point must be a directory", mountpoint)
    if mounted(mountpoint) is not None:
        raise OSError(
            errno.EBUSY, "something is mounted there already; unmount it or take another directory", mountpoint
        )
    if not os.path.exists(DEVICE):
        raise FileNotFoundError(
            errno.ENOENT,
            "the host has no FUSE: load its module (modprobe fuse), or give the container the device "
            f"(--device {DEVICE}); every other command of liblinux works without",
            DEVICE,
        )
    if os.geteuid() == 0:
        return
    if shutil.which(FUSERMOUNT) is None:
        raise FileNotFoundError(errno.ENOENT, _NO_FUSERMOUNT, FUSERMOUNT)
    if allow_other and not _others_allowed():
        raise PermissionError(
            errno.EACCES,
            "--allow-other needs a line 'user_allow_other' in this file, which root can add; "
            "without the option only you see the mount",
            CONFIGURATION,
        )


def _others_allowed() -> bool:
    try:
        with open(CONFIGURATION, encoding="utf-8", errors="replace") as file:
            return any(line.strip() == "user_allow_other" for line in file)
    except FileNotFoundError:
        return False


def mounted(mountpoint: str) -> str | None:
    """The type of what is mounted on a directory ("ext4", "fuse.liblinux"), or None."""
    return _mount(os.path.realpath(mountpoint))[1]


def _mount(wanted: str) -> tuple[str | None, str | None]:
    """The device number as "major:minor", and the type, of what is mounted on a real path; or None twice."""
    found: tuple[str | None, str | None] = (None, None)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            _, _, device, _, place, *_ = fields.split()
            if _unescaped(place) == wanted:
                found = (device, rest.split()[0])  # the last one is on top
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


# ---- mounting ------------------------------------------------------------


def connect(mountpoint: str, *, source: str, readonly: bool, allow_other: bool) -> int:
    """Mount; returns the descriptor of /dev/fuse by which to serve.

    `source` is what `df` shows. With `allow_other` users besides the one who
    mounts see it, and the host checks the permissions of the image's files.
    Raises OSError with what the host, or fusermount3, said.
    """
    if os.geteuid() == 0:
        return _connect_as_root(mountpoint, source, readonly, allow_other)
    return _connect_as_user(mountpoint, source, readonly, allow_other)


def _connect_as_root(mountpoint: str, source: str, readonly: bool, allow_other: bool) -> int:
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    real = os.path.realpath(mountpoint)  # once it is mounted, looking at it waits for our answer
    options = f"fd={descriptor},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
    if allow_other:
        options += ",allow_other,default_permissions"
    flags = MS_NOSUID | MS_NODEV | (MS_RDONLY if readonly else 0)
    try:
        _libc("mount", os.fsencode(source), os.fsencode(mountpoint), TYPE.encode(), flags, options.encode())
    except OSError as error:
        os.close(descriptor)
        if error.errno == errno.EPERM:
            error.strerror = "this root may not mount (a container without CAP_SYS_ADMIN?)"
        error.filename = mountpoint
        raise
    _read_ahead(real)
    return descriptor


def _read_ahead(real: str) -> None:
    """Have the host ask for more at once: a request costs as much as copying some 100 KiB.

    Before INIT is answered, for what is agreed upon there is at most what is set here.
    """
    device = _mount(real)[0]
    # A container's /sys may be read-only: then it is slower, and nothing else.
    with contextlib.suppress(OSError), open(f"/sys/class/bdi/{device}/read_ahead_kb", "w", encoding="ascii") as file:
        file.write(str(_READ_AHEAD_KIB))


def _libc(function: str, *arguments: bytes | int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if getattr(library, function)(*values):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _connect_as_user(mountpoint: str, source: str, readonly: bool, allow_other: bool) -> int:
    escaped = source.replace("\\", "\\\\").replace(",", "\\,")
    options = ["ro" if readonly else "rw", "nosuid", "nodev", f"fsname={escaped}", f"subtype={TYPE.partition('.')[2]}"]
    if allow_other:
        options += ["allow_other", "default_permissions"]
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            environment = {**os.environ, "_FUSE_COMMFD": str(theirs.fileno())}
            # Not waited for by run(): it ends after it has sent the descriptor, which must be taken from it.
            child = subprocess.Popen(
                [FUSERMOUNT, "-o", ",".join(options), "--", mountpoint],
                env=environment, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE,
            )  # fmt: skip
        descriptor = _receive(ours)
    said = child.communicate()[1].decode(errors="replace").strip()
    if descriptor is None:
        raise PermissionError(errno.EPERM, said or f"{FUSERMOUNT} ended with {child.returncode}", mountpoint)
    return descriptor


def _receive(channel: socket.socket) -> int | None:
    """The descriptor that was sent, or None when the other side ended without."""
    descriptors = array.array("i")
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_LEN(descriptors.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: descriptors.itemsize])
    if not descriptors:
        return None
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


# ---- unmounting ----------------------------------------------------------


def unmount(mountpoint: str, *, lazy: bool = False) -> None:
    """Unmount; `lazy` takes it out of sight now, and away when nobody uses it any more.

    Raises OSError: EBUSY while it is used, EINVAL when it is no mount point.
    """
    if os.geteuid() == 0:
        try:
            _libc("umount2", os.fsencode(mountpoint), MNT_DETACH if lazy else 0)
        except OSError as error:
            error.filename = mountpoint
            raise
        return
    program = shutil.which(FUSERMOUNT)
    if program is None:
        raise FileNotFoundError(errno.ENOENT, _NO_FUSERMOUNT, FUSERMOUNT)
    done = subprocess.run(
        [program, "-u", *(["-z"] if lazy else []), "--", mountpoint], capture_output=True, text=True, check=False
    )
    if done.returncode:
        busy = "busy" in done.stderr
        raise OSError(errno.EBUSY if busy else errno.EINVAL, done.stderr.strip(), mountpoint)


def server_of(mountpoint: str) -> int | None:
    """A descriptor of the process that serves a mount (pidfd), or None when it cannot be told."""
    try:
        number = int(os.getxattr(mountpoint, SERVER_ATTRIBUTE))
        return os.pidfd_open(number)
    except (OSError, ValueError):
        return None
