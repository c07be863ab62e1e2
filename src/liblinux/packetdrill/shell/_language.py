"""The shell's language as a tree: lists, pipelines, commands and redirections.

Own code of a hundred lines: the parsers of shell scripts that there are for
Python are GPL-3. Words are left as they are written; `_words.py` expands them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from liblinux.packetdrill._errors import ScriptError

__all__ = ["Command", "Pipeline", "read"]

_OPERATORS = ("&&", "||", "2>&1", "&>", "2>>", "2>", ">>", ">", "<", ";", "|", "&", "(", ")", "\n")
_RESERVED = frozenset(
    {"if", "then", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "function", "{", "}"}
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


@dataclass
class Command:
    """One program with its words, assignments and redirections, all unexpanded."""

    assignments: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    redirections: list[tuple[str, str]] = field(default_factory=list)  # operator and file


@dataclass
class Pipeline:
    """Commands joined by `|`, and on what it depends: `;`, `&&` or `||` before it."""

    condition: str
    commands: list[Command]
    negated: bool = False


def read(text: str) -> list[Pipeline]:
    """Parse shell text. Raises ScriptError for what this shell does not have."""
    pipelines: list[Pipeline] = []
    condition, current = ";", Command()
    commands: list[Command] = []

    def end_pipeline(following: str) -> None:
        nonlocal condition, current, commands
        if current.words or current.assignments or commands:
            commands.append(current)
            pipelines.append(_pipeline(condition, commands))
        elif following in ("&&", "||"):
            raise ScriptError(f"nothing before {following} in the command {text.strip()!r}")
        condition, current, commands = (following if following in ("&&", "||") else ";"), Command(), []

    tokens = _tokens(text)
    for token in tokens:
        match token:
            case "\n" if condition != ";" and not current.words and not commands:
                continue  # a list may go on in the next line
            case ";" | "\n" | "&&" | "||":
                end_pipeline(token)
            case "|":
                commands.append(current)
                current = Command()
            case ">" | ">>" | "<" | "2>" | "2>>" | "&>":
                current.redirections.append((token, next(tokens, "")))
            case "2>&1":
                current.redirections.append((token, ""))
            case "&" | "(" | ")":
                raise ScriptError(f"the shell of scripts has no {token!r}: {text.strip()!r}")
            case _ if not current.words and _ASSIGNMENT.match(token):
                current.assignments.append(token)
            case _ if not current.words and token in _RESERVED:
                raise ScriptError(f"the shell of scripts has no {token!r}: {text.strip()!r}")
            case _:
                current.words.append(token)
    end_pipeline(";")
    return pipelines


def _pipeline(condition: str, commands: list[Command]) -> Pipeline:
    negated = bool(commands[0].words) and commands[0].words[0] == "!"
    if negated:
        commands[0].words.pop(0)
    return Pipeline(condition, commands, negated)


class _Tokens:
    """Words and operators, one after the other."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def __iter__(self) -> _Tokens:
        return self

    def __next__(self) -> str:
        text = self._text
        while self._at < len(text) and (text[self._at] in " \t\r" or text.startswith("\\\n", self._at)):
            self._at += 2 if text[self._at] == "\\" else 1
        if self._at >= len(text):
            raise StopIteration
        if text[self._at] == "#":
            end = text.find("\n", self._at)
            self._at = end if end >= 0 else len(text)
            return next(self)
        for operator in _OPERATORS:
            if text.startswith(operator, self._at):
                self._at += len(operator)
                return operator
        start = self._at
        while self._at < len(text) and text[self._at] not in " \t\r\n;|&<>()":
            self._at = _skip(text, self._at)
        return text[start : self._at]


def _tokens(text: str) -> _Tokens:
    return _Tokens(text)


def _skip(text: str, at: int) -> int:
    """The end of the piece of a word that begins here: a character, a quotation, or an expansion."""
    if text[at] == "\\":
        return min(at + 2, len(text))
    if text[at] == "'":
        return _after(text, at, text.find("'", at + 1), "'")
    if text[at] == '"':
        end = at + 1
        while end < len(text) and text[end] != '"':
            end = _skip(text, end) if text[end] in "\\$" else end + 1
        return _after(text, at, end if end < len(text) else -1, '"')
    if text.startswith("${", at):
        return _after(text, at, text.find("}", at), "}")
    if text.startswith("$(", at):
        return _balanced(text, at + 1)
    return at + 1


def _after(text: str, start: int, end: int, what: str) -> int:
    if end < 0:
        raise ScriptError(f"no closing {what} in the command {text[start : start + 40]!r}")
    return end + 1


def _balanced(text: str, at: int) -> int:
    depth = 0
    for end in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if not depth:
            return end + 1
    raise ScriptError(f"no closing ) in the command {text[at : at + 40]!r}")
