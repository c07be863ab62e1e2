"""Looking at networks: what happened in a run, as numbers, plots, and a page to open in a browser.

    Recorder        _recorder.py    looks at a network at equal steps of virtual time
      questions     _questions.py   what it asks the kernel
      answers       _answers.py     columns of numbers out of netlink
      the sampler   kernel/host/sample.c
    Recording       _recording.py   series, events, logs, topology; _files.py: CSV, Parquet, JSON

A recording of a download over a slow link:

    from liblinux import Network
    from liblinux.observing import Recorder, Recording

    with Network(clock="virtual", seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, rate="2Mbit", delay="50ms", queue=50)
        with Recorder(net, interval=0.1) as recorder:
            recorder.event("it begins")
            net.iperf(a, b, seconds=20)
        recording = recorder.recording
    for time, segments in recording["cwnd", "a -> b"]:
        print(time, segments)
    recording.names("queue")                # ["a -> b", "b -> a"]
    recording["sent_bytes", "a -> b"].rate(8)   # bit/s
    recording.to_csv("run.csv")             # also to_parquet, to_json
    Recording.from_json("run.json")

Series of connections that send, named "host -> host" with the ports that a program has chosen
("a -> b:80", the second one "a -> b:80 #2"): "cwnd", "ssthresh", "unacked", "retransmits" in segments,
"rtt" in seconds, "delivery_rate" in bit/s, "acked" in bytes. Of each direction of a link, "a -> b": "queue"
in packets and "backlog" in bytes, what waits now; "sent_bytes", "sent_packets", "queue_drops" (did not
fit into the queue) and "line_losses" (lost on the line) since the network came up.
"""

from __future__ import annotations

from liblinux.observing._captures import Capture, Flow, read_capture
from liblinux.observing._recorder import Recorder
from liblinux.observing._recording import Event, LinkEntry, Node, Recording, Series, Topology
from liblinux.observing._report import write_report

__all__ = [
    "Capture",
    "Event",
    "Flow",
    "LinkEntry",
    "Node",
    "Recorder",
    "Recording",
    "Series",
    "Topology",
    "read_capture",
    "write_report",
]
