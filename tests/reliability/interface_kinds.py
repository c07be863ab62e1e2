"""Interfaces of all kinds that Linux has here, by pyroute2; what they are made on is the caller's."""

from __future__ import annotations

import os
import socket
import struct

from pyroute2 import L2tp
from pyroute2.netlink import NETLINK_GENERIC

from liblinux import Host

__all__ = ["KINDS", "is_in", "make_interface"]

# Made on the TAP device "under" (or beside it), by pyroute2.
KINDS: dict[str, dict[str, object]] = {
    "dummy": {},
    "vlan": {"link": "under", "vlan_id": 7},
    "macvlan": {"link": "under", "macvlan_mode": "bridge"},
    "bridge": {},
    "bond": {"bond_mode": 1},
    "veth": {"peer": "veth1"},
    "ipvlan": {"link": "veth1"},  # beside macvlan there is no room for it
    # What leaves by these arrives at a port of the bridge, a slave of the bond, a device in the VRF.
    "port": {"peer": "port1", "master": "bridge"},
    "slave": {"peer": "slave1", "master": "bond"},
    "vxlan": {"vxlan_id": 9, "vxlan_group": "10.66.0.2", "vxlan_port": 4789},
    "geneve": {"geneve_id": 9, "geneve_remote": "10.66.0.2"},
    "gre": {"gre_local": "10.66.0.1", "gre_remote": "10.66.0.2"},
    "gretap": {"gre_local": "10.66.0.1", "gre_remote": "10.66.0.2"},
    "ipip": {"ipip_local": "10.66.0.1", "ipip_remote": "10.66.0.2"},
    "sit": {"sit_local": "10.66.0.1", "sit_remote": "10.66.0.2"},
    "erspan": {"gre_local": "10.66.0.1", "gre_remote": "10.66.0.2", "gre_ikey": 9, "gre_okey": 9},
    "ip6tnl": {"ip6tnl_local": "fd66::1", "ip6tnl_remote": "fd66::2"},
    "ip6gre": {"ip6gre_local": "fd66::1", "ip6gre_remote": "fd66::2"},
    "ip6gretap": {"ip6gre_local": "fd66::1", "ip6gre_remote": "fd66::2"},
    "ip6erspan": {},
    "vti": {"vti_local": "10.66.0.1", "vti_remote": "10.66.0.2"},
    "vti6": {"vti_local": "fd66::1", "vti_remote": "fd66::2"},
    "xfrm": {"link": "under", "xfrm_if_id": 9},
    "bareudp": {},
    "nlmon": {},
    "wireguard": {},
    "ifb": {},
    "vrf": {"vrf_table": 10},
    "member": {"peer": "member1", "master": "vrf"},
    "cable": {},
    "netkit": {"peer": "netkit1"},
    "l2tp": {},
    "team": {},
    "macvtap": {"link": "port"},
    "macsec": {"link": "slave"},
    "hsr": {},
}
# Not in the other version.
_SINCE = {"netkit": (6, 7)}
_VETHS = ("veth", "port", "slave", "member")


def is_in(kind: str, release: str) -> bool:
    """Whether a kernel has that kind of interface."""
    return tuple(map(int, release.split(".")[:2])) >= _SINCE.get(kind, (0, 0))


def make_interface(host: Host, kind: str) -> None:
    """An interface of a kind, called like it, and up."""
    options = dict(KINDS[kind])
    if "link" in options:
        options["link"] = host.socket.if_nametoindex(str(options["link"]))
    master, peer = options.pop("master", None), options.pop("peer", None)
    if kind == "bareudp":
        _make_bareudp(host)
    elif kind == "hsr":
        _make_hsr(host)
    elif kind == "ip6erspan":
        _make_ip6erspan(host)
    elif kind == "l2tp":
        sessions = host.netlink(L2tp, NETLINK_GENERIC)
        sessions.create_tunnel(
            tunnel_id=9, peer_tunnel_id=9, local="10.66.0.1", remote="10.66.0.2", udp_sport=1701, udp_dport=1701
        )
        sessions.create_session(tunnel_id=9, session_id=9, peer_session_id=9, ifname=kind)
    elif peer is not None:
        made = "veth" if kind in _VETHS else kind
        host.ip.link("add", ifname=kind, kind=made, **options, **({"peer": {"ifname": peer}} if made == "veth" else {}))
    else:
        host.ip.link("add", ifname=kind, kind=kind, **options)
    if master is not None:
        index, above = map(host.socket.if_nametoindex, (str(peer), str(master)))
        host.ip.link("set", index=index, state="down")
        host.ip.link("set", index=index, master=above)
        host.ip.link("set", index=index, state="up")
    host.ip.link("set", index=host.socket.if_nametoindex(kind), state="up")


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", len(content) + 4, kind) + content + bytes(-len(content) % 4)


def _make_bareudp(host: Host) -> None:
    """MPLS in UDP, at the port of RFC 7510."""
    _make_plainly(host, "bareudp", _attribute(1, struct.pack("!H", 6635)) + _attribute(2, struct.pack("!H", 0x8847)))


def _make_ip6erspan(host: Host) -> None:
    """Mirrored frames in GRE over IPv6; with a key and numbers, or the kernel has none. Source: linux/if_tunnel.h."""
    key, flags = struct.pack("!I", 9), struct.pack("!H", 0x3000)  # GRE_KEY, GRE_SEQ
    ends = (socket.inet_pton(socket.AF_INET6, address) for address in ("fd66::1", "fd66::2"))
    values = enumerate((flags, flags, key, key, *ends), 2)
    _make_plainly(host, "ip6erspan", b"".join(_attribute(kind, value) for kind, value in values))


def _make_hsr(host: Host) -> None:
    """A ring of redundancy over two veth pairs, whose other ends hear what is sent."""
    slaves = b""
    for number in (1, 2):
        host.ip.link("add", ifname=f"ring{number}", kind="veth", peer={"ifname": f"ringpeer{number}"})
        for name in (f"ring{number}", f"ringpeer{number}"):
            host.ip.link("set", index=host.socket.if_nametoindex(name), state="up")
        slaves += _attribute(number, struct.pack("=I", host.socket.if_nametoindex(f"ring{number}")))
    _make_plainly(host, "hsr", slaves)


def _make_plainly(host: Host, kind: str, data: bytes) -> None:
    """One that pyroute2 has no words for. Source: linux/if_link.h, linux/rtnetlink.h."""
    information = _attribute(1, kind.encode()) + _attribute(2, data)
    body = bytes(16) + _attribute(3, kind.encode() + b"\0") + _attribute(18, information)
    with host.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), 16, 0x605, 0, 0) + body)
        error = struct.unpack_from("=i", sock.recv(1 << 16), 16)[0]
    assert error == 0, os.strerror(-error)
