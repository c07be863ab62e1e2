"""What is kept of a test that failed: the seed, what the kernels said, what crossed the network.

A section in the report of the test, and files in a directory of its own under
--liblinux-output:

    network.pcapng   what crossed the links of the fixture `network`
    dmesg.txt        the log of each kernel
    repeat.txt       the command that runs the test again

The names are made of the test's, which only one worker of pytest-xdist runs at a
time. What an earlier run left there is replaced.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from liblinux._typing import Value

if TYPE_CHECKING:
    import pytest

    from liblinux import Kernel, Network
    from liblinux.network._capture import Capture

__all__ = ["Evidence", "attach"]

_LINES_SHOWN = 20
_SECOND = 10**9
_NAME_LETTERS = 100
_CAPTURE, _LOG, _REPEAT = "network.pcapng", "dmesg.txt", "repeat.txt"


class _Log(Value):
    """A kernel, and when it was ready: what it says at boot is the same each time."""

    name: str
    kernel: Kernel
    ready: float


class Evidence:
    """What there is about one test, while it runs and at its end."""

    def __init__(self) -> None:
        self.seed: int | str | bytes | None = None
        self.failed = False
        self.packets = 0
        self._logs: list[_Log] = []
        self._networks: list[Network] = []
        self._capture: Capture | None = None
        self._capture_path: Path | None = None

    def add_kernel(self, kernel: Kernel) -> None:
        """A kernel of the test's, which says nothing new yet."""
        self._logs.append(_Log("kernel", kernel, kernel.now() / _SECOND))

    def add_network(self, network: Network) -> None:
        """A network whose kernels may be booted later."""
        self._networks.append(network)
        if not network.kernels:
            network._when_up.append(lambda: self._note_kernels(network))
        else:
            self._note_kernels(network)

    def _note_kernels(self, network: Network) -> None:
        known = [log.kernel for log in self._logs]
        for kernel in network.kernels:
            if kernel not in known:
                self._logs.append(_Log(f"network, Linux {kernel.release}", kernel, kernel.now() / _SECOND))

    def capture(self, network: Network, path: Path | None) -> None:
        """Capture all that crosses a network, from when it has its first link; None: only take as long."""
        begun = False
        self._capture_path = path

        def start() -> None:
            nonlocal begun
            if begun or not network.links:
                return
            begun = True
            if path is None:
                network._capturing().keep_silent()
            else:
                self._capture = network._capturing().start(path, None, survives=True)

        if network._wiring.is_up:
            start()
        network._when_up.append(start)

    def clear(self) -> None:
        """The test is over, and nothing of it was worth keeping."""
        if self._capture_path is not None:
            shutil.rmtree(self._capture_path.parent, ignore_errors=True)

    def save(self, directory: Path, command: str) -> list[str]:
        """Write all of it; returns what to show of it, line by line."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        lines = [f"seed: {self.seed!r}", f"again: {command}", f"files: {directory}"]
        (directory / _REPEAT).write_text(command + "\n", encoding="utf-8")
        if (packets := self._save_capture(directory / _CAPTURE)) is not None:
            lines.append(f"{_CAPTURE}: {packets} packets")
        if self._logs:
            lines += self._save_logs(directory / _LOG)
        return lines

    def _save_capture(self, target: Path) -> int | None:
        capture = self._capture
        if capture is None:
            return None
        if not capture.closed:
            capture.flush()
        shutil.copyfile(capture.path, target)
        return capture.packets

    def _save_logs(self, target: Path) -> list[str]:
        shown: list[str] = []
        with target.open("w", encoding="utf-8") as file:
            for name, kernel, ready in ((log.name, log.kernel, log.ready) for log in self._logs):
                records = kernel._log.records()
                file.write(f"---- {name}\n")
                file.writelines(f"<{record.level}>{record}\n" for record in records)
                later = [str(record) for record in records if record.timestamp > ready]
                said = [f"{name}, dead: {kernel.dead}"] if kernel.dead else []
                said += [f"{name}: {len(records)} lines in {_LOG}, {len(later)} of them since boot"]
                shown += [*said, *(f"  {line}" for line in later[-_LINES_SHOWN:])]
        return shown


def attach(evidence: Evidence, item: pytest.Item, report: pytest.TestReport, section: str) -> None:
    """After a phase of a test: save what is wanted, add a section if it failed, and clear up at the end."""
    wanted = item.config.option.liblinux_pcap
    always = wanted == "always" and report.when == "teardown" and not evidence.failed
    failed = report.failed and not hasattr(report, "wasxfail")
    if failed or always:
        directory = item.config.rootpath / item.config.option.liblinux_output / directory_name(item.nodeid)
        lines = evidence.save(directory, _command(item, evidence))
        report.sections.append((section, "\n".join(lines)))
    evidence.failed |= failed
    if report.when == "teardown":
        evidence.clear()


def directory_name(test: str) -> str:
    """A name for files of a test, of no other one; as readable as file systems allow."""
    readable = re.sub(r"[^\w.=-]+", "-", test).strip("-")
    if readable == test and len(readable) <= _NAME_LETTERS:
        return readable
    digest = hashlib.sha256(test.encode()).hexdigest()[:8]
    return f"{readable[-_NAME_LETTERS:].lstrip('-')}-{digest}"


def _command(item: pytest.Item, evidence: Evidence) -> str:
    option = item.config.option
    words = ["pytest", item.nodeid, f"--liblinux-seed={option.liblinux_seed}"]
    if option.liblinux_kernel:
        words.append(f"--liblinux-kernel={option.liblinux_kernel}")
    if option.liblinux_pcap != "on-failure":
        words.append(f"--liblinux-pcap={option.liblinux_pcap}")
    hash_seed = os.environ.get("PYTHONHASHSEED")
    if hash_seed not in (None, "random"):
        words.insert(0, f"PYTHONHASHSEED={hash_seed}")
    return shlex.join(words)
