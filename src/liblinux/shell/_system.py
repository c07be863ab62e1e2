"""Commands of the shell about the kernel that it is in, and about itself."""

from __future__ import annotations

import click

from liblinux._image_root import MOUNTED
from liblinux.commands._output import human_size, print_line
from liblinux.commands._owners import Owners
from liblinux.shell._session import HOST, Leave, Session

__all__ = ["df", "dmesg", "help_", "id_", "leave", "mount", "sync", "sysctl", "uname"]


@click.command()
@click.option("-i", "inodes", is_flag=True, help="Inodes instead of bytes.")
@click.option("-h", "human", is_flag=True, help="Sizes as 4.0K and 12M.")
@click.pass_obj
def df(session: Session, inodes: bool, human: bool) -> None:
    """Print how full the file system is."""
    found = session.image.os.statvfs(session.inside.directory)
    if inodes:
        size, free, available, unit = found.f_files, found.f_ffree, found.f_favail, 1
    else:
        size, free, available, unit = found.f_blocks, found.f_bfree, found.f_bavail, found.f_frsize
    used = size - free
    percent = f"{-(-used * 100 // (used + available))}%" if used + available else "-"
    show = human_size if human else str
    print_line(f"{'Filesystem':<24} {'Size':>14} {'Used':>14} {'Avail':>14} {'Use%':>5} Type")
    columns = (show(value * unit) for value in (size, used, available))
    sizes = " ".join(f"{column:>14}" for column in columns)
    print_line(f"{session.inside.name:<24} {sizes} {percent:>5} {session.image.mount.type}")


@click.command()
@click.pass_obj
def mount(session: Session) -> None:
    """Print what is mounted, and how."""
    with session.image.kernel.open("/proc/mounts") as lines:
        for line in lines:
            device, target, type, options, *_ = line.split()
            if target == MOUNTED or target.startswith(MOUNTED + "/"):
                print_line(f"{device} on {target[len(MOUNTED) :] or '/'} type {type} ({options})")


@click.command()
@click.pass_obj
def sync(session: Session) -> None:
    """Write all to the image now; at the end that is done anyway."""
    session.image.os.sync()


@click.command()
@click.pass_obj
def dmesg(session: Session) -> None:
    """Print the log of the image's kernel."""
    for record in session.image.kernel.dmesg():
        print_line(str(record))


@click.command()
@click.argument("settings", metavar="NAME[=VALUE]...", nargs=-1)
@click.option("-a", "all_", is_flag=True, help="All that can be read.")
@click.pass_obj
def sysctl(session: Session, settings: tuple[str, ...], all_: bool) -> None:
    """Print or set settings of the image's kernel."""
    if not settings and not all_:
        raise click.UsageError("give names of settings, or -a")
    kernel = session.image.kernel.sysctl
    for setting in settings:
        name, equals, value = setting.partition("=")
        try:
            if equals:
                kernel[name.strip()] = value.strip()
            print_line(f"{name.strip()} = {kernel[name.strip()]}")
        except KeyError:
            raise click.ClickException(f"the kernel has no setting {name.strip()!r}") from None
    if all_:
        for name in sorted(kernel):
            try:
                print_line(f"{name} = {kernel[name]}")
            except OSError as error:
                click.echo(f"liblinux: {name}: {error.strerror}", err=True)


@click.command()
@click.option("-a", "all_", is_flag=True, help="All of it.")
@click.option("-r", "release", is_flag=True, help="The release.")
@click.pass_obj
def uname(session: Session, all_: bool, release: bool) -> None:
    """Print which kernel this is."""
    found = session.image.os.uname()
    if all_:
        print_line(" ".join(found))
    else:
        print_line(found.release if release else found.sysname)


@click.command()
@click.argument("user", required=False)
@click.pass_obj
def id_(session: Session, user: str | None) -> None:
    """Print who one is in here, or a USER of the image."""
    owners = Owners(session.image)
    if user is None:
        uid, gid = session.image.os.getuid(), session.image.os.getgid()
    else:
        try:
            uid = owners.uid(user)
            gid = owners.login_gid(user)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
    print_line(f"uid={uid}({owners.user(uid)}) gid={gid}({owners.group(gid)})")


@click.command()
@click.argument("name", metavar="[COMMAND]", required=False)
@click.pass_obj
def help_(session: Session, name: str | None) -> None:
    """Print all commands, or more about one."""
    if name is not None:
        command = session.command(name)
        if command is None:
            raise click.UsageError(f"there is no command {name!r}")
        with click.Context(command, info_name=name) as context:
            print_line(command.get_help(context))
        return
    for each, text in session.names().items():
        print_line(f"{each:<10} {text}")
    print_line(
        f"\nPaths are those of the image; {HOST}PATH is one of the host, for get, put, cp, cat, < and >.\n"
        "a | b   a > file   a >> file   a < file   a ; b   a && b   a || b   'quoted *'"
    )


@click.command()
def leave() -> None:
    """Leave the shell; all is written to the image."""
    raise Leave
