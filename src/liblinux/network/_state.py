"""Snapshots of networks: one prepared network for a thousand tests."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liblinux._snapshot import Snapshot
    from liblinux.network._host import Host
    from liblinux.network._link import Link
    from liblinux.network._network import Network

__all__ = ["NetworkSnapshot", "restore", "settle", "take"]


class NetworkSnapshot:
    """A network at an instant; made by :meth:`Network.snapshot`, used by :meth:`Network.restore`.

    `memory` is what it takes, in bytes.
    """

    def __init__(self, network: Network, kernel: Snapshot, run: tuple[Any, ...]) -> None:
        self._kernel = kernel
        self._run = run
        self._faults = network._faults.state()
        self._hosts: tuple[Host, ...] = tuple(network._hosts.values())
        self._links: tuple[Link, ...] = tuple(network.links)
        self._lines = [link._lines for link in self._links]
        self._netlinks = {host: (host._ip, tuple(host._netlinks)) for host in self._hosts}

    def __repr__(self) -> str:
        return f"<liblinux.NetworkSnapshot of {len(self._hosts)} hosts, {self.memory} bytes>"

    @property
    def memory(self) -> int:
        """Memory that it takes, in bytes."""
        return self._kernel.memory


def take(network: Network) -> NetworkSnapshot:
    """See :meth:`Network.snapshot`."""
    if network._kernels.several or network._ways_out.outsides:
        raise RuntimeError("a snapshot holds hosts of one kernel, without links to anything outside of it")
    state = settle(network)
    _check_captures(network, "taken")
    taken = NetworkSnapshot(network, network.kernel.snapshot(), state)
    _resume_captures(network)  # as after each restore
    return taken


def settle(network: Network) -> tuple[Any, ...]:
    """Do all that is done in a network before it is kept: afterwards it is as one that is put back."""
    run = network._runs.run
    state = run.state()
    # What is done when sockets are first used would be done in the first run after it, and in no other.
    _ = [network.kernel.socket, *(host.socket for host in network._hosts.values())]
    return state


def restore(network: Network, snapshot: NetworkSnapshot) -> None:
    """See :meth:`Network.restore`."""
    if not isinstance(snapshot, NetworkSnapshot):
        raise TypeError(f"restore() takes what snapshot() returned, not {type(snapshot).__name__}")
    if snapshot._hosts != tuple(network._hosts.values()) or snapshot._links != tuple(network.links):
        raise ValueError("hosts or links were added since the snapshot; add them before it is taken")
    run = network._runs.run
    run.check_restorable()
    _check_captures(network, "put back")
    if network._captures is not None:
        network._captures.collect()
    for host, (ip, netlinks) in snapshot._netlinks.items():
        host._close_netlinks(keep=netlinks)
        host._ip = ip
    network._faults.restore(snapshot._faults)
    network.kernel.restore(snapshot._kernel)
    run.restore(snapshot._run)
    for link, lines in zip(snapshot._links, snapshot._lines, strict=True):
        link._lines = lines
    _resume_captures(network)


def _resume_captures(network: Network) -> None:
    if network._captures is not None:
        network._captures.resume()


def _check_captures(network: Network, done: str) -> None:
    if network._recorder is not None:
        raise RuntimeError(f"a snapshot cannot be {done} while the network is recorded; close the recorder first")
    if network._captures is not None and (paths := network._captures.paths()):
        raise RuntimeError(f"a snapshot cannot be {done} during a capture ({', '.join(paths)}); close it first")
