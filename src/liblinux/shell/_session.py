"""Running command lines: each command is one of click, with its standard streams where they are wanted."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile

import click

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING
from liblinux.cli import COMMANDS, describe
from liblinux.cli import cli as outside
from liblinux.commands._glob import expand
from liblinux.commands._inside import Inside, entered
from liblinux.commands._modes import host_umask
from liblinux.commands._target import ImageOrTarget
from liblinux.shell._words import LineError, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

    from liblinux.shell._words import Pipeline, Stage

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_USAGE", "FROM_OUTSIDE", "HOST", "Leave", "Session"]

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNKNOWN = 127  # as shells have it
EXIT_INTERRUPTED = 130
# What begins so is a path of the host.
HOST = "host:"
# Commands on images that are the same in here.
FROM_OUTSIDE = (
    "chmod", "chown", "du", "edit", "find", "hexdump", "ls", "ln", "mkdir", "mv", "rm", "stat", "tar",
    "touch", "tree", "untar",
)  # fmt: skip
_IN_MEMORY_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20


class Leave(Exception):
    """The command `exit`."""


class Session:
    """A shell without a terminal. `status` is the exit code of the last command."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.image = inside.image
        self.status = 0

    # ---- lines -----------------------------------------------------------

    def run(self, text: str, *, stop: bool = False) -> int:
        """Run commands; with `stop` no more after one that failed. Returns the last exit code.

        Raises Leave, and KernelPanic when the image's kernel has died.
        """
        try:
            pipelines = parse(text)
        except LineError as error:
            click.echo(f"liblinux: {error}", err=True)
            self.status = EXIT_USAGE
            return self.status
        with entered(self.inside):
            for number, pipeline in enumerate(pipelines):
                if pipeline.condition and (pipeline.condition == "&&") != (self.status == 0):
                    continue
                self.status = self._run_pipeline(pipeline)
                follows = pipelines[number + 1].condition if number + 1 < len(pipelines) else ""
                if self.status == EXIT_INTERRUPTED or (stop and self.status and not follows):
                    break
        return self.status

    def _run_pipeline(self, pipeline: Pipeline) -> int:
        previous: IO[bytes] | None = None
        with contextlib.ExitStack() as stack:
            for stage in pipeline.stages[:-1]:
                # One after the other: nobody needs to wait for a reader, and memory is not limited.
                through = stack.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))
                self._run_stage(stage, previous, through)
                through.seek(0)
                previous = through
            return self._run_stage(pipeline.stages[-1], previous, None)

    def _run_stage(self, stage: Stage, source: IO[bytes] | None, target: IO[bytes] | None) -> int:
        try:
            with contextlib.ExitStack() as stack:
                if stage.source is not None:
                    source = stack.enter_context(self.open(stage.source, "rb"))
                if stage.target is not None:
                    target = stack.enter_context(self.open(stage.target, "ab" if stage.append else "wb"))
                if source is not None:
                    stack.enter_context(_replaced("stdin", source))
                if target is not None:
                    stack.enter_context(_replaced("stdout", target))
                return self._run_command(stage.words)
        except (OSError, LiblinuxError) as error:
            return self._failed(error)

    # ---- commands --------------------------------------------------------

    def _run_command(self, words: Sequence[str]) -> int:
        name, *arguments = words
        command = self.command(name)
        if command is None:
            click.echo(f"liblinux: {name}: there is no such command; 'help' lists them", err=True)
            return EXIT_UNKNOWN
        try:
            return self._invoke(command, name, arguments)
        except click.ClickException as error:
            if isinstance(error, click.UsageError):
                click.echo(f"{name}: {error.format_message()}", err=True)
            else:
                error.show()
            return error.exit_code
        except (KeyboardInterrupt, click.Abort):
            click.echo("liblinux: interrupted", err=True)
            return EXIT_INTERRUPTED
        except (OSError, LiblinuxError) as error:
            return self._failed(error)

    def _invoke(self, command: click.Command, name: str, arguments: list[str]) -> int:
        try:
            context = command.make_context(name, list(arguments), obj=self)
        except click.MissingParameter as error:
            if error.param is None or not isinstance(error.param.type, ImageOrTarget):
                raise
            # Where an image alone would be its root, nothing at all is the working directory.
            context = command.make_context(name, [*arguments, "."], obj=self)
        except click.exceptions.Exit as end:
            return end.exit_code  # --help
        with context:
            try:
                command.invoke(context)
            except click.exceptions.Exit as end:
                return end.exit_code
            finally:
                sys.stdout.flush()
        return 0

    def _failed(self, error: OSError | LiblinuxError) -> int:
        click.echo(f"liblinux: {describe(error)}", err=True)
        if self.image.kernel.dead is not None:
            raise Leave  # there is nothing left to be in
        return EXIT_FAILED

    def command(self, name: str) -> click.Command | None:
        """The command of that name."""
        from liblinux.shell._commands import BUILTINS  # noqa: PLC0415 - they use this module

        if name in BUILTINS:
            return BUILTINS[name]
        if name not in FROM_OUTSIDE:
            return None
        return outside.get_command(click.Context(outside), name)

    def names(self) -> dict[str, str]:
        """All commands, and what they do."""
        from liblinux.shell._commands import BUILTINS  # noqa: PLC0415 - they use this module

        helps = {name: command.get_short_help_str(80) for name, command in BUILTINS.items()}
        return dict(sorted({**{name: COMMANDS[name][0] for name in FROM_OUTSIDE}, **helps}.items()))

    # ---- files -----------------------------------------------------------

    def path(self, text: str) -> str:
        """A path in the image, from its root."""
        return self.inside.absolute(text)

    def open(self, name: str, mode: str) -> IO[bytes]:
        """Open a file of the image, or with "host:" before its name one of the host."""
        if name.startswith(HOST):
            return open(name[len(HOST) :], mode)
        if mode != "rb":
            self.inside.borrow(writable=True)
            self.image.os.umask(host_umask())
        return self.image.process.open(self.path(name), mode)

    def expand(self, words: Sequence[str]) -> Iterator[str]:
        """The paths that words with patterns stand for; FileNotFoundError for one that stands for nothing."""
        for word in words:
            yield from [word] if word.startswith(HOST) else expand(self.image, self.path(word))

    def copy(self, source: IO[bytes], target: IO[bytes]) -> None:
        """All of a stream to another."""
        while data := source.read(_CHUNK_BYTES):
            target.write(data)
        target.flush()


@contextlib.contextmanager
def _replaced(name: str, stream: IO[bytes]) -> Iterator[None]:
    """sys.stdin or sys.stdout, for the time of a `with` block."""
    text = io.TextIOWrapper(stream, "utf-8", "surrogateescape", write_through=True)
    before = getattr(sys, name)
    before.flush()
    setattr(sys, name, text)
    try:
        yield
    finally:
        setattr(sys, name, before)
        if name == "stdout":
            text.flush()
        text.detach()  # else it would close what is not its own
