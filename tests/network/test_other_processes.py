"""Frames to another process: two Pythons, and QEMU, whose network back ends speak the same."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from liblinux import Network
from liblinux.network import FrameSocket
from ports import free_port
from until import LONG_SECONDS, until

# The other process: a host that echoes what it is sent, and ends with the connection.
OTHER = """
    import socket, sys
    from liblinux import Network
    from liblinux.network import FrameSocket

    if sys.argv[1] == "udp":
        device = FrameSocket.udp(("127.0.0.1", int(sys.argv[3])), ("127.0.0.1", int(sys.argv[2])))
    else:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(sys.argv[2])
        listening.listen()
        print("ready", flush=True)
        device = FrameSocket(listening.accept()[0])
        listening.close()
    with Network() as net:
        host = net.host("there")
        with host.socket.create_server(("", 80)) as server:  # before anybody can ask for it
            net.link(host, device, addresses=(["10.7.0.2/24", "fd07::2/64"], None))
            net.up()
            if sys.argv[1] == "udp":
                print("ready", flush=True)
            connection, peer = server.accept()
            with connection:
                while data := connection.recv(1 << 16):
                    connection.sendall(data)
    print(peer[0])
"""


@pytest.mark.parametrize("kind", ["unix", "udp"])
def test_two_processes(kind: str, tmp_path: Path) -> None:
    near, far = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    place = [str(tmp_path / "frames")] if kind == "unix" else [str(near), str(far)]
    command = [sys.executable, "-c", textwrap.dedent(OTHER), kind, *place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            device = (
                FrameSocket.unix(place[0])
                if kind == "unix"
                else FrameSocket.udp(("127.0.0.1", near), ("127.0.0.1", far))
            )
            _is_echoed(device)
            assert other.stdout.read() == "10.7.0.1\n"
        except BaseException:
            other.kill()  # or we would wait for it
            raise
    assert other.returncode == 0


def _is_echoed(device: FrameSocket) -> None:
    with Network() as net:
        host = net.host("here")
        net.link(host, device, addresses=(["10.7.0.1/24", "fd07::1/64"], None))
        for address in ("10.7.0.2", "fd07::2"):
            assert _reached(net, address)
        with host.socket.create_connection(("10.7.0.2", 80), timeout=LONG_SECONDS) as sock:
            data = os.urandom(50_000)
            sock.sendall(data)
            back = b""
            while len(back) < len(data):
                back += sock.recv(1 << 16)
            # As each of the two ends: what it sent last arrives, though its network is closed at once.
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
    assert back == data


def _reached(net: Network, address: str) -> bool:
    """The other end may still be coming up."""
    return any(net.ping("here", address, timeout=0.5).received for _ in range(120))


def _listens(path: str) -> bool:
    """Whether somebody does there: the file is there a moment before. Looked at without calling, for QEMU takes one."""
    return any(
        line.split()[3] == "00010000" and line.endswith(f" {path}")
        for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]
    )


def test_qemu_joins_them(tmp_path: Path) -> None:
    """A hub of QEMU's, with a stream at one port and datagrams at the other, and no guest."""
    path = str(tmp_path / "qemu")
    mine, its = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    datagrams = f"local.type=inet,local.host=127.0.0.1,local.port={its}"
    netdevs = [
        f"stream,id=n0,server=on,addr.type=unix,addr.path={path}",
        f"dgram,id=n1,{datagrams},remote.type=inet,remote.host=127.0.0.1,remote.port={mine}",
        "hubport,id=h0,hubid=0,netdev=n0",
        "hubport,id=h1,hubid=0,netdev=n1",
    ]
    command = ["qemu-system-x86_64", "-nodefaults", "-machine", "none", "-display", "none"]
    with subprocess.Popen([*command, *(word for one in netdevs for word in ("-netdev", one))]) as qemu:
        try:
            until(lambda: qemu.poll() is not None or _listens(path), "QEMU listens")
            with Network() as net, Network() as other:
                for network, name, device, number in (
                    (net, "here", FrameSocket.unix(path), 1),
                    (other, "there", FrameSocket.udp(("127.0.0.1", mine), ("127.0.0.1", its)), 2),
                ):
                    addresses = ([f"10.7.0.{number}/24", f"fd07::{number}/64"], None)
                    network.link(network.host(name), device, addresses=addresses)
                    network.up()
                for address in ("10.7.0.2", "fd07::2"):
                    assert _reached(net, address)
                assert net.ping("here", "10.7.0.2", size=1400, timeout=LONG_SECONDS).received == 1
        finally:
            qemu.terminate()


def _whole_frames(stream: bytes) -> int:
    """How many frames a stream is; the last one may be cut off."""
    count = at = 0
    while at + 4 <= len(stream):
        length = int.from_bytes(stream[at : at + 4], "big")
        assert 14 <= length <= 9100, f"no length of a frame, at byte {at}: {length:#x}"
        at += 4 + length
        count += at <= len(stream)
    return count


@pytest.mark.parametrize("lead", [0.001, 0.002, 0.003, 0.004] * 2)
def test_a_stream_without_room_is_cut_once(lead: float) -> None:
    """It is read again just when the network is closed: nothing follows on half a frame."""
    ours, its = socket.socketpair()
    got = bytearray()
    begin = threading.Event()

    def drain() -> None:
        begin.wait()
        until = time.monotonic() + lead
        while time.monotonic() < until:
            pass
        while part := its.recv(1 << 16):
            got.extend(part)

    reader = threading.Thread(target=drain)
    reader.start()
    with its:
        with Network() as net:
            host = net.host("here")
            net.link(host, FrameSocket(ours), mtu=9000, addresses=(["10.7.0.1/24"], None))
            net.up()
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            with host.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                for _ in range(400):
                    sock.sendto(b"\x5a" * 8900, ("10.7.0.255", 9))
            begin.set()
        reader.join()
    assert _whole_frames(bytes(got)) <= 401
