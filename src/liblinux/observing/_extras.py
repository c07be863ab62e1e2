"""The libraries of the extra `plots`, with a clear word when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["need"]


def need(module: str, what: str) -> Any:
    """Import one of them for `what` ("a report"); ImportError says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{what} needs {package}, which is not installed: pip install 'liblinux[plots]'") from error
