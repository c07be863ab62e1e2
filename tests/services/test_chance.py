"""All time and all chance of a run come from its seed, those of the kernel and those of Python."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable
from random import randrange as taken_randrange
from typing import Any

import pytest

from liblinux import Network


def ask(seed: int, question: Callable[[Network], Any]) -> Any:
    with Network(clock="virtual", seed=seed) as net:
        net.link(net.host("a"), net.host("b"))
        return question(net)


def _in_host(function: Callable[[], Any]) -> Callable[[Network], Any]:
    return lambda net: net.hosts["a"].run_blocking(function)


def _read(path: str) -> Callable[[Network], Any]:
    def read(net: Network) -> str:
        with net.hosts["a"].open(path) as file:
            text: str = file.read()
            return text

    return read


def _macs(net: Network) -> list[str]:
    return [link.get_attr("IFLA_ADDRESS") for host in net.hosts.values() for link in host.ip.get_links()]


def _ports() -> list[int]:
    """Which ports the kernel chooses by itself."""
    ports = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("", 0))
            ports.append(sock.getsockname()[1])
    return ports


def _connection(net: Network) -> list[tuple[int, int]]:
    """The initial sequence numbers of both ends, and the port of the client, as they are on the wire."""
    a, b = net.hosts["a"], net.hosts["b"]
    with (
        b.socket.create_server(("", 80)),
        a.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as sniffer,
    ):
        sniffer.settimeout(1)
        a.socket.create_connection((b.address, 80)).close()
        seen: list[tuple[int, int]] = []
        while len(seen) < 2:
            frame = sniffer.recv(200)
            if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_TCP and frame[47] & 2:  # SYN
                source, _, sequence = struct.unpack_from(">HHI", frame, 34)
                seen.append((source, sequence))
        return seen


def _system_random(net: Network) -> bytes:
    buffer = bytearray(16)
    net.hosts["a"].syscall("getrandom", buffer, 16, 0)
    return bytes(buffer)


def _new_mac(net: Network) -> Any:
    """The address that the kernel gives to a device that was made without one."""
    ip = net.hosts["a"].ip
    ip.link("add", ifname="d0", kind="dummy")
    return ip.link("get", ifname="d0")[0].get_attr("IFLA_ADDRESS")


def _hash_order(net: Network) -> list[str]:
    """Which connections are first in a table whose hash has a secret: the same ports each time, in another order."""
    a, b = net.hosts["a"], net.hosts["b"]
    ports = range(5000, 5020)
    with contextlib.ExitStack() as stack:
        stack.enter_context(b.socket.create_server(("", 80)))
        for port in ports:
            stack.enter_context(a.socket.create_connection((b.address, 80), source_address=("", port)))
        with a.open("/proc/net/tcp") as file:
            found = [int(line.split()[1].split(":")[1], 16) for line in file.read().splitlines()[1:]]
        assert sorted(found) == list(ports)
        return [str(port) for port in found]


def _timers(net: Network) -> list[float]:
    """When the kernel's own timers fire: packets that it sends after a delay of its choice (reports of IPv6 groups)."""
    a, b = net.hosts["a"], net.hosts["b"]
    with (
        b.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD)) as sniffer,
        a.socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as member,
    ):
        group = socket.inet_pton(socket.AF_INET6, "ff02::1234")
        member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("=I", 2))
        sniffer.settimeout(20)
        times = []
        for _ in range(3):
            sniffer.recv(200)
            times.append(net.kernel.now() / 1e9)
    return times


def _link(net: Network) -> Any:
    """What a cable loses, delays and lets overtake."""
    net.links[0].set(loss=0.2, jitter="5ms", delay="10ms", duplicate=0.1, reorder=0.1)
    return net.ping("a", "b", count=30)


def _race() -> list[int]:
    """Who comes first of those that may go on at the same time."""
    order: list[int] = []

    def run(number: int) -> None:
        time.sleep(1)
        order.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return order


QUESTIONS: dict[str, Callable[[Network], Any]] = {
    "boot id": _read("/proc/sys/kernel/random/boot_id"),
    "uuid of the kernel": _read("/proc/sys/kernel/random/uuid"),
    "getrandom of the kernel": _system_random,
    "ports": _in_host(_ports),
    "port and initial sequence numbers": _connection,
    "address of a new device": _new_mac,
    "secrets of hashes": _hash_order,
    "delays of timers": _timers,
    "losses and delays of links": _link,
    "random": _in_host(lambda: (random.random(), taken_randrange(10**9), random.Random().random())),
    "random.SystemRandom": _in_host(lambda: random.SystemRandom().random()),
    "os.urandom": _in_host(lambda: os.urandom(8)),
    "uuid": _in_host(uuid.uuid4),
    "secrets": _in_host(secrets.token_hex),
    "order of threads": _in_host(_race),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_it_is_the_seed_s(name: str) -> None:
    first, again, other = (ask(seed, QUESTIONS[name]) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def _kernel_clocks(net: Network) -> list[bytes | int]:
    """All clocks of Linux, and jiffies, which times(2) returns; before and after a while."""
    a = net.hosts["a"]
    seen: list[bytes | int] = []
    for _ in range(2):
        for clock in (*range(8), 11):
            found = bytearray(16)
            a.syscall("clock_gettime", clock, found)
            seen.append(bytes(found))
        seen += [a.syscall("times", bytearray(32)), net.kernel.now()]
        net.ping("a", "b", count=3)
    return seen


def _timer(net: Network) -> list[int]:
    """When an interval timer fires."""
    a = net.hosts["a"]
    fd = a.syscall("timerfd_create", time.CLOCK_MONOTONIC, 0)
    a.syscall("timerfd_settime", fd, 0, struct.pack("=4q", 0, 12_345_678, 0, 1_234_567), None)
    seen = []
    for _ in range(10):
        a.os.read(fd, 8)
        seen.append(net.kernel.now())
    a.os.close(fd)
    return seen


@pytest.mark.parametrize("question", [_kernel_clocks, _timer, _macs])
def test_it_is_the_same_again(question: Callable[[Network], Any]) -> None:
    """Clocks, jiffies and timers have nothing to do with chance, nor with the machine's clock."""
    first = ask(1, question)
    time.sleep(0.1)
    assert ask(1, question) == first


def test_addresses_of_interfaces_are_always_the_same() -> None:
    assert ask(1, _macs) == ask(2, _macs)


def _clocks() -> list[float]:
    return [
        time.time(),
        time.monotonic(),
        time.perf_counter(),
        time.time_ns(),
        time.monotonic_ns(),
        time.perf_counter_ns(),
    ]


def test_clocks_are_the_run_s() -> None:
    assert ask(1, _in_host(_clocks)) == ask(1, _in_host(_clocks))
    before = time.monotonic()

    def hour() -> float:
        start = time.monotonic()
        time.sleep(3600)
        return time.monotonic() - start

    assert ask(1, _in_host(hour)) == pytest.approx(3600, abs=1e-3)
    assert 0 < time.monotonic() - before < 60, "outside of a run it is the machine's again"


def test_outside_chance_goes_on_as_if_there_had_been_no_run() -> None:
    random.seed(5)
    expected = [random.random() for _ in range(2)]
    random.seed(5)
    found = [random.random()]
    ask(1, _in_host(random.random))
    found.append(random.random())
    assert found == expected
    assert os.urandom(8) != os.urandom(8)


def test_chance_goes_on_from_run_to_run() -> None:
    with Network(clock="virtual", seed=1) as net:
        host = net.host("a")
        assert host.run_blocking(random.random) != host.run_blocking(random.random)
