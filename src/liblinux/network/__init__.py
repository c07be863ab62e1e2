"""Networks of Linux hosts in one process: cables, switches, routers, names.

Network                what is declared, and coming up      _network.py
  Host                 a process in a namespace of its own  _host.py
  Link                 a cable, and what it does to frames  _link.py
segments, addresses    before a kernel is there             _topology.py
shortest paths         as few routes as they need           _routing.py
scapy's sockets        host.scapy(interface)                _scapy.py
rtnetlink              messages in numbers                  _rtnetlink.py
the device "cable"     kernel/arch/lib/drivers/cable.c
"""

from __future__ import annotations

from liblinux.network._host import Host
from liblinux.network._link import Link
from liblinux.network._network import Network

__all__ = ["Host", "Link", "Network"]
