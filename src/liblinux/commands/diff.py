"""`liblinux diff`: what two images, or an image and a directory, differ in."""

from __future__ import annotations

import base64
import os
from contextlib import ExitStack
from datetime import UTC, datetime

import click

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Any
from liblinux.cli import describe
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._output import print_json, print_line
from liblinux.commands._target import ImageOrTarget, Target, parse_target
from liblinux.commands._transfer import printable, show_progress, tell, tell_report
from liblinux.copying import ASPECTS, CopyFailed, CopyProgress, compare_trees

if TYPE_CHECKING:
    from liblinux.copying import Difference

__all__ = ["diff_command"]

_DIFFERENT = 1
_TROUBLE = 2


class _Tree(ImageOrTarget):
    """An image, a path in one, or a directory of the host."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        """The Target; one without an image is of the host."""
        if isinstance(value, Target):
            return value
        if parse_target(value) is None and os.path.isdir(value):
            return Target("", value)
        return super().convert(value, param, ctx)


@click.command("diff")
@click.argument("left", metavar="A", type=_Tree())
@click.argument("right", metavar="B", type=_Tree())
@click.option("--ignore", multiple=True, type=click.Choice(sorted(ASPECTS - {"holes"})),
              help="What is not compared. Can be repeated.")  # fmt: skip
@click.option("--holes", is_flag=True, help="Compare also how much of the disk a file takes.")
@click.option("--content", type=click.Choice(["all", "quick", "none"]), default="all", show_default=True,
              help="Contents of files of one size: all, those with other times, none.")  # fmt: skip
@click.option("--no-content", "content", flag_value="none", help="The same as --content none.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out paths, as 'var/log/*'. Can be repeated.")
@click.option("--to-partition", metavar="N", help="Of the image of B. [default: that of A]")
@click.option("--to-volume", metavar="VG/LV", help="The same for an LVM volume or md array.")
@click.option("--to-fs-type", metavar="TYPE", help="The same for the type of the file system.")
@click.option("--to-mount-options", metavar="OPTIONS", help="The same for mount options.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
@image_options
def diff_command(
    left: Target,
    right: Target,
    image_options: ImageOptions,
    *,
    ignore: tuple[str, ...],
    holes: bool,
    content: Any,
    exclude: tuple[str, ...],
    as_json: bool,
    **to: Any,
) -> None:
    """Show what two trees differ in: A and B are images, IMAGE:/PATH, or directories.

    Compared are content, modes, owners, times of modification, extended attributes
    and ACLs, targets of links, device numbers, and which names are of one file.

    \b
    Ends with 0 when they are the same, 1 when they differ, 2 when that is not known.

    \b
    Examples:
      liblinux diff monday.img tuesday.img
      liblinux diff disk.img:/etc /etc --ignore times --ignore owner
      liblinux diff golden.img device.img --partition 2 --exclude 'var/*' --json
    """
    try:
        found = _compare(left, right, image_options, {name: value for name, value in to.items() if value is not None},
                         ignore=ignore if holes else (*ignore, "holes"), content=content, exclude=exclude)  # fmt: skip
    except CopyFailed as failed:
        tell_report(failed.report)
        raise SystemExit(_TROUBLE) from None
    except (OSError, LiblinuxError) as error:
        tell(describe(error))
        raise SystemExit(_TROUBLE) from None
    sides = tuple(str(side) if side.image else side.path for side in (left, right))
    if as_json:
        print_json({"left": sides[0], "right": sides[1], "differences": [_as_json(each) for each in found]})
    else:
        _show(found, sides)
    if found:
        raise SystemExit(_DIFFERENT)


def _compare(
    left: Target, right: Target, options: ImageOptions, to: dict[str, Any], **arguments: Any
) -> list[Difference]:
    given: dict[str, Any] = {name: getattr(options, name) for name in ImageOptions.__match_args__}
    given.update({name.removeprefix("to_"): value for name, value in to.items()})
    to_options = ImageOptions(**given)
    progress = CopyProgress()
    with ExitStack() as stack:
        systems = [
            stack.enter_context(how.open(side.image)).os if side.image else os
            for side, how in ((left, options), (right, to_options))
        ]
        with show_progress(progress, "comparing"):
            return compare_trees(
                left.path, right.path, left_os=systems[0], right_os=systems[1], progress=progress, **arguments
            )


def _show(found: list[Difference], sides: tuple[str, ...]) -> None:
    """One line for each path; what only one has is told with where that is."""
    lines: dict[str, list[str]] = {}
    for each in found:
        if each.what == "entry":
            side, kind = (sides[1], each.right) if each.left is None else (sides[0], each.left)
            lines.setdefault(each.path, []).append(f"only in {side} ({kind})")
        elif each.what == "content":
            lines.setdefault(each.path, []).append(f"content differs from byte {each.left} on")
        else:
            text = f"{each.what} {_as_text(each.what, each.left)} -> {_as_text(each.what, each.right)}"
            lines.setdefault(each.path, []).append(text)
    for path, parts in lines.items():
        print_line(printable(f"{path}: {', '.join(parts)}"))


def _as_text(what: str, value: Any) -> str:
    if value is None:
        return "none"
    if what == "mode":
        return f"{value:04o}"
    if what == "times":
        seconds, nanoseconds = divmod(value, 10**9)
        try:
            return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"
        except (ValueError, OverflowError, OSError):  # beyond the years of datetime
            return f"@{seconds}.{nanoseconds:09}"
    if isinstance(value, tuple):
        return ":".join(str(part) for part in value)
    return repr(os.fsdecode(value)) if isinstance(value, bytes) else str(value)


def _as_json(each: Difference) -> dict[str, Any]:
    values = [_json_value(each.what, value) for value in (each.left, each.right)]
    return {"path": each.path, "what": each.what, "left": values[0], "right": values[1]}


def _json_value(what: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode() if what.startswith("xattr ") else os.fsdecode(value)
    return f"{value:04o}" if what == "mode" else value
