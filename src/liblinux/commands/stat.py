"""`liblinux stat`: all that Linux knows of files of an image."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._describe import describe_file, described_lines
from liblinux.commands._entries import entry_at
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._lines import print_lines
from liblinux.commands._output import print_json
from liblinux.commands._owners import Owners
from liblinux.commands._problems import Problems
from liblinux.commands._target import Target, TargetType
from liblinux.commands._targets import by_image, expanded

if TYPE_CHECKING:
    from typing import Any

__all__ = ["stat_command"]


@click.command("stat")
@click.argument("targets", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@click.option("--dereference", "-L", is_flag=True, help="What links lead to, in the image.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects; see docs/COMMANDS.md.")
@image_options
def stat_command(targets: tuple[Target, ...], dereference: bool, as_json: bool, image_options: ImageOptions) -> None:
    """Show all metadata of files of an image.

    Times to the nanosecond and the time of birth, extended attributes, access
    control lists, the SELinux label, capabilities, flags of lsattr, device numbers,
    and in how many extents the content lies.

    \b
    Examples:
      liblinux stat disk.img:/etc/shadow
      liblinux stat --json 'disk.img:/usr/bin/*' | jq '.[] | select(.capabilities)'
    """
    problems = Problems()
    records: list[dict[str, Any]] = []
    for name, paths in by_image(targets):
        with image_options.open(name) as image:
            owners = Owners(image)
            for path in expanded(image, paths, problems):
                with problems:
                    real = image.os.path.realpath(path, strict=True) if dereference else path
                    found = describe_file(name, image, entry_at(image, str(real)), owners)
                    if as_json:
                        records.append(found)
                    else:
                        print_lines(described_lines(found))
    if as_json:
        print_json(records)
    problems.finish()
