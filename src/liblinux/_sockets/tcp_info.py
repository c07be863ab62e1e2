"""TCP_INFO as a dataclass."""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields

__all__ = ["TCP_INFO_BYTES", "TcpInfo"]

# struct tcp_info of Linux 6.12: eight bytes, two of which hold bit fields, then these.
_BYTES = struct.Struct("=8B")
_FIELDS = (
    ("rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent", "I"),
    ("last_data_recv last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss", "I"),
    ("reordering rcv_rtt rcv_space total_retrans", "I"),
    ("pacing_rate max_pacing_rate bytes_acked bytes_received", "Q"),
    ("segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out", "I"),
    ("delivery_rate busy_time rwnd_limited sndbuf_limited", "Q"),
    ("delivered delivered_ce", "I"),
    ("bytes_sent bytes_retrans", "Q"),
    ("dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd rehash", "I"),
    ("total_rto total_rto_recoveries", "H"),
    ("total_rto_time", "I"),
)
_LAYOUT = [(name, kind) for names, kind in _FIELDS for name in names.split()]
TCP_INFO_BYTES = _BYTES.size + struct.calcsize("=" + "".join(kind for _, kind in _LAYOUT))


@dataclass(frozen=True)
class TcpInfo:
    """What the kernel knows about a TCP connection; the names are those of struct tcp_info.

    Times are in microseconds (`tcpi_last_*` in milliseconds), rates in bytes a
    second, `tcpi_snd_cwnd` and the like in segments. What a kernel is too old for
    is None. Source: include/uapi/linux/tcp.h.
    """

    tcpi_state: int
    tcpi_ca_state: int
    tcpi_retransmits: int
    tcpi_probes: int
    tcpi_backoff: int
    tcpi_options: int
    tcpi_snd_wscale: int
    tcpi_rcv_wscale: int
    tcpi_delivery_rate_app_limited: int
    tcpi_fastopen_client_fail: int
    tcpi_rto: int
    tcpi_ato: int
    tcpi_snd_mss: int
    tcpi_rcv_mss: int
    tcpi_unacked: int
    tcpi_sacked: int
    tcpi_lost: int
    tcpi_retrans: int
    tcpi_fackets: int
    tcpi_last_data_sent: int
    tcpi_last_ack_sent: int
    tcpi_last_data_recv: int
    tcpi_last_ack_recv: int
    tcpi_pmtu: int
    tcpi_rcv_ssthresh: int
    tcpi_rtt: int
    tcpi_rttvar: int
    tcpi_snd_ssthresh: int
    tcpi_snd_cwnd: int
    tcpi_advmss: int
    tcpi_reordering: int
    tcpi_rcv_rtt: int
    tcpi_rcv_space: int
    tcpi_total_retrans: int
    tcpi_pacing_rate: int | None = None
    tcpi_max_pacing_rate: int | None = None
    tcpi_bytes_acked: int | None = None
    tcpi_bytes_received: int | None = None
    tcpi_segs_out: int | None = None
    tcpi_segs_in: int | None = None
    tcpi_notsent_bytes: int | None = None
    tcpi_min_rtt: int | None = None
    tcpi_data_segs_in: int | None = None
    tcpi_data_segs_out: int | None = None
    tcpi_delivery_rate: int | None = None
    tcpi_busy_time: int | None = None
    tcpi_rwnd_limited: int | None = None
    tcpi_sndbuf_limited: int | None = None
    tcpi_delivered: int | None = None
    tcpi_delivered_ce: int | None = None
    tcpi_bytes_sent: int | None = None
    tcpi_bytes_retrans: int | None = None
    tcpi_dsack_dups: int | None = None
    tcpi_reord_seen: int | None = None
    tcpi_rcv_ooopack: int | None = None
    tcpi_snd_wnd: int | None = None
    tcpi_rcv_wnd: int | None = None
    tcpi_rehash: int | None = None
    tcpi_total_rto: int | None = None
    tcpi_total_rto_recoveries: int | None = None
    tcpi_total_rto_time: int | None = None

    @classmethod
    def parse(cls, raw: bytes) -> TcpInfo:
        """From what getsockopt(TCP_INFO) gives, which may be shorter than the structure."""
        *small, scales, flags = _BYTES.unpack_from(raw)
        values = [*small, scales & 15, scales >> 4, flags & 1, flags >> 1 & 3]
        at = _BYTES.size
        for _, kind in _LAYOUT:
            if at + struct.calcsize(kind) > len(raw):
                break
            values.append(struct.unpack_from("=" + kind, raw, at)[0])
            at += struct.calcsize(kind)
        return cls(**dict(zip((field.name for field in fields(cls)), values, strict=False)))
