"""Garbage frames from this machine: into a `Tap` and into a `HostInterface`; for root.

    python tests/reliability/frames_machine.py [--count 1000000] [--seed 1] [--kernel 6.1]

In a network namespace of its own there are the TAP device and the other end of a veth
pair; a program there sends the frames of frames.py by a packet socket. Afterwards the
hosts must still answer. What is printed is how many frames each device has taken in,
those that it dropped too; what is longer than the MTU or shorter than a header of
Ethernet this machine does not send.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from frames import Frames, arguments, right_frames

import machine
from liblinux import Network
from liblinux.network import Device, HostInterface, Tap

__all__ = ["bombard_machine"]

# In the namespace: frames with their length in front, from standard input, out of an interface.
_SENDER = """
import socket, sys, time
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
sock.bind((sys.argv[1], 0))
number = 0
while head := sys.stdin.buffer.read(4):
    frame = sys.stdin.buffer.read(int.from_bytes(head, "big"))
    number += 1
    if not number % 50:
        time.sleep(0.002)  # or the queue would be full
    try:
        sock.send(frame)
    except OSError:
        pass  # what is no frame for this machine
"""


def bombard_machine(seed: int, count: int, *, version: str | None = None) -> Counter[str]:
    """Send `count` frames into a host by each kind of device; how many each took."""
    frames = Frames(seed, right_frames())
    taken: Counter[str] = Counter()
    with machine.namespace() as there, Network(version=version) as net:
        machine.ip("-n", there, "link", "add", "near", "type", "veth", "peer", "name", "far")
        machine.ip("-n", there, "link", "set", "near", "up")
        devices: dict[str, Device] = {"tap": Tap("tap"), "interface": HostInterface("near")}
        for name, device in devices.items():
            net.link(net.host(name), device)
        with machine.inside(there):
            net.up()
        for name, interface in (("tap", "tap"), ("interface", "far")):
            machine.ip("-n", there, "link", "set", interface, "up")
            _send(there, interface, frames, count)
            taken[name] = _settled(devices[name])
            host = net.hosts[name]
            assert devices[name].error is None, devices[name].error
            assert host.ping(host.address, timeout=5).received == 1
        assert net.kernel.dead is None
    return taken


def _send(there: str, interface: str, frames: Frames, count: int) -> None:
    with subprocess.Popen(machine.program_in(there, _SENDER, interface), stdin=subprocess.PIPE) as sender:
        assert sender.stdin is not None
        for _ in range(count):
            frame = frames.make()
            sender.stdin.write(len(frame).to_bytes(4, "big") + frame)
        sender.stdin.close()
    assert sender.returncode == 0


def _settled(device: Device) -> int:
    """How many frames have come in when no more come."""
    before = -1
    while (now := device.traffic.frames_in + device.traffic.dropped_in) != before:
        before = now
        time.sleep(0.1)
    return now


def main() -> None:
    """The command line."""
    options = arguments(__doc__).parse_args()
    taken = bombard_machine(options.seed, options.count, version=options.kernel)
    sys.stdout.write(f"{options.count} frames into each; taken: {dict(taken)}\n")


if __name__ == "__main__":
    main()
