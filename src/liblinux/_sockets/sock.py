"""`kernel.socket.socket`: a socket of a kernel, with the methods of the standard library's.

The quick calls and the timeouts are in C (_native/socket.c), the shape is that of
CPython's Lib/socket.py. `fileno()` is a descriptor of the kernel, which means
nothing to the host: `select` and `selectors` of the standard library would look at
some other file. Use `kernel.select`.
"""

from __future__ import annotations

import contextlib
import errno
import math
import numbers
import operator
import os
import socket
import struct
import warnings

from liblinux import _native
from liblinux._sockets.address import Address, decoder, encoder
from liblinux._sockets.files import Sending
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import NoReturn, Self

    from typing_extensions import Buffer

    from liblinux._sockets.module import SocketModule
    from liblinux._sockets.tcp_info import TcpInfo

__all__ = ["Socket"]


_FIONBIO = 0x5421
_SWITCH = (b"\0\0\0\0", b"\1\0\0\0")
_TYPE_FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_CMSG = struct.Struct("=Qii")
_TIMEOUT_SECONDS_MAX = (1 << 63) / 1e9
_LONGEST_ADDRESS = 128


class Socket(Sending, _native.Socket):
    """A socket of a kernel; made by `kernel.socket.socket(family, type, proto)`.

    Methods, arguments and exceptions are those of the standard library's
    `socket.socket`; `tcp_info()` is added. A socket that is collected while it is
    open is closed, with a ResourceWarning. Raises KernelClosed when its kernel or
    process has ended.
    """

    _module: SocketModule
    _number: int  # among the files of its process; see SocketModule._note()

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        module = self._module
        native = module._native
        # SocketIO of the standard library wants these two names.
        self._io_refs = 0
        self._closed = False
        made = fileno is None
        if fileno is None:
            family = socket.AF_INET if family == -1 else family
            type = socket.SOCK_STREAM if type == -1 else type
            proto = 0 if proto == -1 else proto
            # CLOEXEC because the standard library has it so; there is no exec.
            fileno = module._call("socket", family, type | socket.SOCK_CLOEXEC | module._waits_outside, proto)
        else:
            family, type, proto = _identify(module, fileno, family, type, proto)
        super().__init__(native, fileno, family, type & ~_TYPE_FLAGS, proto)
        self._encode = encoder(family)
        self._decode = decoder(family)
        if module._waits_outside:
            self._take_turns(made)
        if type & socket.SOCK_NONBLOCK:
            self._timeout_ns = 0
        elif module._default_timeout is not None:
            self.settimeout(module._default_timeout)
        module._note(self)

    # ---- what it is ------------------------------------------------------------

    @property
    def family(self) -> int:
        """The address family, an `AddressFamily` where that has a name."""
        return _named(self._family, socket.AddressFamily)

    @property
    def type(self) -> int:
        """The type, a `SocketKind` where that has a name."""
        return _named(self._type, socket.SocketKind)

    @property
    def timeout(self) -> float | None:
        """The timeout in seconds, or None."""
        return self.gettimeout()

    def __repr__(self) -> str:
        closed = " [closed]" if getattr(self, "_closed", True) else ""
        text = (
            f"<liblinux.Socket{closed} fd={self.fileno()}, family={self.family!s}, type={self.type!s}, "
            f"proto={self.proto}"
        )
        if not closed:
            for name, function in (("laddr", self.getsockname), ("raddr", self.getpeername)):
                try:
                    address = function()
                except (OSError, ValueError):  # not connected, or the kernel is closed
                    continue
                if address:
                    text += f", {name}={address}"
        return text + ">"

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {self.__class__.__name__!r} object")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, value: BaseException | None, trace: TracebackType | None) -> None:
        if not self._closed:
            self.close()

    # ---- its end ---------------------------------------------------------------

    def __del__(self) -> None:
        if self._fd == -1 or self._module._os.closed:
            return
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        self._real_close()

    def close(self) -> None:
        """Close it, or when files of makefile() are open, with the last of them."""
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def detach(self) -> int:
        """Give up the descriptor without closing it; returns it."""
        self._closed = True
        fd, self._fd = self._fd, -1
        return fd

    def _decref_socketios(self) -> None:
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed:
            self.close()

    def _real_close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd == -1 or self._module._os.closed:
            return
        # A reset is the other end's business, as the standard library sees it too.
        with contextlib.suppress(ConnectionResetError):
            self._module._native.close(fd)

    def _lose(self) -> None:
        """It is gone by itself: its process has ended, or was put back to an instant when there was no such socket."""
        self._closed = True
        self._fd = -1

    # ---- timeouts --------------------------------------------------------------

    def settimeout(self, value: float | None) -> None:
        """Let calls wait for so many seconds of the kernel's clock, for ever (None), or not at all (0)."""
        if value is None:
            nanoseconds = -1
        else:
            value = _seconds(value)
            nanoseconds = math.ceil(value * 1e9)
        self._set_blocking(nanoseconds < 0)
        self._timeout_ns = nanoseconds

    def gettimeout(self) -> float | None:
        """The timeout in seconds, or None."""
        return None if self._timeout_ns < 0 else self._timeout_ns / 1e9

    def setblocking(self, flag: bool, /) -> None:
        """True: settimeout(None); False: settimeout(0)."""
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """Whether calls wait, with or without a timeout."""
        return self._timeout_ns != 0

    def _set_blocking(self, blocking: bool) -> None:
        if self._waiter is None:
            self._module._call("ioctl", self._fd, _FIONBIO, _SWITCH[not blocking])

    def _take_turns(self, is_nonblocking: bool = False) -> None:
        """From now on waits are those of its process's waiter, and none is inside of the kernel."""
        if not is_nonblocking:
            self._module._call("ioctl", self._fd, _FIONBIO, _SWITCH[True])
        self._waiter = self._module._os._waiter

    # ---- connections -----------------------------------------------------------

    def bind(self, address: Address, /) -> None:
        """Give it an address of its own."""
        raw = self._encode(self._module, address, "bind")
        try:
            self._module._call("bind", self._fd, raw, len(raw))
        except OSError as error:
            from liblinux._sockets.refusals import explain_bind  # noqa: PLC0415 - for those who are refused

            raise explain_bind(error, self._family, address) from None

    def listen(self, backlog: int = min(socket.SOMAXCONN, 128), /) -> None:
        """Let others connect; so many may wait to be accepted."""
        self._module._call("listen", self._fd, max(_c_int(backlog), 0))

    def accept(self) -> tuple[Self, Address]:
        """Wait for a connection; returns its socket and the address of the other end."""
        fd, raw = self._accept()
        sock = type(self)(self._family, self._type, self.proto, fileno=fd)
        return sock, self._decode(self._module, raw)

    def connect(self, address: Address, /) -> None:
        """Connect; OSError with the kernel's errno, TimeoutError."""
        error = self._connect(self._encode(self._module, address, "connect"))
        if error:
            raise OSError(error, os.strerror(error))

    def connect_ex(self, address: Address, /) -> int:
        """Connect; returns the errno instead of raising it."""
        try:
            return self._connect(self._encode(self._module, address, "connect_ex"))
        except TimeoutError:
            return errno.EWOULDBLOCK

    def getsockname(self) -> Address:
        """Its own address."""
        return self._name("getsockname")

    def getpeername(self) -> Address:
        """The address of the other end."""
        return self._name("getpeername")

    def shutdown(self, how: int, /) -> None:
        """End one direction (SHUT_RD, SHUT_WR) or both (SHUT_RDWR)."""
        self._module._call("shutdown", self._fd, _c_int(how))

    def _name(self, call: str) -> Address:
        raw, length = bytearray(_LONGEST_ADDRESS), bytearray(_LONGEST_ADDRESS.to_bytes(4, "little"))
        self._module._call(call, self._fd, raw, length)
        return self._decode(self._module, bytes(raw[: int.from_bytes(length, "little")]))

    # ---- datagrams and messages ------------------------------------------------

    def sendto(self, data: Buffer, *rest: Any) -> int:
        """sendto(data, address) or sendto(data, flags, address); returns the bytes sent."""
        if len(rest) == 1:
            return self._sendto(data, 0, self._encode(self._module, rest[0], "sendto"))
        if len(rest) != 2:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({len(rest) + 1} given)")
        return self._sendto(data, rest[0], self._encode(self._module, rest[1], "sendto"))

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Address]:
        """Receive; returns the data and the sender's address."""
        data, raw = self._recvfrom(bufsize, flags)
        return data, self._decode(self._module, raw)

    def recvfrom_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> tuple[int, Address]:
        """Receive into a buffer; returns the count of bytes and the sender's address."""
        count, raw = self._recvfrom_into(buffer, nbytes, flags)
        return count, self._decode(self._module, raw)

    def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: Address = None,
        /,
    ) -> int:
        """Send several buffers as one message, with ancillary data; returns the bytes sent. Source: sendmsg(2)."""
        raw = None if address is None else self._encode(self._module, address, "sendmsg")
        return self._sendmsg(buffers, _pack_control(ancdata), flags, raw)

    def sendmsg_afalg(
        self,
        msg: Iterable[Buffer] = (),
        *,
        op: int,
        iv: Buffer | None = None,
        assoclen: int = 0,
        flags: int = 0,
    ) -> int:
        """Send something to be worked on to a socket of AF_ALG. Source: the kernel document crypto/userspace-if."""
        if operator.index(op) < 0:
            raise TypeError("invalid or missing argument 'op'")
        if operator.index(assoclen) < 0:
            raise TypeError("assoclen must be positive")
        control = [(socket.SOL_ALG, socket.ALG_SET_OP, op.to_bytes(4, "little"))]
        if iv is not None:
            vector = bytes(iv)
            control.append((socket.SOL_ALG, socket.ALG_SET_IV, len(vector).to_bytes(4, "little") + vector))
        if assoclen:
            control.append((socket.SOL_ALG, socket.ALG_SET_AEAD_ASSOCLEN, assoclen.to_bytes(4, "little")))
        return self.sendmsg(msg, control, flags)

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Address]:
        """Receive a message; returns data, ancillary data, MSG_* flags and address. Source: recvmsg(2)."""
        data, control, seen, raw = self._recvmsg(bufsize, ancbufsize, flags)
        return data, _unpack_control(control), seen, self._decode(self._module, raw)

    def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Address]:
        """The same into several buffers, with the count of bytes in the place of the data."""
        count, control, seen, raw = self._recvmsg_into(buffers, ancbufsize, flags)
        return count, _unpack_control(control), seen, self._decode(self._module, raw)

    # ---- options ---------------------------------------------------------------

    def setsockopt(self, level: int, optname: int, value: int | Buffer | None, optlen: int | None = None, /) -> None:
        """Set an option: a number, bytes, or None with a length. Source: setsockopt(2)."""
        if value is None:
            if optlen is None:
                raise TypeError("setsockopt() with None needs the length of the option")
            self._module._call("setsockopt", self._fd, level, optname, None, optlen)
            return
        if optlen is not None:
            raise TypeError("setsockopt() takes a length only with None as the value")
        if isinstance(value, int) and level == socket.AF_VSOCK:
            data = value.to_bytes(8, "little")  # its options are wider than all others
        elif isinstance(value, int):
            data = value.to_bytes(4, "little", signed=True) if value < 1 << 31 else _too_large(value)
        else:
            data = bytes(value)
        self._module._call("setsockopt", self._fd, level, optname, data, len(data))

    def getsockopt(self, level: int, optname: int, buflen: int = 0, /) -> Any:
        """An option as a number, or as at most `buflen` bytes. Source: getsockopt(2)."""
        if not 0 <= buflen <= 1 << 20:
            raise OSError("getsockopt buflen out of range")
        value = bytearray(buflen or (8 if level == socket.AF_VSOCK else 4))
        length = bytearray(len(value).to_bytes(4, "little"))
        self._module._call("getsockopt", self._fd, level, optname, value, length)
        if not buflen:
            return int.from_bytes(value, "little", signed=True)
        return bytes(value[: int.from_bytes(length, "little")])

    def tcp_info(self) -> TcpInfo:
        """What the kernel knows about a TCP connection, as :class:`TcpInfo`. Source: tcp(7), linux/tcp.h."""
        from liblinux._sockets.tcp_info import TCP_INFO_BYTES, TcpInfo  # noqa: PLC0415 - dataclasses are slow to import

        return TcpInfo.parse(self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES))

    def ioctl(self, request: int, argument: int | Buffer = 0) -> int:
        """A request of ioctl(2); a writable buffer is written to."""
        return self._module._call("ioctl", self._fd, request, argument)

    # ---- descriptors -----------------------------------------------------------

    def dup(self) -> Self:
        """A second socket object, and descriptor, of the same socket."""
        sock = type(self)(self._family, self._type, self.proto, fileno=self._module.dup(self._fd))
        sock.settimeout(self.gettimeout())
        return sock

    def get_inheritable(self) -> bool:
        """Whether a program that is executed would have it; there is none."""
        return not self._module._call("fcntl", self._fd, 1, 0) & 1

    def set_inheritable(self, inheritable: bool) -> None:
        """Set the mark that get_inheritable() tells of."""
        self._module._call("fcntl", self._fd, 2, 0 if inheritable else 1)


