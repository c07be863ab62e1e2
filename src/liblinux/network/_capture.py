"""Captures: what passes the cables, as a pcapng file that Wireshark opens.

Cables tell the host of each frame when it passes (kernel/arch/lib/drivers/cable.c),
and kernel/host/capture.c writes the packet blocks; here are the header of the file
and the description of the interfaces, which are the same in every run. (Packages
that write pcapng make a Python object of every packet.)

Source: draft-ietf-opsawg-pcapng, sections 4.1 and 4.2.
"""

from __future__ import annotations

import contextlib
import os
import struct

from liblinux._typing import TYPE_CHECKING
from liblinux.network._rtnetlink import capture_cable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from liblinux._kernel import Kernel
    from liblinux.network._host import Host
    from liblinux.network._network import Network
    from liblinux.network._topology import Interface

__all__ = ["Capture", "Captures"]

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1  # LINKTYPE_ETHERNET
_IF_NAME, _IF_DESCRIPTION, _IF_RESOLUTION, _USER_APPLICATION = 2, 3, 9, 4
_NANOSECONDS = b"\x09"  # ten to the minus ninth
_LENGTHS = struct.Struct("=II")
_NUMBER_OFFSET = 8
_TIME, _TIME_OFFSET = struct.Struct("=II"), 12
# From the end of a packet block: the option with the direction, the end of the options, the length again.
_FLAGS_OFFSET = -12
_OUT = 2


class Capture:
    """A capture that is being written; made by :meth:`Network.capture`, ended by :meth:`close` or `with`.

    Attributes: `path`; `packets`, how many are in the file. What has passed comes
    into the file when :meth:`flush` is called, and at the end.
    """

    def __init__(
        self,
        captures: Captures,
        path: str | os.PathLike[str],
        interfaces: list[Interface],
        *,
        both: bool,
        survives: bool = False,
    ) -> None:
        # Snapshots may be taken and put back meanwhile: then its times may go back.
        self.survives = survives
        self.path = os.fspath(path)
        self.packets = 0
        self._captures = captures
        with self._blamed("give the path of a file in a directory that is there, and may be written to"):
            self._file = open(self.path, "wb")  # noqa: SIM115 - close() does
        self.closed = False
        self._file.write(_section())
        self._numbers: dict[int, int] = {}
        self._both = both
        self._describe(interfaces)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def flush(self) -> None:
        """Write what has passed so far; OSError when the file cannot be written."""
        with self._blamed():
            self._captures.collect()
            self._file.flush()

    def close(self) -> None:
        """Write the rest and close the file. Twice does nothing."""
        if not self.closed:
            with self._blamed():
                try:
                    self._captures.end(self)
                finally:
                    self.closed = True
                    self._file.close()

    @contextlib.contextmanager
    def _blamed(self, advice: str = "make room, or give another path") -> Iterator[None]:
        """Errors of writing say which file it is, and what can be done."""
        try:
            yield
        except OSError as error:
            if error.errno is not None and (error.filename is None or error.filename == self.path):
                whole = "" if error.filename else ", and is not complete"
                said = f"the capture cannot be written{whole}: {error.strerror}; {advice}"
                raise OSError(error.errno, said, self.path) from error
            raise

    def _describe(self, interfaces: Iterable[Interface]) -> None:
        """Frames of these come into the file too; a description may stand anywhere before them."""
        for interface in interfaces:
            self._file.write(_describe(interface))
            self._numbers[self._captures.number(interface)] = len(self._numbers)

    def _take(self, number: int, block: memoryview) -> None:
        mine = self._numbers.get(number)
        if mine is not None and (self._both or block[_FLAGS_OFFSET] == _OUT):
            self._file.write(block[:_NUMBER_OFFSET])
            self._file.write(mine.to_bytes(4, "little"))
            self._file.write(block[_NUMBER_OFFSET + 4 :])
            self.packets += 1


class Silence:
    """Stands for a capture where there is none.

    The kernel is told as much as for one, in as many messages, so that a run is the
    same with a capture and without, to the nanosecond.
    """

    survives = True
    path = ""
    packets = 0

    def __init__(self, captures: Captures) -> None:
        self._captures = captures

    def close(self) -> None:
        """End it. Twice does nothing."""
        self._captures.end(self)

    def _describe(self, interfaces: Iterable[Interface]) -> None:
        for interface in interfaces:
            self._captures.number(interface)

    def _take(self, number: int, block: memoryview) -> None:
        """Of another capture."""


