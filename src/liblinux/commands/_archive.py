"""What the commands on archives have in common: streams, compression, warnings and progress."""

from __future__ import annotations

import contextlib
import os
import sys

import click

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any

    from liblinux.archives import Loss

__all__ = ["compression_options", "input_stream", "output_stream", "progress_bar", "warn_of"]

_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ; the module fcntl has no name for it before Python 3.10, and is not needed else


def compression_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add -z, -j, -J and --zstd to a command, which gets one argument `compression`."""
    for flags, value in ((("--zstd",), "zstd"), (("-J", "--xz"), "xz"), (("-j", "--bzip2"), "bzip2")):
        command = click.option(*flags, "compression", flag_value=value, help=f"Compress with {value}.")(command)
    text = "Compress with gzip. [default: by the name of --file]"
    return click.option("-z", "--gzip", "compression", flag_value="gzip", default=None, help=text)(command)


@contextlib.contextmanager
def output_stream(file: str | None) -> Iterator[IO[bytes]]:
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
def input_stream(file: str | None) -> Iterator[IO[bytes]]:
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
def progress_bar(what: str, total: int | None = None) -> Iterator[Callable[[int], object] | None]:
    """A bar on a terminal; what it gives is to be called with bytes that were done."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and only a terminal needs it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total)
        yield lambda count: bars.advance(task, count)
