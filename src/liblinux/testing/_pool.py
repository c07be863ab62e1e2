"""Kernels and networks for many tests, one after the other.

Booting takes some milliseconds, putting back to a snapshot a fraction of one; but
taking the snapshot takes longer than booting. So what is asked for once (each of
a hundred seeds) is booted and closed, and what is asked for again is kept. A test
finds the same in both cases, to the nanosecond of the kernel's clock.

What cannot be put back is closed, and the next one is booted: a kernel that died
or was closed, one with `background=True`, a network whose test added hosts to it.
"""

from __future__ import annotations

import contextlib
import gc
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from liblinux import Kernel, Network
from liblinux._library import find_image
from liblinux.network._state import settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from liblinux import Snapshot
    from liblinux._dmesg import Record
    from liblinux.network._kernels import Kernels
    from liblinux.network._state import NetworkSnapshot

    Setup = Callable[[Network], object]

__all__ = ["Lender", "Pool"]

# Each takes some 15 MiB with its snapshot.
_MOST_KEPT = 8


class _Asked:
    """What has been asked for before, and so is worth keeping."""

    def __init__(self) -> None:
        self._keys: set[Hashable] = set()

    def again(self, key: Hashable) -> bool:
        known = key in self._keys
        self._keys.add(key)
        return known


class _Kept:
    """A kernel that can be put back."""

    def __init__(self, kernel: Kernel, key: Hashable) -> None:
        self.kernel = kernel
        self.key = key
        self._snapshot: Snapshot = kernel.snapshot()
        self._log: list[Record] = kernel._log.keep()

    def put_back(self) -> None:
        """Raises what Kernel.restore() raises."""
        self.kernel.restore(self._snapshot)

    def lend(self) -> Kernel:
        """As it was, in its log too: that is kept until now, for reports."""
        self.kernel._log.put_back(self._log)
        return self.kernel


class Lender:
    """Booted kernels by what they were booted with."""

    def __init__(self) -> None:
        self._asked = _Asked()
        self._idle: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lent: dict[Kernel, _Kept | None] = {}

    def lend(self, kernels: Kernels) -> Kernel:
        """A kernel for a network, as it would boot one for itself."""
        settings, arguments = kernels.wants()
        key = _key("network", {**settings, **arguments, **kernels.options})
        return self.boot(key, lambda: kernels.boot(**kernels.options))

    def boot(self, key: Hashable, boot: Callable[[], Kernel]) -> Kernel:
        """A kernel that is as `boot()` makes it."""
        kept = self._idle.pop(key, None)
        if kept is None:
            kernel = boot()
            worth = self._asked.again(key) and not kernel._pumps
            kept = _Kept(kernel, key) if worth else None
            self._lent[kernel] = kept
            return kernel
        self._lent[kept.kernel] = kept
        return kept.lend()

    def take_back(self, kernel: Kernel) -> None:
        """The end of a test: write everything back, then put the kernel back for the next one, or close it.

        Raises the first OSError of writing back, BufferError while slices of a
        mapping are in use.
        """
        kept = self._lent.pop(kernel, None)
        if kept is None or kernel.closed or kernel.dead is not None:
            kernel.close()
            return
        try:
            problems = kernel._shut_down()
            _put_back(kept)
        except BaseException:
            kernel.close()
            raise
        self._idle[kept.key] = kept
        while len(self._idle) > _MOST_KEPT:
            self._idle.popitem(last=False)[1].kernel.close()
        if problems:
            raise problems[0]

    def close(self) -> None:
        """Close all that are idle."""
        while self._idle:
            self._idle.popitem()[1].kernel.close()


def _put_back(kept: _Kept) -> None:
    try:
        kept.put_back()
    except BufferError:
        gc.collect()  # what the test left in a cycle does not count
        kept.put_back()


class _Prepared:
    """A network that a function has prepared."""

    def __init__(self, network: Network, key: Hashable, snapshot: NetworkSnapshot | None) -> None:
        self.network = network
        self.key = key
        self._snapshot = snapshot
        self._log = network.kernel._log.keep() if snapshot is not None else None

    def put_back(self) -> bool:
        """Whether it could be."""
        network = self.network
        if self._snapshot is None or network.closed or not network.kernel_is_alive:
            return False
        network._runs.close()
        if network._captures is not None:
            network._captures.end_all()
        network._when_up.clear()
        try:
            network.restore(self._snapshot)
        except (BufferError, OSError, RuntimeError, ValueError):
            return False
        return True

    def lend(self) -> Network:
        """As it was, in its log too."""
        if self._log is not None:
            self.network.kernel._log.put_back(self._log)
        return self.network


class Pool:
    """What the fixtures give out; closed at the end of the session."""

    def __init__(self) -> None:
        self._lender = Lender()
        self._asked = _Asked()
        self._prepared: OrderedDict[Hashable, _Prepared] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._prepared:
            self._prepared.popitem()[1].network.close()
        self._lender.close()

    @contextlib.contextmanager
    def kernel(self, options: Mapping[str, Any]) -> Iterator[Kernel]:
        """A kernel of these arguments."""
        kernel = self._lender.boot(_key("kernel", options), lambda: Kernel(**options))
        try:
            yield kernel
        finally:
            self._lender.take_back(kernel)

    @contextlib.contextmanager
    def network(self, options: Mapping[str, Any], setup: Setup | None) -> Iterator[Network]:
        """A network of these arguments, empty or prepared by `setup`."""
        if setup is None:
            with Network(**options) as network:
                network._kernels.lender = self._lender
                yield network
            return
        key = (_key("prepared", options), setup)
        found = self._prepared.pop(key, None)
        prepared = found or self._prepare(key, options, setup)
        network = prepared.lend()
        try:
            yield network
        finally:
            self._take_back(prepared)

    def _prepare(self, key: Hashable, options: Mapping[str, Any], setup: Setup) -> _Prepared:
        network = Network(**options)
        try:
            setup(network)
            network.up()
            if self._asked.again(key) and _can_be_kept(network):
                return _Prepared(network, key, network.snapshot())
            if _can_be_kept(network):
                settle(network)
            return _Prepared(network, key, None)
        except BaseException:
            network.close()
            raise

    def _take_back(self, prepared: _Prepared) -> None:
        if not prepared.put_back():
            prepared.network.close()
            return
        self._prepared[prepared.key] = prepared
        while len(self._prepared) > _MOST_KEPT:
            self._prepared.popitem(last=False)[1].network.close()


def _can_be_kept(network: Network) -> bool:
    """Whether snapshots of it can be taken, see :meth:`Network.snapshot`."""
    return not (network._kernels.several or network._ways_out.outsides or network.kernel._pumps)


def _key(kind: str, options: Mapping[str, Any]) -> Hashable:
    # Without a version the kernel is LIBLINUX_KERNEL's, which a test may have set.
    return kind, find_image(options.get("version")), repr(sorted(options.items()))
