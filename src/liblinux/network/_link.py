"""Links: cables between two nodes, with what they do to the frames on them."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING, Any, Value
from liblinux.network import _units
from liblinux.network._rtnetlink import Line, change_cable, new_address, put_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from liblinux.network._beyond import Beyond
    from liblinux.network._host import Host
    from liblinux.network._network import Network
    from liblinux.network._topology import Interface
    from liblinux.network.faults._intercept import Dropping, Intercept

__all__ = ["Link", "parse_lines"]

_READERS = {
    "rate": _units.rate,
    "delay": _units.nanoseconds,
    "jitter": _units.nanoseconds,
    "loss": _units.chance,
    "duplicate": _units.chance,
    "reorder": _units.chance,
}


def parse_lines(parameters: dict[str, Any], before: tuple[Line, Line] = (Line(), Line())) -> tuple[Line, Line]:
    """Both directions of a cable; a parameter is one value, or a pair of one for each."""
    there: dict[str, Any] = {}
    back: dict[str, Any] = {}
    for name, value in parameters.items():
        read = _READERS.get(name)
        if read is None:
            raise TypeError(f"a link has no {name!r}; it has {', '.join(_READERS)}")
        values = value if isinstance(value, tuple) else (value, value)
        if len(values) != 2:
            raise ValueError(f"{name}={value!r}: a pair has two values, one for each direction")
        there[name], back[name] = map(read, values)
    return _changed(before[0], there), _changed(before[1], back)


def _changed(line: Line, changes: dict[str, Any]) -> Line:
    return Line(**{name: changes.get(name, getattr(line, name)) for name in Line.__match_args__})


class Cable(Value):
    """A pair of devices in one kernel."""

    hosts: tuple[Host, Host]
    ends: tuple[Interface, Interface]
    lines: tuple[Line, Line]


class Link:
    """A cable of a :class:`Network`, made by :meth:`Network.link`.

    Attributes: `a` and `b`, the hosts; `ends`, their interfaces.
    """

    def __init__(
        self,
        network: Network,
        hosts: tuple[Host, Host],
        ends: tuple[Interface, Interface],
        lines: tuple[Line, Line],
        mtu: int,
        queue: int,
    ) -> None:
        self.network = network
        self.a, self.b = hosts
        self.ends = ends
        self._lines = lines
        self._mtu = mtu
        self._queue = queue
        self._made = False
        # Of one that leads out of a kernel: what is behind its ends, else None.
        self._beyond: tuple[Beyond | None, Beyond | None] = (None, None)

    def __repr__(self) -> str:
        return f"<liblinux.Link {self.a.name} - {self.b.name}>"

    @property
    def _cables(self) -> list[Cable]:
        """The cables that it is made of: both hosts, both ends, what either sends comes to."""
        hosts = (self.a, self.b)
        if self._beyond == (None, None):
            return [Cable(hosts, self.ends, self._lines)]
        return [
            Cable((host, beyond), (end, beyond.interface), (line, Line()))
            for host, end, line, beyond in zip(hosts, self.ends, self._lines, self._beyond, strict=True)
            if beyond is not None
        ]

    @property
    def _hosts_and_ends(self) -> list[tuple[Host, Interface]]:
        return list(zip((self.a, self.b), self.ends, strict=True))

    def set(self, **parameters: Any) -> None:
        """Change rate, delay, jitter, loss, duplicate or reorder from now on; as in :meth:`Network.link`.

        A pair is for the two directions, the first for what `a` sends. Frames
        that are on their way arrive as they would have.
        """
        lines = parse_lines(parameters, self._lines)
        if self._made:
            for (host, end), line in zip(self._hosts_and_ends, lines, strict=True):
                self.network._wiring.send(host, [change_cable(end.index, line)])
        self._lines = lines
        self._note(", ".join(f"{name} {value}" for name, value in parameters.items()))

    def down(self) -> None:
        """Pull the cable out: both ends lose their carrier, and routes over it are gone, as with a real one."""
        self._put(up=False)
        self._note("down")

    def up(self) -> None:
        """Put the cable in again; addresses and routes are set anew, for the kernel drops those of a lost device."""
        self._put(up=True)
        for host, end in self._hosts_and_ends:
            self.network._wiring.send(host, [new_address(end.index, address) for address in end.addresses()])
        for host in (self.a, self.b):
            self.network._wiring.set_routes(host)
        self._note("up")

    def _note(self, text: str) -> None:
        """Tell who records the network what was done."""
        if self.network._recorder is not None:
            self.network._recorder.event(f"{self.a.name} - {self.b.name}: {text}")

    def drop(self, program: str | Iterable[tuple[int, int, int, int]], *, toward: Host | str | None = None) -> Dropping:
        """Drop the frames that a program of classic BPF matches, where they arrive; returns what ends it (`close`).

        The program sees Ethernet frames, as instructions or as text; what
        `tcpdump -ddd -y EN10MB EXPRESSION` prints is right. `toward` for one
        direction only: to that host. ValueError for what is no such program.
        """
        from liblinux.network.faults._filters import parse  # noqa: PLC0415 - for those who do
        from liblinux.network.faults._intercept import Dropping, ends_toward  # noqa: PLC0415 - as above

        return Dropping(self.network._faults, ends_toward(self, toward), parse(program))

    def intercept(
        self, function: Callable[[bytes], bytes | Iterable[bytes] | None], *, toward: Host | str | None = None
    ) -> Intercept:
        """Let each frame that arrives go through a function, during runs; returns what ends it (`close`).

        It gets an Ethernet frame and returns it, or another one, or several, or
        None to drop it. No virtual time passes. Between runs frames wait. `toward`
        for one direction only: to that host. What the function raises, the run
        raises.
        """
        from liblinux.network.faults._intercept import Intercept, ends_toward  # noqa: PLC0415 - for those who do

        return Intercept(self.network._faults, ends_toward(self, toward), function)

    def _put(self, *, up: bool) -> None:
        self.network.up()
        for host, end in self._hosts_and_ends:
            self.network._wiring.send(host, [put_up(end.index, up=up)])
