"""What an experiment sets before it begins: settings, queueing disciplines, paths of Multipath TCP and SCTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liblinux.experiments._disciplines import pack_options
from liblinux.experiments._names import expand_all, pairs
from liblinux.network._rtnetlink import new_discipline

if TYPE_CHECKING:
    from liblinux._kernel import Kernel
    from liblinux.experiments._declare import Laid
    from liblinux.experiments._model import Discipline, Experiment, Sctp
    from liblinux.network import Host, Link, Network

__all__ = ["set_up"]

_SIGNAL = 1  # MPTCP_PM_ADDR_FLAG_SIGNAL: the other side is told of it
_MILLISECONDS = 1000
_PAGE_KIB = 4


def set_up(experiment: Experiment, laid: Laid) -> None:
    """Bring the network up, and set all that is asked for."""
    network = laid.network
    network.up()
    for name, value in {**_buffers(network), **experiment.sysctl}.items():
        _set(laid, name, value)
    for link, part in laid.parts:
        if part.discipline is not None:
            _discipline(link, part.discipline)
    for flow in experiment.flow:
        if flow.kind not in ("mptcp", "sctp"):
            continue
        for source, target in pairs(expand_all(flow.source), expand_all(flow.target)):
            ends = network.hosts[source], network.hosts[target]
            if flow.kind == "mptcp":
                _join_paths(*ends, flow.paths)
            else:
                for host in ends:
                    _set_sctp(host, flow)


def _buffers(network: Network) -> dict[str, str | int]:
    """What Linux allows TCP on a machine of some gigabytes; by itself it would see how little memory this kernel has.

    So a window is limited by the network. The pages of all sockets together are what there is.
    """
    pages = sum(int(_meminfo(kernel)) for kernel in network.kernels) // len(network.kernels) // _PAGE_KIB
    return {
        "net.ipv4.tcp_rmem": "4096 131072 6291456",
        "net.ipv4.tcp_wmem": "4096 16384 4194304",
        "net.ipv4.tcp_mem": f"{pages // 2} {pages * 5 // 8} {pages * 3 // 4}",
    }


def _meminfo(kernel: Kernel) -> str:
    """KiB that are available."""
    with kernel.open("/proc/meminfo") as file:
        return next(line.split()[1] for line in file if line.startswith("MemAvailable"))


def _set(laid: Laid, name: str, value: str | int) -> None:
    """On all hosts; settings that are not a host's own on the kernels."""
    hosts = list(laid.network.hosts.values())
    if all(name in host.sysctl for host in hosts[:1]):
        for host in hosts:
            host.sysctl[name] = value
    else:
        for kernel in laid.network.kernels:
            kernel.sysctl[name] = value


def _discipline(link: Link, discipline: Discipline) -> None:
    for (host, end), line in zip(link._hosts_and_ends, link._lines, strict=True):
        message = new_discipline(end.index, discipline.kind, pack_options(discipline, line.rate))
        link.network._wiring.send(host, [message])


def _join_paths(client: Host, server: Host, paths: int) -> None:
    """The server tells of its further addresses, and the client connects to each."""
    from pyroute2.netlink import NETLINK_GENERIC  # noqa: PLC0415 - slow, and for those who do
    from pyroute2.netlink.generic.mptcp import MPTCP  # noqa: PLC0415 - as above

    managers = [host.netlink(MPTCP, NETLINK_GENERIC) for host in (client, server)]
    for manager in managers:
        manager.limits("set", subflows=min(paths - 1, 8), rcv_add_addrs=min(paths - 1, 8))
    _, *others = client.network.resolve(server.name, near=client)
    for address in [one for one in others if ":" not in one][: paths - 1]:
        managers[1].endpoint("add", addr=address, flags=_SIGNAL)


def _set_sctp(host: Host, flow: Sctp) -> None:
    rto = round(flow.rto * _MILLISECONDS)
    settings = {
        "net.sctp.hb_interval": round(flow.heartbeat * _MILLISECONDS),
        "net.sctp.path_max_retrans": flow.retries,
        # In this order: the kernel refuses a minimum above the maximum.
        "net.sctp.rto_min": min(rto, 1000),
        "net.sctp.rto_max": max(rto, 1000),
        "net.sctp.rto_initial": rto,
    }
    for name, value in settings.items():
        host.sysctl[name] = value
