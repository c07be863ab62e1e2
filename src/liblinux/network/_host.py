"""Hosts: processes of the network's kernel, each in a network namespace of its own."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._os import Os
    from liblinux._process import Process
    from liblinux._sysctl import Sysctl
    from liblinux.network._network import Network
    from liblinux.network._topology import Interface, Node

__all__ = ["Host"]


class Host:
    """A host, router or switch of a :class:`Network`; made by its `host`, `router` and `switch`.

    It has what a process has, in a network namespace and with a host name of its
    own: `os`, `open`, `syscall`, `socket`, `sysctl`; and `ip`, a pyroute2 object.
    Attributes: `name`; `network`; `interfaces`, by name what the network knows of
    them.
    """

    def __init__(self, network: Network, node: Node) -> None:
        self.network = network
        self.name = node.name
        self._node = node
        self._process: Process | None = None

    def __repr__(self) -> str:
        return f"<liblinux.Host {self.name}>"

    @property
    def process(self) -> Process:
        """The process that acts as the host; with the first look at it the network comes up."""
        self.network.up()
        assert self._process is not None, "up() makes the processes of all hosts"
        return self._process

    @property
    def os(self) -> Os:
        """The functions of `os`, on this host."""
        return self.process.os

    @property
    def syscall(self) -> Callable[..., int]:
        """Any system call, on this host."""
        return self.process.syscall

    @property
    def sysctl(self) -> Sysctl:
        """The settings under /proc/sys, of this host where they are a host's own."""
        return self.process.sysctl

    def open(self, *arguments: Any, **options: Any) -> Any:
        """Open a file; see :meth:`Kernel.open`. All hosts of a kernel have the same files."""
        return self.process.open(*arguments, **options)

    @property
    def interfaces(self) -> dict[str, Interface]:
        """Its interfaces by name, in the order of its links."""
        self.network._assign()
        return {interface.name: interface for interface in self._node.interfaces}

    @property
    def address(self) -> str:
        """Its first IPv4 address, as text; of IPv6 when it has no other."""
        return self.network.resolve(self.name)[0]
