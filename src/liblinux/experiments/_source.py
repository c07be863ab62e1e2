"""The text of an experiment: TOML or YAML, read to plain values, and the line that each of them is in.

Lines are wanted only when something is wrong. For TOML they are found with tomlkit, which writes a
document back as it was: a mark is put in the place of the value, and looked for in the text. (tomllib
and tomlkit do not tell where values are; a parser that does would be one more grammar.)
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from liblinux.experiments._errors import ExperimentError, Path, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    import yaml

__all__ = ["Source"]

_MARK = "liblinux looks for this"
_TOML_PLACE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")


class Source:
    """A file's text; `values` is what it says. ExperimentError when it is not TOML, or YAML."""

    def __init__(self, text: str, name: str = "<experiment>") -> None:
        self.text = text
        self.name = name
        self._yaml = name.endswith((".yaml", ".yml"))
        self.values: dict[str, Any] = self._read_yaml() if self._yaml else self._read_toml()

    def _read_toml(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            place = _TOML_PLACE.search(str(error))
            line = int(place[1]) if place and place[1] else self.text.count("\n") + 1
            message = _TOML_PLACE.sub("", str(error)).strip()
            raise ExperimentError(self.name, [Problem((), f"this is not TOML: {message}", line)]) from None

    def _read_yaml(self) -> dict[str, Any]:
        import yaml  # noqa: PLC0415 - for those who do

        try:
            values = yaml.safe_load(self.text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ExperimentError(self.name, [Problem((), f"this is not YAML: {error.problem}", line)]) from None
        if not isinstance(values, dict):
            raise ExperimentError(self.name, [Problem((), "an experiment has 'duration', 'nodes', ...", 1)])
        return values

    def error(self, problems: Iterable[Problem]) -> ExperimentError:
        """The error that tells of them, each at its line."""
        return ExperimentError(self.name, [problem._replace(line=self.line(problem.path)) for problem in problems])

    def line(self, path: Path) -> int:
        """The line of what is at a path, or of what it would be in; from 1."""
        for length in range(len(path), 0, -1):
            found = self._yaml_line(path[:length]) if self._yaml else self._toml_line(path[:length])
            if found:
                return found
        return 1

    def _yaml_line(self, path: Path) -> int | None:
        import yaml  # noqa: PLC0415 - as above

        node: yaml.Node | None = yaml.compose(self.text)
        line = 1
        for key in path:
            if isinstance(node, yaml.MappingNode):
                found = [(name, value) for name, value in node.value if name.value == str(key)]
                if not found:
                    return None
                line, node = found[0][0].start_mark.line + 1, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                line = node.start_mark.line + 1
            else:
                return None
        return line

    def _toml_line(self, path: Path) -> int | None:
        import tomlkit  # noqa: PLC0415 - slow, and only for errors

        document: Any = tomlkit.parse(self.text)
        holder, key = _descend(document, path)
        if holder is None:
            return None
        if not isinstance(holder[key], dict) or isinstance(holder[key], tomlkit.items.InlineTable):
            return _marked(document, holder, key)
        # A table: the line of its header, which is before its first key.
        first = next(iter(holder[key]), None)
        inner = self._toml_line((*path, first)) if first is not None else None
        if inner is None:
            return None
        lines = self.text.splitlines()
        for number in range(inner, 0, -1):
            if lines[number - 1].lstrip().startswith("["):
                return number
        return inner


def _descend(document: Any, path: Path) -> tuple[Any, Any]:
    """What holds the value at a path, and its key there; None when there is no such value."""
    holder: Any = None
    value = document
    for key in path:
        holder = value
        if isinstance(value, dict):
            missing = key not in value
        else:
            missing = not isinstance(value, list) or not isinstance(key, int) or key >= len(value)
        if missing:
            return None, None
        value = value[key]
    return holder, path[-1]


def _marked(document: Any, holder: Any, key: Any) -> int | None:
    import tomlkit  # noqa: PLC0415 - as above

    holder[key] = _MARK
    before, found, _ = tomlkit.dumps(document).partition(_MARK)
    return before.count("\n") + 1 if found else None
