"""Commands of the shell that copy: within the image, out of it, and into it."""

from __future__ import annotations

import errno
import glob
import os
import posixpath

import click

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.commands._problems import Problems
from liblinux.shell._session import HOST, Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["cp", "get", "put"]


class _Place:
    """A path of the host or of the image, and the functions of `os` for it."""

    def __init__(self, session: Session, path: str, *, host: bool, writable: bool = False) -> None:
        self.path = path
        self.on_host = host
        self.os: Any = os if host else session.inside.borrow(writable=writable).os

    def below(self, name: str) -> str:
        """The path of `name` in this directory."""
        return os.path.join(self.path, name)


def _place(session: Session, text: str, *, writable: bool = False) -> _Place:
    if text.startswith(HOST):
        return _Place(session, text[len(HOST) :] or ".", host=True, writable=writable)
    return _Place(session, session.path(text), host=False, writable=writable)


def _sources(session: Session, words: Iterable[str]) -> Iterable[_Place]:
    for word in words:
        if not word.startswith(HOST):
            yield from (_Place(session, path, host=False) for path in session.expand([word]))
            continue
        pattern = word[len(HOST) :]
        found = [pattern] if os.path.lexists(pattern) else sorted(glob.glob(pattern))
        if not found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), pattern)
        yield from (_Place(session, path, host=True) for path in found)


def _copy(session: Session, words: Sequence[str], target: _Place, existing: Any) -> None:
    from liblinux.copying import copy_tree  # noqa: PLC0415 - not every session copies

    problems = Problems()
    sources = list(_sources(session, words))
    into = target.os.path.isdir(target.path)
    if len(sources) > 1 and not into:
        raise NotADirectoryError(errno.ENOTDIR, "several files can only be copied into a directory", target.path)
    for source in sources:
        name = posixpath.basename(str(source.os.path.abspath(source.path)))
        path = target.below(name) if into and name else target.path
        with problems:
            report = copy_tree(source.path, path, source_os=source.os, target_os=target.os, existing=existing)
            for loss in report.losses:
                click.echo(f"liblinux: {loss}", err=True)
    problems.finish()


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.argument("target")
@click.option("-n", "--no-clobber", is_flag=True, help="Leave files alone that are there.")
@click.pass_obj
def cp(session: Session, sources: tuple[str, ...], target: str, no_clobber: bool) -> None:
    """Copy files and trees with all that belongs to them; "host:PATH" is a path of the host."""
    _copy(session, sources, _place(session, target, writable=True), "skip" if no_clobber else "replace")


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--to", "directory", default=".", metavar="DIR", help="Of the host.  [default: where you are]")
@click.pass_obj
def get(session: Session, sources: tuple[str, ...], directory: str) -> None:
    """Copy files and trees of the image to the host."""
    target = _Place(session, directory.removeprefix(HOST), host=True)
    _copy(session, sources, target, "replace")


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--to", "directory", default=".", metavar="DIR", help="Of the image.  [default: the working directory]")
@click.pass_obj
def put(session: Session, sources: tuple[str, ...], directory: str) -> None:
    """Copy files and trees of the host into the image."""
    target = _Place(session, session.path(directory), host=False, writable=True)
    _copy(session, [source if source.startswith(HOST) else HOST + source for source in sources], target, "replace")
