"""`liblinux find`: files of an image by their names and metadata."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._entries import below, entry_at, record
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._lines import print_lines, shown
from liblinux.commands._output import print_json
from liblinux.commands._owners import Owners
from liblinux.commands._problems import Problems
from liblinux.commands._target import ImageOrTarget, Target
from liblinux.commands._targets import by_image, expanded
from liblinux.commands._tests import make_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from liblinux._image_root import ImageRoot
    from liblinux.commands._entries import Entry
    from liblinux.commands._tests import Test

__all__ = ["find_command"]


@click.command("find")
@click.argument("targets", metavar="TARGET...", type=ImageOrTarget(), nargs=-1, required=True)
@click.option("--name", "-name", metavar="PATTERN", multiple=True, help="Of the name alone; of several, any.")
@click.option("--iname", "-iname", metavar="PATTERN", multiple=True, help="The same in any case.")
@click.option("--path", "-path", metavar="PATTERN", multiple=True, help="Of the whole path; * matches / too.")
@click.option("--regex", "-regex", metavar="REGEX", help="Of the whole path, in Python's syntax.")
@click.option("--type", "-type", "types", metavar="LETTERS", help="Any of f, d, l, c, b, p and s.")
@click.option("--size", "-size", metavar="[+-]N[cwbkMG]", multiple=True, help="Rounded up to units; b of 512 bytes.")
@click.option("--mtime", "-mtime", metavar="[+-]DAYS", multiple=True, help="Whole days since it was modified.")
@click.option("--mmin", "-mmin", metavar="[+-]MINUTES", multiple=True, help="Minutes since then.")
@click.option("--newer", "-newer", metavar="PATH", help="Modified after this file of the image.")
@click.option("--newermt", "-newermt", metavar="DATE", help="Modified after this time.")
@click.option("--user", "-user", metavar="NAME", help="Of this owner, a name in the image or a number.")
@click.option("--group", "-group", metavar="NAME", help="Of this group.")
@click.option("--perm", "-perm", metavar="[-/]MODE", multiple=True, help="This mode; - all of its bits; / any.")
@click.option("--links", "-links", metavar="[+-]N", help="With so many names.")
@click.option("--inum", "-inum", metavar="N", help="With this inode number.")
@click.option("--empty", "-empty", is_flag=True, help="Empty files and directories.")
@click.option("--mindepth", "-mindepth", type=click.IntRange(min=0), default=0, metavar="N", help="No higher.")
@click.option("--maxdepth", "-maxdepth", type=click.IntRange(min=0), metavar="N", help="No deeper.")
@click.option("--with-image", "-H", is_flag=True, help="Print targets, the image before the path.")
@click.option("--print0", "-print0", "-0", is_flag=True, help="End names with a null byte, for xargs -0.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects; see docs/COMMANDS.md.")
@image_options
def find_command(targets: tuple[Target, ...], image_options: ImageOptions, **options: Any) -> None:
    """Find files of an image; all conditions must hold.

    Each tree is read with one call. Links are not followed.

    \b
    Examples:
      liblinux find disk.img -name '*.conf' -type f
      liblinux find disk.img:/usr --perm -4000 --user root
      liblinux find disk.img:/var --size +1M --mtime -7 --json
      liblinux find disk.img:/etc -type f -H -print0 | xargs -0 liblinux cat
    """
    problems = Problems()
    records: list[dict[str, Any]] = []
    for name, paths in by_image(targets):
        with image_options.open(name) as image:
            owners = Owners(image)
            tests = make_tests(image, owners, options)
            found = _found(image, expanded(image, paths, problems), tests, options, problems)
            if options["as_json"]:
                records += [record(name, image, entry, owners) for entry in found]
                continue
            before = f"{name}:" if options["with_image"] else ""
            text = str if options["print0"] else shown
            print_lines((before + text(entry.path) for entry in found), "\0" if options["print0"] else "\n")
    if options["as_json"]:
        print_json(records)
    problems.finish()


def _found(
    image: ImageRoot, paths: list[str], tests: list[Test], options: dict[str, Any], problems: Problems
) -> Iterator[Entry]:
    shallowest, deepest = options["mindepth"], options["maxdepth"]
    for path in paths:
        with problems:
            top = entry_at(image, path)
            if not shallowest and all(test(top) for test in tests):
                yield top
            if not top.is_directory or deepest == 0:
                continue
            for entry in below(image, path, problems.note):
                depth = entry.name.count("/") + 1
                if depth >= shallowest and (deepest is None or depth <= deepest) and all(test(entry) for test in tests):
                    yield entry
