"""Expressions of a script as numbers and bytes."""

from __future__ import annotations

import errno
import re
import socket
import struct
from typing import TYPE_CHECKING

from liblinux.packetdrill._constants import constant, suggestion
from liblinux.packetdrill._errors import ScriptError
from liblinux.packetdrill._script import Anything, Apply, Array, Expression, Name, Number, Or, Struct, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Values"]

_INTEGER = re.compile(r"-?\d+|0x[0-9a-fA-F]+")
_SIN, _SIN6 = struct.Struct("=HH4s8x"), struct.Struct("=HHI16sI")


class Values:
    """Evaluates, with the symbols that the run defines before those of the headers."""

    def __init__(self, symbols: Mapping[str, str]) -> None:
        self._symbols = symbols

    def integer(self, expression: Expression) -> int:
        """The value of a number, a symbol, or several joined by `|`. Raises ScriptError."""
        match expression:
            case Number(value):
                return value
            case Name():
                return self._name(expression, expression.name)
            case Or(parts):
                total = 0
                for part in parts:
                    total |= self.integer(part)
                return total
            case Apply("htons", (argument,)):
                return socket.htons(self.integer(argument))
            case Apply("htonl", (argument,)):
                return socket.htonl(self.integer(argument))
            case Apply("inet_addr", (Text(text),)):
                return int.from_bytes(socket.inet_aton(text), "little")
            case Apply():
                message = f"{expression.name}() is no number; there are htons, htonl and inet_addr"
                raise ScriptError(message, "", expression.line, expression.column)
        raise ScriptError(f"a number is needed, not {describe(expression)}")

    def _name(self, expression: Name, name: str, depth: int = 0) -> int:
        defined = self._symbols.get(name)
        if defined is not None and depth < len(self._symbols) + 1:
            if _INTEGER.fullmatch(defined):
                return int(defined, 0)
            return self._name(expression, defined, depth + 1)
        value = constant(name)
        if value is None:
            value = getattr(errno, name, None) if name.startswith("E") else None
        if value is None:
            message = f"unknown constant {name}{suggestion(name)}"
            raise ScriptError(message, "", expression.line, expression.column)
        return value

    def text(self, expression: Expression) -> str | None:
        """The string that is written, or that a symbol stands for; None when it is none."""
        if isinstance(expression, Text):
            return expression.value
        if isinstance(expression, Name):
            defined = self._symbols.get(expression.name, "")
            if defined.startswith('"'):
                return defined.strip('"')
        return None

    def members(self, expression: Expression, *known: str) -> dict[str, Expression]:
        """The members of a struct by name. Raises ScriptError for others than those known."""
        if not isinstance(expression, Struct):
            raise ScriptError(f"a struct with {', '.join(known)} is needed, not {describe(expression)}")
        members: dict[str, Expression] = {}
        for field in expression.fields:
            if field.name not in known:
                message = f"unknown member {field.name or 'without a name'}; there are {', '.join(known)}"
                raise ScriptError(message, "", expression.line, expression.column)
            members[field.name] = field.value
        return members

    def address(self, expression: Struct) -> bytes:
        """The bytes of `{sa_family=..., sin_port=..., sin_addr=...}`."""
        names = ("sa_family", "sin_port", "sin_addr", "sin6_family", "sin6_port", "sin6_addr")
        members = self.members(expression, *names)
        family = self.integer(members.get("sa_family") or members["sin6_family"])
        port = self.integer(members.get("sin_port") or members.get("sin6_port") or Number(0))
        place = members.get("sin_addr") or members.get("sin6_addr")
        text = place.arguments[0].value if isinstance(place, Apply) and isinstance(place.arguments[0], Text) else ""
        try:
            packed = socket.inet_pton(family, text)
        except (OSError, ValueError):
            raise ScriptError(
                f"{text!r} is no address of this family", "", expression.line, expression.column
            ) from None
        if family == socket.AF_INET6:
            return _SIN6.pack(family, port, 0, packed, 0)
        return _SIN.pack(family, port, packed)

    def items(self, expression: Expression) -> tuple[Expression, ...]:
        """The members of an array."""
        if not isinstance(expression, Array):
            raise ScriptError(f"an array ([...]) is needed, not {describe(expression)}")
        return expression.items


def describe(expression: Expression) -> str:  # noqa: PLR0911 - one for each kind
    """An expression in a message."""
    match expression:
        case Anything():
            return "..."
        case Number(value):
            return str(value)
        case Name(name):
            return name
        case Text(value):
            return f'"{value}"'
        case Or(parts):
            return "|".join(describe(part) for part in parts)
        case Array(items):
            return f"[{', '.join(describe(item) for item in items)}]"
        case Apply(name, arguments):
            return f"{name}({', '.join(describe(argument) for argument in arguments)})"
    return "a struct"
