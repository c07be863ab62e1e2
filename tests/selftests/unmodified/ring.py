"""Rings of packet sockets (PACKET_RX_RING, PACKET_TX_RING): memory of the kernel that a program maps.

A program cannot map pages of the library's kernel, which are in another process. It maps a file in memory in their
stead, and the frames are carried over: received ones to the program before it is told that there are some (poll), and
after each other call, for it may look without asking; those to be sent into the kernel before it is told to send.
Which frames are whose is said in each by its status, as always (Documentation/networking/packet_mmap.rst); frames are
used one after the other by both sides.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import liblinux

SOL_PACKET, VERSION_OPTION, RX_RING, TX_RING = 263, 10, 5, 13
_REQUEST = struct.Struct("<IIII")  # struct tpacket_req: bytes of a block, blocks, bytes of a frame, frames
_STATUS = struct.Struct("<I")
_OF_THE_KERNEL, _OF_THE_PROGRAM, _SEND, _SENDING = 0, 1, 1, 2
_V3 = 2
_NUMBERS = itertools.count()
_BLOCK_STATUS_AT, _BLOCK_BYTES_AT = 8, 20  # struct tpacket_block_desc
_FRAME_STATUS_AT = {0: 0, 1: 0, 2: 20}  # struct tpacket_hdr, tpacket2_hdr, tpacket3_hdr


@dataclass
class _Slots:
    """The frames of one direction, or the blocks of version 3: where they are, and how far each side is."""

    places: list[int]
    bytes_of_each: int
    status_at: int
    blocks: bool = False
    next_over: int = 0  # the next that is carried to the other side
    next_back: int = 0  # the next that comes back
    away: int = 0

    def over(self) -> int:
        """Where the next to be carried over is."""
        return self.places[self.next_over]

    def carried(self) -> None:
        """It was."""
        self.next_over, self.away = (self.next_over + 1) % len(self.places), self.away + 1

    def back(self) -> Iterator[int]:
        """Those that are with the other side, in order; to be taken as long as they are done there."""
        while self.away:
            yield self.places[self.next_back]
            self.next_back, self.away = (self.next_back + 1) % len(self.places), self.away - 1


@dataclass
class Wanted:
    """The rings that a program has asked for, before it maps them."""

    requests: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)

    def ask(self, option: int, value: bytes | bytearray) -> None:
        """A ring was set, or with no blocks taken away."""
        request = _REQUEST.unpack_from(value)
        self.requests.pop(option, None)
        if request[1]:
            self.requests[option] = request


class Ring:
    """Both rings of a socket, as they are in the kernel and as the program sees them."""

    def __init__(self, kernel: liblinux.Kernel, fd: int, wanted: Wanted, version: int, length: int) -> None:
        self._lock = threading.Lock()
        self._mapping = kernel.mapping(fd, length, shared=True, writable=True)
        self._kernels = self._mapping.view
        self.file = os.memfd_create(f"ring-{next(_NUMBERS)}", os.MFD_CLOEXEC)
        #: What /proc/.../fd says of it.
        self.name = os.readlink(f"/proc/self/fd/{self.file}")
        os.ftruncate(self.file, length)
        self._memory = mmap.mmap(self.file, length)
        self._programs = memoryview(self._memory)
        self._programs[:] = self._kernels
        at = 0
        self._received = self._sent = _Slots([], 0, 0)
        for option in (RX_RING, TX_RING):
            if option in wanted.requests:
                slots = _slots(at, wanted.requests[option], version, option)
                block_bytes, blocks, _, _ = wanted.requests[option]
                at += block_bytes * blocks
                if option == RX_RING:
                    self._received = slots
                else:
                    self._sent = slots

    def before(self) -> None:
        """Before the kernel is asked: what the program has read is free again, what it will send is there."""
        with self._lock:
            self._before()

    def _before(self) -> None:
        slots = self._received
        for at in slots.back():
            if _status(self._programs, at + slots.status_at) != _OF_THE_KERNEL:
                break
            _STATUS.pack_into(self._kernels, at + slots.status_at, _OF_THE_KERNEL)
        slots = self._sent
        while slots.away < len(slots.places) and _status(self._programs, slots.over() + slots.status_at) == _SEND:
            self._carry(slots, self._kernels, self._programs)

    def after(self) -> None:
        """After it: what has arrived is in the program's memory, and so is what became of frames that were sent."""
        with self._lock:
            self._after()

    def _after(self) -> None:
        slots = self._received
        while slots.away < len(slots.places):
            if not _status(self._kernels, slots.over() + slots.status_at) & _OF_THE_PROGRAM:
                break
            self._carry(slots, self._programs, self._kernels)
        slots = self._sent
        for at in slots.back():
            status = _status(self._kernels, at + slots.status_at)
            if status in (_SEND, _SENDING):
                break
            _STATUS.pack_into(self._programs, at + slots.status_at, status)

    @property
    def sends(self) -> bool:
        """Whether there is a ring of frames to be sent."""
        return bool(self._sent.places)

    @property
    def sending(self) -> bool:
        """Whether the kernel has frames that are not sent yet."""
        return self._sent.away > 0

    def _carry(self, slots: _Slots, into: memoryview, out_of: memoryview) -> None:
        at, status_at = slots.over(), slots.over() + slots.status_at
        size = _status(out_of, at + _BLOCK_BYTES_AT) if slots.blocks else slots.bytes_of_each
        into[at:status_at] = out_of[at:status_at]
        into[status_at + 4 : at + size] = out_of[status_at + 4 : at + size]
        into[status_at : status_at + 4] = out_of[status_at : status_at + 4]  # last: then it is the other's
        slots.carried()

    def close(self) -> None:
        """Give both memories back."""
        with self._lock:
            self._received = self._sent = _Slots([], 0, 0)
        self._kernels = memoryview(b"")
        self._programs.release()
        self._memory.close()
        os.close(self.file)
        self._mapping.close()


def _status(memory: memoryview, at: int) -> int:
    return int(_STATUS.unpack_from(memory, at)[0])


def _slots(start: int, request: tuple[int, int, int, int], version: int, option: int) -> _Slots:
    block_bytes, blocks, frame_bytes, _ = request
    starts = [start + block_bytes * block for block in range(blocks)]
    if version == _V3 and option == RX_RING:
        return _Slots(starts, block_bytes, _BLOCK_STATUS_AT, blocks=True)
    frames = [at + frame_bytes * frame for at in starts for frame in range(block_bytes // frame_bytes)]
    return _Slots(frames, frame_bytes, _FRAME_STATUS_AT[version])
