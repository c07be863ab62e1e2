"""The checkers that file systems come with: how they are called, and what their exit codes mean."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CHECKERS", "Checker", "Verdict", "find_program", "run_tool"]

# Debian keeps them where users' PATH does not lead.
_MORE_PATH = ":/usr/sbin:/sbin"


class Verdict(Value):
    """What came of a check: `state` is "clean", "repaired", "damaged" or "failed"; `text` explains the exit code."""

    state: str
    text: str


class Checker(Value):
    """A checker: its Debian package, the commands to check and to repair ("" cannot), and how to judge.

    `judge` gets the exit code, what was printed, and whether it was to repair. One
    that is not `honest` writes to what it shall only look at.
    """

    package: str
    check: tuple[str, ...]
    repair: tuple[str, ...]
    judge: Callable[[int, str, bool], Verdict]
    honest: bool = True


def find_program(name: str, package: str) -> str:
    """The path of a program; LiblinuxError with the package that has it."""
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + _MORE_PATH)
    if found is None:
        raise LiblinuxError(f"{name} is not installed; on Debian: apt install {package}")
    return found


def run_tool(command: tuple[str, ...], package: str, *arguments: str, show: bool = True) -> tuple[int, str]:
    """Run a program; its exit code and all that it printed, which is shown on standard error as it comes."""
    program = find_program(command[0], package)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    printed: list[str] = []
    with subprocess.Popen(
        [program, *command[1:], *arguments], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if show:
                sys.stderr.write(line)
    return process.returncode, "".join(printed)


# ---- judges ----------------------------------------------------------------

# fsck(8)
_FSCK_BITS = {
    1: "errors were corrected",
    2: "errors were corrected, and it should be mounted afresh",
    4: "errors are left",
    8: "the checker could not do its work",
    16: "the checker was called in a wrong way",
    32: "the check was cancelled",
    128: "a shared library was missing",
}
_FSCK_FAILED = 8 | 16 | 32 | 128


def _by_bits(code: int, output: str, repair: bool) -> Verdict:
    """Exit codes as fsck(8) has them."""
    if code == 0:
        return Verdict("clean", "no errors")
    text = ", ".join(meaning for bit, meaning in _FSCK_BITS.items() if code & bit) or "an unknown code"
    if code & _FSCK_FAILED or code < 0:
        return Verdict("failed", text)
    return Verdict("damaged" if code & 4 or not repair else "repaired", text)


def _by_success(code: int, output: str, repair: bool) -> Verdict:
    """0 is clean, all else is not."""
    if code == 0:
        return Verdict("repaired", "what was found was corrected") if repair else Verdict("clean", "no errors")
    return Verdict("damaged", "errors were found" if not repair else "errors are left")


def _of_xfs(code: int, output: str, repair: bool) -> Verdict:
    if code == 2:
        return Verdict("failed", "its log must be replayed first, and the kernel could not do so")
    if code == 1 and repair:
        return Verdict("failed", "the checker could not do its work")
    return _by_success(code, output, repair)


def _of_f2fs(code: int, output: str, repair: bool) -> Verdict:
    if "[Fail]" in output or "[ASSERT]" in output or code:
        text = "errors were found"
        return Verdict("repaired", f"{text} and corrected") if repair and code in {0, 1} else Verdict("damaged", text)
    return Verdict("clean", "no errors")


def _of_fat(code: int, output: str, repair: bool) -> Verdict:
    if code == 0:
        return Verdict("clean", "no errors")
    if code == 1:
        return Verdict("repaired" if repair else "damaged", "errors were found" + " and corrected" * repair)
    return Verdict("failed", "the checker could not do its work")


_EXT = Checker("e2fsprogs", ("e2fsck", "-f", "-n"), ("e2fsck", "-f", "-y"), _by_bits)
_FAT = Checker("dosfstools", ("fsck.fat", "-n"), ("fsck.fat", "-a"), _of_fat)

CHECKERS = {
    "ext2": _EXT,
    "ext3": _EXT,
    "ext4": _EXT,
    "xfs": Checker("xfsprogs", ("xfs_repair", "-n", "-f"), ("xfs_repair", "-f"), _of_xfs),
    "btrfs": Checker(
        "btrfs-progs", ("btrfs", "check", "--readonly"), ("btrfs", "check", "--repair", "--force"), _by_success
    ),
    "f2fs": Checker("f2fs-tools", ("fsck.f2fs", "--dry-run"), ("fsck.f2fs", "-f"), _of_f2fs),
    "vfat": _FAT,
    "msdos": _FAT,
    "exfat": Checker("exfatprogs", ("fsck.exfat", "-n"), ("fsck.exfat", "-y"), _by_bits),
    "ntfs3": Checker("ntfs-3g", ("ntfsfix", "-n"), ("ntfsfix",), _by_success),
    "jfs": Checker("jfsutils", ("fsck.jfs", "-n", "-f"), ("fsck.jfs", "-f", "-p"), _by_bits, honest=False),
    "minix": Checker("util-linux", ("fsck.minix", "-f"), ("fsck.minix", "-f", "-a"), _by_bits),
    "erofs": Checker("erofs-utils", ("fsck.erofs",), (), _by_success),
    "cramfs": Checker("util-linux-extra", ("fsck.cramfs",), (), _by_success),
}
