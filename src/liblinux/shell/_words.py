"""A command line as a POSIX shell reads it, as far as this one goes.

Quotes ('...', "...", backslash), comments, `;`, `&&`, `||`, `|`, `<`, `>` and `>>`.
No variables, no substitution, no background. (Rejected: shlex, which keeps no
difference between a quoted ">" and one that redirects, nor between '*' and *.)
"""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING, Value
from liblinux.commands._inside import LiteralPath

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LineError", "Pipeline", "Stage", "parse", "split"]

_OPERATORS = ("&&", "||", ">>", ";", "|", "<", ">", "\n", "&")
_SEPARATORS = frozenset({";", "&&", "||", "\n"})
_REDIRECTIONS = frozenset({"<", ">", ">>"})
_MAGIC = frozenset("*?[")


class LineError(ValueError):
    """The line cannot be read. `unfinished`: it could go on in the next one."""

    def __init__(self, message: str, *, unfinished: bool = False) -> None:
        super().__init__(message)
        self.unfinished = unfinished


class Operator(str):
    """A word that is none."""

    __slots__ = ()


class Stage(Value):
    """One command of a pipeline: its words, and where its input and output are redirected to."""

    words: tuple[str, ...]
    source: str | None = None
    target: str | None = None
    append: bool = False


class Pipeline(Value):
    """Commands connected by pipes. `condition`, "&&" or "||", is about the pipeline before; else ""."""

    stages: tuple[Stage, ...]
    condition: str = ""


def split(text: str) -> Iterator[str]:
    """The words and operators of a text. A word with a quoted `*`, `?` or `[` is a LiteralPath; LineError."""
    at = 0
    while at < len(text):
        character = text[at]
        operator = next((each for each in _OPERATORS if text.startswith(each, at)), None)
        if operator is not None:
            yield Operator(operator)
            at += len(operator)
        elif character.isspace():
            at += 1
        elif character == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif text.startswith("\\\n", at):
            at += 2
        else:
            word, at = _word(text, at)
            yield word


def _word(text: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    literal = False
    while at < len(text) and not text[at].isspace() and not text.startswith(_OPERATORS, at):
        quote = text[at]
        if quote == "\\":
            if at + 1 == len(text):
                raise LineError("a backslash at the end", unfinished=True)
            part, at = text[at + 1], at + 2
            part = "" if part == "\n" else part
        elif quote in "'\"":
            part, at = _quoted(text, at)
        else:
            parts.append(quote)
            at += 1
            continue
        parts.append(part)
        literal = literal or not _MAGIC.isdisjoint(part)
    word = "".join(parts)
    return (LiteralPath(word) if literal else word), at


def _quoted(text: str, start: int) -> tuple[str, int]:
    quote = text[start]
    part: list[str] = []
    at = start + 1
    while at < len(text):
        character = text[at]
        if character == quote:
            return "".join(part), at + 1
        if character == "\\" and quote == '"' and text[at + 1 : at + 2] in ('"', "\\", "$", "`"):
            at += 1
            character = text[at]
        part.append(character)
        at += 1
    raise LineError(f"no closing {quote}", unfinished=True)


def parse(text: str) -> list[Pipeline]:
    """The pipelines of a text, one after the other; LineError."""
    pipelines: list[Pipeline] = []
    stages: list[Stage] = []
    words: list[str] = []
    condition = ""
    for item in [*split(text), Operator("\n")]:
        if not isinstance(item, Operator) or item in _REDIRECTIONS:
            words.append(item)
        elif item == "|":
            stages.append(_stage(words, item))
            words = []
        elif item not in _SEPARATORS:
            raise LineError(f"{item}: this shell runs nothing in the background")
        else:
            if item == "\n" and not words and (stages or condition):
                continue  # the command may be on the next line
            if words or stages:
                pipelines.append(Pipeline((*stages, _stage(words, item)), condition))
            elif item != "\n":
                raise LineError(f"a command is missing before {item!r}")
            stages, words = [], []
            condition = item if item in {"&&", "||"} else ""
    if condition or stages:
        raise LineError(f"a command is missing after {'|' if stages else condition}", unfinished=True)
    return pipelines


def _stage(tokens: list[str], before: str) -> Stage:
    words: list[str] = []
    streams: dict[str, str] = {}
    rest = iter(tokens)
    for item in rest:
        if not isinstance(item, Operator):
            words.append(item)
            continue
        name = next(rest, None)
        if name is None or isinstance(name, Operator):
            raise LineError(f"a file is missing after {item}")
        stream = "<" if item == "<" else ">"
        if stream in streams:
            raise LineError(f"{stream} is there twice")
        streams[stream] = name
        if item == ">>":
            streams[">>"] = name
    if not words:
        raise LineError(f"a command is missing before {before!r}")
    return Stage(tuple(words), streams.get("<"), streams.get(">"), ">>" in streams)
