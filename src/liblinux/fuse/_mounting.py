"""Whether a directory can be mounted on, with what options, and unmounting; libfuse does the mounting itself.

Without root both are done by `fusermount3`, the set-user-id program of Debian's
package fuse3. Source: mount.fuse3(8).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import stat
import subprocess

from liblinux._abi import MNT_DETACH

__all__ = [
    "DEVICE", "FUSERMOUNT", "SERVER_ATTRIBUTE", "TYPE", "check", "mounted", "options", "read_ahead", "server_of",
    "unmount",
]  # fmt: skip

DEVICE = "/dev/fuse"
FUSERMOUNT = "fusermount3"
CONFIGURATION = "/etc/fuse.conf"
TYPE = "fuse.liblinux"
# Answered by the root directory of a mount, so that who unmounts can wait for the server to end.
SERVER_ATTRIBUTE = "user.liblinux.server"
# How much the host reads ahead of a program, where we may say so. It would be 128 KiB.
_READ_AHEAD_KIB = 1024
_NO_BINDING = (
    "cannot be imported ({}), and mounts are made by it: pip install 'liblinux[mount]', which compiles it "
    "(apt-get install gcc pkg-config libfuse3-dev python3-dev); every other command of liblinux works without"
)
_NO_FUSERMOUNT = f"{FUSERMOUNT}, which mounts for users without root, is not installed: apt-get install fuse3"


def check(mountpoint: str, *, allow_other: bool) -> None:
    """Find out whether mounting there can work, before anything is opened for it.

    Raises FileNotFoundError or NotADirectoryError for a mount point that is
    none, OSError (EBUSY) when something is mounted there, FileNotFoundError
    without /dev/fuse or fusermount3, PermissionError when `allow_other` is not
    allowed, OSError (ENOPKG) without pyfuse3. Every one says what to do.
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
    try:
        import pyfuse3  # noqa: F401, PLC0415 - an extra, and slow
    except ImportError as error:
        raise OSError(errno.ENOPKG, _NO_BINDING.format(error), "pyfuse3") from None
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


def options(source: str, *, readonly: bool, allow_other: bool) -> set[str]:
    """What libfuse is to be told.

    `source` is what `df` shows. With `allow_other` users besides the one who
    mounts see it, and the host checks the permissions of the image's files.
    """
    wanted = {"ro" if readonly else "rw", f"fsname={_escaped(source)}", f"subtype={TYPE.partition('.')[2]}"}
    return wanted | ({"allow_other", "default_permissions"} if allow_other else set())


def _escaped(text: str) -> str:
    """As libfuse's options have it: ASCII, all else in octal, and what has a meaning there too."""
    return "".join(
        chr(byte) if 32 < byte < 127 and byte not in b"\\," else f"\\{byte:03o}" for byte in os.fsencode(text)
    )


def read_ahead(mountpoint: str) -> None:
    """Have the host ask for more at once: a request costs as much as copying some 100 KiB."""
    device = _mount(mountpoint)[0]
    # Root's alone, and a container's /sys may be read-only: then it is slower, and nothing else.
    with contextlib.suppress(OSError), open(f"/sys/class/bdi/{device}/read_ahead_kb", "w", encoding="ascii") as file:
        file.write(str(_READ_AHEAD_KIB))


# ---- unmounting ----------------------------------------------------------


def unmount(mountpoint: str, *, lazy: bool = False) -> None:
    """Unmount; `lazy` takes it out of sight now, and away when nobody uses it any more.

    Raises OSError: EBUSY while it is used, EINVAL when it is no mount point.
    """
    if os.geteuid() == 0:
        if ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(mountpoint), MNT_DETACH if lazy else 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), mountpoint)
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
