"""Symbols of the kernel's headers by name.

Python's own modules know most of them; the rest is the table below, from the
uapi headers linux/tcp.h, linux/in.h, linux/in6.h, linux/errqueue.h, linux/socket.h,
asm-generic/socket.h, linux/sockios.h and linux/net_tstamp.h. They never change.
"""

from __future__ import annotations

import difflib
import errno
import fcntl
import functools
import os
import select
import socket
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["constant", "constants", "errno_name", "suggestion"]

_HEADERS = {
    "NULL": 0,
    # linux/tcp.h
    "SOL_TCP": 6,
    "TCP_NODELAY": 1,
    "TCP_MAXSEG": 2,
    "TCP_CORK": 3,
    "TCP_KEEPIDLE": 4,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 6,
    "TCP_SYNCNT": 7,
    "TCP_LINGER2": 8,
    "TCP_DEFER_ACCEPT": 9,
    "TCP_WINDOW_CLAMP": 10,
    "TCP_INFO": 11,
    "TCP_QUICKACK": 12,
    "TCP_CONGESTION": 13,
    "TCP_MD5SIG": 14,
    "TCP_THIN_LINEAR_TIMEOUTS": 16,
    "TCP_THIN_DUPACK": 17,
    "TCP_USER_TIMEOUT": 18,
    "TCP_REPAIR": 19,
    "TCP_REPAIR_QUEUE": 20,
    "TCP_QUEUE_SEQ": 21,
    "TCP_REPAIR_OPTIONS": 22,
    "TCP_FASTOPEN": 23,
    "TCP_TIMESTAMP": 24,
    "TCP_NOTSENT_LOWAT": 25,
    "TCP_CC_INFO": 26,
    "TCP_SAVE_SYN": 27,
    "TCP_SAVED_SYN": 28,
    "TCP_REPAIR_WINDOW": 29,
    "TCP_FASTOPEN_CONNECT": 30,
    "TCP_ULP": 31,
    "TCP_MD5SIG_EXT": 32,
    "TCP_FASTOPEN_KEY": 33,
    "TCP_FASTOPEN_NO_COOKIE": 34,
    "TCP_ZEROCOPY_RECEIVE": 35,
    "TCP_INQ": 36,
    "TCP_CM_INQ": 36,
    "TCP_TX_DELAY": 37,
    # linux/socket.h, asm-generic/socket.h
    "SOL_IP": 0,
    "SOL_IPV6": 41,
    "SOL_ICMPV6": 58,
    "SOL_UDP": 17,
    "SOL_MPTCP": 284,
    "SO_TIMESTAMP": 29,
    "SCM_TIMESTAMP": 29,
    "SO_TIMESTAMPNS": 35,
    "SCM_TIMESTAMPNS": 35,
    "SO_TIMESTAMPING": 37,
    "SCM_TIMESTAMPING": 37,
    "SO_RXQ_OVFL": 40,
    "SO_BUSY_POLL": 46,
    "SO_MAX_PACING_RATE": 47,
    "SO_MEMINFO": 55,
    "SO_ZEROCOPY": 60,
    "SO_TXTIME": 61,
    "SCM_TXTIME": 61,
    "SO_RESERVE_MEM": 73,
    "SO_TXREHASH": 74,
    "MSG_CONFIRM": 0x800,
    "MSG_MORE": 0x8000,
    "MSG_WAITFORONE": 0x10000,
    "MSG_BATCH": 0x40000,
    "MSG_ZEROCOPY": 0x4000000,
    "MSG_FASTOPEN": 0x20000000,
    "MSG_CMSG_CLOEXEC": 0x40000000,
    # linux/in.h, linux/in6.h
    "IP_MTU_DISCOVER": 10,
    "IP_RECVERR": 11,
    "IP_RECVTTL": 12,
    "IP_RECVTOS": 13,
    "IP_MTU": 14,
    "IP_FREEBIND": 15,
    "IP_MINTTL": 21,
    "IP_NODEFRAG": 22,
    "IP_PMTUDISC_DONT": 0,
    "IP_PMTUDISC_WANT": 1,
    "IP_PMTUDISC_DO": 2,
    "IP_PMTUDISC_PROBE": 3,
    "IPV6_MTU_DISCOVER": 23,
    "IPV6_MTU": 24,
    "IPV6_RECVERR": 25,
    "IPV6_FLOWINFO": 11,
    "IPV6_FLOWLABEL_MGR": 32,
    "IPV6_FLOWINFO_SEND": 33,
    "IPV6_AUTOFLOWLABEL": 70,
    # linux/errqueue.h
    "SO_EE_ORIGIN_NONE": 0,
    "SO_EE_ORIGIN_LOCAL": 1,
    "SO_EE_ORIGIN_ICMP": 2,
    "SO_EE_ORIGIN_ICMP6": 3,
    "SO_EE_ORIGIN_TIMESTAMPING": 4,
    "SO_EE_ORIGIN_ZEROCOPY": 5,
    "SO_EE_ORIGIN_TXTIME": 6,
    "SO_EE_CODE_ZEROCOPY_COPIED": 1,
    "SCM_TSTAMP_SND": 0,
    "SCM_TSTAMP_SCHED": 1,
    "SCM_TSTAMP_ACK": 2,
    # linux/net_tstamp.h
    "SOF_TIMESTAMPING_TX_HARDWARE": 1 << 0,
    "SOF_TIMESTAMPING_TX_SOFTWARE": 1 << 1,
    "SOF_TIMESTAMPING_RX_HARDWARE": 1 << 2,
    "SOF_TIMESTAMPING_RX_SOFTWARE": 1 << 3,
    "SOF_TIMESTAMPING_SOFTWARE": 1 << 4,
    "SOF_TIMESTAMPING_OPT_ID": 1 << 7,
    "SOF_TIMESTAMPING_TX_SCHED": 1 << 8,
    "SOF_TIMESTAMPING_TX_ACK": 1 << 9,
    "SOF_TIMESTAMPING_OPT_CMSG": 1 << 10,
    "SOF_TIMESTAMPING_OPT_TSONLY": 1 << 11,
    "SOF_TIMESTAMPING_OPT_ID_TCP": 1 << 16,
    # linux/sockios.h
    "SIOCINQ": 0x541B,
    "SIOCOUTQ": 0x5411,
    "SIOCOUTQNSD": 0x894B,
    # the states of TCP and of its congestion control, for code
    "TCP_ESTABLISHED": 1,
    "TCP_SYN_SENT": 2,
    "TCP_SYN_RECV": 3,
    "TCP_FIN_WAIT1": 4,
    "TCP_FIN_WAIT2": 5,
    "TCP_TIME_WAIT": 6,
    "TCP_CLOSE": 7,
    "TCP_CLOSE_WAIT": 8,
    "TCP_LAST_ACK": 9,
    "TCP_LISTEN": 10,
    "TCP_CLOSING": 11,
    "TCP_CA_Open": 0,
    "TCP_CA_Disorder": 1,
    "TCP_CA_CWR": 2,
    "TCP_CA_Recovery": 3,
    "TCP_CA_Loss": 4,
    "TCPI_OPT_TIMESTAMPS": 1,
    "TCPI_OPT_SACK": 2,
    "TCPI_OPT_WSCALE": 4,
    "TCPI_OPT_ECN": 8,
    "TCPI_OPT_ECN_SEEN": 16,
    "TCPI_OPT_SYN_DATA": 32,
    # epoll_ctl(2), splice(2)
    "EPOLL_CTL_ADD": 1,
    "EPOLL_CTL_DEL": 2,
    "EPOLL_CTL_MOD": 3,
    "SPLICE_F_MOVE": 1,
    "SPLICE_F_NONBLOCK": 2,
    "SPLICE_F_MORE": 4,
}

