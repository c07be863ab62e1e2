"""States and policies of xfrm, as messages of netlink: what IPsec and Mobile IPv6 are configured by."""

from __future__ import annotations

import socket
import struct

from liblinux.network import Host

_NETLINK_XFRM = 6
_NEW_STATE, _NEW_POLICY = 0x10, 0x13
_REQUEST_ACK = 1 | 4
_ALG_AEAD, _TMPL, _COADDR = 18, 5, 14
IN, OUT, FORWARD = 0, 1, 2
TRANSPORT, TUNNEL, ROUTE_OPTIMIZATION = 0, 1, 2
_KEY = bytes(range(20))  # AES-128, and four bytes of salt: RFC 4106
_FOR_EVER = struct.pack("=8Q", *[2**64 - 1] * 4, 0, 0, 0, 0)


def _address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text).ljust(16, b"\0")


def family_of(text: str) -> int:
    return socket.AF_INET6 if ":" in text else socket.AF_INET


def selector_of(source: str, target: str) -> bytes:
    """struct xfrm_selector: "address/length" of both sides."""
    (saddr, slen), (daddr, dlen) = (text.split("/") for text in (source, target))
    ports = bytes(8)
    tail = struct.pack("=HBBB3xiI", family_of(saddr), int(dlen), int(slen), 0, 0, 0)
    return _address(daddr) + _address(saddr) + ports + tail


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data


def _request(host: Host, kind: int, body: bytes) -> None:
    """Send a message of xfrm netlink and look at its acknowledgement."""
    with host.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_XFRM) as netlink:
        netlink.send(struct.pack("=IHHII", len(body) + 16, kind, _REQUEST_ACK, 1, 0) + body)
        error = -struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if error:
        raise OSError(error, "xfrm refused")


def add_state(
    host: Host,
    source: str,
    target: str,
    spi: int,
    mode: int,
    protocol: int = socket.IPPROTO_ESP,
    care_of: str | None = None,
) -> None:
    """struct xfrm_usersa_info; with the key of an AEAD for ESP, with a care-of address for Mobile IPv6."""
    identity = _address(target) + struct.pack("!I", spi) + bytes([protocol, 0, 0, 0])
    head = (
        bytes(40) + struct.pack("=H14x", family_of(source)) + identity + _address(source) + _FOR_EVER + bytes(32 + 12)
    )
    body = head + struct.pack("=IIHBBB7x", 0, 0, family_of(source), mode, 32 if care_of is None else 0, 0)
    if care_of is not None:
        more = _attribute(_COADDR, _address(care_of))
    else:
        cipher = b"rfc4106(gcm(aes))".ljust(64, b"\0") + struct.pack("=II", len(_KEY) * 8, 128) + _KEY
        more = _attribute(_ALG_AEAD, cipher)
    _request(host, _NEW_STATE, body + more)


def add_policy(
    host: Host,
    direction: int,
    selector: bytes,
    ends: tuple[str, str],
    mode: int,
    protocol: int = socket.IPPROTO_ESP,
) -> None:
    """struct xfrm_userpolicy_info, and what it asks for."""
    source, target = ends
    body = selector + _FOR_EVER + bytes(32) + struct.pack("=IIBBBB4x", 0, 0, direction, 0, 0, 0)
    template = _address(target) + struct.pack("!I", 0) + bytes([protocol, 0, 0, 0])
    template += struct.pack("=Hxx", family_of(source)) + _address(source)
    template += struct.pack("=IBBBxIII", 0, mode, 0, 0, *[2**32 - 1] * 3)
    _request(host, _NEW_POLICY, body + _attribute(_TMPL, template))
