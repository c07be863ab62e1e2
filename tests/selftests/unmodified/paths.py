"""Which paths of programs are the library's, and what they are called there."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

_OF_THE_KERNEL = re.compile(
    rb"/(proc/(sys|net)|sys/(class/net|devices/virtual/net|fs/bpf|kernel/debug|bus/netdevsim|module)"
    rb"|(var/)?run/(netns|teamd)|dev/net/tun|dev/tap\d+)(/|$)|/proc/config\.gz$|/sys$"
)
# Most paths are of this machine, and seen to be so at once.
_BEGINNINGS = (b"/proc", b"/sys", b"/run", b"/var/run", b"/dev/net", b"/dev/tap", b"//")
_OF_A_PROCESS = re.compile(rb"/proc/(self|thread-self|\d+)/(ns|net)(/.*)?$")


# Not below /sys, on which "ip netns exec" mounts another one.
CGROUPS = b"/groups"


@functools.cache
def _cgroups_here() -> bytes:
    """Where this machine has its groups of processes, which programs find in /proc/mounts; empty if nowhere."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text("utf-8", errors="replace").splitlines()]
    return next((mount[1].encode() for mount in mounts if mount[2] == "cgroup2"), b"")


@functools.cache
def _beginnings() -> tuple[bytes, ...]:
    groups = _cgroups_here()
    return (*_BEGINNINGS, groups) if groups else _BEGINNINGS


def inside(path: bytes, number: Callable[[int], int]) -> bytes | None:
    """The path in the kernel, or None for one of this machine.

    Arguments: `number` gives the kernel's process for a number of a process of this machine.
    """
    if not path.startswith(_beginnings()):
        return None
    path = re.sub(rb"/+", b"/", path)
    process = _OF_A_PROCESS.match(path)
    if process:
        who = process[1]
        here = b"thread-self" if who in (b"self", b"thread-self") else str(number(int(who))).encode()
        return b"/proc/" + here + b"/" + process[2] + (process[3] or b"")
    groups = _cgroups_here()
    if groups and (path + b"/").startswith(groups + b"/"):
        return CGROUPS + path[len(groups) :]
    if not _OF_THE_KERNEL.match(path):
        return None
    if path.startswith(b"/proc/net"):
        return b"/proc/thread-self" + path[5:]
    return path.removeprefix(b"/var") if path.startswith(b"/var/") else path
