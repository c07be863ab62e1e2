"""What a kernel in training does, and how its counters are read: `python train_lessons.py DIRECTORY`.

The lessons are what is measured in bench/ and sits in the objects that count: mostly
one byte over TCP and back, and enough of all else that it is not taken for what never
happens. LIBLINUX_KERNEL names the library. The counters of all kernels in this process
are added. A record is written as DIRECTORY/<path of the object, with # for />.gcda.

Formats: gcc/gcov-io.h and libgcc/libgcov.h of GCC 12.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import liblinux  # noqa: E402
import networks  # noqa: E402
import sockets  # noqa: E402
from liblinux import _native  # noqa: E402

_EXCHANGES = 400_000
_OTHERS = 40_000
_BLOCK = 128 * 1024

# ---- the lessons -------------------------------------------------------------------


def exchange(kernel: Any) -> None:
    """One byte there and back: what all this is for."""
    client, server = sockets._pair(kernel.socket)
    with client, server:
        _native.exchange_nanoseconds(kernel._process, _EXCHANGES, client.fileno(), server.fileno())
        _native.stream_nanoseconds(kernel._process, _BLOCK, _OTHERS * _BLOCK // 4, client.fileno(), server.fileno())
        sockets._one_thread(_OTHERS // 2)(client, server)


def exchange_over_ipv6(kernel: Any) -> None:
    """The same, and datagrams."""
    module = kernel.socket
    with module.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        client = module.create_connection(listening.getsockname()[:2])
        server, _ = listening.accept()
    with client, server:
        _native.exchange_nanoseconds(kernel._process, _OTHERS, client.fileno(), server.fileno())
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with module.socket(family, socket.SOCK_DGRAM) as here, module.socket(family, socket.SOCK_DGRAM) as there:
            for one in (here, there):
                one.bind((address, 0))
            here.connect(there.getsockname())
            there.connect(here.getsockname())
            sockets._one_thread(_OTHERS // 4)(here, there)


def switches(kernel: Any) -> None:
    """Tasks that wait for each other over pipes; other descriptors."""
    _native.switch_nanoseconds(kernel._process, 2 * _OTHERS)
    here, there = kernel.socket.socketpair()
    with here, there:
        sockets._one_thread(_OTHERS // 4)(here, there)


def connections(kernel: Any) -> None:
    """Opened and closed."""
    sockets._connections(kernel.socket, _OTHERS // 10)()


def files(kernel: Any) -> None:
    """Files in memory: short and long, read and written."""
    calls = kernel.os
    for size, count in ((1, _OTHERS // 4), (4096, _OTHERS // 4), (1 << 20, 100)):
        file = calls.open("/lesson", os.O_RDWR | os.O_CREAT)
        data = bytes(size)
        for _ in range(count):
            calls.pwrite(file, data, 0)
            calls.pread(file, size, 0)
        calls.close(file)
    for number in range(_OTHERS // 4):
        calls.close(calls.open(f"/lesson{number % 100}", os.O_RDWR | os.O_CREAT))
        calls.stat("/lesson")


def between_hosts(net: Any) -> None:
    """Two hosts and a cable: a stream, echoes."""
    there = networks.Ours(net)
    address = net.hosts["b"].address
    with networks._connected(there, address) as (sending, receiving), there.selector() as selector:
        networks._pump(selector, sending, receiving, 1)
    networks._echoes(there, "a", [address] * (_OTHERS // 8))


# ---- the counters ------------------------------------------------------------------

_MAGIC, _FUNCTION, _SUMMARY, _COUNTERS = 0x67636461, 0x01000000, 0xA1000000, 0x01A10000
_KINDS = 8  # of counters: GCOV_COUNTERS
_INFO = struct.Struct("<I4xQIIQ8QI4xQ")
_FUNCTION_INFO = struct.Struct("<QIII4x")
_COUNTER_INFO = struct.Struct("<I4xQ")
_MOST = (1 << 32) - 1


class Memory:
    """The images of one library in this process; addresses are those in the first of them."""

    def __init__(self, library: Path) -> None:
        lines = Path("/proc/self/maps").read_text().splitlines()
        starts = [line for line in lines if line.endswith(f" {library}") and line.split()[2] == "00000000"]
        self._images = [int(line.split("-")[0], 16) for line in starts]
        self._file = os.open("/proc/self/mem", os.O_RDONLY)
        symbols = subprocess.run(["nm", f"{library}.debug"], capture_output=True, text=True, check=True).stdout
        self._symbols = {words[2]: int(words[0], 16) for words in map(str.split, symbols.splitlines()) if words[2:]}

    @property
    def start(self) -> int:
        """Where the first of them is."""
        return self._images[0]

    def symbol(self, name: str) -> int:
        """Its address."""
        return self._images[0] + self._symbols[name]

    def read(self, address: int, count: int) -> bytes:
        """Of the first image."""
        return os.pread(self._file, count, address)

    def counters(self, address: int, count: int) -> list[int]:
        """The sums over all images."""
        shape = f"<{count}q"
        places = (address - self._images[0] + image for image in self._images)
        each = (struct.unpack(shape, self.read(place, struct.calcsize(shape))) for place in places)
        return [sum(values) for values in zip(*each, strict=True)]


def functions(memory: Memory, info: int, kinds: list[int], count: int, table: int) -> Iterator[tuple[bytes, int]]:
    """The record of each function of an object, and its greatest counter."""
    for (address,) in struct.iter_unpack("<Q", memory.read(table, 8 * count)):
        key, ident, lines, graph = _FUNCTION_INFO.unpack(memory.read(address, _FUNCTION_INFO.size))
        if key != info:
            continue  # the linker took another object's copy of it
        record, greatest = struct.pack("<5I", _FUNCTION, 12, ident, lines, graph), 0
        for place, kind in enumerate(kinds):
            at = address + _FUNCTION_INFO.size + place * _COUNTER_INFO.size
            number, values_at = _COUNTER_INFO.unpack(memory.read(at, _COUNTER_INFO.size))
            values = memory.counters(values_at, number) if number else []
            # All zero: not written, and the length says so by being negative.
            length = 8 * number if any(values) else -8 * number
            record += struct.pack("<Ii", _COUNTERS + (kind << 17), length)
            record += struct.pack(f"<{number}q", *values) if any(values) else b""
            greatest = max([greatest, *values])
        yield record, greatest


def write_records(memory: Memory, directory: Path) -> None:
    """One file for each object that counts."""
    start, stop = (memory.symbol(f"__{end}_lib_profile") for end in ("start", "stop"))
    directory.mkdir()
    for (info,) in struct.iter_unpack("<Q", memory.read(start, stop - start)):
        version, _, stamp, checksum, name_at, *rest = _INFO.unpack(memory.read(info, _INFO.size))
        kinds = [kind for kind in range(_KINDS) if rest[kind]]
        found = list(functions(memory, info, kinds, rest[_KINDS], rest[_KINDS + 1]))
        greatest = min(max(greatest for _, greatest in found), _MOST)
        head = struct.pack("<8I", _MAGIC, version, stamp, checksum, _SUMMARY, 8, 1, greatest)
        name = memory.read(name_at, 512).partition(b"\0")[0].decode()
        content = head + b"".join(record for record, _ in found) + bytes(4)
        (directory / name.strip("/").replace("/", "#")).write_bytes(content)


def main(directory: Path) -> None:
    """All lessons, then the counters."""
    net = networks._pair()
    with liblinux.Kernel() as kernel:
        for lesson in (exchange, exchange_over_ipv6, switches, connections, files):
            lesson(kernel)
        between_hosts(net)
        write_records(Memory(Path(os.environ["LIBLINUX_KERNEL"])), directory)
    net.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
