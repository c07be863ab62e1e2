"""Options of a run: of the command line, of the script's head, and what the mode of IP implies."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from liblinux.packetdrill._errors import ScriptError

if TYPE_CHECKING:
    from liblinux.packetdrill._script import Option, Script

__all__ = ["MODES", "Config", "Mode", "configure", "modes_of"]

Mode = Literal["ipv4", "ipv6", "ipv4-mapped-ipv6"]
MODES: tuple[Mode, ...] = get_args(Mode)
_OLD_NAMES = {"ipv4_mapped_ipv6": "ipv4-mapped-ipv6"}
_NON_FATAL = ("packet", "syscall")

# Addresses and MTU that the kernel's own runner of these scripts (ksft_runner.sh) asks for;
# 1520 leaves room for the same segments behind the longer header.
_IPV4 = {"local_ip": "192.168.0.1", "remote_ip": "192.0.2.1", "prefix": 16, "mtu": 1500}
_IPV6 = {"local_ip": "fd3d:a0b:17d6::1", "remote_ip": "fd3d:fa7b:d17d::1", "prefix": 48, "mtu": 1520}

# Who answers with an error queue depends on the socket, not on the wire.
_IPV4_NAMES = {"CMSG_LEVEL_IP": "SOL_IP", "CMSG_TYPE_RECVERR": "IP_RECVERR"}
_IPV6_NAMES = {"CMSG_LEVEL_IP": "SOL_IPV6", "CMSG_TYPE_RECVERR": "IPV6_RECVERR"}


@dataclass(frozen=True)
class Config:
    """What a run goes by. Tolerances are of the time of outbound packets and of the end of calls."""

    mode: Mode
    local_ip: str
    remote_ip: str
    prefix: int
    mtu: int
    tolerance_us: int = 4000
    tolerance_percent: float = 1.0
    bind_port: int = 8080
    connect_port: int = 8080
    timestamp_tick_us: int = 0  # 0: values of TCP time stamps are not checked
    strict_segments: bool = False
    non_fatal: frozenset[str] = frozenset()
    symbols: Mapping[str, str] = field(default_factory=dict)

    @property
    def wire_version(self) -> int:
        """4 or 6: of the packets, not of the sockets."""
        return 6 if self.mode == "ipv6" else 4

    @property
    def family(self) -> Literal["AF_INET", "AF_INET6"]:
        """Of the sockets."""
        return "AF_INET" if self.mode == "ipv4" else "AF_INET6"


def modes_of(script: Script, wanted: Iterable[Mode]) -> tuple[Mode, ...]:
    """The modes of `wanted` that the script allows: its own `--ip_version` is the only one."""
    for option in script.options:
        if option.name == "ip_version":
            mode = _mode(option.value or "", script.name, option)
            return tuple(one for one in wanted if one == mode)
    return tuple(wanted)


def configure(script: Script, mode: Mode, command_line: Iterable[tuple[str, str | None]] = ()) -> Config:
    """The options of a script in a mode; those of the command line overrule it.

    `command_line` has names, without dashes, and values. Raises ScriptError for an
    option that is unknown, or whose value is wrong.
    """
    addresses = _IPV6 if mode == "ipv6" else _IPV4
    names = _IPV4_NAMES if mode == "ipv4" else _IPV6_NAMES
    config = Config(mode=mode, symbols=names, **addresses)  # type: ignore[arg-type] # strings and numbers, as named
    for option in script.options:
        config = _set(config, option.name, option.value, script.name, option)
    for name, value in command_line:
        config = _set(config, name, value, "", None)
    return config


def _mode(value: str, name: str, option: Option | None) -> Mode:
    value = _OLD_NAMES.get(value, value)
    if value not in MODES:
        raise _wrong(f"--ip_version={value}: there are {', '.join(MODES)}", name, option)
    return value


def _wrong(message: str, name: str, option: Option | None) -> ScriptError:
    return ScriptError(message, name, option.line if option else 0, option.column if option else 0)


# Of a host's interface, or of no consequence where nothing is real.
_WITHOUT_MEANING = ("gateway_ip", "speed", "verbose", "dry_run", "persistent_tun_dev")


def _set(config: Config, name: str, value: str | None, script: str, option: Option | None) -> Config:
    """One option more."""
    text = (value or "").strip('"')
    if name in _WITHOUT_MEANING:
        return config
    if name == "ip_version":
        _mode(text, script, option)  # modes_of() has gone by it
        return config
    if name not in _SETTERS:
        known = ", ".join(f"--{one}" for one in sorted([*_SETTERS, "ip_version"]))
        raise _wrong(f"unknown option --{name}; there are {known}", script, option)
    try:
        return replace(config, **_SETTERS[name](config, text))
    except ValueError as error:
        raise _wrong(f"--{name}={text}: {error}", script, option) from None


def _positive(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("not a number from 0 on")
    return value


def _address(config: Config, text: str) -> str:
    address = ipaddress.ip_address(text)
    if address.version != config.wire_version:
        raise ValueError(f"an IPv{config.wire_version} address is needed with --ip_version={config.mode}")
    return str(address)


def _definition(config: Config, text: str) -> Mapping[str, str]:
    symbol, equals, meaning = text.partition("=")
    if not equals:
        raise ValueError("expected NAME=VALUE")
    return {**config.symbols, symbol: meaning}


def _kinds(text: str) -> frozenset[str]:
    kinds = frozenset(text.split(","))
    if not kinds <= set(_NON_FATAL):
        raise ValueError(f"there are {', '.join(_NON_FATAL)}")
    return kinds


# What an option sets, by its name.
_SETTERS: dict[str, Callable[[Config, str], dict[str, Any]]] = {
    "tolerance_usecs": lambda _, text: {"tolerance_us": _positive(text)},
    "tolerance_percent": lambda _, text: {"tolerance_percent": float(text)},
    "tcp_ts_tick_usecs": lambda _, text: {"timestamp_tick_us": _positive(text)},
    "mtu": lambda _, text: {"mtu": _positive(text)},
    "bind_port": lambda _, text: {"bind_port": _positive(text)},
    "connect_port": lambda _, text: {"connect_port": _positive(text)},
    "local_ip": lambda config, text: {"local_ip": _address(config, text)},
    "remote_ip": lambda config, text: {"remote_ip": _address(config, text)},
    "netmask_ip": lambda _, text: {"prefix": ipaddress.ip_network(f"0.0.0.0/{text}").prefixlen},
    "define": lambda config, text: {"symbols": _definition(config, text)},
    "non_fatal": lambda _, text: {"non_fatal": _kinds(text)},
    "strict_segments": lambda _, __: {"strict_segments": True},
}
