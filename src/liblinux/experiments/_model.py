"""What an experiment's file may say. The JSON schema is made of this module."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from liblinux.experiments._disciplines import known_options, unknown_options
from liblinux.experiments._values import Bytes, Chances, Delays, Instant, NameList, Rate, Rates, Span

__all__ = [
    "Discipline",
    "Event",
    "Experiment",
    "Flow",
    "LinkPart",
    "Ping",
    "Plot",
    "Record",
    "Requests",
    "Sctp",
    "Stream",
    "Udp",
]


class Part(BaseModel):
    """What all parts have in common: no other keys than theirs."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class Nodes(Part):
    """The hosts, the routers that forward between their links, and the switches."""

    hosts: NameList
    routers: NameList = Field(default_factory=list)
    switches: NameList = Field(default_factory=list)
    kernels: dict[str, str] = Field(
        default_factory=dict, description='Hosts that have a kernel of another version: "6.1".'
    )


class Discipline(Part):
    """A queueing discipline, in the place of a queue in the order of arrival; see tc(8)."""

    kind: Literal["pfifo", "bfifo", "fq", "fq_codel", "codel", "pie", "red", "sfq", "cake"]
    limit: Bytes | None = Field(default=None, description="Packets; of bfifo and red bytes.")
    target: Span | None = Field(default=None, description="Of codel, fq_codel, pie: the delay that is accepted.")
    interval: Span | None = Field(default=None, description="Of codel, fq_codel, pie (its tupdate).")
    ecn: bool | None = Field(default=None, description="Mark packets instead of dropping them.")
    ce_threshold: Span | None = Field(default=None, description="Of codel, fq_codel, fq: mark all that waited longer.")
    flows: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Of fq_codel: queues that flows hash to."
    )
    min: Bytes | None = Field(default=None, description="Of red: marks or drops begin here.")
    max: Bytes | None = Field(
        default=None, description="Of red: the chance is reached here; everything is dropped above."
    )
    probability: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Of red: the chance at max."
    )
    nodrop: bool | None = Field(default=None, description="Of red: what cannot be marked is not dropped.")
    weight: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Of red: of the latest length in the average, 0.002; 1 looks at the queue as it is."
    )

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if unknown := unknown_options(self):
            known = ", ".join(known_options(self.kind)) or "none"
            raise ValueError(f"{self.kind} has no option {unknown[0]!r}; it has {known}")
        if self.kind == "red":
            if self.min is None or self.max is None:
                raise ValueError("red needs 'min' and 'max', in bytes")
            if self.min >= self.max:
                raise ValueError(f"red's min of {self.min} bytes is not below its max of {self.max}")
        return self


class LinkPart(Part):
    """A cable between two nodes; with names such as 'left{1..10}' several of them."""

    name: str | None = Field(default=None, description="What events, sweeps and plots call it.")
    between: Annotated[list[NameList], Field(min_length=2, max_length=2)] = Field(
        description="Its two ends. With several names on either side, one link for each (pair of them)."
    )
    rate: Rates | None = Field(default=None, description="None: no limit.")
    delay: Delays = (0.0, 0.0)
    jitter: Delays = (0.0, 0.0)
    loss: Chances = (0.0, 0.0)
    duplicate: Chances = (0.0, 0.0)
    reorder: Chances = (0.0, 0.0)
    queue: Annotated[int, Field(ge=1, le=10_000_000)] = Field(default=100, description="Frames that wait at each end.")
    mtu: Annotated[int, Field(ge=68, le=65535)] | None = None
    discipline: Discipline | None = Field(
        default=None, description="The queueing discipline of both ends: a name or a table."
    )

    @model_validator(mode="before")
    @classmethod
    def _named_discipline(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(kind := values.get("discipline"), str):
            return {**values, "discipline": {"kind": kind}}
        return values


class _Flow(Part):
    name: str = Field(description="What sweeps, plots and results call it.")
    source: NameList = Field(alias="from", description="Who sends, or asks.")
    target: NameList = Field(alias="to", description="Who receives, or answers.")
    start: Instant = 0.0
    stop: Instant | None = Field(default=None, description="None: with the experiment.")
    count: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1, description="So many of the same, between each pair."
    )
    spread: Instant = Field(
        default=0.0, description="Each starts within this time, at an instant that is drawn from the seed."
    )


class Stream(_Flow):
    """Bulk data over TCP, or Multipath TCP: as much as the path carries, or so many bytes."""

    kind: Literal["tcp", "mptcp"]
    bytes: Bytes | None = Field(default=None, description="So many each, and then the end; None: until `stop`.")
    congestion: str | None = Field(default=None, description="Congestion control: cubic, bbr, reno, dctcp, vegas, ...")
    paths: Annotated[int, Field(ge=1, le=8)] = Field(default=8, description="Of mptcp: paths that it may use.")


