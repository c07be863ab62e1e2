"""Runs shell text: finds programs, connects them, and keeps variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liblinux.packetdrill._errors import ScriptError
from liblinux.packetdrill.shell._language import Command, Pipeline, read
from liblinux.packetdrill.shell._words import expand, expand_one

if TYPE_CHECKING:
    from liblinux._kernel import Kernel

__all__ = ["Done", "Program", "Shell"]

NOT_FOUND = 127


@dataclass
class Done:
    """What a program leaves behind."""

    code: int = 0
    output: str = ""
    errors: str = ""


Program = Callable[["Shell", list[str], str], Done]


class Shell:
    """A shell in the library's kernel.

    `directory` is the host's directory of the script: helper scripts are read
    from there, or from the one above. `sleep` lets the kernel's time pass, by
    seconds.
    """

    def __init__(
        self, kernel: Kernel, directory: Path, variables: dict[str, str], sleep: Callable[[float], None]
    ) -> None:
        self.kernel = kernel
        self.directory = directory
        self.variables = variables
        self.sleep = sleep

    def run(self, text: str) -> Done:
        """Run shell text; its status is that of the last command."""
        done = Done()
        for pipeline in read(text):
            if (pipeline.condition == "&&" and done.code) or (pipeline.condition == "||" and not done.code):
                continue
            last = self._run_pipeline(pipeline)
            done = Done(last.code, done.output + last.output, done.errors + last.errors)
            self.variables["?"] = str(done.code)
        return done

    def _run_pipeline(self, pipeline: Pipeline) -> Done:
        done, errors = Done(), ""
        for command in pipeline.commands:
            done = self._run_command(command, done.output)
            errors += done.errors
        code = int(not done.code) if pipeline.negated else done.code
        return Done(code, done.output, errors)

    def _capture(self, text: str) -> str:
        return self.run(text).output

    def _run_command(self, command: Command, given: str) -> Done:
        for assignment in command.assignments:
            name, _, value = assignment.partition("=")
            self.variables[name] = expand_one(value, self.variables, self._capture)
        words = [one for word in command.words for one in expand(word, self.variables, self._capture)]
        files = [(kind, expand_one(name, self.variables, self._capture)) for kind, name in command.redirections]
        for kind, name in files:
            if kind == "<":
                given = self.read_file(name)
        done = self.call(words, given) if words else Done()
        for kind, name in files:
            self._redirect(kind, name, done)
        return done

    def call(self, words: list[str], given: str = "") -> Done:
        """Run one program with its arguments."""
        from liblinux.packetdrill.shell._programs import find  # noqa: PLC0415 - they import this module

        program = find(words[0])
        if program is not None:
            return program(self, words[1:], given)
        if "/" in words[0]:
            return self._run_file(words[0], words[1:])
        return Done(NOT_FOUND, errors=f"{words[0]}: there is no such program in the shell of scripts\n")

    def _redirect(self, kind: str, name: str, done: Done) -> None:
        if kind == "2>&1":
            done.output, done.errors = done.output + done.errors, ""
        elif kind in (">", ">>"):
            self._write_file(name, done.output, append=kind == ">>")
            done.output = ""
        elif kind in ("2>", "2>>"):
            self._write_file(name, done.errors, append=kind == "2>>")
            done.errors = ""
        elif kind == "&>":
            self._write_file(name, done.output + done.errors, append=False)
            done.output = done.errors = ""

    # -- files

    def read_file(self, name: str) -> str:
        """A file of the library's kernel. Raises OSError."""
        with self.kernel.open(name, errors="surrogateescape") as file:
            return str(file.read())

    def _write_file(self, name: str, text: str, *, append: bool) -> None:
        with self.kernel.open(name, "a" if append else "w") as file:
            file.write(text)

    def _run_file(self, name: str, arguments: list[str]) -> Done:
        """A script: of the library's kernel, or of the host's directory where our own script is."""
        text = self._script_text(name)
        if text is None:
            where = f"{self.directory} and the directory above it"
            return Done(NOT_FOUND, errors=f"{name}: not found in the library's kernel, nor in {where}\n")
        first = text.partition("\n")[0]
        if first.startswith("#!") and "python" in first:
            from liblinux.packetdrill.shell._helper import run_helper  # noqa: PLC0415 - for few scripts

            return run_helper(self, name, text, arguments)
        if first.startswith("#!") and not first.rstrip().endswith("sh"):
            raise ScriptError(f"{name} is no shell or Python script: {first}")
        return self.run(text)

    def _script_text(self, name: str) -> str | None:
        if name.startswith("/"):
            return self.read_file(name) if self.kernel.os.path.isfile(name) else None
        for directory in (self.directory, self.directory.parent):
            path = directory / name
            if path.is_file():
                return path.read_text(encoding="utf-8")
        return None
