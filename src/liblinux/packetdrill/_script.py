"""What a script says, as data: options, set-up commands, and timed events.

Times are in microseconds, which is the resolution of the language. Sequence
numbers are the script's own: relative, see `_flow.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Action",
    "Anything",
    "Apply",
    "Array",
    "Code",
    "Command",
    "Event",
    "Expression",
    "Field",
    "Icmp",
    "Ip",
    "Name",
    "Number",
    "Option",
    "Or",
    "Packet",
    "Quoted",
    "Script",
    "Struct",
    "SystemCall",
    "Tcp",
    "TcpOption",
    "Text",
    "Time",
    "Udp",
]


# ---- expressions: arguments and results of system calls ----------------------


@dataclass(frozen=True)
class Anything:
    """`...`: what the runner thinks fit, or anything."""


@dataclass(frozen=True)
class Number:
    """A decimal or hexadecimal integer."""

    value: int


@dataclass(frozen=True)
class Name:
    """A symbol, of the kernel's headers or of the script's `--define`."""

    name: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Text:
    """A string; with `more` (`"text"...`) only its beginning is given."""

    value: str
    more: bool = False


@dataclass(frozen=True)
class Or:
    """Flags joined by `|`."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Array:
    """`[a, b]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Apply:
    """`htons(8080)`, `inet_addr("192.0.2.1")`."""

    name: str
    arguments: tuple[Expression, ...]
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Field:
    """A member of a struct: `name=value`, `name(count)=value`, or a value without a name."""

    name: str | None
    value: Expression
    count: Expression | None = None


@dataclass(frozen=True)
class Struct:
    """`{name=value, ...}`."""

    fields: tuple[Field, ...]
    line: int = 0
    column: int = 0


Expression = Anything | Number | Name | Text | Or | Array | Apply | Struct


# ---- packets -----------------------------------------------------------------

Ecn = Literal["noecn", "ect0", "ect1", "ect01", "ce"]


@dataclass(frozen=True)
class Ip:
    """What is said of the IP header; None is not checked, and 0 or the default when it is sent."""

    ecn: Ecn | None = None
    tos: int | None = None
    flow_label: int | None = None
    ttl: int | None = None


@dataclass(frozen=True)
class TcpOption:
    """One option: `mss`, `wscale`, `sackOK`, `sack`, `TS`, `nop`, `eol`, `md5`, `FO`, `FOEXP`.

    `name` is what stands for the data until `_define.py` has put it there.
    """

    kind: str
    numbers: tuple[int, ...] = ()
    data: bytes = b""
    name: str = ""


@dataclass(frozen=True)
class Tcp:
    """A TCP segment. `options` None (`<...>`) is any; None of `ack`, `window` is not checked."""

    inbound: bool
    flags: str
    sequence: int
    length: int
    ack: int | None = None
    window: int | None = None
    urgent: int | None = None
    options: tuple[TcpOption, ...] | None = ()
    ip: Ip = field(default_factory=Ip)
    ports: tuple[int, int] | None = None  # of source and destination


@dataclass(frozen=True)
class Udp:
    """A UDP datagram of `length` bytes."""

    inbound: bool
    length: int
    ip: Ip = field(default_factory=Ip)
    ports: tuple[int, int] | None = None


@dataclass(frozen=True)
class Quoted:
    """The packet that an ICMP message is about."""

    protocol: Literal["tcp", "udp", "raw"]
    sequence: int
    length: int


@dataclass(frozen=True)
class Icmp:
    """An ICMP or ICMPv6 message, by the names of its type and code."""

    inbound: bool
    type: str
    code: str | None = None
    mtu: int | None = None
    identifier: int | None = None
    quoted: Quoted | None = None
    ip: Ip = field(default_factory=Ip)


Packet = Tcp | Udp | Icmp


# ---- events ------------------------------------------------------------------


@dataclass(frozen=True)
class SystemCall:
    """A call with its expected result; `duration` in microseconds when it is to block."""

    name: str
    arguments: tuple[Expression, ...]
    result: Expression
    error: str | None = None
    duration: int | None = None


@dataclass(frozen=True)
class Command:
    """Shell-like text between backticks."""

    text: str
    line: int


@dataclass(frozen=True)
class Code:
    """Python between `%{` and `}%`."""

    text: str


Action = Packet | SystemCall | Command | Code


@dataclass(frozen=True)
class Time:
    """When: microseconds since the start, or since the event before; `end` of a range."""

    kind: Literal["absolute", "relative", "any"]
    start: int = 0
    end: int | None = None


@dataclass(frozen=True)
class Event:
    """Something that happens at a time; `text` is as it stands in the script."""

    time: Time
    action: Action
    line: int
    column: int
    text: str


@dataclass(frozen=True)
class Option:
    """`--name=value` at the head of a script."""

    name: str
    value: str | None
    line: int
    column: int


@dataclass(frozen=True)
class Script:
    """A whole script."""

    name: str
    options: tuple[Option, ...]
    setup: Command | None
    events: tuple[Event, ...]
    cleanup: Command | None
