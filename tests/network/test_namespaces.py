"""Hosts are namespaces, and get a process when they act: what is made when, and what it takes."""

from __future__ import annotations

import threading

from liblinux import Kernel, Network
from liblinux.network import Host

_HOSTS = 40
# A network namespace with its loopback and two ends of cables is 251 KiB of Linux 6.12 and 277 of 6.1.
_MOST_KIB = 290


def _processes(kernel: Kernel) -> int:
    return sum(name.isdigit() and not _is_thread_of_kernel(kernel, name) for name in kernel.os.listdir("/proc"))


def _is_thread_of_kernel(kernel: Kernel, pid: str) -> bool:
    with kernel.open(f"/proc/{pid}/status") as status:
        return "\nVmSize:" not in status.read()


def _chain() -> tuple[Network, Host, Host, Host]:
    net = Network()
    a, router, b = net.host("a"), net.router("r"), net.host("b")
    net.link(a, router)
    net.link(router, b)
    return net, a, router, b


def test_who_only_forwards_has_no_process() -> None:
    net, a, router, b = _chain()
    with net:
        net.up()
        before = _processes(net.kernel)
        assert net.ping(a, b).received == 1
        assert _processes(net.kernel) == before + 1, "of the one that has sent"
        assert router.process.pid != a.process.pid
        assert _processes(net.kernel) == before + 2


def test_settings_and_names_are_of_the_host() -> None:
    net, a, router, b = _chain()
    with net:
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.eth0.forwarding"):
            assert [host.sysctl[name] for host in (a, router, b)] == ["0", "1", "0"], name
        assert net.kernel.sysctl["net.ipv4.ip_forward"] == "0"
        assert [host.os.uname().nodename for host in (a, router, b)] == ["a", "r", "b"]


def test_what_init_forwards_stays_so() -> None:
    net = Network(ipv6=None)
    net.router("r")
    with net:
        net.kernel.sysctl["net.ipv4.ip_forward"] = 1
        assert net.hosts["r"].sysctl["net.ipv4.ip_forward"] == "1"
        assert net.kernel.sysctl["net.ipv4.ip_forward"] == "1"


def test_threads_that_begin_to_act_at_once_get_one_process() -> None:
    net, a, _, _ = _chain()
    with net:
        net.up()
        before, found, start = _processes(net.kernel), set(), threading.Barrier(4)

        def act() -> None:
            start.wait()
            found.add(a.syscall("getpid"))

        threads = [threading.Thread(target=act) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {a.process.pid}
        assert _processes(net.kernel) == before + 1


def test_a_host_acts_again_after_its_kernel_was_put_back() -> None:
    net, a, router, b = _chain()
    with net:
        net.up()
        kept = net.kernel.snapshot()
        assert net.ping(a, b).received == 1
        net.kernel.restore(kept)
        assert a.process.pid not in (net.kernel.pid, router.process.pid)
        assert net.ping(a, b).received == 1


def test_a_process_that_is_closed_is_gone_and_made_anew() -> None:
    net, a, _, b = _chain()
    with net:
        first = a.process
        pids = net.kernel.os.listdir("/proc")
        first.close()
        assert set(pids) - set(net.kernel.os.listdir("/proc")) == {str(first.pid)}
        assert net.ping(a, b).received == 1
        assert a.os.uname().nodename == "a"


def test_links_can_be_added_to_hosts_that_have_acted() -> None:
    net, a, _, b = _chain()
    with net:
        assert net.ping(a, b).received == 1
        c = net.host("c")
        net.link(a, c)
        assert net.ping(a, c).received == 1


def test_another_thread_adds_hosts() -> None:
    net, a, _, b = _chain()
    with net:
        net.up()

        def add() -> None:
            net.link(a, net.host("c"))
            net.link(b, net.host("d"))
            net.up()

        thread = threading.Thread(target=add)
        thread.start()
        thread.join()
        assert [len(host.ip.get_links()) for host in net.hosts.values()] == [3, 3, 3, 2, 2]
        assert net.ping("a", "c").received == net.ping("b", "d").received == 1


def test_memory_of_a_host() -> None:
    with Network(ipv6=None) as net:
        hosts = [net.router(f"h{number}") for number in range(2)]
        net.link(*hosts)
        net.up()
        before = _free(net.kernel)
        for number in range(_HOSTS):
            hosts.append(net.router(f"more{number}"))
            net.link(hosts[-2], hosts[-1])
        net.up()
        assert (before - _free(net.kernel)) / _HOSTS < _MOST_KIB


def _free(kernel: Kernel) -> int:
    """KiB that its page allocator has."""
    with kernel.open("/proc/meminfo") as file:
        return int(next(line.split()[1] for line in file if line.startswith("MemFree:")))
