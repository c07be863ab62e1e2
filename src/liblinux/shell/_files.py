"""Commands of the shell about files: where one is, contents, extended attributes."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections import deque

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._lines import print_lines
from liblinux.commands._output import print_line
from liblinux.commands._problems import Problems
from liblinux.shell._session import HOST, Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

__all__ = ["cat", "cd", "echo", "grep", "head", "pwd", "rmdir", "tail", "xattr"]

NO_MATCH = 1


@click.command()
@click.argument("directory", default="/")
@click.pass_obj
def cd(session: Session, directory: str) -> None:
    """Go to another directory of the image; "/" without one."""
    found = [*session.expand([directory])]
    if len(found) != 1:
        raise click.UsageError(f"{directory} stands for {len(found)} paths")
    path = str(session.image.os.path.realpath(found[0], strict=True))
    if not stat.S_ISDIR(session.image.os.stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    session.image.os.chdir(path)
    session.inside.directory = path


@click.command()
@click.pass_obj
def pwd(session: Session) -> None:
    """Print the working directory."""
    print_line(session.inside.directory)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("-n", "no_newline", is_flag=True, help="No newline at the end.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def echo(words: tuple[str, ...], no_newline: bool) -> None:
    """Print words."""
    print_line(" ".join(words), end="" if no_newline else "\n")


@click.command()
@click.argument("files", nargs=-1)
@click.pass_obj
def cat(session: Session, files: tuple[str, ...]) -> None:
    """Print files, or what comes in."""
    sys.stdout.flush()
    problems = Problems()
    for _, stream in _inputs(session, files, problems):
        session.copy(stream, sys.stdout.buffer)
    problems.finish()


def _inputs(session: Session, files: tuple[str, ...], problems: Problems) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and streams; standard input without a file, or for "-"."""
    for word in files or ("-",):
        with problems:
            for path in ["-"] if word == "-" else session.expand([word]):
                if path == "-":
                    yield path, sys.stdin.buffer
                    continue
                with problems, session.open(path, "rb") as file:
                    yield path, file


def _count_options(command: click.Command) -> click.Command:
    command.params += [
        click.Option(["-n", "lines"], type=click.IntRange(min=0), default=10, help="Lines.  [default: 10]"),
        click.Option(["-c", "size"], type=click.IntRange(min=0), help="Bytes instead."),
    ]
    return command


@_count_options
@click.command()
@click.argument("files", nargs=-1)
@click.pass_obj
def head(session: Session, files: tuple[str, ...], lines: int, size: int | None) -> None:
    """Print the beginning of files."""
    problems = Problems()
    for _, stream in _titled(_inputs(session, files, problems), len(files)):
        if size is not None:
            sys.stdout.buffer.write(stream.read(size))
        else:
            for _, line in zip(range(lines), stream, strict=False):
                sys.stdout.buffer.write(line)
    problems.finish()


@_count_options
@click.command()
@click.argument("files", nargs=-1)
@click.pass_obj
def tail(session: Session, files: tuple[str, ...], lines: int, size: int | None) -> None:
    """Print the end of files."""
    problems = Problems()
    for _, stream in _titled(_inputs(session, files, problems), len(files)):
        if size is not None:
            sys.stdout.buffer.write(stream.read()[-size:] if size else b"")
        else:
            sys.stdout.buffer.writelines(deque(stream, lines))
    problems.finish()


def _titled(inputs: Iterator[tuple[str, IO[bytes]]], count: int) -> Iterator[tuple[str, IO[bytes]]]:
    sys.stdout.flush()
    for number, (name, stream) in enumerate(inputs):
        if count > 1:
            print_line(f"{chr(10) * (number > 0)}==> {name} <==")
        yield name, stream


