"""Running a coroutine on a kernel's event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from liblinux.asyncio._loop import EventLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextvars import Context

    from liblinux._kernel import Kernel
    from liblinux.asyncio._selector import KernelSelector
    from liblinux.running import Turns

__all__ = ["run"]

_T = TypeVar("_T")


def run(
    kernel: Kernel,
    main: Coroutine[Any, Any, _T],
    context: Context | None,
    turns: Turns,
    selector: KernelSelector | None = None,
) -> _T:
    """Run `main` until it is done; returns its result. Tasks that are left are cancelled, as by asyncio.run().

    `selector` for another one than the kernel's own, of several kernels.
    """
    with asyncio.Runner(loop_factory=lambda: EventLoop(kernel, turns, selector)) as runner:
        result: _T = runner.run(main, context=context)
        return result
