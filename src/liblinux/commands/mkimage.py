"""`liblinux mkimage`: a disk image of a directory, an archive or a container image."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._archive import total_progress_bar, warn_of
from liblinux.commands._image import ImageOptions
from liblinux.commands._target import parse_target

if TYPE_CHECKING:
    from typing import Any

__all__ = ["mkimage_command"]

_FILESYSTEMS = (
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "ntfs3", "hfsplus", "udf", "minix", "nilfs2",
    "jfs", "squashfs", "erofs", "iso9660",
)  # fmt: skip
_LARGEST_ID = (1 << 32) - 2


class _Owner(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """UID:GID."""

    name = "uid:gid"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Two numbers; wrong usage for anything else."""
        parts = str(value).split(":")
        if len(parts) != 2 or not all(part.isdecimal() and int(part) <= _LARGEST_ID for part in parts):
            self.fail(f"{value!r} is not UID:GID, two numbers as in 0:0", param, ctx)
        return int(parts[0]), int(parts[1])


@click.command("mkimage")
@click.argument("source")
@click.argument("image", type=click.Path(dir_okay=False))
@click.option("--fs", "filesystem", type=click.Choice(_FILESYSTEMS), default="ext4", show_default=True)
@click.option("--size", default="auto", show_default=True, help="Of the image: 2G; or auto, +20%, +100M: as needed.")
@click.option(
    "--table", type=click.Choice(["gpt", "dos", "none"]), default="gpt", show_default=True, help="Of partitions."
)
@click.option("--no-partition-table", is_flag=True, help="The same as --table none: a bare file system.")
@click.option("--label", default="", help="Of the file system, and of the partition of a GPT.")
@click.option("--uuid", help="Of the file system. [default: random, or of the content with SOURCE_DATE_EPOCH]")
@click.option("--owner", type=_Owner(), help="Of everything: 0:0 makes all of it root's.")
@click.option("--mtree", type=click.Path(exists=True, dir_okay=False), help="Owners, modes, nodes, as of mtree(5).")
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Leave out, as of GNU tar. Can be repeated.")
@click.option(
    "--source-type", "kind", type=click.Choice(["directory", "tar", "cpio", "oci"]), help="[default: by its content]"
)
@click.option("--partition", "-p", metavar="N", help="Of a SOURCE that is IMAGE:/PATH.")
@click.option("--untrusted", is_flag=True, help="Read that image in an isolated process without rights.")
@click.option("--platform", metavar="OS/ARCH", help="Of a container image, as linux/arm64. [default: this machine's]")
@click.option("--reference", metavar="NAME:TAG", help="Which image, of an archive with several.")
@click.option("--mkfs-options", default="", help="For the tool of the file system: '-O ^has_journal'.")
@click.option("--mount-options", default="", help="To write with: 'compress=zstd'.")
@click.option("--partition-type", metavar="TYPE", help="As of sfdisk: uefi, linux, a GUID. [default: by --fs]")
@click.option("--strict", is_flag=True, help="Fail when something cannot be kept, instead of warning of it.")
@click.option("--kernel", "version", metavar="X.Y", help="Kernel series. [default: the newest that is built]")
@click.option("--memory", default="128M", show_default=True, metavar="SIZE", help="Of that kernel.")
def mkimage_command(
    source: str,
    image: str,
    table: str,
    no_partition_table: bool,
    mkfs_options: str,
    partition: str | None,
    untrusted: bool,
    **options: Any,
) -> None:
    """Make a disk image of a directory, an archive or a container image.

    SOURCE is a directory; a tar or cpio archive, compressed or not; an OCI layout or
    what `docker save` writes; IMAGE:/PATH, a tree of another image; or "-" for an
    archive on standard input. No rights are needed, whoever owns what is in it.

    With SOURCE_DATE_EPOCH in the environment the same input gives the same bytes.
    IMAGE appears when it is complete; what cannot be kept is named.

    \b
    Examples:
      liblinux mkimage rootfs/ disk.img --owner 0:0
      SOURCE_DATE_EPOCH=1700000000 liblinux mkimage root.tar.zst disk.img --fs xfs
      docker save alpine | liblinux mkimage - alpine.img --size +50%
      liblinux mkimage esp/ esp.img --fs vfat --label EFI --partition-type uefi
      liblinux mkimage files/ files.ext4 --no-partition-table --size 64M
    """
    from liblinux.making import make_image  # noqa: PLC0415 - help and wrong usage do not need it

    target = parse_target(source)
    try:
        given = shlex.split(mkfs_options)
        epoch = _epoch()
        with ExitStack() as stack:
            if target is not None:
                opened = ImageOptions(partition=partition, untrusted=untrusted, kernel=options["version"])
                options["source_os"] = stack.enter_context(opened.open(target.image)).os
            progress = stack.enter_context(total_progress_bar("writing"))
            losses = make_image(
                source if target is None else target.path,
                image,
                table=None if no_partition_table or table == "none" else table,  # type: ignore[arg-type]  # click checks
                mkfs_options=given,
                epoch=epoch,
                progress=progress,
                **options,
            )
    except ValueError as error:
        if type(error) is not ValueError:
            raise  # KernelClosed is one as well
        raise click.UsageError(str(error)) from None
    warn_of(losses)


def _epoch() -> int | None:
    """SOURCE_DATE_EPOCH; ValueError when it is no number."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"SOURCE_DATE_EPOCH is {text!r}, no number of seconds since 1970")
    return int(text)
