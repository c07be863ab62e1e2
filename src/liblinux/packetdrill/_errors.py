"""What can go wrong with a script.

LiblinuxError
└── ScriptError           the script cannot be run: exit status 2
    └── ScriptSyntaxError   ... because it is not in the language
Failed                    it ran, and the kernel did something else: exit status 1
"""

from __future__ import annotations

from liblinux._errors import LiblinuxError

__all__ = ["Failed", "ScriptError", "ScriptSyntaxError"]


class ScriptError(LiblinuxError):
    """A script that cannot be run; `line` and `column` count from 1, 0 where there is none."""

    def __init__(self, message: str, name: str = "", line: int = 0, column: int = 0) -> None:
        self.message, self.name, self.line, self.column = message, name, line, column
        super().__init__(message)

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.name, self.line, self.column) if part)
        return f"{place}: {self.message}" if place else self.message


class ScriptSyntaxError(ScriptError):
    """A script that is not in the language, or says what cannot be."""


class Failed(Exception):
    """The kernel did not do what the script expects."""
