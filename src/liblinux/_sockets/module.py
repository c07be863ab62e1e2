"""`kernel.socket`: what the `socket` module is, for one process of a kernel."""

from __future__ import annotations

import array
import errno
import socket
import struct

from liblinux._living import Living
from liblinux._sockets.constants import constants
from liblinux._sockets.files import GiveUpOnSendfile
from liblinux._sockets.interfaces import InterfaceFunctions
from liblinux._sockets.names import NameFunctions
from liblinux._sockets.sock import Socket, _seconds
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping, Sequence

    from typing_extensions import Buffer

    from liblinux._os import Os
    from liblinux._sockets.address import Address

__all__ = ["SocketModule"]

_POLLOUT = 4
_F_DUPFD_CLOEXEC = 1030
_POLLFD = struct.Struct("=ihh")

# Pure functions and tables, which are nobody's: CPython's and the C library's own.
_PURE = frozenset(
    {
        "AddressFamily",
        "AddressInfo",
        "CAPI",
        "CMSG_LEN",
        "CMSG_SPACE",
        "EAGAIN",
        "EBADF",
        "EWOULDBLOCK",
        "IntEnum",
        "IntFlag",
        "MsgFlag",
        "SocketIO",
        "SocketKind",
        "error",
        "gaierror",
        "getprotobyname",
        "getservbyname",
        "getservbyport",
        "has_ipv6",
        "herror",
        "htonl",
        "htons",
        "inet_aton",
        "inet_ntoa",
        "inet_ntop",
        "inet_pton",
        "ntohl",
        "ntohs",
        "timeout",
    }
)
_EXTRA: dict[str, int] = {}


