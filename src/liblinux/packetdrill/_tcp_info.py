"""What the kernel tells of a TCP socket, by the names of its headers, for the code of scripts.

Sources: struct tcp_info of linux/tcp.h, union tcp_cc_info of linux/inet_diag.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux._kernel import Kernel

__all__ = ["observe"]

_SOL_TCP, _TCP_INFO, _TCP_CONGESTION, _TCP_CC_INFO = 6, 11, 13, 26
_SOL_SOCKET, _SO_MEMINFO = 1, 55
_BUFFER_BYTES = 1024

_BYTES = "state ca_state retransmits probes backoff options"
_WORDS = (
    "rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent last_data_recv "
    "last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space "
    "total_retrans"
)
_LATER = (
    ("Q", "pacing_rate max_pacing_rate bytes_acked bytes_received"),
    ("I", "segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out"),
    ("Q", "delivery_rate busy_time rwnd_limited sndbuf_limited"),
    ("I", "delivered delivered_ce"),
    ("Q", "bytes_sent bytes_retrans"),
    ("I", "dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd rehash"),
    ("H", "total_rto total_rto_recoveries"),
    ("I", "total_rto_time"),
)
_BITS_AT = 6  # two bytes of bit fields


def _layout() -> list[tuple[str, str, int]]:
    """Name, format and offset of every member that has bytes of its own."""
    members, offset = [], 0
    for code, names in (("B", _BYTES), ("I", _WORDS), *_LATER):
        size = struct.calcsize(code)
        if code == "I" and names == _WORDS:
            offset = _BITS_AT + 2
        for name in names.split():
            members.append((f"tcpi_{name}", f"={code}", offset))
            offset += size
    return members


_LAYOUT = _layout()
_CONGESTION = {
    "bbr": struct.Struct("=5I"),
    "dctcp": struct.Struct("=HHIII"),
    "vegas": struct.Struct("=4I"),
}
_CONGESTION_NAMES = {
    "bbr": ("bbr_bw_lo", "bbr_bw_hi", "bbr_min_rtt", "bbr_pacing_gain", "bbr_cwnd_gain"),
    "dctcp": ("dctcp_enabled", "dctcp_ce_state", "dctcp_alpha", "dctcp_ab_ecn", "dctcp_ab_tot"),
    "vegas": ("tcpv_enabled", "tcpv_rttcnt", "tcpv_rtt", "tcpv_minrtt"),
}
_MEMORY = tuple(
    f"SK_MEMINFO_{name}"
    for name in (
        "RMEM_ALLOC",
        "RCVBUF",
        "WMEM_ALLOC",
        "SNDBUF",
        "FWD_ALLOC",
        "WMEM_QUEUED",
        "OPTMEM",
        "BACKLOG",
        "DROPS",
    )
)


def observe(kernel: Kernel, fd: int, code: str) -> dict[str, int]:
    """The members of struct tcp_info, and of the congestion control's own and of SO_MEMINFO if `code` names them.

    Raises OSError when `fd` is no TCP socket.
    """
    info = _option(kernel, fd, _SOL_TCP, _TCP_INFO)
    found = {
        name: int(struct.unpack_from(code, info, offset)[0])
        for name, code, offset in _LAYOUT
        if offset + struct.calcsize(code) <= len(info)
    }
    scales, bits = info[_BITS_AT], info[_BITS_AT + 1]
    found |= {
        "tcpi_snd_wscale": scales & 15,
        "tcpi_rcv_wscale": scales >> 4,
        "tcpi_delivery_rate_app_limited": bits & 1,
        "tcpi_fastopen_client_fail": bits >> 1 & 3,
    }
    # Each of them is a system call more, which costs time.
    if "SK_MEMINFO" in code:
        memory = _option(kernel, fd, _SOL_SOCKET, _SO_MEMINFO)
        found |= zip(_MEMORY, (value for (value,) in struct.iter_unpack("=I", memory)), strict=False)
    if any(names[0].partition("_")[0] + "_" in code for names in _CONGESTION_NAMES.values()):
        found |= _congestion(kernel, fd)
    return found


def _congestion(kernel: Kernel, fd: int) -> dict[str, int]:
    name = _option(kernel, fd, _SOL_TCP, _TCP_CONGESTION).partition(b"\0")[0].decode()
    if name not in _CONGESTION:
        return {}
    data = _option(kernel, fd, _SOL_TCP, _TCP_CC_INFO)
    form = _CONGESTION[name]
    return dict(zip(_CONGESTION_NAMES[name], form.unpack(data[: form.size]), strict=True)) if data else {}


def _option(kernel: Kernel, fd: int, level: int, name: int) -> bytes:
    data, length = bytearray(_BUFFER_BYTES), bytearray(struct.pack("=i", _BUFFER_BYTES))
    kernel.syscall("getsockopt", fd, level, name, data, length)
    return bytes(data[: int.from_bytes(length, "little")])
