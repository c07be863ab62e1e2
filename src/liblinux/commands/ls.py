"""`liblinux ls`: what is in directories of images."""

from __future__ import annotations

import os

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._entries import Entry, below, children, entry_at, join, record
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._lines import print_lines, shown
from liblinux.commands._long import long_lines
from liblinux.commands._output import print_json
from liblinux.commands._owners import Owners
from liblinux.commands._problems import Problems
from liblinux.commands._target import ImageOrTarget, Target
from liblinux.commands._targets import by_image, expanded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from liblinux._image_root import ImageRoot

__all__ = ["ls_command"]

_SORTS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda entry: _raw(entry.name),
    "size": lambda entry: (-entry.status.st_size, _raw(entry.name)),
    "time": lambda entry: (-entry.status.st_mtime_ns, _raw(entry.name)),
    "atime": lambda entry: (-entry.status.st_atime_ns, _raw(entry.name)),
    "ctime": lambda entry: (-entry.status.st_ctime_ns, _raw(entry.name)),
    "extension": lambda entry: (_raw(os.path.splitext(entry.name)[1]), _raw(entry.name)),
}


@click.command("ls", context_settings={"help_option_names": ["--help"]})
@click.argument("targets", metavar="TARGET...", type=ImageOrTarget(), nargs=-1, required=True)
@click.option("-l", "long", is_flag=True, help="Mode, links, owner, group, size and time of each.")
@click.option("-a", "--all", "hidden", is_flag=True, help="Also names that begin with a dot.")
@click.option("-d", "--directory", is_flag=True, help="Directories themselves, not what is in them.")
@click.option("-R", "--recursive", is_flag=True, help="Whole trees.")
@click.option("-h", "--human-readable", "human", is_flag=True, help="Sizes as 4.0K and 12M.")
@click.option("-n", "--numeric-uid-gid", "numeric", is_flag=True, help="Numbers of owners; like all of these with -l.")
@click.option("-i", "--inode", is_flag=True, help="Inode numbers too.")
@click.option("-Z", "--context", is_flag=True, help="SELinux labels too.")
@click.option("--full-time", is_flag=True, help="Times to the nanosecond.")
@click.option("--sort", type=click.Choice([*_SORTS, "none"]), default="name", help="[default: name, by its bytes]")
@click.option("-S", "sort", flag_value="size", help="Largest first, as --sort size.")
@click.option("-t", "sort", flag_value="time", help="Newest first, as --sort time.")
@click.option("-U", "sort", flag_value="none", help="As the directory has them, as --sort none.")
@click.option("-r", "--reverse", is_flag=True, help="The other way round.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects; see docs/COMMANDS.md.")
@image_options
def ls_command(targets: tuple[Target, ...], image_options: ImageOptions, **options: Any) -> None:
    """List directories of an image.

    Names of owners are those of the image. On a terminal, characters of names that
    would steer it are shown as "?".

    \b
    Examples:
      liblinux ls disk.img
      liblinux ls -l disk.img:/etc 'disk.img:/boot/*.cfg'
      liblinux ls -lRh --sort size disk.img:/usr
      liblinux ls --json -R disk.img:/ | jq '.[] | select(.size > 1000000) | .path'
    """
    problems = Problems()
    records: list[dict[str, Any]] = []
    several = len(targets) > 1
    for name, paths in by_image(targets):
        with image_options.open(name) as image:
            listing = _Listing(image, problems, options)
            found = expanded(image, paths, problems)
            sections = listing.sections(found)
            if options["as_json"]:
                # Names there are paths, so that one object is enough to find the file.
                records += [record(name, image, entry, listing.owners) for _, entries in sections for entry in entries]
            else:
                print_lines(listing.lines(sections, titles=several or len(found) > 1))
    if options["as_json"]:
        print_json(records)
    problems.finish()


class _Listing:
    """One image's part of the listing."""

    def __init__(self, image: ImageRoot, problems: Problems, options: dict[str, Any]) -> None:
        self.owners = Owners(image, numeric=options["numeric"])
        self._image = image
        self._problems = problems
        self._options = options

    def sections(self, paths: Iterable[str]) -> Iterator[tuple[str | None, list[Entry]]]:
        """Titles and entries: first what is named and is no directory, then each directory."""
        named: list[Entry] = []
        directories: list[str] = []
        for path in paths:
            with self._problems:
                # As ls does: a link that is named is followed, but not where it would be described.
                follow = not (self._options["long"] or self._options["directory"])
                entry = entry_at(self._image, path, follow=follow and self._image.os.path.exists(path))
                if entry.is_directory and not self._options["directory"]:
                    directories.append(path)
                else:
                    named.append(entry)
        if named:
            yield None, self._sorted(named)
        for path in directories:
            with self._problems:
                yield from self._tree(path) if self._options["recursive"] else [(path, self._directory(path))]

    def _directory(self, path: str) -> list[Entry]:
        entries = self._wanted(children(self._image, path, self._problems.note))
        return self._sorted([*self._dots(path), *entries])

    def _dots(self, path: str) -> list[Entry]:
        """The directory itself and the one above it, for --all; a program has no use for them."""
        if not self._options["hidden"] or self._options["as_json"]:
            return []
        return [Entry(name, join(path, name), self._image.os.lstat(join(path, name))) for name in (".", "..")]

    def _tree(self, top: str) -> Iterator[tuple[str, list[Entry]]]:
        """All directories of a tree, which is read in one call."""
        content: dict[str, list[Entry]] = {"": []}
        for entry in below(self._image, top, self._problems.note):
            directory, _, name = entry.name.rpartition("/")
            if directory not in content or (name.startswith(".") and not self._options["hidden"]):
                continue  # below a hidden directory
            if entry.is_directory:
                content[entry.name] = []
            entry.name = name
            content[directory].append(entry)
        todo = [""]
        while todo:
            directory = todo.pop()
            entries = self._sorted(content.pop(directory))
            path = join(top, directory) if directory else top
            dots = self._dots(path)
            yield path, self._sorted([*dots, *entries]) if dots else entries
            inside = f"{directory}/" if directory else ""
            todo += [inside + entry.name for entry in reversed(entries) if entry.is_directory]

    def _wanted(self, entries: list[Entry]) -> list[Entry]:
        return entries if self._options["hidden"] else [entry for entry in entries if not entry.name.startswith(".")]

    def _sorted(self, entries: list[Entry]) -> list[Entry]:
        if self._options["sort"] != "none":
            entries.sort(key=_SORTS[self._options["sort"]])
        return entries[::-1] if self._options["reverse"] else entries

    def lines(self, sections: Iterable[tuple[str | None, list[Entry]]], *, titles: bool) -> Iterator[str]:
        """What is printed of them."""
        options = self._options
        first = True
        for title, entries in sections:
            if title is not None and (titles or options["recursive"]):
                yield from [] if first else [""]
                yield f"{shown(title)}:"
            first = False
            if options["long"] or options["inode"] or options["context"]:
                whole = title is not None
                yield from long_lines(self._image, entries, self.owners, self._problems, options, total=whole)
            else:
                yield from (shown(entry.name) for entry in entries)


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
