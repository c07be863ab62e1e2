"""Links to network interfaces of this machine: TAP devices, and what is on the wire of an interface."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

import machine
from liblinux import Host, Network
from liblinux.network import Device, HostInterface, Tap
from until import LONG_SECONDS

# For local experiments (IEEE 802), so that nobody else speaks it.
_ETHERTYPE = 0x88B5
_SENDER = bytes.fromhex("020000000009")


@machine.AS_ROOT
def test_tap() -> None:
    name = f"lltap{os.getpid()}"
    with Network() as net:
        device = Tap(name)
        host = net.host("a")
        net.link(host, device, addresses=("10.8.77.1/24", None))
        net.up()
        with pytest.raises(BlockingIOError, match="in use"), Network() as other:
            other.link(other.host("a"), Tap(name))
            other.up()
        with machine.namespace() as there:
            _move(name, there, "10.8.77.2/24")
            assert host.ping("10.8.77.2", count=3, interval=0.1, timeout=LONG_SECONDS).received
            program = (
                "import socket; s = socket.create_connection(('10.8.77.1', 80)); s.sendall(bytes(10**6)); s.close()"
            )
            with host.socket.create_server(("", 80)) as server:
                with subprocess.Popen(machine.program_in(there, program)) as client:
                    accepted, _ = server.accept()
                    with accepted:
                        assert sum(iter(lambda: len(accepted.recv(1 << 20)), 0)) == 10**6
                assert client.returncode == 0
    assert name not in os.listdir("/sys/class/net")


def _move(interface: str, there: str, address: str) -> None:
    """Into a namespace, where it has an address and is up."""
    machine.ip("link", "set", interface, "netns", there)
    machine.ip("-n", there, "addr", "add", address, "dev", interface)
    machine.ip("-n", there, "link", "set", interface, "up")


# An ordinary user, who was given a TAP device: first all is imported, from where only root may look perhaps.
USER = """
    import os, sys
    from liblinux import Network
    from liblinux.network import Tap

    with Network() as net:
        net.link(net.host("a"), net.host("b"))
        net.hosts["a"].socket.create_server(("", 80)).close()
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    with Network() as net:
        host = net.host("a")
        net.link(host, Tap(sys.argv[1]), addresses=("10.8.79.1/24", None))
        with host.socket.create_server(("", 80)) as server:
            print("ready", flush=True)
            connection, peer = server.accept()
            with connection:
                print(peer[0], sum(iter(lambda: len(connection.recv(1 << 20)), 0)))
"""


@machine.AS_ROOT
def test_a_tap_device_that_root_has_made_for_somebody() -> None:
    """As the message of the PermissionError says."""
    with machine.namespace() as there:
        name = there  # which no other interface of this machine has
        machine.ip("tuntap", "add", "dev", name, "mode", "tap", "user", "65534")
        command = [sys.executable, "-c", textwrap.dedent(USER), name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as user:
            try:
                assert user.stdout is not None
                assert user.stdout.readline() == "ready\n"
                _move(name, there, "10.8.79.2/24")
                program = "import socket; socket.create_connection(('10.8.79.1', 80), 60).sendall(bytes(10**5))"
                subprocess.run(machine.program_in(there, program), check=True, timeout=LONG_SECONDS)
                assert user.stdout.read() == "10.8.79.2 100000\n"
            except BaseException:
                user.kill()
                raise
        assert user.returncode == 0


# ---- by a packet socket ------------------------------------------------------------


@contextlib.contextmanager
def _veth_pair() -> Iterator[str]:
    """A namespace with two interfaces that are joined, near and far, both without an address."""
    with machine.namespace() as there:
        machine.ip("-n", there, "link", "add", "near", "type", "veth", "peer", "name", "far")
        for name in ("near", "far"):
            machine.ip("-n", there, "link", "set", name, "up")
        yield there


@contextlib.contextmanager
def _linked(there: str, interface: str) -> Iterator[Host]:
    """A host that is on the wire of an interface of a namespace."""
    with Network() as net:
        host = net.host("a")
        net.link(host, HostInterface(interface), addresses=("10.8.78.1/24", None))
        with machine.inside(there):
            net.up()
        yield host


def _send(there: str, interface: str, host: Host, content: bytes) -> None:
    """A frame for the host, out of an interface."""
    with machine.inside(there), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((interface, 0))
        mac = host._node.interfaces[0].mac
        sock.send(mac + _SENDER + _ETHERTYPE.to_bytes(2, "big") + content.ljust(46, b"."))


@contextlib.contextmanager
def _received(host: Host) -> Iterator[Iterator[bytes]]:
    """What frames of ours hold, in the order in which they arrive; TimeoutError when no more come."""
    with host.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE)) as sock:
        sock.settimeout(LONG_SECONDS)
        yield iter(lambda: sock.recv(2000)[14:].rstrip(b"."), None)


@machine.AS_ROOT
def test_packet_socket_on_an_interface() -> None:
    with _veth_pair() as there, machine.namespace() as peer:
        machine.ip("-n", there, "link", "set", "far", "netns", peer)
        machine.ip("-n", peer, "addr", "add", "10.8.78.2/24", "dev", "far")
        machine.ip("-n", peer, "link", "set", "far", "up")
        with _linked(there, "near") as host:
            assert host.ping("10.8.78.2", count=3, interval=0.1, timeout=LONG_SECONDS).received


@machine.AS_ROOT
def test_what_this_machine_sends_by_the_interface_is_not_received() -> None:
    """The host is one more on the wire, and no wiretap: packet(7), PACKET_IGNORE_OUTGOING."""
    with _veth_pair() as there, _linked(there, "near") as host, _received(host) as received:
        for number in range(3):
            _send(there, "near", host, b"of this machine")
            _send(there, "far", host, b"of the other end %d" % number)
        # In order: had there been others, they would have come before these.
        assert [next(received) for _ in range(3)] == [b"of the other end %d" % number for number in range(3)]


@machine.AS_ROOT
def test_frames_for_its_own_hardware_address_are_received() -> None:
    """Which no interface of this machine has: one that looks at addresses, as a bridge, is to hand on all."""
    with _veth_pair() as there:
        machine.ip("-n", there, "link", "add", "bridge", "type", "bridge")
        machine.ip("-n", there, "link", "set", "near", "master", "bridge")
        machine.ip("-n", there, "link", "set", "bridge", "up")
        with _linked(there, "bridge") as host, _received(host) as received:
            _send(there, "far", host, b"for the host")
            assert next(received) == b"for the host"


# ---- what cannot be ----------------------------------------------------------------


@pytest.mark.parametrize("device", [Tap("lltap9"), HostInterface("lo")])
def test_without_permission(device: Device, as_nobody: None) -> None:
    with Network() as net:
        net.link(net.host("a"), device)
        with pytest.raises(PermissionError, match="Internet"):
            net.up()
        with pytest.raises(PermissionError):
            net.up()


def test_no_such_interface() -> None:
    with Network() as net:
        net.link(net.host("a"), HostInterface("llnone"))
        with pytest.raises(OSError, match="no interface llnone"):
            net.up()
