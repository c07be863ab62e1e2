"""asyncio on a kernel: its epoll is the selector, its clock the time, its sockets the sockets.

    programs of asyncio, unchanged
    ──────────────────────────────────────────────────────────
    EventLoop           _loop.py      asyncio's own selector loop, over
      KernelSelector    _selector.py  epoll of the kernel
      KernelsSelector   _kernels.py   of several
    liblinux.running                  `socket`, `time`, ... of the standard library
                                      lead to the host that a task runs as

:class:`liblinux.Network` makes the loop: `net.run(main())`, `host.create_task(coro)`.
"""

from __future__ import annotations

from liblinux.asyncio._current import current_host
from liblinux.asyncio._loop import EventLoop
from liblinux.asyncio._selector import KernelSelector

__all__ = ["EventLoop", "KernelSelector", "current_host"]
