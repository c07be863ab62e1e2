"""Networks of Linux hosts in one process: cables, switches, routers, names.

Network                what users call                      _network.py
  Kernels              its own, and those hosts have named  _kernels.py
  what may be declared                                      _declaring.py
  Wiring               what is declared comes up            _wiring.py
  WaysOut              where links lead out of a kernel     _ways_out.py
  Runs                 coroutines, functions, threads       _runs.py
  Namespaces           of hosts, set up by one visitor      _namespaces.py
  Host                 a namespace; a process when it acts  _host.py
  Link                 a cable, and what it does to frames  _link.py
segments, addresses    before a kernel is there             _topology.py
shortest paths         as few routes as they need           _routing.py
scapy's sockets        host.scapy(interface)                _scapy.py
rtnetlink              messages in numbers                  _rtnetlink.py
the device "cable"     kernel/arch/lib/drivers/cable.c
what is beyond         cables that lead out of a kernel   _beyond.py
  Crossing             into another kernel                _crossing.py
  Outside              to a device of this machine        _outside.py
  Device               what that is                       _device.py
  Tap, HostInterface, FrameSocket                         _devices.py
  Functions, Replay                                       _functions.py
  Internet             without any rights                 _internet.py
  pumps                threads that carry frames          kernel/host/pump.c
"""

from __future__ import annotations

from liblinux.network._device import Device, Traffic
from liblinux.network._devices import FrameSocket, HostInterface, Tap
from liblinux.network._functions import Functions, Replay
from liblinux.network._host import Host
from liblinux.network._internet import Internet
from liblinux.network._link import Link
from liblinux.network._network import Network

__all__ = [
    "Device",
    "FrameSocket",
    "Functions",
    "Host",
    "HostInterface",
    "Internet",
    "Link",
    "Network",
    "Replay",
    "Tap",
    "Traffic",
]
