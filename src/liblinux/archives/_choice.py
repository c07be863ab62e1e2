"""Which members are wanted, and under which name: --exclude and --strip-components."""

from __future__ import annotations

import os
import re
from fnmatch import translate

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Choice"]


class Choice:
    """What to take of an archive or a tree.

    Patterns of `exclude` are those of a shell, as GNU tar takes them: "*.pyc" and
    "var/cache" match at any depth, "/proc" only at the top, and what is below a
    directory that matches is left out with it; "*" matches slashes too. `strip` is
    the number of leading components that names lose; what has no more is left out.
    """

    def __init__(self, exclude: Iterable[str] = (), strip: int = 0) -> None:
        patterns = []
        for pattern in exclude:
            anchored = pattern.startswith(("/", "./"))
            body = translate(pattern.removeprefix(".").strip("/") if anchored else pattern.rstrip("/"))
            # \\Z of fnmatch becomes the end of a component.
            body = body.removesuffix(r"\Z")
            patterns.append(("" if anchored else "(?:.*/)?") + body + "(?:/.*)?")
        self._excluded = re.compile(os.fsencode("|".join(patterns)), re.DOTALL) if patterns else None
        self._strip = strip

    def wants(self, path: bytes) -> bool:
        """Whether a path is not excluded."""
        return self._excluded is None or not path or self._excluded.fullmatch(path) is None

    def renamed(self, path: bytes) -> bytes | None:
        """The path without its leading components; None when nothing is left, or it is excluded."""
        if not self.wants(path):
            return None
        if not self._strip:
            return path
        parts = path.split(b"/", self._strip)
        return parts[-1] if len(parts) > self._strip else None
