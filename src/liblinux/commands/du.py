"""`liblinux du`: how much room trees of an image take."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._entries import BLOCK_BYTES, Entry, below, entry_at, join
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._lines import print_lines, shown
from liblinux.commands._output import human_size, print_json
from liblinux.commands._problems import Problems
from liblinux.commands._target import ImageOrTarget, Target
from liblinux.commands._targets import by_image, expanded

if TYPE_CHECKING:
    from typing import Any

    from liblinux._image_root import ImageRoot

__all__ = ["du_command"]

_UNIT_BYTES = 1024


@click.command("du", context_settings={"help_option_names": ["--help"]})
@click.argument("targets", metavar="TARGET...", type=ImageOrTarget(), nargs=-1, required=True)
@click.option("-s", "--summarize", is_flag=True, help="Only the sum of each target.")
@click.option("-a", "--all", "files", is_flag=True, help="Files too, not only directories.")
@click.option("-d", "--max-depth", type=click.IntRange(min=0), metavar="N", help="Show no deeper than this.")
@click.option("-c", "--total", is_flag=True, help="The sum of everything as well.")
@click.option("-h", "--human-readable", "human", is_flag=True, help="Sizes as 4.0K and 12M.")
@click.option("-b", "--bytes", "in_bytes", is_flag=True, help="Bytes, not KiB; with --apparent-size.")
@click.option("--apparent-size", is_flag=True, help="Sizes of files, not the room that they take.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects; sizes in bytes.")
@image_options
def du_command(targets: tuple[Target, ...], image_options: ImageOptions, **options: Any) -> None:
    """Sum up the room that trees of an image take, in KiB.

    A file with several names counts once, under the first of them.

    \b
    Examples:
      liblinux du -sh disk.img
      liblinux du -h -d 1 disk.img:/usr | sort -h
    """
    problems = Problems()
    found: list[tuple[str, str, int]] = []
    total = 0
    for name, paths in by_image(targets):
        with image_options.open(name) as image:
            usage = _Usage(image, problems, apparent=options["apparent_size"] or options["in_bytes"])
            for path in expanded(image, paths, problems):
                with problems:
                    sizes = usage.of(path)
                    total += sizes[-1][1]
                    found += [(name, shown_path, size) for shown_path, size in _chosen(path, sizes, options)]
    if options["as_json"]:
        print_json([{"image": name, "path": path, "size": size} for name, path, size in found])
    else:
        rows = [(path, size) for _, path, size in found] + [("total", total)] * options["total"]
        print_lines(f"{_size(size, options)}\t{shown(path)}" for path, size in rows)
    problems.finish()


def _size(size: int, options: dict[str, Any]) -> str:
    if options["human"]:
        return human_size(size)
    return str(size) if options["in_bytes"] else str(-(-size // _UNIT_BYTES))


def _chosen(top: str, sizes: list[tuple[str, int, bool]], options: dict[str, Any]) -> list[tuple[str, int]]:
    """Those that are shown, with the paths that they are shown as."""
    deepest = 0 if options["summarize"] else options["max_depth"]
    return [
        (join(top, name) if name else top, size)
        for name, size, is_directory in sizes
        if (is_directory or options["files"] or not name)
        and (deepest is None or (name.count("/") + 1 if name else 0) <= deepest)
    ]


class _Usage:
    """Sums of trees of one image; remembers which files were counted."""

    def __init__(self, image: ImageRoot, problems: Problems, *, apparent: bool) -> None:
        self._image = image
        self._problems = problems
        self._apparent = apparent
        self._counted: set[tuple[int, int]] = set()

    def of(self, top: str) -> list[tuple[str, int, bool]]:
        """Paths below `top`, their sums in bytes, and whether they are directories; each after its content."""
        first = entry_at(self._image, top)
        entries = [] if not first.is_directory else list(below(self._image, top, self._problems.note))
        sums = {"": self._own(first)}
        for entry in entries:
            sums[entry.name] = self._own(entry)
        # From the leaves: every directory is before its content.
        for entry in reversed(entries):
            sums[entry.name.rpartition("/")[0]] += sums[entry.name]
        # A directory comes after what is in it, and that in the order of the names.
        ordered = sorted(entries, key=lambda entry: [(0, part) for part in entry.name.split("/")] + [(1, "")])
        rows = [(entry.name, sums[entry.name], entry.is_directory) for entry in ordered]
        return [*rows, ("", sums[""], first.is_directory)]

    def _own(self, entry: Entry) -> int:
        status = entry.status
        if not entry.is_directory and status.st_nlink > 1:
            identity = (status.st_dev, status.st_ino)
            if identity in self._counted:
                return 0
            self._counted.add(identity)
        if not self._apparent:
            return status.st_blocks * BLOCK_BYTES
        # As du of GNU: a directory's size is no content, and none of a device is.
        return 0 if entry.is_directory or entry.is_device else status.st_size
