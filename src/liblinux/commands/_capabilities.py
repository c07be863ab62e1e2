"""Capabilities of files, in the text of getcap(8). Source: include/uapi/linux/capability.h."""

from __future__ import annotations

import struct

__all__ = ["capabilities"]

_NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
_EFFECTIVE = 1
_REVISIONS = {1: struct.Struct("<3I"), 2: struct.Struct("<5I"), 3: struct.Struct("<6I")}


def capabilities(value: bytes) -> str:
    """The value of security.capability as "cap_net_raw=ep"; hexadecimal when it is none."""
    revision = value[3] if len(value) > 3 else 0
    form = _REVISIONS.get(revision)
    if form is None or len(value) != form.size:
        return f"unknown: {value.hex()}"
    words = form.unpack(value)
    permitted, inheritable = words[1], words[2]
    if revision > 1:
        permitted |= words[3] << 32
        inheritable |= words[4] << 32
    by_letters: dict[str, list[str]] = {}
    for bit in range(64):
        letters = "e" * (words[0] & _EFFECTIVE and (permitted | inheritable) >> bit & 1)
        letters += "i" * (inheritable >> bit & 1) + "p" * (permitted >> bit & 1)
        if letters:
            by_letters.setdefault(letters, []).append(f"cap_{_NAMES[bit]}" if bit < len(_NAMES) else str(bit))
    text = " ".join(f"{','.join(names)}={letters}" for letters, names in by_letters.items())
    return f"{text} [rootid={words[5]}]" if revision == 3 else text
