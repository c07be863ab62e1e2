"""Where the kernel images are, and which of them a Kernel gets.

An image is a file `liblinux-<release>.so` in the package's `lib` directory; the
builder puts it there and the wheel carries it. The environment variable
LIBLINUX_KERNEL names another file, or a version.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from liblinux._errors import BuildError

__all__ = ["DEFAULT_SERIES", "find_image", "images"]

DEFAULT_SERIES = "6.12"
_DIRECTORY = Path(__file__).parent / "lib"
_NAME = re.compile(r"liblinux-(\d+\.\d+.*)\.so")


def images() -> dict[str, Path]:
    """The kernel images of this installation: their files by release, oldest first."""
    found = {}
    for path in _DIRECTORY.glob("liblinux-*.so"):
        match = _NAME.fullmatch(path.name)
        if match:
            found[match[1]] = path
    return {release: found[release] for release in sorted(found, key=_order)}


def find_image(version: str | None = None) -> Path:
    """The image file for `version`: a release ("6.12.117"), a series ("6.1") or a path.

    Without a version LIBLINUX_KERNEL decides, else the newest 6.12 is taken,
    else the newest of all. Raises BuildError when there is none.
    """
    wanted = version or os.environ.get("LIBLINUX_KERNEL") or None
    if wanted is not None and ("/" in wanted or wanted.endswith(".so")):
        path = Path(wanted)
        if not path.is_file():
            raise BuildError(f"the kernel image {wanted!r} does not exist; build one with: liblinux build")
        return path
    available = images()
    releases = _of_series(available, wanted or DEFAULT_SERIES)
    if not releases and wanted is None:
        releases = list(available)
    if not releases:
        raise BuildError(_missing(wanted, available))
    return available[releases[-1]]


def _of_series(releases: Iterable[str], series: str) -> list[str]:
    return [
        release
        for release in releases
        if release == series or (release.startswith(series) and release[len(series)] in ".-+")
    ]


def _missing(wanted: str | None, available: Iterable[str]) -> str:
    present = ", ".join(available) or "none"
    option = f" --kernel {wanted}" if wanted else ""
    return (
        f"no kernel image of version {wanted or DEFAULT_SERIES} in {_DIRECTORY} "
        f"(present: {present}); build one with: liblinux build{option}"
    )


def _order(release: str) -> tuple[tuple[int, ...], str]:
    return tuple(int(number) for number in re.findall(r"\d+", release)), release
