"""The kernels of a network: its own, and those that hosts have named."""

from __future__ import annotations

import struct

from liblinux import _native
from liblinux._kernel import Kernel
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sized

    from liblinux.testing._pool import Lender

__all__ = ["Kernels"]

_KERNEL_BYTES = 64 << 20
# For a host that acts, 300 KiB and with IPv6 450 (of Linux 6.1 350 and 500), and its connections. What is reserved and
# not used is address space, but for its part of the kernel's table of pages: 16 KiB for each MiB.
_HOST_BYTES, _HOST_BYTES_6 = 512 << 10, 768 << 10
_RLIMIT_NOFILE, _OPEN_FILES = 7, 1 << 20
_WITHOUT_IPV6 = "ipv6.disable=1"
# DCCP sizes its table of connections by the memory that there is, and writes to all of it: 2.5 MB where there are
# a thousand hosts. This is what a kernel of 64 MB has.
_TABLES = "dccp.thash_entries=4096"
_SETTINGS: dict[str, str | int] = {
    # The queue of a link is what waits at it, in the order of arrival.
    "net.core.default_qdisc": "pfifo",
    # All hosts start with what is set here.
    "net.core.devconf_inherit_init_net": 1,
    # The table of neighbours is one for all hosts, and none of them shall be forgotten for another.
    "net.ipv4.neigh.default.gc_thresh2": 1 << 20,
    "net.ipv4.neigh.default.gc_thresh3": 1 << 20,
}
_SETTINGS_6: dict[str, str | int] = {
    # Addresses are ours to give, and so they are a host's at once: looking for duplicates takes seconds, during
    # which routers do not forward.
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.neigh.default.gc_thresh2": 1 << 20,
    "net.ipv6.neigh.default.gc_thresh3": 1 << 20,
}


class Kernels:
    """Booted when they are first asked for, with what all hosts of a network need.

    Arguments: `options` that the first one boots with; `memory` as of :class:`Network`,
    and the `hosts` that it is for when that is None; the `command_line`; whether there
    is `ipv6`.
    """

    def __init__(
        self, options: dict[str, Any], memory: int | str | None, hosts: Sized, command_line: str, *, ipv6: bool
    ) -> None:
        self.options = options
        # Who keeps booted kernels for many networks, one after the other; in tests, see liblinux.testing.
        self.lender: Lender | None = None
        self._memory = memory
        self._hosts = hosts
        self._command_line = " ".join(filter(None, (_TABLES, "" if ipv6 else _WITHOUT_IPV6, command_line)))
        self._ipv6 = ipv6
        self._first: Kernel | None = None
        self._others: dict[str, Kernel] = {}
        self._closed = False

    @property
    def first(self) -> Kernel:
        """The one for all hosts that name none of their own; booted now if it was not.

        ValueError after close().
        """
        if self._closed:
            raise ValueError("the network is closed")
        if self._first is None:
            lender = self.lender
            self._first = lender.lend(self) if lender is not None else self.boot(**self.options)
        return self._first

    @property
    def all(self) -> list[Kernel]:
        """Those that were booted, the first one first."""
        return [*([self._first] if self._first else []), *self._others.values()]

    @property
    def several(self) -> bool:
        """Whether hosts have named others."""
        return bool(self._others)

    @property
    def alive(self) -> bool:
        """Whether the first one is there and did not die."""
        return self._first is not None and not self._first.closed and self._first.dead is None

    def of(self, version: str | None) -> Kernel:
        """The kernel that a host has named, or the first one."""
        first = self.first
        if version is None:
            return first
        kernel = self._others.get(version)
        if kernel is None:
            from liblinux.asyncio._kernels import shift_descriptors  # noqa: PLC0415 - imports asyncio

            # Another seed for each, of which the first one's is the source.
            seed = first.seed + version.encode()
            kernel = self.boot(clock=first.clock, seed=seed, version=version.partition(":")[0])
            shift_descriptors(kernel, len(self._others) + 1)
            if first.clock == "virtual":
                _native.group_join(first._native, kernel._native)
            self._others[version] = kernel
        return kernel

    def boot(self, **options: Any) -> Kernel:
        """A new kernel, with the settings of a network."""
        settings, arguments = self.wants()
        kernel = Kernel(**arguments, **options)
        # All hosts share one table of files, and each has some in it.
        kernel.syscall("prlimit64", 0, _RLIMIT_NOFILE, struct.pack("=QQ", _OPEN_FILES, _OPEN_FILES), None)
        for name, value in settings.items():
            kernel.sysctl[name] = value
        return kernel

    def wants(self) -> tuple[dict[str, str | int], dict[str, Any]]:
        """The settings of its kernels, and the arguments that they all have."""
        each = _HOST_BYTES_6 if self._ipv6 else _HOST_BYTES
        memory = self._memory or _KERNEL_BYTES + each * len(self._hosts)
        settings = {**_SETTINGS, **(_SETTINGS_6 if self._ipv6 else {})}
        return settings, {"memory": memory, "command_line": self._command_line}

    def close(self, *, may_return: bool) -> None:
        """Close them; one that was lent goes back, if it `may_return`."""
        kernels = self.all
        self._closed = True
        self._first = None
        self._others = {}
        if self.lender is not None and len(kernels) == 1 and may_return:
            self.lender.take_back(kernels.pop())
        _close_all(kernels)


def _close_all(kernels: list[Kernel]) -> None:
    """Close them, the last one first, and all of them."""
    try:
        if kernels:
            kernels[-1].close()
    finally:
        if kernels:
            _close_all(kernels[:-1])
