"""What bench/dumbbell.py measures, in a process of its own: `python dumbbell_run.py JOB NUMBER`.

Prints seconds of real time and frames, as JSON. Imports come before: so they do for ns-3.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from liblinux import experiments

_DUMBBELL = Path(__file__).resolve().parent / "dumbbell.toml"
_CHAIN_NODES = 4
_CHAIN = """
title = "Chains of two hosts and two routers, with a TCP flow in some"
duration = {seconds}

[nodes]
hosts = ["s{{1..{chains}}}", "d{{1..{chains}}}"]
routers = ["l{{1..{chains}}}", "r{{1..{chains}}}"]

[[link]]
between = ["s{{1..{chains}}}", "l{{1..{chains}}}"]
rate = "1Gbit"
delay = "1ms"

[[link]]
between = ["l{{1..{chains}}}", "r{{1..{chains}}}"]
rate = "100Mbit"
delay = "1ms"

[[link]]
between = ["r{{1..{chains}}}", "d{{1..{chains}}}"]
rate = "1Gbit"
delay = "1ms"

[[flow]]
name = "tcp"
kind = "tcp"
from = "s{{1..{active}}}"
to = "d{{1..{active}}}"

[record]
interval = {seconds}
sockets = false
queues = false
"""
# More than a million frames, so that what is done once for each host, at the end, does not count; by so many flows
# at the same time at most.
_CHAIN_SECONDS, _ACTIVE = 80.0, 16


def dumbbell(pairs: int) -> tuple[float, int]:
    """All of it: from the file to the results."""
    left, right = (f"{side}{{1..{pairs}}}" for side in "sd")
    changes = {
        "nodes.hosts": [left, right],
        "link.left.between": [left, "left"],
        "link.right.between": ["right", right],
        "flow.tcp.from": left,
        "flow.tcp.to": right,
    }
    began = time.perf_counter()
    (outcome,) = experiments.run(experiments.load(_DUMBBELL, changes), workers=1)
    return time.perf_counter() - began, outcome.frames


def forwarding(nodes: int) -> tuple[float, int]:
    """Without what it takes to set the network up."""
    chains = nodes // _CHAIN_NODES
    active = min(chains, _ACTIVE)
    text = _CHAIN.format(chains=chains, active=active, seconds=_CHAIN_SECONDS / active)
    (outcome,) = experiments.run(experiments.loads(text), workers=1)
    return outcome.seconds - outcome.setup, outcome.frames


if __name__ == "__main__":
    print(json.dumps({"dumbbell": dumbbell, "forwarding": forwarding}[sys.argv[1]](int(sys.argv[2]))))
