"""What the kernel itself is asked, once, before anything runs: congestion controls and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liblinux._errors import LiblinuxError
from liblinux._kernel import Kernel
from liblinux.experiments._errors import Path, Problem
from liblinux.experiments._reading import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux.experiments._model import Experiment

__all__ = ["KernelChecks"]

_AVAILABLE = "net.ipv4.tcp_available_congestion_control"
_CHOSEN = "net.ipv4.tcp_congestion_control"


class KernelChecks:
    """A kernel of each version that is asked for; one boots in some milliseconds."""

    def __init__(self) -> None:
        self._known: dict[str | None, tuple[list[str], frozenset[str]]] = {}
        self._sysctls: dict[tuple[str | None, str], bool] = {}

    def check(self, experiment: Experiment) -> Iterator[Problem]:
        """Congestion controls and settings that the kernel has not."""
        names = {_CHOSEN, *experiment.sysctl}
        try:
            congestion, settings = self._ask(experiment.kernel, names)
        except LiblinuxError as error:
            yield Problem(("kernel",), str(error))
            return
        for number, flow in enumerate(experiment.flow):
            name = getattr(flow, "congestion", None)
            if name is not None and name not in congestion:
                path: Path = ("flow", number, "congestion")
                yield Problem(path, f"the kernel has no congestion control {name!r}{suggest(name, congestion)}")
        for name, value in experiment.sysctl.items():
            if name not in settings:
                yield Problem(("sysctl", name), f"the kernel has no setting {name!r}")
            elif name == _CHOSEN and value not in congestion:
                text = f"the kernel has no congestion control {value!r}{suggest(str(value), congestion)}"
                yield Problem(("sysctl", name), text)

    def _ask(self, version: str | None, names: set[str]) -> tuple[list[str], frozenset[str]]:
        known = self._known.get(version)
        if known is None or not names <= known[1]:
            with Kernel(clock="virtual", version=version) as kernel:
                congestion = kernel.sysctl[_AVAILABLE].split()
                settings = frozenset(name for name in names if name in kernel.sysctl)
            self._known[version] = known = (congestion, settings)
        return known