_PREFIXES = (
    "AF_", "PF_", "SOCK_", "IPPROTO_", "SO_", "SOL_", "SOMAXCONN", "TCP_", "IP_", "IPV6_", "MSG_", "SHUT_", "SCM_",
    "POLL", "EPOLL", "F_", "FD_", "O_", "SEEK_", "FION", "TIOC", "UDP",
)  # fmt: skip


@functools.cache
def constants() -> Mapping[str, int]:
    """All symbols that are known, with their values."""
    found: dict[str, int] = {}
    for module in (termios, select, fcntl, os, socket):
        for name in dir(module):
            value = getattr(module, name)
            if name.startswith(_PREFIXES) and isinstance(value, int):
                found[name] = int(value)
    return {**found, **_HEADERS}


def constant(name: str) -> int | None:
    """The value of a symbol, None when it is not known."""
    return constants().get(name)


def suggestion(name: str) -> str:
    """What else may have been meant, as the end of a message."""
    close = difflib.get_close_matches(name, [*constants(), *errno.errorcode.values()], n=3)
    return f"; did you mean {' or '.join(close)}?" if close else "; give its value with --define=NAME=VALUE"


def errno_name(number: int) -> str:
    """ECONNREFUSED for 111."""
    return errno.errorcode.get(number, f"errno {number}")
