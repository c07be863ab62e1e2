"""VLAN, bonding, bridges: below IP."""

from __future__ import annotations

from pathlib import Path

from scapy.layers.inet import ICMP
from scapy.layers.l2 import ARP, STP, Dot1Q, Ether
from wire import Wire, index, pair, wait

from liblinux import Network

_BLOCKING = 4  # BR_STATE_BLOCKING


def test_vlans_are_apart(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        for number, host in enumerate("ab", 1):
            ip = net.hosts[host].ip
            for vlan in (7, 8):
                ip.link("add", ifname=f"v{vlan}", kind="vlan", link=index(net, host, "eth0"), vlan_id=vlan)
                ip.link("set", index=index(net, host, f"v{vlan}"), state="up")
            # The same subnet, in one VLAN on a and b, in the other only on a.
            ip.addr("add", index=index(net, host, "v7"), address=f"192.168.7.{number}", prefixlen=24)
        net.hosts["b"].ip.addr("add", index=index(net, "b", "v8"), address="192.168.8.2", prefixlen=24)
        net.hosts["a"].ip.route("add", dst="192.168.8.0/24", oif=index(net, "a", "v7"))
        assert net.ping("a", "192.168.7.2").received == 1
        net.hosts["b"].sysctl["net.ipv4.conf.all.arp_ignore"] = 1
        assert net.ping("a", "192.168.8.2").received == 0, "b has it, but in another VLAN"
    tagged = [packet for packet in wire.packets if ICMP in packet]
    assert [packet[Dot1Q].vlan for packet in tagged] == [7, 7]


def test_a_bond_outlives_its_links(tmp_path: Path) -> None:
    with pair(links=2) as net, Wire(net, tmp_path) as wire:
        for number, host in enumerate("ab", 1):
            ip = net.hosts[host].ip
            ip.link("add", ifname="bond0", kind="bond", bond_mode=1, bond_miimon=100)
            bond = index(net, host, "bond0")
            for name in ("eth0", "eth1"):
                ip.link("set", index=index(net, host, name), state="down")
                ip.link("set", index=index(net, host, name), master=bond)
            ip.addr("add", index=bond, address=f"192.168.9.{number}", prefixlen=24)
            ip.link("set", index=bond, state="up")
        assert net.ping("a", "192.168.9.2", count=2).received == 2
        net.links[0].down()
        wait(net, 1)
        assert net.ping("a", "192.168.9.2", count=3).received >= 2
    used = [packet.sniffed_on for packet in wire.packets if ICMP in packet]
    assert used[0] == "a:eth0" and used[-1] == "b:eth1"


def test_a_bridge_learns_who_is_where(tmp_path: Path) -> None:
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        switch = net.switch("s")
        for name in "abc":
            net.link(net.host(name), switch)
        with Wire(net, tmp_path) as wire:
            assert net.ping("a", "b", count=3).received == 3
        known = {entry.get_attr("NDA_LLADDR"): entry["ifindex"] for entry in switch.ip.fdb("dump")}
    to_c = wire.sent_by("s:eth2")
    assert any(ARP in packet for packet in to_c), "what is for all"
    assert not any(ICMP in packet for packet in to_c), "and nothing else"
    source = next(packet for packet in wire.packets if ICMP in packet)[Ether].src
    assert source in known


def _triangle() -> Network:
    """Three bridges in a ring, and a host at two of them. Switches would forward in rings before they know."""
    net = Network(clock="virtual", seed=1, ipv6=None)
    bridges = [net.host(name) for name in ("x", "y", "z")]
    for first, second in zip(bridges, [*bridges[1:], bridges[0]], strict=True):
        net.link(first, second)
    for host, neighbour in (("a", "x"), ("b", "y")):
        net.link(net.host(host), neighbour)
    net.up()
    for host in "ab":
        net.hosts[host].ip.addr("add", index=index(net, host, "eth0"), address=f"192.168.9.{ord(host)}", prefixlen=24)
    for number, bridge in enumerate(bridges):
        ip = bridge.ip
        ip.link("add", ifname="br0", kind="bridge", br_stp_state=1, br_priority=4096 * (number + 1))
        master = index(net, bridge.name, "br0")
        ip.link("set", index=master, state="up")
        for name in bridge.interfaces:
            ip.flush_addr(index=index(net, bridge.name, name))
            ip.link("set", index=index(net, bridge.name, name), master=master)
    return net


def _states(net: Network) -> list[int]:
    """The states of all ports of the bridges."""
    links = [link.get_attr("IFLA_LINKINFO") for name in "xyz" for link in net.hosts[name].ip.get_links()]
    data = [info.get_attr("IFLA_INFO_SLAVE_DATA") for info in links if info is not None]
    return [one.get_attr("IFLA_BRPORT_STATE") for one in data if one is not None]


def test_a_spanning_tree_breaks_rings_and_heals(tmp_path: Path) -> None:
    with _triangle() as net, Wire(net, tmp_path, most=100) as wire:
        target = f"192.168.9.{ord('b')}"
        wait(net, 40)
        assert _states(net).count(_BLOCKING) == 1, "the ring is open at one place"
        assert net.ping("a", target, count=2).received == 2
        net.links[0].down()
        wait(net, 60)
        assert _BLOCKING not in _states(net)
        assert net.ping("a", target, count=2).received == 2, "by way of the third"
    announcements = wire.of(STP)
    assert announcements and {packet.rootid for packet in announcements[-5:]} == {4096}, "the lowest one is the root"
