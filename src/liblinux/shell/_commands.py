"""The commands that only the shell has, by name."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING
from liblinux.shell import _files as files
from liblinux.shell import _system as system
from liblinux.shell import _transfer as transfer

if TYPE_CHECKING:
    import click

__all__ = ["BUILTINS"]

BUILTINS: dict[str, click.Command] = {
    "cat": files.cat,
    "cd": files.cd,
    "cp": transfer.cp,
    "df": system.df,
    "dmesg": system.dmesg,
    "echo": files.echo,
    "exit": system.leave,
    "get": transfer.get,
    "grep": files.grep,
    "head": files.head,
    "help": system.help_,
    "id": system.id_,
    "mount": system.mount,
    "put": transfer.put,
    "pwd": files.pwd,
    "quit": system.leave,
    "rmdir": files.rmdir,
    "sync": system.sync,
    "sysctl": system.sysctl,
    "tail": files.tail,
    "uname": system.uname,
    "xattr": files.xattr,
}
