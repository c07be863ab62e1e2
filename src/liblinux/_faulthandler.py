"""Keep the library's fault handler in front of Python's.

A bad pointer given to a system call, and the first touch of a page of a mapped
file, arrive as SIGSEGV and are answered by the library's handler; what is not
its business it passes on. `faulthandler.enable()` installs a handler that
passes nothing on: installed after the library's it would report the first page
fault as a crash, and `disable()` puts back what it had saved, which may be
older than the library. So after each of them the library's handler is put in
front again, with the new one behind it. (Rejected: a look at the handler on
every entry into the kernel, which costs a host system call each.)
"""

from __future__ import annotations

import faulthandler

from liblinux import _native
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    _Parameters = ParamSpec("_Parameters")
    _Result = TypeVar("_Result")

__all__ = ["install"]


def _reclaiming(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    def wrapper(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return function(*args, **kwargs)
        finally:
            _native.reclaim_fault_handler()

    # What functools.wraps does; importing it takes as long as opening a hundred files.
    wrapper.__name__, wrapper.__qualname__, wrapper.__doc__ = function.__name__, function.__qualname__, function.__doc__
    wrapper.__liblinux__ = True  # type: ignore[attr-defined]  # functions take attributes
    return wrapper


def install() -> None:
    """Wrap `faulthandler.enable` and `disable`; a second call changes nothing."""
    for name in ("enable", "disable"):
        function = getattr(faulthandler, name)
        if not hasattr(function, "__liblinux__"):
            setattr(faulthandler, name, _reclaiming(function))
