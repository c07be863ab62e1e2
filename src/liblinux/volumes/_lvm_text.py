"""The text that LVM2 keeps its metadata in, as Python values; see lvm.conf(5) for the grammar.

Sections in braces become dicts, `name = value` an entry, lists in brackets lists;
values are numbers, strings in double quotes, or lists of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

__all__ = ["parse_metadata"]

_TOKEN = re.compile(r'\s+|#[^\n]*|(?P<token>"(?:[^"\\]|\\.)*"|[{}\[\]=,]|[^\s{}\[\]=,"#]+)')
_ESCAPE = re.compile(r"\\(.)")
_DEEPEST = 16


class _Tokens:
    def __init__(self, text: str) -> None:
        self._tokens = list(_split(text))
        self._next = 0

    def peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise ValueError(f"{wanted or 'more'!r} is missing at {token or 'the end'!r}")
        self._next += 1
        return token


def parse_metadata(text: str) -> dict[str, Any]:
    """The sections and settings of a text; ValueError when it is none."""
    tokens = _Tokens(text)
    found = _section(tokens, 0)
    if tokens.peek():
        raise ValueError(f"a section ends that did not begin, at {tokens.peek()!r}")
    return found


def _split(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"no metadata at character {position}: {text[position : position + 20]!r}")
        if match["token"]:
            tokens.append(match["token"])
        position = match.end()
    return tokens


def _section(tokens: _Tokens, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise ValueError("sections lie in sections without end")
    found: dict[str, Any] = {}
    while tokens.peek() not in ("", "}"):
        name = tokens.take()
        if tokens.peek() == "=":
            tokens.take()
            found[name] = _value(tokens)
        else:
            tokens.take("{")
            found[name] = _section(tokens, depth + 1)
            tokens.take("}")
    return found


def _value(tokens: _Tokens) -> Any:
    if tokens.peek() != "[":
        return _single(tokens.take())
    tokens.take("[")
    values = []
    while tokens.peek() != "]":
        values.append(_single(tokens.take()))
        if tokens.peek() != "]":
            tokens.take(",")
    tokens.take("]")
    return values


def _single(token: str) -> int | float | str:
    if token.startswith('"'):
        return _ESCAPE.sub(r"\1", token[1:-1])
    return float(token) if "." in token else int(token)
