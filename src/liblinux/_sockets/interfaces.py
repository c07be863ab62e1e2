"""Network interfaces by name and by number, and the name of the machine."""

from __future__ import annotations

import socket
import struct

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux._os import Os

__all__ = ["InterfaceFunctions"]

# struct ifreq: a name, and 24 bytes that depend on the request.
_REQUEST_BYTES = 40
_NAME_BYTES = 16
_SIOCGIFNAME = 0x8910
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCGIFINDEX = 0x8933
_IFF_UP = 1

_NLMSG = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST_DUMP = 0x301
_IFLA_IFNAME = 3
_DUMP_BYTES = 65536


class InterfaceFunctions:
    """The functions of `socket` about interfaces and the machine's name."""

    _os: Os

    def if_nameindex(self) -> list[tuple[int, str]]:
        """All interfaces: number and name. Source: rtnetlink(7)."""
        call = self._os._call
        fd = call("socket", socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            size = _NLMSG.size + _IFINFO.size
            request = _NLMSG.pack(size, _RTM_GETLINK, _REQUEST_DUMP, 1, 0) + bytes(_IFINFO.size)
            call("sendto", fd, request, len(request), 0, None, 0)
            found: list[tuple[int, str]] = []
            buffer = bytearray(_DUMP_BYTES)
            while True:
                count = call("recvfrom", fd, buffer, len(buffer), 0, None, None)
                if _links(memoryview(buffer)[:count], found):
                    return found
        finally:
            call("close", fd)

    def if_nametoindex(self, if_name: str | bytes, /) -> int:
        """The number of an interface; OSError when there is none of that name."""
        if not isinstance(if_name, str | bytes):
            raise TypeError(f"an interface's name is str or bytes, not {type(if_name).__name__}")
        try:
            request = self._interface_request(_SIOCGIFINDEX, if_name)
        except OSError:
            raise OSError(19, f"no interface with this name: {if_name!r}") from None
        return int.from_bytes(request[_NAME_BYTES : _NAME_BYTES + 4], "little")

    def if_indextoname(self, if_index: int, /) -> str:
        """The name of an interface; OSError when there is none of that number."""
        if not isinstance(if_index, int):
            raise TypeError(f"an interface's number is an int, not {type(if_index).__name__}")
        if if_index < 0:
            raise OverflowError("an interface's number is not negative")
        if if_index >= 1 << 31:
            raise (
                OSError(6, "No such device or address")
                if if_index < 1 << 32
                else OverflowError("an interface's number has 32 bits")
            )
        request = self._interface_ioctl(_SIOCGIFNAME, bytearray(bytes(_NAME_BYTES) + if_index.to_bytes(24, "little")))
        return bytes(request[:_NAME_BYTES]).rstrip(b"\0").decode("utf-8", "surrogateescape")

    def gethostname(self) -> str:
        """The kernel's name of the machine, of the process's UTS namespace."""
        return self._os.uname().nodename

    def sethostname(self, name: str | bytes, /) -> None:
        """Set it."""
        raw = name.encode("utf-8", "surrogateescape") if isinstance(name, str) else bytes(name)
        self._os._call("sethostname", raw, len(raw))

    def _set_up(self, name: str) -> None:
        """Set an interface up, if it is not."""
        request = self._interface_request(_SIOCGIFFLAGS, name)
        if not request[_NAME_BYTES] & _IFF_UP:
            request[_NAME_BYTES] |= _IFF_UP
            self._interface_ioctl(_SIOCSIFFLAGS, request)

    def _interface_request(self, number: int, name: str | bytes) -> bytearray:
        raw = name.encode("utf-8", "surrogateescape") if isinstance(name, str) else bytes(name)
        if len(raw) >= _NAME_BYTES or b"\0" in raw:
            raise OSError(19, "No such device")
        return self._interface_ioctl(number, bytearray(raw.ljust(_REQUEST_BYTES, b"\0")))

    def _interface_ioctl(self, number: int, request: bytearray) -> bytearray:
        call = self._os._call
        fd = call("socket", socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
        try:
            call("ioctl", fd, number, request)
        finally:
            call("close", fd)
        return request


def _links(messages: memoryview, found: list[tuple[int, str]]) -> bool:
    """Take the interfaces out of an answer; whether it was the last."""
    while len(messages) >= _NLMSG.size:
        length, kind, *_ = _NLMSG.unpack_from(messages)
        if kind == _NLMSG_ERROR:
            error = -struct.unpack_from("=i", messages, _NLMSG.size)[0]
            raise OSError(error, "the kernel does not list its interfaces")
        if kind == _NLMSG_DONE:
            return True
        if kind == _RTM_NEWLINK:
            _, _, index, _, _ = _IFINFO.unpack_from(messages, _NLMSG.size)
            name = _attribute(messages[_NLMSG.size + _IFINFO.size : length], _IFLA_IFNAME)
            found.append((index, name.rstrip(b"\0").decode("utf-8", "surrogateescape")))
        messages = messages[length + -length % 4 :]
    return False


def _attribute(attributes: memoryview, wanted: int) -> bytes:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if kind == wanted:
            return bytes(attributes[_ATTRIBUTE.size : length])
        attributes = attributes[max(length + -length % 4, _ATTRIBUTE.size) :]
    return b""
