"""Links to Python: functions, and captures that are played again, on both clocks."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from liblinux import Network
from liblinux.network import Functions, Replay
from until import LONG_SECONDS, until

MAC = bytes.fromhex("020000000099")
MINE, PEER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 7])


def answer(frame: bytes) -> bytes | None:
    """What a peer at PEER says to questions of ARP; RFC 826."""
    if frame[12:14] != b"\x08\x06" or frame[38:42] != PEER:
        return None
    head = frame[6:12] + MAC + b"\x08\x06" + frame[14:20]
    return head + b"\x00\x02" + MAC + PEER + frame[22:28] + frame[28:32]


def echo(frame: bytes) -> bytes | None:
    """And to pings; RFC 792. The checksum of a reply differs by the type alone."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 1 or frame[30:34] != PEER:
        return None
    checksum = int.from_bytes(frame[36:38], "big") + 0x0800
    checksum = (checksum & 0xFFFF) + (checksum >> 16)
    return (
        frame[6:12] + MAC + frame[12:26] + PEER + frame[26:30]
        + b"\x00\x00" + checksum.to_bytes(2, "big") + frame[38:]
    )  # fmt: skip


def test_a_program_answers_on_the_wire() -> None:
    seen: list[bytes] = []

    def receive(frame: bytes) -> None:
        seen.append(frame)
        for reply in (answer(frame), echo(frame)):
            if reply is not None:
                device.send(reply)

    with Network(ipv6=None) as net:
        device = Functions(receive)
        with pytest.raises(ValueError, match="not up"):
            device.send(bytes(60))
        net.link(net.host("a"), device)
        assert net.ping("a", "10.0.0.7", count=3, interval=0, timeout=LONG_SECONDS).received == 3
        # Three echoes, and who has the address; it asks again when nobody has answered for a second.
        assert len([frame for frame in seen if echo(frame)]) == 3
        assert len(seen) == device.traffic.frames_out == device.traffic.frames_in >= 4


def test_on_a_virtual_clock_frames_have_their_times() -> None:
    times: list[float] = []

    def receive(frame: bytes) -> None:
        times.append(asyncio.get_running_loop().time())
        for reply in (answer(frame), echo(frame)):
            if reply is not None:
                device.send(reply)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with host.socket.socket(2, 3, 1) as sock:
            sock.setblocking(False)
            start = loop.time()
            sock.connect(("10.0.0.7", 0))
            sock.send(struct.pack("!BBHHH", 8, 0, 0xF7FF - 1, 0, 1))
            await loop.sock_recv(sock, 100)  # type: ignore[arg-type]  # one of a kernel
            return loop.time() - start

    with Network(clock="virtual", seed=1, ipv6=None) as net:
        device = Functions(receive)
        host = net.host("a")
        net.link(host, device, delay=("10ms", "5ms"))
        assert net.run(main()) == pytest.approx(0.030, abs=1e-3), "ARP, and the echo"
        assert times[1] - times[0] == pytest.approx(0.015, abs=1e-3)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_function_that_raises_ends_the_device() -> None:
    def receive(frame: bytes) -> None:
        raise RuntimeError("no more")

    with Network(ipv6=None) as net:
        device = Functions(receive, "mine")
        net.link(net.host("a"), device)
        until(lambda: net.ping("a", "10.0.0.7", timeout=0.1) and device.error is not None, "the device ends")
        assert isinstance(device.error, OSError)


def _record(path: Path) -> int:
    """A capture of five pings, a second apart."""
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        net.link(net.host("a"), net.host("b"), delay="1ms")
        with net.capture(path) as capture:
            net.ping("a", "b", count=5)
        return capture.packets


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_a_capture_is_played_again(tmp_path: Path, clock: str) -> None:
    count = _record(tmp_path / "x.pcapng")
    with Network(clock=clock, ipv6=None) as net:  # type: ignore[arg-type]
        device = Replay(tmp_path / "x.pcapng", speed=1.0 if clock == "virtual" else 0)
        host = net.host("c")
        net.link(host, device)
        with net.capture(tmp_path / "again.pcapng", host="c") as capture:
            if clock == "virtual":
                net.run(asyncio.sleep(3.5))
                assert not device.done, "the last ping comes after four seconds"
                net.run(asyncio.sleep(0.1))
            else:
                net.up()
                until(lambda: device.traffic.frames_in >= count and device.done, "all have been played")
        assert device.sent >= count - 2
        if clock == "virtual":
            assert capture.packets >= device.sent
        else:
            assert device.traffic.frames_in == count and device.done


def test_bad_captures(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Replay(tmp_path / "nothing.pcap")
    for content in (b"", b"hello, this is no capture at all" * 4):
        (tmp_path / "x.pcap").write_bytes(content)
        with pytest.raises(ValueError, match="no capture"):
            Replay(tmp_path / "x.pcap")
    (tmp_path / "raw.pcap").write_bytes(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + bytes(16))
    with pytest.raises(ValueError, match="Ethernet"):
        Replay(tmp_path / "raw.pcap")