class SocketModule(NameFunctions, InterfaceFunctions):
    """The standard library's `socket` over the network of one process of a kernel.

    Constants are Linux's: those of the standard library and those that it lacks
    (SCTP, DCCP, MPTCP, netlink, packet sockets, timestamps, ...). `socket` is the
    class, made for this process.

    `hosts` is a table of names: a name to an address or a list of them, as /etc/hosts
    of the kernel's own file system, which is looked into after it. `nameservers` are
    the addresses of DNS servers, which are asked over the kernel's own network; when
    there are none, those of the kernel's own /etc/resolv.conf.

    The first use of a network namespace by way of this object sets its loopback
    device up, unlike Linux, where every machine's start scripts do.
    """

    # Named as in the standard library, whose tests know it.
    _GiveupOnSendfile = GiveUpOnSendfile

    def __init__(self, system: Os) -> None:
        self._os = system
        self._native = system._native
        self._default_timeout: float | None = None
        self._sockets: Living[Socket] = Living()
        self._loopback_lost = False
        self.hosts: MutableMapping[str, str | Sequence[str]] = {}
        self.nameservers: list[str | tuple[str, int]] = []
        self.socket: type[Socket] = type("socket", (Socket,), {"_module": self, "__module__": __name__})
        self.SocketType = self.socket

    def __getattr__(self, name: str) -> Any:
        if name.isupper() or name in _PURE or name.startswith(("EAI_", "IPPORT_", "SO_")):
            if hasattr(socket, name):
                return getattr(socket, name)
            if not _EXTRA:
                _EXTRA.update(constants())
            if name in _EXTRA:
                return _EXTRA[name]
        raise AttributeError(f"kernel.socket has no {name!r}")

    def __dir__(self) -> list[str]:
        theirs = {name for name in dir(socket) if name.isupper() or name in _PURE}
        return sorted({*super().__dir__(), *theirs, *constants()})

    def __repr__(self) -> str:
        return f"<liblinux sockets of process {self._native.pid}>"

    # ---- making sockets --------------------------------------------------------

    def socketpair(
        self, family: int | None = None, type: int = socket.SOCK_STREAM, proto: int = 0
    ) -> tuple[Socket, Socket]:
        """Two sockets that are connected to each other; AF_UNIX unless `family` says otherwise."""
        family = socket.AF_UNIX if family is None else family
        pair = bytearray(8)
        self._call("socketpair", family, type | socket.SOCK_CLOEXEC, proto, pair)
        first, second = struct.unpack("=ii", pair)
        return self.socket(family, type, proto, fileno=first), self.socket(family, type, proto, fileno=second)

    def fromfd(self, fd: int, family: int, type: int, proto: int = 0) -> Socket:
        """A socket from a copy of a descriptor of the kernel."""
        return self.socket(family, type, proto, fileno=self.dup(fd))

    def create_connection(
        self,
        address: tuple[str | None, int],
        timeout: float | object | None = socket._GLOBAL_DEFAULT_TIMEOUT,  # type: ignore[attr-defined]
        source_address: tuple[str, int] | None = None,
        *,
        all_errors: bool = False,
    ) -> Socket:
        """Connect a TCP socket to (host, port), trying all addresses of the host; returns it.

        `all_errors` raises an ExceptionGroup with the failures of all addresses
        instead of the last one.
        """
        host, port = address
        failures: list[OSError] = []
        for family, kind, protocol, _, found in self.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
            sock = None
            try:
                sock = self.socket(family, kind, protocol)
                if timeout is not socket._GLOBAL_DEFAULT_TIMEOUT:  # type: ignore[attr-defined]
                    sock.settimeout(timeout)  # type: ignore[arg-type]
                if source_address:
                    sock.bind(source_address)
                sock.connect(found)
                return sock
            except OSError as failure:
                if not all_errors:
                    failures.clear()
                failures.append(failure)
                if sock is not None:
                    sock.close()
        if not failures:
            raise OSError("getaddrinfo returns an empty list")
        try:
            if not all_errors:
                raise failures[0]
            raise ExceptionGroup("create_connection failed", failures)
        finally:
            failures.clear()  # or their tracebacks would hold what they are in

    def create_server(
        self,
        address: Address,
        *,
        family: int = socket.AF_INET,
        backlog: int | None = None,
        reuse_port: bool = False,
        dualstack_ipv6: bool = False,
    ) -> Socket:
        """A TCP socket that listens at (host, port); returns it.

        `dualstack_ipv6` takes IPv4 connections as well at an IPv6 address.
        """
        if dualstack_ipv6 and family != socket.AF_INET6:
            raise ValueError("dualstack_ipv6 requires AF_INET6 family")
        sock = self.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dualstack_ipv6))
            try:
                sock.bind(address)
            except OSError as failure:
                message = f"{failure.strerror} (while attempting to bind on address {address!r})"
                raise OSError(failure.errno, message) from None
            sock.listen() if backlog is None else sock.listen(backlog)
        except BaseException:
            sock.close()
            raise
        return sock

    def has_dualstack_ipv6(self) -> bool:
        """Whether an IPv6 socket can take IPv4 connections."""
        try:
            with self.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        except OSError:
            return False
        return True

    # ---- descriptors -----------------------------------------------------------

    def close(self, fd: int) -> None:
        """Close a descriptor of the kernel."""
        self._native.close(fd)

    def dup(self, fd: int) -> int:
        """Copy a descriptor of the kernel."""
        return self._call("fcntl", fd, _F_DUPFD_CLOEXEC, 0)

    def send_fds(
        self, sock: Socket, buffers: Iterable[Buffer], fds: Iterable[int], flags: int = 0, address: Address = None
    ) -> int:
        """Send descriptors of the kernel through a Unix socket, with some data."""
        rights = array.array("i", fds)
        return sock.sendmsg(buffers, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], flags, address)

    def recv_fds(
        self, sock: Socket, bufsize: int, maxfds: int, flags: int = 0
    ) -> tuple[bytes, list[int], int, Address]:
        """Receive up to `maxfds` descriptors; returns the data, them, MSG_* flags and the sender's address."""
        fds = array.array("i")
        data, ancillary, seen, address = sock.recvmsg(bufsize, socket.CMSG_LEN(maxfds * fds.itemsize), flags)
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        return data, list(fds), seen, address

    # ---- timeouts --------------------------------------------------------------

    def getdefaulttimeout(self) -> float | None:
        """The timeout that new sockets get, in seconds."""
        return self._default_timeout

    def setdefaulttimeout(self, timeout: float | None) -> None:
        """The timeout of new sockets, in seconds; None waits for ever."""
        self._default_timeout = None if timeout is None else _seconds(timeout)

    # ---- for the other modules of the package ----------------------------------

    def _call(self, name: str, *args: int | str | Buffer | None) -> int:
        return self._os._call(name, *args)

    @property
    def _waits_outside(self) -> int:
        """SOCK_NONBLOCK when the sockets of this process have a waiter, else 0."""
        return socket.SOCK_NONBLOCK if self._os._waiter is not None else 0

    def _note(self, sock: Socket) -> None:
        """A socket was made; a kernel that is put back to before that has it no more."""
        self._os._files += 1
        sock._number = self._os._files
        self._sockets.add(sock)
        if self._loopback_lost:
            self._loopback_lost = False
            self._raise_loopback()

    def _lose(self, since: int) -> None:
        """The kernel was put back to when so many files had been opened."""
        for sock in self._sockets:
            if sock._number > since:
                sock._lose()

    def _lose_loopback(self) -> None:
        """The kernel was put back to before this was made; who still has it wants the device all the same."""
        self._loopback_lost = True

    def _close_all(self) -> None:
        """The process ends, and its sockets with it."""
        for sock in self._sockets:
            sock._lose()

    def _wait_writable(self, fd: int, timeout: float | None) -> None:
        """Wait until something can be written; TimeoutError after so many seconds."""
        if self._os._waiter is not None:
            self._os._waiter(fd, _POLLOUT, -1 if timeout is None else int(timeout * 1e9))
            return
        poll = bytearray(_POLLFD.pack(fd, _POLLOUT, 0))
        left = None if timeout is None else bytearray(struct.pack("=qq", int(timeout), int(timeout % 1 * 1e9)))
        if not self._call("ppoll", poll, 1, left, None, 0):
            raise TimeoutError("timed out")

    def _raise_loopback(self) -> None:
        """Set the loopback device up, if the process may and if there is a network."""
        try:
            self._set_up("lo")
        except OSError as problem:
            # Who may not, or has no network, is told by what is then tried; and init's is up anyway.
            if problem.errno not in (errno.EPERM, errno.EAFNOSUPPORT, errno.ENODEV, errno.ENOSYS, errno.EACCES):
                raise
