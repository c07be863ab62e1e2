"""File systems that images are made of, and their own checkers.

Identifiers are constants, so that the same seed gives the same recording. (mkfs of XFS
and Btrfs draws some more, which cannot be given to it: generations of inodes, the id of
the chunk tree. The requests are the same nevertheless, but for these bytes.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from liblinux._errors import LiblinuxError

__all__ = ["FORMATS", "Format", "FsckError", "make_image"]

_UUID = "11bb1111-c4a5-4000-8000-000000000001"
# Debian keeps mkfs and fsck where users' PATH does not lead.
_SEARCH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
_MIB = 1 << 20


class FsckError(LiblinuxError):
    """The checker of a file system found something wrong; the message is its report."""


@dataclass(frozen=True)
class Format:
    """A type of file system: `size` of its images in bytes, the programs, and the Debian `package` they are in.

    `clean` is what the checker's report must say; its exit code is looked at anyway.
    """

    type: str
    size: int
    mkfs: Sequence[str]
    fsck: Sequence[str]
    package: str
    clean: Callable[[str], bool] = lambda report: True

    def make(self, path: str | os.PathLike[str]) -> None:
        """Make an image file of it. LiblinuxError when the program is missing or fails."""
        with open(path, "wb") as file:
            file.truncate(self.size)
        done = self._run(self.mkfs, path)
        if done.returncode:
            raise LiblinuxError(f"{self.mkfs[0]} cannot make an image of {self.type}: {done.stderr.strip()}")

    def check(self, path: str | os.PathLike[str]) -> None:
        """Have an unmounted image checked, without repair. FsckError when something is wrong with it."""
        done = self._run(self.fsck, path)
        report = done.stdout + done.stderr
        if done.returncode or not self.clean(report):
            raise FsckError(f"{' '.join(self.fsck)} ended with code {done.returncode}:\n{report.strip()}")

    def _run(self, command: Sequence[str], path: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
        program = shutil.which(command[0], path=_SEARCH)
        if program is None:
            raise LiblinuxError(f"{command[0]} is not installed; on Debian: apt install {self.package}")
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [program, *command[1:], os.fspath(path)],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


def _f2fs_clean(report: str) -> bool:
    # Its exit code is 0 either way.
    return "[Ok..]" in report and "[Fail]" not in report and "[ASSERT]" not in report


FORMATS = {
    format.type: format
    for format in (
        Format(
            "ext4",
            64 * _MIB,
            ("mkfs.ext4", "-qF", "-U", _UUID, "-E", f"hash_seed={_UUID}"),
            ("e2fsck", "-fn"),
            "e2fsprogs",
        ),
        Format("xfs", 300 * _MIB, ("mkfs.xfs", "-q", "-m", f"uuid={_UUID}"), ("xfs_repair", "-n", "-f"), "xfsprogs"),
        Format(
            "btrfs",
            128 * _MIB,
            ("mkfs.btrfs", "-q", "-U", _UUID),
            ("btrfs", "check", "--readonly", "--check-data-csum"),
            "btrfs-progs",
        ),
        Format(
            "f2fs",
            64 * _MIB,
            ("mkfs.f2fs", "-q", "-r", "-U", _UUID),
            ("fsck.f2fs", "--dry-run"),
            "f2fs-tools",
            _f2fs_clean,
        ),
    )
}


def make_image(type: str, directory: str | os.PathLike[str]) -> Path:
    """An empty image of a file system, "ext4", "xfs", "btrfs" or "f2fs", in a directory; returns its path.

    Raises ValueError for another type, LiblinuxError when its mkfs is missing or fails.
    """
    if type not in FORMATS:
        raise ValueError(
            f"no way is known to make an image of {type!r}; one of {', '.join(FORMATS)}, or bring an image"
        )
    path = Path(directory) / f"{type}.img"
    FORMATS[type].make(path)
    return path
