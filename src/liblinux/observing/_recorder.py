"""Recording a network while it runs."""

from __future__ import annotations

import logging
import struct
import time
from typing import TYPE_CHECKING, Any

from liblinux.observing._questions import Question, ask_interfaces, ask_sockets
from liblinux.observing._recording import Event, Recording

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from liblinux.network import Host, Link, Network
    from liblinux.network._topology import Interface

__all__ = ["Recorder"]

_SECOND_NS = 10**9
_MOST_BYTES = 1 << 30


class Recorder:
    """Looks at a network at equal steps of virtual time, from now until :meth:`close` or the end of `with`.

    `interval` in seconds of virtual time. `hosts` whose TCP connections are
    looked at (None: all that are no routers and switches), and `links` whose
    queues and counters are (None: all). `log_level`: the level of the root
    logger meanwhile, so that logging.INFO records are in the logs as well; None
    leaves it as it is. `capture`: the path of a pcapng file to be written at the
    same time, from which a report has the diagrams of sequence numbers. A sample
    costs 3 to 5 us of this machine's time for each of these hosts and 1 to 2 us for
    each end of these links.

    It starts when it is made, which brings the network up. ValueError for an
    interval that is not positive and for a network on a real clock;
    RuntimeError for one of several kernels, and when it is recorded already.
    """

    def __init__(
        self,
        net: Network,
        interval: float = 0.1,
        *,
        hosts: Iterable[Host | str] | None = None,
        links: Iterable[Link] | None = None,
        log_level: int | None = None,
        capture: str | os.PathLike[str] | None = None,
    ) -> None:
        if not interval > 0:
            raise ValueError(f"an interval of {interval} s has no end; samples are taken every so many seconds")
        self.network = net
        self.interval = interval
        self._recording = Recording()
        self._begin = 0
        self._end = -1
        self._missed = 0
        self._data: list[bytes] = []
        net.up()
        if net.kernel.clock != "virtual":
            raise ValueError("samples are taken at steps of virtual time; make Network(clock='virtual')")
        if len(net.kernels) > 1:
            raise RuntimeError("a network of several kernels is not recorded; put all hosts into one")
        if net._recorder is not None:
            raise RuntimeError("this network is recorded already; close the other recorder first")
        self._native = net.kernel._native
        self._now = self._native.now
        self._release = net.kernel.release
        self._questions = self._ask(hosts, links)
        self._handler = _Handler(self)
        self._level = logging.root.level
        self._capture = net.capture(capture) if capture is not None else None
        self._recording.capture = self._capture.path if self._capture is not None else None
        self._start(log_level)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- beginning and ending ----------------------------------------------------

    def _ask(self, hosts: Iterable[Host | str] | None, links: Iterable[Link] | None) -> list[Question]:
        net = self.network
        looked_at = (
            [host for host in net.hosts.values() if not host._node.forwards and not host._node.switches]
            if hosts is None
            else [net._find(host) for host in hosts]
        )
        ends: dict[Host, list[Interface]] = {}
        for link in net.links if links is None else links:
            for host, end in zip((link.a, link.b), link.ends, strict=True):
                if host.name in net.hosts:
                    ends.setdefault(host, []).append(end)
        self._ends = {(host, end.index): end for host, these in ends.items() for end in these}
        questions = [ask_sockets(host) for host in looked_at]
        for host, these in ends.items():
            questions += ask_interfaces(host, these)
        return questions

    def _start(self, log_level: int | None) -> None:
        native = self._native
        self._begin = self._now()
        self._epoch = _realtime(self.network) / _SECOND_NS
        step = round(self.interval * _SECOND_NS)
        native.sample(self._begin, step, _MOST_BYTES, [(one.socket.fileno(), one.message) for one in self._questions])
        self.network._recorder = self.network._recorded = self
        if log_level is not None:
            logging.root.setLevel(log_level)
        logging.root.addHandler(self._handler)

    def close(self) -> None:
        """End the recording. Twice does nothing."""
        if self._end >= 0 or self.network._recorder is not self:
            return
        logging.root.removeHandler(self._handler)
        logging.root.setLevel(self._level)
        self.network._recorder = None
        self._end = self._now()
        self._take(stop=True)
        if self._capture is not None:
            self._capture.close()
        if self.network.kernel_is_alive:
            for question in self._questions:
                question.socket.close()

    def _take(self, *, stop: bool) -> None:
        data, missed, _ = self._native.samples(stop)
        self._missed += missed
        if data:
            self._data.append(data)

    # ---- what happens meanwhile ----------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds of virtual time since it began."""
        return ((self._end if self._end >= 0 else self._now()) - self._begin) / _SECOND_NS

    def event(self, text: str, host: Host | str = "") -> None:
        """Note that something happens now, on a host or in the network as a whole."""
        name = host if isinstance(host, str) else host.name
        self._recording.events.append(Event(self.time, name, text))

    def _log(self, host: str, text: str) -> None:
        self._recording.logs.setdefault(host, []).append(Event(self.time, host, text))

    # ---- what has come of it ---------------------------------------------------------

    @property
    def recording(self) -> Recording:
        """What was recorded; it is complete when the recorder is closed."""
        from liblinux.observing._assemble import assemble  # noqa: PLC0415 - not while the network runs

        if self._end < 0:
            self._take(stop=False)
        if self._data or not self._recording.metadata:
            assemble(self._recording, self, b"".join(self._data))
            self._data = self._data if self._end < 0 else []
        return self._recording


def _realtime(net: Network) -> int:
    """Nanoseconds since 1970, as the kernel sees it: captures count so."""
    moment = bytearray(16)
    net.kernel.syscall("clock_gettime", time.CLOCK_REALTIME, moment)
    seconds, nanoseconds = struct.unpack("=qq", moment)
    return int(seconds) * _SECOND_NS + int(nanoseconds)


class _Handler(logging.Handler):
    """Records of logging, by the host that they are of."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        from liblinux.asyncio import current_host  # noqa: PLC0415 - imports asyncio

        host: Any = current_host()
        text = f"{record.levelname.lower()}: {record.name}: {record.getMessage()}"
        self._recorder._log(getattr(host, "name", ""), text)
