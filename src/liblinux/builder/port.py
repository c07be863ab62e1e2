"""The architecture port: where it is, and how it gets into a kernel tree."""

from __future__ import annotations

import os
from pathlib import Path

from liblinux._errors import BuildError

__all__ = ["PORT_DIRECTORY", "kernel_directory", "port_files", "synchronise"]

# Where the port goes in a kernel tree: the only thing ever added to it.
PORT_DIRECTORY = Path("arch/lib")


def kernel_directory() -> Path:
    """The directory with ``arch/lib`` and ``config``: in the checkout or beside this package.

    :raises BuildError: an installation that has neither.
    """
    package = Path(__file__).resolve().parent.parent
    for candidate in (package.parent.parent / "kernel", package / "kernel"):
        if (candidate / PORT_DIRECTORY / "Kconfig").is_file():
            return candidate
    raise BuildError(
        "this installation of liblinux has only finished kernels, not the architecture port; "
        "to build one, run `liblinux build` in a checkout of the project"
    )


def port_files(port: Path) -> list[Path]:
    """The files of the port, relative to it, sorted; editors' leftovers are not among them."""
    found = []
    for directory, subdirectories, names in os.walk(port):
        subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
        here = Path(directory).relative_to(port)
        found += [
            here / name for name in names if not name.startswith(".") and not name.endswith(("~", ".orig", ".rej"))
        ]
    return sorted(found)


def synchronise(port: Path, destination: Path) -> list[Path]:
    """Make ``destination`` equal to ``port``, touching only what differs.

    A file that changed gets the present time, not the time of its original:
    the copy may come from another checkout or an older commit, and make must
    see that it is newer than the objects made from its predecessor.

    :returns: the relative paths that were written or removed.
    """
    wanted = port_files(port)
    changed = []
    for relative in wanted:
        target = destination / relative
        content = (port / relative).read_bytes()
        if target.is_file() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        changed.append(relative)
    return changed + _remove_others(destination, set(wanted))


def _remove_others(destination: Path, wanted: set[Path]) -> list[Path]:
    removed = []
    for directory, _, names in os.walk(destination, topdown=False):
        here = Path(directory)
        for name in names:
            relative = (here / name).relative_to(destination)
            if relative not in wanted:
                (here / name).unlink()
                removed.append(relative)
        if here != destination and not any(here.iterdir()):
            here.rmdir()
    return sorted(removed)