class Udp(_Flow):
    """Datagrams at a constant rate."""

    kind: Literal["udp"]
    rate: Rate = Field(description="Of what the datagrams carry.")
    size: Annotated[int, Field(ge=16, le=65_507)] = Field(default=1400, description="Bytes that each carries.")


class Ping(_Flow):
    """ICMP echo requests."""

    kind: Literal["ping"]
    interval: Span = 1.0
    size: Annotated[int, Field(ge=0, le=65_000)] = Field(default=56, description="Bytes that each carries.")


class Requests(_Flow):
    """Requests and responses over TCP, one after the other on each connection."""

    kind: Literal["request"]
    request: Bytes = 100
    response: Bytes = 10_000
    pause: Instant = Field(default=0.0, description="Between a response and the next request.")
    period: Span | None = Field(
        default=None, description="Requests begin at multiples of this since `start`, on all connections at once."
    )
    number: Annotated[int, Field(ge=1)] | None = Field(default=None, description="So many; None: until `stop`.")
    congestion: str | None = Field(default=None, description="Congestion control of both sides.")


class Sctp(_Flow):
    """Messages over SCTP, with all addresses that both hosts have."""

    kind: Literal["sctp"]
    bytes: Bytes | None = Field(default=None, description="So many each, and then the end; None: until `stop`.")
    size: Annotated[int, Field(ge=1, le=65_000)] = Field(default=1400, description="Bytes of a message.")
    heartbeat: Span = Field(default=1.0, description="Between heartbeats on idle paths.")
    rto: Span = Field(default=1.0, description="The longest time until something is sent again.")
    retries: Annotated[int, Field(ge=1, le=20)] = Field(default=2, description="After so many a path counts as failed.")


Flow = Annotated[Stream | Udp | Ping | Requests | Sctp, Field(discriminator="kind")]


class Event(Part):
    """Something that happens to a link: it goes down or up, or changes."""

    at: Instant
    link: str = Field(description="The name of the link.")
    state: Literal["down", "up"] | None = None
    rate: Rates | None = None
    delay: Delays | None = None
    jitter: Delays | None = None
    loss: Chances | None = None
    duplicate: Chances | None = None
    reorder: Chances | None = None


class Record(Part):
    """What is sampled while it runs."""

    interval: Span = Field(default=0.1, description="Between two samples, of virtual time.")
    sockets: bool = Field(default=True, description="Congestion window, round-trip time and more of every TCP flow.")
    queues: bool = Field(default=True, description="Length, drops and marks of the queues of links that have a name.")


class Plot(Part):
    """One panel of the picture."""

    show: str = Field(description="A column of the results, or a kind of series: throughput, cwnd, rtt, queue, ...")
    over: str = Field(default="time", description="'time', or a key of [sweep].")
    of: NameList | None = Field(default=None, description="Only these flows or links.")
    where: dict[str, Any] = Field(
        default_factory=dict, description='Only runs with these values of what is swept: {"duration" = 10}.'
    )
    by: str | None = Field(default=None, description="A key of [sweep] that lines are told apart by.")
    title: str | None = None
    unit: str | None = Field(default=None, description="Mbit/s, ms, packets, ...: what values are shown in.")
    kind: Literal["line", "bar", "cdf"] = "line"
    step: Span | None = Field(default=None, description="Over time: means of so long.")
    total: bool = Field(default=False, description="The sum of the flows instead of each; of cdf all samples together.")
    log: Literal["x", "y", "xy"] | None = None


class Experiment(Part):
    """A network, what runs on it, what happens to it, and how often that is repeated."""

    title: str = ""
    about: str = Field("", description="What it shows, for people.")
    duration: Span = Field(description="Of virtual time.")
    seed: int = Field(default=1, description="Of the first repetition; the next ones count up.")
    repetitions: Annotated[int, Field(ge=1, le=100_000)] = 1
    kernel: str | None = Field(default=None, description='The version of Linux: "6.12" or "6.1".')
    ipv6: bool = False
    nodes: Nodes
    link: Annotated[list[LinkPart], Field(min_length=1)]
    flow: list[Flow] = Field(default_factory=list)
    event: list[Event] = Field(default_factory=list)
    sysctl: dict[str, str | int] = Field(default_factory=dict, description="Settings of all hosts, as of sysctl(8).")
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict,
        description='Lists of values, run in all combinations: "link.NAME.queue" = [10, 100], "duration" = [...].',
    )
    record: Record = Record()
    plot: list[Plot] = Field(default_factory=list)
