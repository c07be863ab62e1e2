"""What the commands on archives have in common: streams, compression, warnings and progress."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._target import ImageOrTarget, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any

    from liblinux.copying import Loss

__all__ = [
    "progress_bar",
    "read_archive",
    "reading_options",
    "total_progress_bar",
    "warn_of",
    "write_archive",
    "writing_options",
]

_PIPE_BYTES = 1 << 20
_SECTOR_BYTES = 512  # that st_blocks counts
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ; the module fcntl has no name for it before Python 3.10, and is not needed else


def writing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what commands take that write an archive; the arguments go to write_archive()."""
    for flags, value in ((("--zstd",), "zstd"), (("-J", "--xz"), "xz"), (("-j", "--bzip2"), "bzip2")):
        command = click.option(*flags, "compression", flag_value=value, help=f"Compress with {value}.")(command)
    text = "Compress with gzip. [default: by the name of --file]"
    command = click.option("-z", "--gzip", "compression", flag_value="gzip", default=None, help=text)(command)
    command = click.option("--file", "-f", metavar="FILE", help="Write there, not to standard output.")(command)
    return click.argument("target", type=ImageOrTarget())(_common_options(command))


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what commands take that unpack an archive; the arguments go to read_archive()."""
    text = "Take N directories off the names."
    command = click.option("--strip-components", type=click.IntRange(min=0), default=0, metavar="N", help=text)(command)
    command = click.option("--file", "-f", metavar="FILE", help="Read that, not standard input.")(command)
    return click.argument("target", type=ImageOrTarget())(_common_options(command))


def _common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    strict = "Fail when something cannot be kept, instead of warning of it."
    command = click.option("--strict", is_flag=True, help=strict)(command)
    exclude = "Leave out, as of GNU tar. Can be repeated."
    return click.option("--exclude", metavar="PATTERN", multiple=True, help=exclude)(image_options(command))


def write_archive(
    pack: Callable[..., list[Loss]],
    target: Target,
    image_options: ImageOptions,
    file: str | None,
    compression: str | None,
    **options: Any,
) -> None:
    """Write a tree of an image by archives.tar or archives.cpio, and warn of what was lost."""
    from liblinux.archives._streams import compression_of_name  # noqa: PLC0415 - wrong usage is told without it

    if compression is None and file is not None:
        compression = compression_of_name(file)
    with (
        _output_stream(file) as stream,
        image_options.open(target.image) as image,
        progress_bar("writing") as progress,
    ):
        try:
            losses = pack(image.os, target.path, stream, compression=compression, progress=progress, **options)
        except OSError as error:
            raise _explained(error, image.os, target.path, stream, file, plain=compression is None) from None
    warn_of(losses)


def _explained(error: OSError, system: Any, path: str, file: IO[bytes], name: str | None, *, plain: bool) -> OSError:
    """The error; where the archive `name` found no room on the host, one that says how much is missing."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT) or error.filename is not None or name is None:
        return error
    entries = system.scantree(path)
    contents = sum(entry.stat(follow_symlinks=False).st_blocks for entry in entries) * _SECTOR_BYTES
    reason = f"{os.strerror(error.errno)}: contents take {contents:,} bytes"
    if plain:
        left = contents - os.fstat(file.fileno()).st_size
        reason += f", at least {max(left, _SECTOR_BYTES):,} of them are left to be written"
    return OSError(error.errno, reason, name)


def read_archive(
    unpack: Callable[..., list[Loss]], target: Target, image_options: ImageOptions, file: str | None, **options: Any
) -> None:
    """Unpack an archive by archives.untar or archives.uncpio, and warn of what was lost."""
    with (
        _input_stream(file) as stream,
        image_options.open(target.image, writable=True) as image,
        progress_bar("unpacking") as progress,
    ):
        losses = unpack(image.os, target.path, stream, progress=progress, **options)
    warn_of(losses)


@contextlib.contextmanager
def _output_stream(file: str | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that appears when it is complete. UsageError when it is a terminal."""
    if file is None or file == "-":
        if sys.stdout.isatty():
            raise click.UsageError("an archive does no terminal good: send it to a file or pipe, or name a --file")
        sys.stdout.flush()
        _widen(sys.stdout.buffer)
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from liblinux._arrival import arriving  # noqa: PLC0415 - not every time

    with arriving(file) as name, open(name, "wb", buffering=0) as stream:
        yield stream


@contextlib.contextmanager
def _input_stream(file: str | None) -> Iterator[IO[bytes]]:
    """Standard input, or a file. UsageError when it is a terminal."""
    if file is None or file == "-":
        if sys.stdin.isatty():
            raise click.UsageError("no archive: send one to standard input, or name a --file")
        yield sys.stdin.buffer
        return
    with open(file, "rb") as stream:
        yield stream


def _widen(stream: IO[bytes]) -> None:
    """Make a pipe larger, so that both sides work at the same time."""
    import fcntl  # noqa: PLC0415 - not every time

    with contextlib.suppress(OSError):  # no pipe, or the user has too many already: as good, only slower
        fcntl.fcntl(stream.fileno(), _SET_PIPE_SIZE, _PIPE_BYTES)


def warn_of(losses: Iterable[Loss]) -> None:
    """Say on standard error what could not be kept."""
    for loss in losses:
        # Names that are not UTF-8 come out as the bytes that they are.
        click.echo(os.fsencode(f"liblinux: warning: {loss}"), err=True)


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[..., object] | None]:
    """A bar on a terminal; what it gives is to be called with bytes that were done, and those in all if known."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and only a terminal needs it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)

        def advance(count: int, total: int | None = None) -> None:
            bars.update(task, advance=count, total=total)

        yield advance


@contextlib.contextmanager
def total_progress_bar(what: str) -> Iterator[Callable[[int, int], object] | None]:
    """The same, to be called with bytes done and bytes in all."""
    done = 0
    with progress_bar(what) as advance:

        def progress(now: int, total: int) -> None:
            nonlocal done
            assert advance is not None
            advance(now - done, total)
            done = now

        yield None if advance is None else progress
