"""The programs that building the kernel needs, and how to get them.

Runs before anything else exists, so it uses only the standard library and can
also be started as a plain file::

    python3 src/liblinux/builder/tools.py              # say what is missing
    python3 src/liblinux/builder/tools.py --install    # as root: install it

libelf, OpenSSL headers, cpio and pahole, which other kernels are built with,
are not in the list: this one has no objtool, signatures, initramfs or BTF.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["install_command", "main", "message", "missing_packages", "require"]

# Program, and the Debian package that has it.
_PROGRAMS = (
    ("gcc", "gcc"),
    ("gcc-nm", "gcc"),
    ("ld", "binutils"),
    ("ar", "binutils"),
    ("nm", "binutils"),
    ("objcopy", "binutils"),
    ("make", "make"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("perl", "perl"),
    ("awk", "mawk"),
    ("find", "findutils"),
    ("cmp", "diffutils"),
    ("gzip", "gzip"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
)
# The kernel's host programs need the C library's headers.
_HEADER, _HEADER_PACKAGE = "stdio.h", "libc6-dev"


def missing_packages(
    which: Callable[[str], str | None] = shutil.which, has_header: Callable[[str], bool] | None = None
) -> dict[str, list[str]]:
    """What is missing: Debian package to the programs or headers wanted of it.

    :param which: how to find a program.
    :param has_header: how to find a C header.
    """
    missing: dict[str, list[str]] = {}
    for program, package in _PROGRAMS:
        if which(program) is None:
            missing.setdefault(package, []).append(program)
    # Without a compiler the question cannot be put; then both are missing.
    if "gcc" in missing or not (has_header or _has_header)(_HEADER):
        missing.setdefault(_HEADER_PACKAGE, []).append(_HEADER)
    return missing


def _has_header(name: str) -> bool:
    command = ["gcc", "-fsyntax-only", "-x", "c", "-"]
    done = subprocess.run(command, input=f"#include <{name}>\n".encode(), capture_output=True, check=False)
    return done.returncode == 0


def install_command(packages: Sequence[str]) -> list[str]:
    """The command that installs ``packages`` on Debian."""
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def message(missing: dict[str, list[str]]) -> str:
    """One message that names everything missing and the command to get it."""
    wanted = ", ".join(item for items in missing.values() for item in items)
    command = " ".join(install_command(list(missing)))
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"building the kernel needs programs that are not installed: {wanted}\ninstall them with:\n  {sudo}{command}"


def require() -> None:
    """Raise :class:`liblinux.BuildError` when something is missing."""
    missing = missing_packages()
    if missing:
        # Late: this file also runs where the package cannot be imported.
        from liblinux._errors import BuildError  # noqa: PLC0415

        raise BuildError(message(missing))


def _can_install() -> bool:
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def main(arguments: Sequence[str] | None = None) -> int:
    """Report what is missing, or install it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tools.py", description="Check for the programs that building Linux needs.")
    parser.add_argument("--install", action="store_true", help="install what is missing (root, on Debian)")
    options = parser.parse_args(arguments)
    missing = missing_packages()
    if missing and options.install and _can_install():
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = install_command(list(missing))
        for step in (["apt-get", "update"], command):
            print(" ".join(step), flush=True)
            if subprocess.run(step, env=environment, check=False).returncode != 0:
                print(f"this command failed: {' '.join(step)}", file=sys.stderr)
                return 1
        missing = missing_packages()
    if missing:
        print(message(missing), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
