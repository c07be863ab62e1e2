"""`kernel.sysctl`: settings as a mapping."""

from __future__ import annotations

import pytest

import liblinux


def test_read(shared_kernel: liblinux.Kernel) -> None:
    sysctl = shared_kernel.sysctl
    assert sysctl["kernel.ostype"] == "Linux"
    assert sysctl["kernel/osrelease"] == shared_kernel.release
    assert "kernel.ostype" in sysctl
    assert sysctl.get("kernel.nothing") is None


def test_write(shared_kernel: liblinux.Kernel) -> None:
    sysctl = shared_kernel.sysctl
    sysctl["net.ipv4.ip_forward"] = 1
    assert sysctl["net.ipv4.ip_forward"] == "1"
    sysctl["net/ipv4/ip_forward"] = False
    assert sysctl["net.ipv4.ip_forward"] == "0"
    sysctl["net.ipv4.tcp_rmem"] = (4096, 100000, 200000)
    assert sysctl["net.ipv4.tcp_rmem"].split() == ["4096", "100000", "200000"]
    sysctl["kernel.hostname"] = "a-name"
    assert shared_kernel.os.uname().nodename == "a-name"


def test_congestion_control(shared_kernel: liblinux.Kernel) -> None:
    """The line of the README."""
    shared_kernel.sysctl["net.ipv4.tcp_congestion_control"] = "bbr"
    assert shared_kernel.sysctl["net.ipv4.tcp_congestion_control"] == "bbr"


def test_iterate(shared_kernel: liblinux.Kernel) -> None:
    names = list(shared_kernel.sysctl)
    assert len(names) == len(set(names)) == len(shared_kernel.sysctl)
    assert {"kernel.ostype", "vm.swappiness", "fs.file-max"} <= set(names)


def test_a_dot_in_a_name(shared_kernel: liblinux.Kernel) -> None:
    """As sysctl(8): an interface called "a.1" is written net.ipv4.conf.a/1 or net/ipv4/conf/a.1."""
    from liblinux._sysctl import _path

    assert _path("net.ipv4.conf.a/1.forwarding") == "/proc/sys/net/ipv4/conf/a.1/forwarding"
    assert _path("net/ipv4/conf/a.1/forwarding") == "/proc/sys/net/ipv4/conf/a.1/forwarding"


@pytest.mark.parametrize("name", ["kernel.nothing", "kernel", "", "..", "kernel...ostype", "kernel/../../version"])
def test_unknown(shared_kernel: liblinux.Kernel, name: str) -> None:
    assert name not in shared_kernel.sysctl
    with pytest.raises(KeyError):
        shared_kernel.sysctl[name]
    with pytest.raises(KeyError):
        shared_kernel.sysctl[name] = 1


def test_refused(shared_kernel: liblinux.Kernel) -> None:
    with pytest.raises(PermissionError):
        shared_kernel.sysctl["kernel.ostype"] = "Hurd"
    with pytest.raises(OSError):
        shared_kernel.sysctl["net.ipv4.ip_forward"] = "banana"
    with pytest.raises(TypeError):
        del shared_kernel.sysctl["kernel.ostype"]
    with pytest.raises(TypeError):
        shared_kernel.sysctl[5]  # type: ignore[index]  # wrong on purpose
