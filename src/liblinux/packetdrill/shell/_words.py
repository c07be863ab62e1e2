"""Expansion of words: quotes, variables, arithmetic and the output of commands."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

from liblinux.packetdrill._errors import ScriptError
from liblinux.packetdrill.shell._language import _skip

__all__ = ["expand", "expand_one"]

_VARIABLE = re.compile(r"\$(\w+|[?$#@*])")
_BRACED = re.compile(r"(\w+)(?::?-(.*))?", re.DOTALL)
_ARITHMETIC: dict[type[ast.AST], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.floordiv,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}

Capture = Callable[[str], str]


def expand(word: str, variables: Mapping[str, str], capture: Capture) -> list[str]:
    """The words that a word becomes: unquoted expansions are split at white space.

    `capture` runs a command and returns its output.
    """
    fields: list[str] = [""]
    exists = False
    for text, quoted in _pieces(word, variables, capture):
        if quoted or text is None:
            exists = exists or quoted
            fields[-1] += text or ""
            continue
        parts = re.split(r"\s+", text)
        fields[-1] += parts[0]
        fields += parts[1:]
    return [one for position, one in enumerate(fields) if one or (exists and position == 0)]


def expand_one(word: str, variables: Mapping[str, str], capture: Capture) -> str:
    """The same without splitting, for assignments and files."""
    return "".join(text or "" for text, _ in _pieces(word, variables, capture))


def _pieces(word: str, variables: Mapping[str, str], capture: Capture) -> list[tuple[str | None, bool]]:
    """Parts of a word with whether they are exempt from splitting."""
    pieces: list[tuple[str | None, bool]] = []
    at = 0
    while at < len(word):
        end = _skip(word, at)
        piece = word[at:end]
        if piece[0] == "\\":
            pieces.append((piece[1:].replace("\n", ""), True))
        elif piece[0] == "'":
            pieces.append((piece[1:-1], True))
        elif piece[0] == '"':
            pieces.append((_in_quotes(piece[1:-1], variables, capture), True))
        elif piece[0] == "$":
            variable = _VARIABLE.match(word, at)
            if variable:
                piece, end = variable[0], variable.end()
            pieces.append((_value(piece, variables, capture), False))
        else:
            pieces.append((piece, True))
        at = end
    return pieces


def _in_quotes(text: str, variables: Mapping[str, str], capture: Capture) -> str:
    result, at = "", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text) and text[at + 1] in '\\"$`\n':
            result += text[at + 1].replace("\n", "")
            at += 2
        elif text[at] == "$":
            variable = _VARIABLE.match(text, at)
            end = variable.end() if variable else _skip(text, at)
            result += _value(text[at:end], variables, capture)
            at = end
        else:
            result += text[at]
            at += 1
    return result


def _value(text: str, variables: Mapping[str, str], capture: Capture) -> str:
    if text.startswith("$(("):
        return str(_calculate(_in_quotes(text[3:-2], variables, capture)))
    if text.startswith("$("):
        return capture(text[2:-1]).rstrip("\n")
    if text.startswith("${"):
        found = _BRACED.fullmatch(text[2:-1])
        if not found:
            raise ScriptError(f"the shell of scripts has no expansion {text}")
        return variables.get(found[1]) or _in_quotes(found[2] or "", variables, capture)
    return variables.get(text[1:], "") if len(text) > 1 else text


def _calculate(text: str) -> int:
    def value(node: ast.AST) -> int:
        match node:
            case ast.Expression(body):
                return value(body)
            case ast.Constant(int() as number):
                return number
            case ast.UnaryOp(ast.USub(), operand):
                return -value(operand)
            case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
                return _ARITHMETIC[type(op)](value(left), value(right))
        raise ScriptError(f"the shell of scripts cannot calculate {text!r}")

    try:
        return value(ast.parse(text.strip(), mode="eval"))
    except (SyntaxError, ZeroDivisionError) as error:
        raise ScriptError(f"cannot calculate {text!r}: {error}") from None
