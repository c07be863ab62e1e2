"""What packages ask the machine when they are imported, and go by in a run: which would be another on another machine.

urllib3 binds a socket to ::1, and where that fails it never asks for an IPv6 address again, and
requests neither. In a run it looks for both kinds: what there is depends on the network. It makes
no difference whether it is imported before the run or in it.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["Finder", "changes"]

# Modules, and what is in them during a run.
_ANSWERS: dict[str, tuple[str, Any]] = {"urllib3.util.connection": ("HAS_IPV6", True)}


def changes() -> list[tuple[Any, str, Any]]:
    """Places, names and values to put there for a run, of what is imported by now."""
    found = ((sys.modules.get(module), *answer) for module, answer in _ANSWERS.items())
    return [(module, name, value) for module, name, value in found if module is not None and hasattr(module, name)]


class Finder:
    """Finds these modules when they are imported during a run; `change` is told place, name and value."""

    def __init__(self, change: Callable[[Any, str, Any], object]) -> None:
        self._change = change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See :class:`importlib.abc.MetaPathFinder`."""
        if fullname not in _ANSWERS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            self._extend(spec.loader, *_ANSWERS[fullname])
        return spec

    def _extend(self, loader: Any, name: str, value: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if hasattr(module, name):
                self._change(module, name, value)

        loader.exec_module = exec_module
