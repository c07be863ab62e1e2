"""The kernel under test: a virtual clock, a TUN device, and the packets that come out of it.

Packets go in and out by system calls on the kernel's own /dev/net/tun. Time is
the kernel's, and stands still while nobody waits, so a packet is stamped with
the instant at which the kernel has sent it: what is waited for is the packet
and a timer together, and one of them wakes the waiter at its own instant.
Every system call costs some tenth of a microsecond of that time, so there are
no more of them than needed.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import liblinux
from liblinux.packetdrill._wire import Datagram, decode

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux.packetdrill._config import Config

__all__ = ["DEVICE", "Machine", "Sent"]

DEVICE = "tun0"

_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x1, 0x1000, 0x4000
# Checksums and segments are left to the device, so that a script sees what TCP sends in one piece.
_OFFLOADS = 1 | 2 | 4 | 8  # TUN_F_CSUM, _TSO4, _TSO6, _TSO_ECN
_VNET_HEADER_BYTES = 10
_READ_BYTES = 1 << 17

_CLOCK_MONOTONIC, _TIMER_ABSTIME, _PR_SET_TIMERSLACK = 1, 1, 29
_POLLIN = 1
_POLL = struct.Struct("=ihh")
_NANOSECONDS = 1_000_000_000
_O_RDWR, _O_NONBLOCK = 2, 0o4000


@dataclass(frozen=True)
class Sent:
    """A packet that the kernel sent, and when, in nanoseconds of its clock."""

    time: int
    datagram: Datagram


class Machine:
    """A booted kernel with a configured TUN device; a context manager."""

    def __init__(self, config: Config, version: str | None = None, seed: int = 0, memory: str = "64M") -> None:
        self.config = config
        self.kernel = liblinux.Kernel(memory, "virtual", seed, isolated=False, version=version)
        self.sent: deque[Sent] = deque()
        self._lockstep = False
        try:
            self._open()
        except BaseException:
            self.kernel.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kernel.close()

    def _open(self) -> None:
        kernel = self.kernel
        # Else a sleep may be late by a share of itself.
        kernel.syscall("prctl", _PR_SET_TIMERSLACK, 1, 0, 0, 0)
        self._timer = kernel.syscall("timerfd_create", _CLOCK_MONOTONIC, _O_NONBLOCK)
        self._tun = kernel.os.open("/dev/net/tun", _O_RDWR | _O_NONBLOCK)
        flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
        kernel.syscall("ioctl", self._tun, _TUNSETIFF, bytearray(struct.pack("16sH22x", DEVICE.encode(), flags)))
        kernel.syscall("ioctl", self._tun, _TUNSETOFFLOAD, _OFFLOADS)

    # -- time

    @property
    def now(self) -> int:
        """The kernel's clock, in nanoseconds."""
        if self._lockstep:
            # Another thread may still be inside, on its way to rest, and use up some time.
            self.kernel._native.settle(False)
        return self.kernel.now()

    def begin_lockstep(self) -> None:
        """From now on other threads make calls as well, and what happens does not depend on their speed."""
        self._lockstep = True
        self.kernel._native.lockstep(True)

    def settle(self) -> None:
        """Wait until all other threads wait inside of the kernel; no time passes in it."""
        self.kernel._native.settle(True)

    def wait_until(self, instant: int) -> None:
        """Let time pass until an instant in nanoseconds; packets sent on the way are kept with their times."""
        if self.now >= instant:
            return
        self._arm(instant)
        while self.now < instant:
            self._wait(timer=True)

    def next_packet(self, deadline: int | None) -> Sent | None:
        """The next packet that was or will be sent, or None when there is none until the deadline.

        Without a deadline it raises liblinux.Deadlock when nothing can ever be sent.
        """
        if not self.sent:
            self._take()
        if not self.sent and deadline is not None:
            self._arm(deadline)
        while not self.sent and (deadline is None or self.now < deadline):
            self._wait(timer=deadline is not None)
        return self.sent.popleft() if self.sent else None

    def _arm(self, instant: int) -> None:
        seconds, nanoseconds = divmod(instant, _NANOSECONDS)
        value = struct.pack("=4q", 0, 0, seconds, nanoseconds)
        self.kernel.syscall("timerfd_settime", self._timer, _TIMER_ABSTIME, value, None)

    def _wait(self, *, timer: bool) -> None:
        descriptors = bytearray(_POLL.pack(self._tun, _POLLIN, 0))
        if timer:
            descriptors += _POLL.pack(self._timer, _POLLIN, 0)
        self.kernel.syscall("ppoll", descriptors, len(descriptors) // _POLL.size, None, None, 0)
        self.collect()

    # -- packets

    def inject(self, datagram: Datagram) -> None:
        """Let a packet arrive."""
        self.kernel.os.write(self._tun, bytes(_VNET_HEADER_BYTES) + datagram.encode())

    def collect(self) -> None:
        """Take all that has been sent and not been taken."""
        while self._take():
            pass

    def _take(self) -> bool:
        """Take one packet, if there is one. Time has not passed since it was sent: whoever waits takes first."""
        now = self.now
        try:
            data = self.kernel.os.read(self._tun, _READ_BYTES)
        except BlockingIOError:
            return False
        datagram = decode(data[_VNET_HEADER_BYTES:])
        if datagram is not None and self._concerns_script(datagram):
            self.sent.append(Sent(now, datagram))
        return True

    def _concerns_script(self, datagram: Datagram) -> bool:
        """Neighbours, routers and listeners of multicast groups are looked for all the time."""
        ours = self.config.local_ip, self.config.remote_ip
        return (datagram.source, datagram.destination) == ours
