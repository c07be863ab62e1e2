"""Garbage frames and garbage netlink: some of what tests/reliability/frames.py sends by the million."""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path

import pytest

import liblinux
from liblinux import Network

sys.path.append(str(Path(__file__).resolve().parent.parent / "reliability"))

import frames
import frames_machine
from interface_kinds import KINDS, is_in

import machine


def test_no_interface_dies_of_garbage() -> None:
    taken = frames.bombard_interfaces(seed=1, count=6000)
    # All kinds had their share; what is no frame for a device is refused.
    # WireGuard sends nothing without a peer; it gets what comes by UDP.
    with liblinux.Kernel() as kernel:
        kinds = {kind for kind in KINDS if is_in(kind, kernel.release)}
    assert {*kinds, "tun", "lo"} - {"wireguard"} <= set(taken)
    assert taken["tap"] > 2000


def test_no_device_dies_of_garbage() -> None:
    taken = frames.bombard_devices(seed=2, count=2000)
    assert taken["stream"] == 400, "a stream loses nothing"
    assert all(count > 100 for count in taken.values())


@pytest.mark.parametrize("protocol", [0, 4, 6, 12, 15, 16])
def test_malformed_netlink_is_answered_or_ignored(protocol: int) -> None:
    chance = random.Random(protocol)
    with Network(clock="virtual", seed=1) as net:
        host = net.host("a")
        with host.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
            sock.setblocking(False)
            for _ in range(300):
                length = chance.choice((0, 3, 4, 16, 20, 33, 200))
                head = length.to_bytes(4, "little") + chance.randrange(16, 120).to_bytes(2, "little")
                message = head + b"\x05\x03" + bytes(8) + chance.randbytes(max(0, length - 16))
                try:
                    sock.send(message)
                    sock.recv(1 << 16)
                except OSError as error:
                    assert error.errno, "an errno says what was wrong"
        assert net.kernel.dead is None
        assert host.ping("127.0.0.1").received == 1


def test_captures_of_garbage_are_played_to_the_end() -> None:
    taken = frames.bombard_replay(seed=3, count=1000)
    assert taken.total() == 1000 and taken["replay"] > 900, taken
    assert taken["refused"], "what is too short to be a frame is left out, and does not end the replay"


@machine.AS_ROOT
def test_no_device_of_this_machine_dies_of_garbage() -> None:
    taken = frames_machine.bombard_machine(seed=4, count=1500)
    assert taken["tap"] > 1200 and taken["interface"] > 1200, taken
