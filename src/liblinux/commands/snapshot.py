"""`liblinux snapshot`: snapshots and subvolumes of Btrfs images."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import one_image
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._lines import shown
from liblinux.commands._output import print_json, print_line
from liblinux.commands._target import ImageOrTarget, Target, TargetType
from liblinux.commands._times import iso_time

if TYPE_CHECKING:
    from liblinux.upkeep._subvolumes import Subvolume

__all__ = ["snapshot_command"]


@click.group("snapshot")
def snapshot_command() -> None:
    """Make, list and delete snapshots and subvolumes of a Btrfs image.

    \b
    Examples:
      liblinux snapshot create btrfs.img:/ btrfs.img:/before
      liblinux snapshot create --readonly btrfs.img:/home btrfs.img:/home-1
      liblinux snapshot create btrfs.img:/new-subvolume
      liblinux snapshot list --json btrfs.img
      liblinux snapshot delete btrfs.img:/before
    """


@snapshot_command.command("create")
@click.argument("targets", metavar="[SOURCE] TARGET", type=TargetType(), nargs=-1, required=True)
@click.option("--readonly", "-r", is_flag=True, help="It cannot be changed.")
@image_options
def create_command(targets: tuple[Target, ...], readonly: bool, image_options: ImageOptions) -> None:
    """Make TARGET, a snapshot of the subvolume SOURCE; without SOURCE an empty subvolume.

    \b
    Examples:
      liblinux snapshot create btrfs.img:/ btrfs.img:/before
      liblinux snapshot create btrfs.img:/new-subvolume
    """
    from liblinux.upkeep._subvolumes import create, snapshot  # noqa: PLC0415

    *sources, target = targets
    if len(sources) > 1:
        raise click.UsageError("give one SOURCE and one TARGET, or a TARGET alone")
    if not sources:
        if readonly:
            raise click.UsageError("--readonly is for a snapshot: give its SOURCE too")
        with image_options.open(target.image, writable=True) as image:
            create(image, target.path)
        return
    (source,) = sources
    name = one_image((source, target), "a snapshot is in the file system that it is of")
    with image_options.open(name, writable=True) as image:
        snapshot(image, source.path, target.path, readonly=readonly)


@snapshot_command.command("list")
@click.argument("image", metavar="IMAGE", type=ImageOrTarget())
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@image_options
def list_command(image: Target, as_json: bool, image_options: ImageOptions) -> None:
    """List subvolumes and snapshots: number, when it was made, ro or rw, path, and what it is a snapshot of.

    \b
    Examples:
      liblinux snapshot list btrfs.img
    """
    from liblinux.upkeep._subvolumes import Subvolume, subvolumes  # noqa: PLC0415

    with image_options.open(image.image) as opened:
        found = subvolumes(opened)
    if as_json:
        print_json([{name: getattr(each, name) for name in Subvolume.__match_args__} for each in found])
        return
    by_uuid = {each.uuid: each for each in found}
    for each in found:
        print_line(_line(each, by_uuid))


def _line(each: Subvolume, by_uuid: dict[str, Subvolume]) -> str:
    of = ""
    if each.parent_uuid:
        source = by_uuid.get(each.parent_uuid)
        of = f"  of {shown(source.path) if source else 'the top or one that is gone'}"
    return f"{each.id:>6} {iso_time(each.created_ns)} {'ro' if each.readonly else 'rw'} {shown(each.path)}{of}"


@snapshot_command.command("delete")
@click.argument("targets", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@image_options
def delete_command(targets: tuple[Target, ...], image_options: ImageOptions) -> None:
    """Delete snapshots or subvolumes with all that is in them.

    \b
    Examples:
      liblinux snapshot delete btrfs.img:/before
    """
    from liblinux.upkeep._subvolumes import delete  # noqa: PLC0415

    name = one_image(targets, "give the targets of one image")
    with image_options.open(name, writable=True) as image:
        for target in targets:
            delete(image, target.path)
