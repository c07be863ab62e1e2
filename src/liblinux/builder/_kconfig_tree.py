"""Just enough of the Kconfig language to say why an option was lost.

The authority on configuration is the kernel's own ``conf``; this module only
explains its decisions. It follows ``source`` lines from the top of the tree,
keeps the conditions of the enclosing ``if`` and ``menu`` blocks, and evaluates
``depends on`` against a finished configuration. What it does not understand
(``choice`` rules, defaults, version macros) it passes over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["KconfigTree", "evaluate"]

_TOKEN = re.compile(r'\s*(\|\||&&|!=|<=|>=|[=<>!()]|"[^"]*"|\$\([^)]*\)|[\w.-]+)')
_COMMENT = re.compile(r"\s+#.*")


class KconfigTree:
    """The options of a kernel tree with their dependencies and selectors."""

    def __init__(self, tree: Path, arch: str) -> None:
        self._tree = tree
        self._arch = arch
        self._depends: dict[str, list[tuple[str, ...]]] = {}
        self._selects: dict[str, list[tuple[str, str]]] = {}
        self._read(tree / "Kconfig", ())

    def __contains__(self, name: str) -> bool:
        return name in self._depends

    def unmet(self, name: str, config: Mapping[str, str]) -> list[str]:
        """The conditions of option ``name`` that ``config`` does not fulfil."""
        candidates = [
            [condition for condition in conditions if not evaluate(condition, config)]
            for conditions in self._depends.get(name, [])
        ]
        # An option may be defined in several places; the nearest miss explains best.
        return list(dict.fromkeys(sorted(candidates, key=len)[0])) if candidates else []

    def selected_by(self, name: str, config: Mapping[str, str]) -> list[str]:
        """The options of ``config`` that force option ``name`` on."""
        return [
            selector
            for selector, condition in self._selects.get(name, [])
            if selector in config and (not condition or evaluate(condition, config))
        ]

    def _read(self, path: Path, outer: tuple[str, ...]) -> None:
        blocks: list[tuple[str, ...]] = [outer]
        name = ""
        in_menu = False
        for keyword, rest in _statements(path):
            if keyword in ("config", "menuconfig"):
                name, in_menu = rest, False
                self._depends.setdefault(name, []).append(blocks[-1])
            elif keyword in ("if", "menu", "choice"):
                name, in_menu = "", keyword != "if"
                blocks.append(blocks[-1] + ((rest,) if keyword == "if" else ()))
            elif keyword in ("endif", "endmenu", "endchoice") and len(blocks) > 1:
                name, in_menu = "", False
                blocks.pop()
            elif keyword == "comment":
                name, in_menu = "", False
            elif keyword == "source":
                for sourced in self._resolve(rest):
                    self._read(sourced, blocks[-1])
            elif keyword == "depends":
                condition = rest.removeprefix("on").strip()
                if name:
                    self._depends[name][-1] += (condition,)
                elif in_menu:
                    blocks[-1] += (condition,)
            elif keyword == "select" and name:
                selected, _, condition = rest.partition(" if ")
                self._selects.setdefault(selected.strip(), []).append((name, condition.strip()))

    def _resolve(self, argument: str) -> Iterator[Path]:
        relative = argument.strip('"')
        for variable in ("SRCARCH", "ARCH"):
            relative = relative.replace(f"$({variable})", self._arch)
        path = self._tree / relative
        if "$" not in relative and path.is_file():
            yield path


def _statements(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a Kconfig file as keyword and rest, without help texts."""
    help_indent: int | None = None
    text = path.read_text(encoding="utf-8", errors="replace").expandtabs().replace("\\\n", " ")
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if help_indent is not None and indent > help_indent:
            continue
        keyword, _, rest = _COMMENT.sub("", line.strip()).partition(" ")
        # A help text is whatever is indented deeper than its keyword.
        help_indent = indent if keyword in ("help", "---help---") else None
        yield keyword, rest.strip()


def evaluate(expression: str, config: Mapping[str, str]) -> bool:
    """Evaluate a Kconfig condition; without modules, ``m`` counts as ``n``."""
    tokens = _TOKEN.findall(expression)
    value, rest = _disjunction(tokens, config)
    # Not understood: do not accuse an innocent condition.
    return value or bool(rest)


def _disjunction(tokens: list[str], config: Mapping[str, str]) -> tuple[bool, list[str]]:
    value, tokens = _conjunction(tokens, config)
    while tokens[:1] == ["||"]:
        right, tokens = _conjunction(tokens[1:], config)
        value = value or right
    return value, tokens


def _conjunction(tokens: list[str], config: Mapping[str, str]) -> tuple[bool, list[str]]:
    value, tokens = _term(tokens, config)
    while tokens[:1] == ["&&"]:
        right, tokens = _term(tokens[1:], config)
        value = value and right
    return value, tokens


def _term(tokens: list[str], config: Mapping[str, str]) -> tuple[bool, list[str]]:
    if not tokens:
        return True, tokens
    if tokens[0] == "!":
        value, tokens = _term(tokens[1:], config)
        return not value, tokens
    if tokens[0] == "(":
        value, tokens = _disjunction(tokens[1:], config)
        return value, tokens[1:]
    if tokens[1:2] and tokens[1] in ("=", "!="):
        equal = _value(tokens[0], config) == _value(tokens[2] if tokens[2:] else "", config)
        return equal == (tokens[1] == "="), tokens[3:]
    if tokens[1:2] and tokens[1] in ("<", ">", "<=", ">="):
        return True, tokens[3:]
    # Macros such as $(cc-option,...) were decided by the compiler: not judged.
    return tokens[0].startswith("$") or _value(tokens[0], config) == "y", tokens[1:]


def _value(token: str, config: Mapping[str, str]) -> str:
    if token.startswith('"') or token.isdigit() or token in ("y", "n", "m"):
        return token.strip('"')
    return config.get(token, "n").strip('"')
