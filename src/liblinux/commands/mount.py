"""`liblinux mount` and `liblinux umount`: an image as a directory of the host, through FUSE."""

from __future__ import annotations

import errno
import os
import select
import syslog

import click

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING
from liblinux.cli import describe
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._target import ImageOrTarget, Target

if TYPE_CHECKING:
    from typing import Any

__all__ = ["mount_command", "umount_command"]


class _Owner(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """ "me", "USER", or "UID:GID" as a pair of numbers."""

    name = "owner"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        import pwd  # noqa: PLC0415 - only for this option

        if isinstance(value, tuple):
            return value
        if value == "me":
            return os.geteuid(), os.getegid()
        user, colon, group = value.partition(":")
        if colon and user.isdecimal() and group.isdecimal():
            return int(user), int(group)
        try:
            entry = pwd.getpwnam(value)
        except KeyError:
            self.fail(f"{value!r} is neither 'me' nor a user of this host nor UID:GID", param, ctx)
        return entry.pw_uid, entry.pw_gid


@click.command("mount")
@click.argument("image", metavar="IMAGE", type=ImageOrTarget())
@click.argument("mountpoint", metavar="MOUNTPOINT", type=click.Path(readable=False))
@click.option("--rw", "writable", is_flag=True, help="Write to the image. [default: it is not touched]")
@click.option("--foreground", "-f", is_flag=True, help="Do not go into the background; Ctrl-C unmounts.")
@click.option("--allow-other", is_flag=True, help="Other users see it too, as the permissions in the image let them.")
@click.option("--owner", type=_Owner(), metavar="USER", help="Show all as owned by 'me', a user, or UID:GID.")
@image_options
def mount_command(
    image: Target,
    mountpoint: str,
    writable: bool,
    foreground: bool,
    allow_other: bool,
    owner: tuple[int, int] | None,
    image_options: ImageOptions,
) -> None:
    """Mount an image on a directory of the host.

    Its own Linux kernel reads it, and FUSE shows it to all programs. Root is not
    needed; /dev/fuse, the package fuse3 and pyfuse3 (pip install 'liblinux[mount]')
    are. Who mounts may do in it what root may, and nobody else sees it; with
    --allow-other everybody sees it, and may do what owners and permissions in the
    image say. What is made in it belongs to who makes it; under --owner, to who owns
    the directory.

    "liblinux umount MOUNTPOINT" ends it, as do "fusermount3 -u" and the signals
    INT, TERM and HUP: programs that still use it have three seconds. All that was
    written is in the image when the server has ended. What goes wrong in the
    background is in the host's log (syslog).

    \b
    Ends with 0 when it is mounted; with -f, when it is unmounted, also by a signal.

    \b
    Examples:
      liblinux mount disk.img mnt
      liblinux mount --rw --partition 2 --owner me disk.img mnt
      liblinux mount -f --allow-other router.bin /srv/firmware
      liblinux umount mnt
    """
    # Late: `ctypes` and all that, for this command only.
    from liblinux.commands._daemon import into_background  # noqa: PLC0415
    from liblinux.fuse._mounting import check  # noqa: PLC0415

    if image.path != "/":
        raise click.UsageError(f"{image}: what is mounted is a whole file system; write {image.image}")
    check(mountpoint, allow_other=allow_other)
    from liblinux.fuse._service import serve  # noqa: PLC0415 - pyfuse3 is there now, or has been found missing

    mountpoint = os.path.realpath(mountpoint)  # a server in the background keeps no working directory
    ready = (lambda: None) if foreground else into_background()
    try:
        with image_options.open(image.image, writable=writable) as opened:
            source = os.path.abspath(image.image)
            serve(opened, mountpoint, source=source, allow_other=allow_other, owner=owner, ready=ready)
    except (OSError, LiblinuxError) as error:
        if not foreground:
            syslog.syslog(syslog.LOG_ERR, f"liblinux mount {mountpoint}: {describe(error)}")  # no terminal any more
        raise


@click.command("umount")
@click.argument("mountpoint", metavar="MOUNTPOINT", type=click.Path(readable=False))
@click.option("--lazy", "-l", is_flag=True, help="Also while it is used: out of sight now, away when nobody does.")
def umount_command(mountpoint: str, lazy: bool) -> None:
    """Unmount what `liblinux mount` has mounted, and wait until all is written to the image.

    \b
    Examples:
      liblinux umount mnt
      liblinux umount --lazy mnt
    """
    from liblinux.fuse._mounting import TYPE, mounted, server_of, unmount  # noqa: PLC0415

    found = mounted(mountpoint)
    if found != TYPE:
        what = "nothing is mounted there" if found is None else f"a {found} is mounted there, not one of liblinux"
        raise OSError(errno.EINVAL, what, mountpoint)
    server = None if lazy else server_of(mountpoint)
    try:
        unmount(os.path.realpath(mountpoint), lazy=lazy)
    except OSError as error:
        if error.errno == errno.EBUSY:
            error.strerror = "a program uses it (its directory, or a file in it): end that, or add --lazy"
        raise
    if server is not None:
        select.select([server], [], [])
        os.close(server)