def _named(value: int, kind: Any) -> int:
    try:
        named: int = kind(value)
    except ValueError:
        return value
    return named


def _seconds(value: Any) -> float:
    if not isinstance(value, numbers.Real):
        raise TypeError(f"a timeout is a number of seconds or None, not {type(value).__name__}")
    seconds = float(value)
    if math.isnan(seconds):
        raise ValueError("Invalid value NaN (not a number)")
    if seconds < 0:
        raise ValueError("Timeout value out of range")
    if seconds >= _TIMEOUT_SECONDS_MAX:
        raise OverflowError("timeout doesn't fit into C timeval")
    return seconds


def _c_int(value: Any) -> int:
    number = operator.index(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise OverflowError("Python int too large to convert to C int")
    return number


def _too_large(value: int) -> bytes:
    if value >= 1 << 32:
        raise OverflowError("the value of an option has 32 bits; give longer ones as bytes")
    return value.to_bytes(4, "little")


def _identify(module: SocketModule, fd: int, family: int, type: int, proto: int) -> tuple[int, int, int]:
    """What a descriptor is, as far as the caller does not say it."""
    if isinstance(fd, float):
        raise TypeError("integer argument expected, got float")
    if not isinstance(fd, int):
        raise TypeError(f"'{fd.__class__.__name__}' object cannot be interpreted as an integer")
    if fd < 0:
        raise ValueError("negative file descriptor")
    found = []
    for given, option in ((family, socket.SO_DOMAIN), (type, socket.SO_TYPE), (proto, socket.SO_PROTOCOL)):
        answer = given
        if given == -1:
            value, length = bytearray(4), bytearray(b"\4\0\0\0")
            module._call("getsockopt", fd, socket.SOL_SOCKET, option, value, length)
            answer = int.from_bytes(value, "little")
        found.append(answer)
    return found[0], found[1], found[2]


def _pack_control(ancdata: Iterable[tuple[int, int, Buffer]]) -> bytes:
    parts = []
    for item in ancdata:
        try:
            level, kind, data = item
        except ValueError:
            raise TypeError("[sendmsg() ancillary data items] must be (level, type, data)") from None
        content = bytes(memoryview(data))
        head = _CMSG.pack(_CMSG.size + len(content), _c_int(level), _c_int(kind))
        parts.append(head + content + bytes(-len(content) % 8))
    return b"".join(parts)


def _unpack_control(control: bytes) -> list[tuple[int, int, bytes]]:
    found = []
    at = 0
    while at + _CMSG.size <= len(control):
        length, level, kind = _CMSG.unpack_from(control, at)
        if length < _CMSG.size:
            break
        # The last one may be cut; MSG_CTRUNC says so.
        found.append((level, kind, control[at + _CMSG.size : at + length]))
        at += length + -length % 8
    return found
