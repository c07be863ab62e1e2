"""Run programs with a seed and print a hash of what each left: service_run.py SEED NAME..."""

from __future__ import annotations

import hashlib
import logging
import sys
import tempfile
from pathlib import Path

from service_programs import PROGRAMS

from liblinux import Network


def run(name: str, seed: int, capture: Path) -> str:
    """One program; returns the hash of its capture and its log."""
    with Network(clock="virtual", seed=seed) as net:
        net.link(net.host("client"), net.host("server"), rate="10Mbit", delay="10ms", jitter="1ms", loss=0.01)
        with net.capture(capture):
            log = net.run(PROGRAMS[name](net))
    return hashlib.sha256(capture.read_bytes() + "\n".join(log).encode()).hexdigest()


def main() -> None:
    """Do what the command line asks for."""
    logging.getLogger("liblinux.kernel").setLevel(logging.ERROR)
    seed = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        for name in sys.argv[2:]:
            print(name, run(name, seed, Path(directory) / f"{name}.pcapng"))


if __name__ == "__main__":
    main()
