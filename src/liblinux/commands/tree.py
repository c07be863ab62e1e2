"""`liblinux tree`: a tree of an image, drawn."""

from __future__ import annotations

import stat

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._entries import Entry, below, entry_at, record
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._lines import print_lines, shown
from liblinux.commands._output import human_size, print_json
from liblinux.commands._owners import Owners
from liblinux.commands._problems import Problems
from liblinux.commands._target import ImageOrTarget, Target
from liblinux.commands._targets import by_image, expanded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from liblinux._image_root import ImageRoot

__all__ = ["tree_command"]


@click.command("tree", context_settings={"help_option_names": ["--help"]})
@click.argument("targets", metavar="TARGET...", type=ImageOrTarget(), nargs=-1, required=True)
@click.option("-a", "--all", "hidden", is_flag=True, help="Also names that begin with a dot.")
@click.option("-d", "--directories", is_flag=True, help="Only directories.")
@click.option("-L", "--level", type=click.IntRange(min=1), metavar="N", help="No deeper than this.")
@click.option("-l", "--long", is_flag=True, help="Mode, owner and size too.")
@click.option("-h", "--human-readable", "human", is_flag=True, help="Sizes as 4.0K and 12M.")
@click.option("--json", "as_json", is_flag=True, help="Nested objects; see docs/COMMANDS.md.")
@image_options
def tree_command(targets: tuple[Target, ...], image_options: ImageOptions, as_json: bool, **options: Any) -> None:
    """Draw the tree below directories of an image.

    \b
    Examples:
      liblinux tree disk.img:/etc
      liblinux tree -L 2 -d disk.img
    """
    problems = Problems()
    records: list[dict[str, Any]] = []
    for name, paths in by_image(targets):
        with image_options.open(name) as image:
            for path in expanded(image, paths, problems):
                with problems:
                    tree = _Tree(name, image, path, problems, options)
                    if as_json:
                        records.append(tree.record())
                    else:
                        print_lines(tree.lines())
    if as_json:
        print_json(records)
    problems.finish()


class _Tree:
    """One tree: entries by the path of their directory, in the order of their names."""

    def __init__(self, name: str, image: ImageRoot, path: str, problems: Problems, options: dict[str, Any]) -> None:
        self._name, self._image, self._options = name, image, options
        self._owners = Owners(image)
        self._top = entry_at(image, path, follow=True)
        self._content: dict[str, list[Entry]] = {}
        self._count = [0, 0]
        if not self._top.is_directory:
            return
        for entry in below(image, path, problems.note):
            if self._wanted(entry):
                self._content.setdefault(entry.name.rpartition("/")[0], []).append(entry)
                self._count[not entry.is_directory] += 1
        for entries in self._content.values():
            entries.sort(key=lambda entry: entry.name.encode("utf-8", "surrogateescape"))

    def _wanted(self, entry: Entry) -> bool:
        if not self._options["hidden"] and (entry.name.startswith(".") or "/." in entry.name):
            return False
        if self._options["directories"] and not entry.is_directory:
            return False
        return self._options["level"] is None or entry.name.count("/") < self._options["level"]

    def lines(self) -> Iterator[str]:
        """The drawing."""
        yield self._line("", self._top.name, self._top)
        # The stack is ours: a hostile image may have more levels than Python.
        stack = [("", self._content.get("", [])[::-1])]
        while stack:
            margin, entries = stack[-1]
            if not entries:
                stack.pop()
                continue
            entry = entries.pop()
            yield self._line(margin + ("├── " if entries else "└── "), entry.name.rpartition("/")[2], entry)
            if entry.name in self._content:
                stack.append((margin + ("│   " if entries else "    "), self._content[entry.name][::-1]))
        directories, files = self._count
        yield ""
        words = [f"{directories} {'directory' if directories == 1 else 'directories'}"]
        if not self._options["directories"]:
            words.append(f"{files} {'file' if files == 1 else 'files'}")
        yield ", ".join(words)

    def _line(self, margin: str, name: str, entry: Entry) -> str:
        text = shown(name)
        if entry.is_link:
            text += f" -> {shown(self._image.os.readlink(entry.path))}"
        if self._options["long"] or self._options["human"]:
            size = human_size(entry.status.st_size) if self._options["human"] else str(entry.status.st_size)
            about = [f"{size:>6}"]
            if self._options["long"]:
                user, group = self._owners.user(entry.status.st_uid), self._owners.group(entry.status.st_gid)
                about = [stat.filemode(entry.status.st_mode), shown(user), shown(group), *about]
            text = f"[{' '.join(about)}]  {text}"
        return margin + text

    def record(self) -> dict[str, Any]:
        """The same for --json: directories have their "content"."""
        records = {"": record(self._name, self._image, self._top, self._owners)}
        if self._top.is_directory:
            records[""]["content"] = []
        for entries in self._content.values():
            for entry in entries:
                records[entry.name] = record(self._name, self._image, entry, self._owners)
                if entry.is_directory:
                    records[entry.name]["content"] = []
        for directory, entries in self._content.items():
            records[directory]["content"] += [records[entry.name] for entry in entries]
        return records[""]