class Captures:
    """All captures of a network: interfaces are numbered once, and frames come for all of them at once."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._interfaces: dict[Interface, int] = {}
        # Whose it is, None of all, and for each interface whether also what arrives is wanted.
        self._open: list[tuple[Capture | Silence, Host | None, dict[Interface, bool]]] = []
        self.lost = 0

    def number(self, interface: Interface) -> int:
        """The number by which the kernel calls an interface to the host."""
        return self._interfaces.setdefault(interface, len(self._interfaces))

    def start(self, path: str | os.PathLike[str], host: Host | None, *, survives: bool = False) -> Capture:
        """Capture what all hosts send, or what one sends and receives."""
        wanted = self._interfaces_of(host)
        if not wanted:
            raise ValueError(f"{host.name if host else 'the network'} has no link yet that could be captured")
        self.collect()
        capture = Capture(self, path, wanted, both=host is not None, survives=survives)
        self._begin(capture, wanted, host)
        return capture

    def keep_silent(self) -> Silence:
        """Do what :meth:`start` does, and capture nothing."""
        wanted = self._interfaces_of(None)
        silence = Silence(self)
        silence._describe(wanted)
        self._begin(silence, wanted, None)
        return silence

    def _begin(self, capture: Capture | Silence, wanted: list[Interface], host: Host | None) -> None:
        self._open.append((capture, host, dict.fromkeys(wanted, host is not None)))
        self._listen()

    def resume(self) -> None:
        """The kernel was put back, perhaps to when it was not captured."""
        if self._open:
            self._listen()

    def extend(self) -> None:
        """Links were added: those of captures of all hosts, or of their host, are captured from now on."""
        grown = False
        for capture, host, wanted in self._open:
            if fresh := [interface for interface in self._interfaces_of(host) if interface not in wanted]:
                if not grown:
                    self.collect()  # in the order of the file
                grown = True
                capture._describe(fresh)
                wanted.update(dict.fromkeys(fresh, host is not None))
        if grown:
            self._listen()

    def _interfaces_of(self, host: Host | None) -> list[Interface]:
        hosts = [host] if host else list(self._network.hosts.values())
        return [interface for one in hosts for interface in one._node.interfaces]

    def paths(self) -> list[str]:
        """The files of captures that are open and do not survive snapshots."""
        return [capture.path for capture, _, _ in self._open if not capture.survives]

    def end(self, capture: Capture | Silence) -> None:
        """Collect the last of it, and listen no more than the others need."""
        self.collect()
        self._open = [one for one in self._open if one[0] is not capture]
        if self._network.kernel_is_alive:
            self._listen()

    def end_all(self) -> None:
        """Close all captures."""
        for capture, _, _ in list(self._open):
            capture.close()

    def collect(self) -> None:
        """Distribute what has passed since the last time."""
        if not self._interfaces or not self._network.kernel_is_alive:
            return
        kernels = self._network.kernels
        blocks = [block for kernel in kernels for block in self._captured(kernel)]
        if len(kernels) > 1:
            blocks.sort(key=_time)
        for block in blocks:
            number = int.from_bytes(block[_NUMBER_OFFSET : _NUMBER_OFFSET + 4], "little")
            for capture, _, _ in self._open:
                capture._take(number, block)

    def _captured(self, kernel: Kernel) -> Iterator[memoryview]:
        blocks, lost = kernel._native.captured()
        self.lost += lost
        start, view = 0, memoryview(blocks)
        while start < len(blocks):
            _, length = _LENGTHS.unpack_from(blocks, start)
            yield view[start : start + length]
            start += length

    def _listen(self) -> None:
        network = self._network
        messages: dict[str, list[bytes]] = {}
        for interface, number in self._interfaces.items():
            sides = [
                wanted[interface]
                for capture, _, wanted in self._open
                if interface in wanted and isinstance(capture, Capture)
            ]
            # 0 is silence, so numbers are told one higher.
            arriving, sent = (number + 1) * any(sides), (number + 1) * bool(sides)
            messages.setdefault(interface.node.name, []).append(capture_cable(interface.index, arriving, sent))
        for name, batch in messages.items():
            network._wiring.send(network.hosts[name], batch)


def _time(block: memoryview) -> int:
    high, low = _TIME.unpack_from(block, _TIME_OFFSET)
    return int(high) << 32 | int(low)


def _block(kind: int, body: bytes, options: list[tuple[int, bytes]]) -> bytes:
    for code, value in options:
        body += struct.pack("=HH", code, len(value)) + value + bytes(-len(value) % 4)
    body += bytes(4)  # the end of the options
    length = len(body) + 12
    return struct.pack("=II", kind, length) + body + struct.pack("=I", length)


def _section() -> bytes:
    head = struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1)
    return _block(_SECTION, head, [(_USER_APPLICATION, b"liblinux")])


def _describe(interface: Interface) -> bytes:
    name = f"{interface.node.name}:{interface.name}"
    description = f"to {interface.peer.node.name}:{interface.peer.name}"
    options = [(_IF_NAME, name.encode()), (_IF_DESCRIPTION, description.encode()), (_IF_RESOLUTION, _NANOSECONDS)]
    return _block(_INTERFACE, struct.pack("=HHI", _ETHERNET, 0, 0), options)
