"""`nstat`: the kernel's counters of protocols, from /proc/net."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from liblinux.packetdrill.shell._shell import Done

if TYPE_CHECKING:
    from liblinux.packetdrill.shell._shell import Shell

__all__ = ["nstat"]

_HISTORY = "nstat-history"


def nstat(shell: Shell, arguments: list[str], _: str) -> Done:
    """Counters that match the patterns: since the last call, or with -a since the boot.

    `-z` shows those that are 0 as well, `-s` does not remember, `-n` shows nothing,
    `-r` forgets what it remembered.
    """
    options = "".join(one[1:] for one in arguments if one.startswith("-"))
    unknown = set(options) - set("azsnr")
    if unknown:
        return Done(1, errors=f"nstat: unknown options {''.join(sorted(unknown))}; there are a, z, s, n, r\n")
    patterns = [
        re.compile(one.replace("*", ".*") + r"\Z", re.IGNORECASE) for one in arguments if not one.startswith("-")
    ]
    counters = _counters(shell)
    before = {} if set("ar") & set(options) else _remembered(shell)
    lines = ["#kernel\n"]
    for name, value in counters.items():
        shown = value - before.get(name, 0)
        wanted = not patterns or any(pattern.match(name) for pattern in patterns)
        if wanted and (shown or "z" in options):
            lines.append(f"{name:<31} {shown:<18} 0.0\n")
    if "s" not in options:
        shell.variables[_HISTORY] = " ".join(f"{name}={value}" for name, value in counters.items())
    return Done(output="" if "n" in options else "".join(lines))


def _remembered(shell: Shell) -> dict[str, int]:
    pairs = (one.partition("=") for one in shell.variables.get(_HISTORY, "").split())
    return {name: int(value) for name, _, value in pairs}


def _counters(shell: Shell) -> dict[str, int]:
    """All counters, by the names that nstat gives them: protocol and counter in one word."""
    found: dict[str, int] = {}
    for file in ("/proc/net/snmp", "/proc/net/netstat"):
        lines = shell.read_file(file).splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            protocol = names.partition(":")[0]
            pairs = zip(names.split()[1:], values.split()[1:], strict=True)
            found |= {protocol + name: int(value) for name, value in pairs}
    if shell.kernel.os.path.isfile("/proc/net/snmp6"):
        for line in shell.read_file("/proc/net/snmp6").splitlines():
            name, value = line.split()
            found[name] = int(value)
    return found
