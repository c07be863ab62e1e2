"""One run for all that draws it."""

from __future__ import annotations

import asyncio
import atexit
import functools
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from liblinux import Network

if TYPE_CHECKING:
    from liblinux.observing import Recording


@functools.cache
def observed_run() -> tuple[Recording, Path]:
    """A recording of a run with everything in it, and the capture of the same run."""
    path = Path(tempfile.mkdtemp(prefix="observed-")) / "run.pcapng"
    atexit.register(shutil.rmtree, path.parent)
    log = logging.getLogger("service")
    with Network(clock="virtual", seed=1) as net:
        a, r, b = net.host("a"), net.router("r"), net.host("b")
        net.link(a, r)
        bottleneck = net.link(r, b, rate="2Mbit", delay="10ms", queue=20, loss=(0.01, 0))

        async def work() -> None:
            log.info("a line with </script><b>markup</b> & more")
            await asyncio.sleep(1)

        with net.record(0.05, capture=path, log_level=logging.INFO) as recorder:
            recorder.event("it begins", a)
            b.run(work())
            net.iperf(a, b, seconds=5)
            bottleneck.set(loss=0)
            net.iperf(a, b, seconds=3)
        return recorder.recording, path
