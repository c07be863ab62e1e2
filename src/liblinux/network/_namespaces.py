"""The network namespaces of hosts, and the process that goes from one to the other.

A host is a network namespace, which a descriptor keeps. What sets it up is done by
a single process of each kernel, the visitor, which enters one namespace after the
other: so a host that only forwards what others send never has a process, which is
a task with its stack, and a second one that makes tasks for further threads. Hosts
that act get theirs when they begin to.
"""

from __future__ import annotations

import contextlib
import os
import threading

from liblinux import _abi
from liblinux import _process as processes
from liblinux._typing import TYPE_CHECKING
from liblinux.network import _rtnetlink as rtnetlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from liblinux._kernel import Kernel
    from liblinux._process import Process
    from liblinux.network._host import Host
    from liblinux.network._network import Network

__all__ = ["Namespaces"]

_NEW_NETWORK = _abi.NAMESPACES["net"]
# Of the calling thread: each is in the namespace that it has entered last.
_OWN_NAMESPACE = "/proc/thread-self/ns/net"
_FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


class Namespaces:
    """Those of all hosts of a network, which forward IP of these `versions` where hosts are routers."""

    def __init__(self, network: Network, versions: Sequence[int]) -> None:
        self._network = network
        self._versions = versions
        self._visitors: dict[Kernel, _Visitor] = {}
        self._starting = threading.Lock()

    def make(self, hosts: Iterable[Host]) -> None:
        """One for each host."""
        routers: dict[Kernel, list[Host]] = {}
        for host in hosts:
            if host._node.forwards:
                routers.setdefault(host.kernel, []).append(host)
            else:
                host._namespace = self._visitor(host).make()
        for kernel, those in routers.items():
            with _forwarding(kernel, self._versions):
                for host in those:
                    host._namespace = self._visitor(host).make()

    def send(self, host: Host, messages: Sequence[bytes]) -> None:
        """Send messages of rtnetlink; OSError with the kernel's errno for the first that was refused."""
        self._visitor(host).send(host._namespace, messages)

    def start_process(self, host: Host) -> Process:
        """The process of a host that has none, or whose process has ended."""
        with self._starting:
            if host._process is None or host._process.closed:
                host._process = self._visitor(host).start(host._namespace, host.name)
                self._network._runs.attach(host._process)
            return host._process

    def _visitor(self, host: Host) -> _Visitor:
        kernel = host.kernel
        visitor = self._visitors.get(kernel)
        if visitor is None:
            visitor = self._visitors[kernel] = _Visitor(kernel)
        return visitor


class _Visitor:
    """Makes the namespaces of one kernel, and does what is to be done in them.

    Its descriptors are init's, as are those of all hosts.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._process: Process | None = None

    @property
    def _acting(self) -> Process:
        # A kernel that was put back has forgotten it perhaps.
        if self._process is None or self._process.closed:
            self._process = processes.start(self._kernel, share_files=True)
            self._kernel._processes.add(self._process)
        return self._process

    def make(self) -> int:
        """A new network namespace; returns the descriptor that keeps it."""
        self._acting.syscall("unshare", _NEW_NETWORK)
        return self._acting.os.open(_OWN_NAMESPACE, os.O_RDONLY)

    def send(self, namespace: int, messages: Sequence[bytes]) -> None:
        """Send messages of rtnetlink there; see :class:`Namespaces`."""
        batch = rtnetlink.Batch(self._enter(namespace))
        try:
            batch.send(messages)
        finally:
            batch.close()

    def _enter(self, namespace: int) -> Process:
        self._acting.syscall("setns", namespace, _NEW_NETWORK)
        return self._acting

    def start(self, namespace: int, name: str) -> Process:
        """A process that lives there, with a host name of its own."""
        # Made there, it need not go there. That would end a task, the one that makes tasks, whose stack is the next
        # one's: the end of a task touches 24 KiB more of its stack than tasks need that wait.
        process = processes.start(self._kernel, namespaces=("uts",), share_files=True, parent=self._enter(namespace))
        self._kernel._processes.add(process)
        encoded = name.encode()
        process.syscall("sethostname", encoded, len(encoded))
        return process


@contextlib.contextmanager
def _forwarding(kernel: Kernel, versions: Sequence[int]) -> Iterator[None]:
    """Namespaces that are made meanwhile forward, since they take over init's settings.

    So no file of /proc has to be opened in each of them, which the kernel would keep in memory.
    """
    files = [_FORWARDING[version] for version in versions]
    before = [kernel.sysctl[file] for file in files]
    try:
        for file in files:
            kernel.sysctl[file] = 1
        yield
    finally:
        for file, value in zip(files, before, strict=True):
            kernel.sysctl[file] = value
