"""The shell on a terminal: a prompt, history in a file, completion of commands, options and paths."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING
from liblinux.shell._session import HOST, Leave, Session
from liblinux.shell._words import LineError, parse, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

__all__ = ["ShellCompleter", "converse", "history_path"]

_SEPARATORS = ("|", "||", "&&", ";", "\n")


def history_path() -> Path:
    """Where lines are kept: in the user's directory for state (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "liblinux" / "shell-history"


def _history() -> History:
    path = history_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        click.echo(f"liblinux: no history is kept: {path}: {error.strerror}", err=True)
        return InMemoryHistory()
    return FileHistory(str(path))


def converse(session: Session) -> int:
    """Read lines from the terminal and run them, until `exit` or Ctrl-D; returns the last exit code."""
    prompt: PromptSession[str] = PromptSession(history=_history(), completer=ShellCompleter(session))
    name = os.path.basename(session.inside.name)
    mark = "#" if session.image.writable else ">"
    while True:
        try:
            text = prompt.prompt(f"{name}:{session.inside.directory}{mark} ")
            while _goes_on(text):
                text += "\n" + prompt.prompt("... ")
            session.run(text)
        except KeyboardInterrupt:
            continue  # as in any shell: the line is given up
        except (EOFError, Leave):
            return session.status


def _goes_on(text: str) -> bool:
    try:
        parse(text)
    except LineError as error:
        return error.unfinished
    return False


class ShellCompleter(Completer):
    """Completes the word before the cursor."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Names of commands first, then options, then paths of the image or, after "host:", of the host."""
        text = document.text_before_cursor
        before, word = _last_word(text)
        start = next((at for at in reversed(range(len(before))) if before[at] in _SEPARATORS), -1)
        words = before[start + 1 :]
        length = len(text) - len(text[: _word_start(text)])
        if not words:
            found: Iterable[str] = (f"{name} " for name in self._session.names() if name.startswith(word))
        elif word.startswith("-"):
            found = self._options(words[0], word)
        else:
            found = (_quoted(path) for path in self._paths(word))
        for each in found:
            yield Completion(each, start_position=-length)

    def _options(self, name: str, start: str) -> Iterator[str]:
        command = self._session.command(name)
        options = (option for parameter in command.params for option in parameter.opts) if command else ()
        return (f"{option} " for option in sorted(options) if option.startswith(start) and option.startswith("-"))

    def _paths(self, word: str) -> list[str]:
        if word.startswith(HOST):
            directory, _, start = word[len(HOST) :].rpartition("/")
            top = directory + "/" if word[len(HOST) :].count("/") else ""
            entries = _names(os, top or ".")
            return sorted(f"{HOST}{top}{name}" for name in entries if name.startswith(start))
        directory, slash, start = word.rpartition("/")
        entries = _names(self._session.image.os, self._session.path(directory + slash or "."))
        return sorted(directory + slash + name for name in entries if name.startswith(start))


def _names(system: object, directory: str) -> list[str]:
    """Names in a directory of the host or of the image; a shell has no place for an error while one types."""
    try:
        with system.scandir(directory) as entries:  # type: ignore[attr-defined]  # both are os-shaped
            return [entry.name + ("/" if entry.is_dir() else " ") for entry in entries]
    except (OSError, LiblinuxError):
        return []


def _word_start(text: str) -> int:
    """Where the last word begins: the last place where one more letter would be a new word."""
    for position in range(len(text), 0, -1):
        try:
            if len([*split(text[:position] + "x")]) > len([*split(text[:position])]):
                return position
        except LineError:
            continue  # inside of quotes
    return 0


def _last_word(text: str) -> tuple[list[str], str]:
    """The words before the last one, and the last one without its quotes as far as it goes."""
    start = _word_start(text)
    words = [*split(text[:start])]
    for ending in ("", "'", '"', "\\"):
        try:
            return words, next(iter(split(text[start:] + ending)), "")
        except LineError:
            continue
    return words, text[start:]


def _quoted(path: str) -> str:
    """A path as it is typed; the space or slash at its end is not part of it."""
    end = path[-1] if path.endswith(" ") else ""
    quoted = shlex.quote(path.removesuffix(" "))
    return quoted.removesuffix("'") if path.endswith("/") and quoted.startswith("'") else quoted + end
