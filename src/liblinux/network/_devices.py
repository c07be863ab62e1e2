"""Devices that are descriptors of this machine: TAP, an interface, a socket that carries frames."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from liblinux._typing import TYPE_CHECKING
from liblinux.network._device import DATAGRAMS, PACKETS, STREAM, Device, End

if TYPE_CHECKING:
    from typing import Self

    from liblinux.network._topology import Interface

__all__ = ["FrameSocket", "HostInterface", "Tap"]

_TUN = "/dev/net/tun"
_NAME_BYTES = 15
_BUFFER_BYTES = 4 << 20
# linux/if_tun.h
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 2, 0x1000, 0x4000
_OFFLOADS = 1 | 2 | 4 | 8  # TUN_F_CSUM, _TSO4, _TSO6, _TSO_ECN
_IFREQ = struct.Struct("=16sh22x")
# linux/if_packet.h
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 1, 15, 23
_MEMBERSHIP = struct.Struct("=iHH8s")
_PACKET_MR_PROMISC = 1
_ALL_PROTOCOLS = 3  # ETH_P_ALL
_ROOTLESS = "without any rights there are Internet() and FrameSocket()"


def _check_name(name: str) -> str:
    if not name or len(name.encode()) > _NAME_BYTES or "/" in name or any(letter.isspace() for letter in name):
        raise ValueError(f"{name!r} is no name of an interface: it has up to {_NAME_BYTES} letters, and no '/'")
    return name


class Tap(Device):
    """A TAP device of this machine: its host network and the library's meet there.

    It is made if it is not there, which needs CAP_NET_ADMIN, and is gone afterwards;
    or it was made before for who uses it:
    `ip tuntap add dev tap0 mode tap user $USER; ip link set tap0 up`.
    PermissionError otherwise, BlockingIOError when somebody else has it.
    Source: kernel document networking/tuntap.
    """

    def __init__(self, name: str) -> None:
        super().__init__(_check_name(name))
        self._fd = -1

    def open(self, interface: Interface) -> End:
        """Open it; see :class:`Device`."""
        try:
            fd = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            text = f"this machine has no TAP devices: {_TUN} is missing; 'modprobe tun' as root makes it; {_ROOTLESS}"
            raise FileNotFoundError(error.errno, text) from None
        except PermissionError as error:
            raise self._explain(error) from None
        try:
            fcntl.ioctl(fd, _TUNSETIFF, _IFREQ.pack(self.name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
            fcntl.ioctl(fd, _TUNSETOFFLOAD, _OFFLOADS)
        except OSError as error:
            os.close(fd)
            raise self._explain(error) from None
        self._fd = fd
        return End(fd, DATAGRAMS, header=True)

    def _explain(self, error: OSError) -> OSError:
        if error.errno in (errno.EPERM, errno.EACCES):
            text = (
                f"no right to TAP device {self.name} of this machine: let root make one for you with "
                f"'ip tuntap add dev {self.name} mode tap user $USER'; {_ROOTLESS}"
            )
            return PermissionError(error.errno, text)
        if error.errno == errno.EBUSY:
            return BlockingIOError(error.errno, f"TAP device {self.name} is in use; take another name, or end that use")
        if error.errno == errno.EINVAL:
            return OSError(error.errno, f"{self.name} of this machine is no TAP device; take another name")
        return OSError(error.errno, f"TAP device {self.name}: {error.strerror}")

    def close(self) -> None:
        """Close it; see :class:`Device`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class HostInterface(Device):
    """An interface of this machine, by a packet socket: the host is on the wire that it is on.

    It sees what arrives there, and sends as it likes, with a MAC address of its own;
    neither it nor this machine receives what the other sends by that interface. Needs
    CAP_NET_RAW, else PermissionError. OSError (ENODEV) without such an interface.
    Source: packet(7).
    """

    def __init__(self, name: str) -> None:
        super().__init__(_check_name(name))
        self._socket: socket.socket | None = None

    def open(self, interface: Interface) -> End:
        """Open it; see :class:`Device`."""
        try:
            number = socket.if_nametoindex(self.name)
        except OSError:
            raise OSError(errno.ENODEV, f"this machine has no interface {self.name}; see 'ip link'") from None
        try:
            # Without a protocol at first: what other interfaces receive is not wanted.
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError as error:
            text = (
                f"no right to send and receive on interface {self.name}: that needs root or CAP_NET_RAW "
                f"(setcap cap_net_raw+ep on the interpreter); {_ROOTLESS}"
            )
            raise PermissionError(error.errno, text) from None
        sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        member = _MEMBERSHIP.pack(number, _PACKET_MR_PROMISC, 0, bytes(8))
        sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, member)
        _enlarge(sock)
        sock.bind((self.name, _ALL_PROTOCOLS))
        self._socket = sock
        return End(sock.fileno(), DATAGRAMS, header=True)

    def close(self) -> None:
        """Close it; see :class:`Device`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class FrameSocket(Device):
    """A connected socket of this machine that carries frames, to another process or to QEMU.

    On a stream each frame has its length in front, 4 bytes, big endian; on a socket
    of datagrams or packets each is one message. QEMU has the same:
    `-netdev stream,id=n,server=on,addr.type=unix,addr.path=PATH` and
    `-netdev dgram,id=n,local.type=inet,...`. The socket is closed with the network.
    """

    def __init__(self, sock: socket.socket, name: str | None = None) -> None:
        super().__init__(name or f"socket {sock.fileno()}")
        kinds = {socket.SOCK_STREAM: STREAM, socket.SOCK_DGRAM: DATAGRAMS, socket.SOCK_SEQPACKET: PACKETS}
        if sock.type not in kinds:
            raise ValueError(f"{sock!r} carries no frames: take a stream, datagrams or packets")
        try:
            sock.getpeername()
        except OSError:
            raise ValueError(f"{sock!r} is not connected: connect() it, or take what accept() returns") from None
        self._kind = kinds[sock.type]
        self._socket = sock

    @classmethod
    def unix(cls, path: str) -> Self:
        """Connect to a Unix socket that somebody listens at (a stream)."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
        except OSError as error:
            sock.close()
            text = f"{error.strerror}; somebody has to listen there first, with a socket of the type SOCK_STREAM"
            raise OSError(error.errno, text, path) from None
        return cls(sock, path)

    @classmethod
    def udp(cls, local: tuple[str, int], remote: tuple[str, int]) -> Self:
        """Datagrams between two addresses, each a numeric host and a port."""
        family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.bind(local)
            sock.connect(remote)
        except socket.gaierror:
            sock.close()
            raise ValueError(f"{local!r} to {remote!r}: each is an address in numbers and a port") from None
        except OSError as error:
            sock.close()
            advice = "take another port here, or 0 for a free one"
            text = f"{error.strerror}: datagrams from {local!r} to {remote!r} of this machine"
            raise OSError(error.errno, f"{text}; {advice}" if error.errno == errno.EADDRINUSE else text) from None
        return cls(sock, f"udp {remote[0]} {remote[1]}")

    def open(self, interface: Interface) -> End:
        """Begin; see :class:`Device`."""
        _enlarge(self._socket)
        return End(self._socket.fileno(), self._kind)

    def close(self) -> None:
        """Close it; see :class:`Device`."""
        self._socket.close()


def _enlarge(sock: socket.socket) -> None:
    """Room for many frames; as much as this machine allows."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
