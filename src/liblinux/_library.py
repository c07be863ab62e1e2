"""Where the kernel images are, and which of them a Kernel gets.

An image is a file `liblinux-<release>.so` in the package's `lib` directory; the
builder puts it there and the wheel carries it. The environment variable
LIBLINUX_KERNEL names another file, or a version.
"""

from __future__ import annotations

import os

from liblinux._errors import BuildError
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["DEBUG", "DEFAULT_SERIES", "find_image", "find_jail", "find_slirp", "images"]

DEFAULT_SERIES = "6.12"
# How the release of a kernel of kernel/config/debug.config ends.
DEBUG = "-debug"
_DIRECTORY = os.path.join(os.path.dirname(__file__), "lib")
_PREFIX, _SUFFIX = "liblinux-", ".so"


def images() -> dict[str, Path]:
    """The kernel images of this installation: their files by release, oldest first."""
    from pathlib import Path  # noqa: PLC0415 - find_image, which every program calls, does without

    return {release: Path(path) for release, path in _images().items()}


def _images() -> dict[str, str]:
    found = {}
    for name in os.listdir(_DIRECTORY) if os.path.isdir(_DIRECTORY) else ():
        release = name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        if name == f"{_PREFIX}{release}{_SUFFIX}" and release[:1].isdigit() and "." in release:
            found[release] = os.path.join(_DIRECTORY, name)
    return {release: found[release] for release in sorted(found, key=_order)}


def find_image(version: str | None = None) -> str:
    """The image file for `version`: a release ("6.12.117"), a series ("6.1") or a path.

    With "-debug" at the end ("6.12-debug") it is one with the kernel's fault
    injection, which is never taken unless asked for. Without a version
    LIBLINUX_KERNEL decides, else the newest 6.12 is taken, else the newest
    of all. Raises BuildError when there is none.
    """
    wanted = version or os.environ.get("LIBLINUX_KERNEL") or None
    if wanted is not None and ("/" in wanted or wanted.endswith(".so")):
        if not os.path.isfile(wanted):
            raise BuildError(f"the kernel image {wanted!r} does not exist; build one with: liblinux build")
        return wanted
    available = _images()
    releases = _of_series(available, wanted or DEFAULT_SERIES)
    if not releases and wanted is None:
        releases = [release for release in available if not release.endswith(DEBUG)]
    if not releases:
        raise BuildError(_missing(wanted, available))
    return available[releases[-1]]


def find_slirp() -> str:
    """The program that runs libslirp; BuildError when it is not there."""
    return _find_program("_slirp", "the way to the Internet needs")


def find_jail() -> str:
    """The program that holds an isolated kernel; BuildError when it is not there."""
    return _find_program("_jail", "isolated kernels need")


def _find_program(name: str, needed: str) -> str:
    program = os.path.join(os.path.dirname(__file__), name)
    if not os.access(program, os.X_OK):
        raise BuildError(f"{program}, which {needed}, is no program; build it with: pip install .")
    return program


def _of_series(releases: Iterable[str], series: str) -> list[str]:
    debug = series.endswith(DEBUG)
    series = series.removesuffix(DEBUG)
    found = []
    for release in releases:
        base = release.removesuffix(DEBUG)
        if (base == series or (base.startswith(series) and base[len(series)] in ".-+")) and (base != release) == debug:
            found.append(release)
    return found


def _missing(wanted: str | None, available: Iterable[str]) -> str:
    present = ", ".join(available) or "none"
    option = f" --kernel {wanted.removesuffix(DEBUG)}" if wanted else ""
    if wanted and wanted.endswith(DEBUG):
        option += " --with debug"
    return (
        f"no kernel image of version {wanted or DEFAULT_SERIES} in {_DIRECTORY} "
        f"(present: {present}); build one with: liblinux build{option}"
    )


def _order(release: str) -> tuple[tuple[int, ...], str]:
    digits = "".join(character if character.isdigit() else " " for character in release)
    return tuple(map(int, digits.split())), release
