"""placeholder"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Passphrase = str | bytes | Callable[[str], str | bytes] | None


class Storage:
    def __init__(self, kernel: Any, disks: Any, passphrase: Passphrase, *, writable: bool) -> None: ...
    def choose(self, partition: int | str | None, volume: str | None) -> str:
        raise NotImplementedError