@click.command()
@click.argument("pattern")
@click.argument("files", nargs=-1)
@click.option("-i", "ignore_case", is_flag=True, help="Upper and lower case are the same.")
@click.option("-v", "invert", is_flag=True, help="Lines that do not match.")
@click.option("-F", "fixed", is_flag=True, help="The pattern is text. [default: a regular expression of Python]")
@click.option("-n", "numbered", is_flag=True, help="Numbers of lines too.")
@click.option("-c", "counting", is_flag=True, help="Only how many.")
@click.option("-l", "names_only", is_flag=True, help="Only names of files.")
@click.option("-q", "quiet", is_flag=True, help="Nothing but the exit code.")
@click.option("-r", "recursive", is_flag=True, help="Whole trees.")
@click.pass_obj
def grep(session: Session, /, pattern: str, files: tuple[str, ...], **options: bool) -> None:
    """Print the lines of files that match; exit code 1 when there is none."""
    raw = os.fsencode(pattern)
    try:
        wanted = re.compile(re.escape(raw) if options["fixed"] else raw, re.IGNORECASE if options["ignore_case"] else 0)
    except re.error as error:
        raise click.UsageError(f"{pattern!r} is no regular expression: {error}; -F takes it as text") from error
    problems = Problems()
    names = _below(session, files or (".",), problems) if options["recursive"] else files
    several = len(names) > 1 or options["recursive"]
    found = 0
    for name, stream in _inputs(session, names, problems):
        lines = [
            (number, line)
            for number, line in enumerate(stream, 1)
            if (wanted.search(line.rstrip(b"\n")) is None) == options["invert"]
        ]
        found += len(lines)
        _print_matches(name if several else None, lines, options)
    problems.finish()
    if not found:
        raise click.exceptions.Exit(NO_MATCH)


def _below(session: Session, files: tuple[str, ...], problems: Problems) -> tuple[str, ...]:
    names: list[str] = []
    for path in session.expand(files):
        with problems:
            if not session.image.os.path.isdir(path):
                names.append(path)
                continue
            tree = session.image.os.scantree(path, onerror=problems.note)
            names += [entry.path for entry in tree if entry.is_file(follow_symlinks=False)]
    return tuple(names)


def _print_matches(name: str | None, lines: list[tuple[int, bytes]], options: dict[str, bool]) -> None:
    if options["quiet"] or (options["names_only"] and not lines):
        return
    before = "" if name is None else f"{name}:"
    if options["names_only"]:
        print_line(name or "(standard input)")
    elif options["counting"]:
        print_line(f"{before}{len(lines)}")
    else:
        texts = (os.fsdecode(line.rstrip(b"\n")) for _, line in lines)
        numbers = (f"{number}:" if options["numbered"] else "" for number, _ in lines)
        print_lines(before + number + text for number, text in zip(numbers, texts, strict=True))


@click.command()
@click.argument("directories", nargs=-1, required=True)
@click.pass_obj
def rmdir(session: Session, directories: tuple[str, ...]) -> None:
    """Remove empty directories."""
    problems = Problems()
    image = session.inside.borrow(writable=True)
    for path in session.expand(directories):
        with problems:
            image.os.rmdir(path)
    problems.finish()


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--get", "name", metavar="NAME", help="Only this attribute, and nothing but its value.")
@click.option("--set", "assignment", metavar="NAME=VALUE", help="Set one.")
@click.option("--remove", metavar="NAME", help="Remove one.")
@click.pass_obj
def xattr(
    session: Session, files: tuple[str, ...], name: str | None, assignment: str | None, remove: str | None
) -> None:
    """Show, set or remove extended attributes."""
    problems = Problems()
    image = session.inside.borrow(writable=bool(assignment or remove))
    for path in session.expand(files):
        with problems:
            if path.startswith(HOST):
                raise OSError(errno.EINVAL, "extended attributes are for files of the image", path)
            if assignment is not None:
                attribute, equals, value = assignment.partition("=")
                if not equals:
                    raise click.UsageError(f"--set {assignment}: write it as NAME=VALUE")
                image.os.setxattr(path, attribute, os.fsencode(value), follow_symlinks=False)
            elif remove is not None:
                image.os.removexattr(path, remove, follow_symlinks=False)
            elif name is not None:
                print_line(os.fsdecode(image.os.getxattr(path, name, follow_symlinks=False)))
            else:
                for each in image.os.listxattr(path, follow_symlinks=False):
                    value = os.fsdecode(image.os.getxattr(path, each, follow_symlinks=False))
                    print_line(f"{path}: {each}={value!r}" if len(files) > 1 else f"{each}={value!r}")
    problems.finish()
