"""Address families, their addresses, options and ancillary data."""

from __future__ import annotations

import socket
import struct

import pytest

import liblinux


@pytest.fixture
def kernel(either_kernel: liblinux.Kernel) -> liblinux.Kernel:
    return either_kernel


def test_unix_sockets_are_in_the_kernels_file_system(kernel: liblinux.Kernel) -> None:
    with kernel.socket.socket(socket.AF_UNIX) as server, kernel.socket.socket(socket.AF_UNIX) as client:
        server.bind("/tmp/ünïx")
        server.listen()
        assert kernel.os.path.exists("/tmp/ünïx")
        client.connect("/tmp/ünïx")
        accepted, address = server.accept()
        with accepted:
            assert address == "" and client.getpeername() == "/tmp/ünïx"
    kernel.os.unlink("/tmp/ünïx")


def test_abstract_unix_names(kernel: liblinux.Kernel) -> None:
    with kernel.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(b"\0abstract\0name")
        assert one.getsockname() == b"\0abstract\0name"
        with kernel.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.sendto(b"x", b"\0abstract\0name")
            assert one.recvfrom(10) == (b"x", None)
        with pytest.raises(OSError, match="AF_UNIX path too long"):
            one.connect("x" * 109)


def test_netlink(kernel: liblinux.Kernel) -> None:
    with kernel.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, kernel.socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        pid, groups = sock.getsockname()
        assert pid and not groups
        sock.sendto(struct.pack("=IHHIIBxHiII", 32, 18, 0x301, 7, 0, 0, 0, 0, 0, 0), (0, 0))
        answer, address = sock.recvfrom(65536)
        assert address == (0, 0) and struct.unpack_from("=IHHI", answer)[1:4:2] == (16, 7)


def test_packet_sockets(kernel: liblinux.Kernel) -> None:
    everything = 3
    with kernel.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(everything)) as sniffer:
        sniffer.bind(("lo", everything))
        assert sniffer.getsockname()[:2] == ("lo", everything)
        with kernel.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"on the wire", ("127.0.0.1", 9))
        frame, (interface, protocol, kind, _, hardware) = sniffer.recvfrom(2000)
        assert frame.endswith(b"on the wire") and frame[12:14] == b"\x08\x00"
        assert (interface, protocol, kind, hardware) == ("lo", 0x800, socket.PACKET_OUTGOING, bytes(6))
        with pytest.raises(OSError, match="no interface with this name: 'eth77'"):
            sniffer.bind(("eth77", everything))


def test_scope_of_a_link_local_address(kernel: liblinux.Kernel) -> None:
    process = kernel.process(namespaces=("net",))
    module = process.socket
    index = module.if_nametoindex("lo")
    # An address of fe80::/10 by ioctl(2), as ifconfig does it.
    with module.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        request = socket.inet_pton(socket.AF_INET6, "fe80::1") + struct.pack("=Ii", 64, index)
        sock.ioctl(0x8916, request)
        # A worker of the kernel finds out first whether somebody has it.
        process.select.select([], [], [], 0.05)
        sock.bind(("fe80::1%lo", 0))
        assert sock.getsockname()[0] == "fe80::1" and sock.getsockname()[3] == index
        sock.sendto(b"to myself", ("fe80::1", sock.getsockname()[1], 0, index))
        assert sock.recv(100) == b"to myself"
    infos = module.getaddrinfo("fe80::1%lo", 80, type=socket.SOCK_STREAM)
    assert [info[4] for info in infos] == [("fe80::1", 80, 0, index)]
    process.close()


def test_families_that_nobody_knows_take_bytes(kernel: liblinux.Kernel) -> None:
    with kernel.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        raw = struct.pack("=H2s4s8x", socket.AF_INET, (0).to_bytes(2, "big"), bytes((127, 0, 0, 1)))
        sock.bind(raw)
        assert sock.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        (socket.SOCK_STREAM, "IPPROTO_MPTCP"),
        (socket.SOCK_STREAM, "IPPROTO_SCTP"),
        (6, "IPPROTO_DCCP"),
    ],
)
def test_protocols_with_connections(kernel: liblinux.Kernel, kind: int, protocol: str) -> None:
    number = getattr(kernel.socket, protocol)
    with kernel.socket.socket(socket.AF_INET, kind, number) as server:
        service = (269, 2, struct.pack("=I", 42))  # SOL_DCCP, DCCP_SOCKOPT_SERVICE
        if protocol == "IPPROTO_DCCP":
            server.setsockopt(*service)
        server.bind(("127.0.0.1", 0))
        server.listen()
        with kernel.socket.socket(socket.AF_INET, kind, number) as client:
            if protocol == "IPPROTO_DCCP":
                client.setsockopt(*service)
            client.connect(server.getsockname())
            client.send(b"data")
            accepted, _ = server.accept()
            with accepted:
                assert accepted.recv(100) == b"data"


def test_sctp_from_one_to_many(kernel: liblinux.Kernel) -> None:
    number = kernel.socket.IPPROTO_SCTP
    with kernel.socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, number) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with kernel.socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, number) as client:
            client.sendto(b"data", server.getsockname())
            data, _, flags, address = server.recvmsg(100, 0)
            assert data == b"data" and flags & socket.MSG_EOR
            server.sendto(b"answer", address)
            assert client.recv(100) == b"answer"


def test_udp_lite(kernel: liblinux.Kernel) -> None:
    number = kernel.socket.IPPROTO_UDPLITE
    with kernel.socket.socket(socket.AF_INET, socket.SOCK_DGRAM, number) as one:
        one.bind(("127.0.0.1", 0))
        with kernel.socket.socket(socket.AF_INET, socket.SOCK_DGRAM, number) as other:
            other.setsockopt(number, kernel.socket.UDPLITE_SEND_CSCOV, 8)
            assert other.getsockopt(number, kernel.socket.UDPLITE_SEND_CSCOV) == 8
            other.sendto(b"lite", one.getsockname())
            assert one.recv(10) == b"lite"


def test_options(kernel: liblinux.Kernel) -> None:
    with kernel.socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == b"bbr"
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == bytes(8)
        with pytest.raises(OSError, match="Protocol not available"):
            sock.getsockopt(socket.SOL_SOCKET, 9999)
        with pytest.raises(OverflowError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1 << 40)


def test_options_without_a_value(kernel: liblinux.Kernel) -> None:
    """AF_ALG takes its tag's length in the place of the length."""
    with kernel.socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as sock:
        sock.bind(("aead", "gcm(aes)"))
        sock.setsockopt(socket.SOL_ALG, socket.ALG_SET_AEAD_AUTHSIZE, None, 16)
        with pytest.raises(OSError, match="Invalid argument"):
            sock.setsockopt(socket.SOL_ALG, socket.ALG_SET_AEAD_AUTHSIZE, None, 99)


def test_tcp_info(kernel: liblinux.Kernel) -> None:
    with kernel.socket.create_server(("127.0.0.1", 0)) as server:
        client = kernel.socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    with client, accepted:
        client.sendall(b"x" * 1000)
        assert accepted.recv(1000) == b"x" * 1000
        info = client.tcp_info()
        assert info.tcpi_state == kernel.socket.TCP_ESTABLISHED
        assert info.tcpi_bytes_sent == 1000 and info.tcpi_total_retrans == 0
        assert 0 < info.tcpi_rtt < 10**7 and info.tcpi_snd_mss > 1000
        # Linux 6.2 added it.
        assert (info.tcpi_rcv_wnd is None) == kernel.release.startswith("6.1.")
        assert accepted.tcp_info().tcpi_bytes_received == 1000


def test_where_a_datagram_was_sent_to(kernel: liblinux.Kernel) -> None:
    with kernel.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        sock.setsockopt(socket.IPPROTO_IP, kernel.socket.IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, kernel.socket.SO_TIMESTAMPNS, 1)
        sock.sendto(b"x", ("127.0.0.5", sock.getsockname()[1]))
        _, ancillary, _, _ = sock.recvmsg(10, 200)
        found = {(level, kind): data for level, kind, data in ancillary}
        index, _, destination = struct.unpack("=i4s4s", found[socket.IPPROTO_IP, kernel.socket.IP_PKTINFO])
        assert index == kernel.socket.if_nametoindex("lo") and socket.inet_ntoa(destination) == "127.0.0.5"
        seconds, nanoseconds = struct.unpack("=qq", found[socket.SOL_SOCKET, kernel.socket.SCM_TIMESTAMPNS])
        assert seconds >= 0 and 0 <= nanoseconds < 10**9


def test_interfaces(kernel: liblinux.Kernel) -> None:
    names = dict(kernel.socket.if_nameindex())
    assert names[kernel.socket.if_nametoindex("lo")] == "lo"
    assert all(kernel.socket.if_indextoname(index) == name for index, name in names.items())
    with pytest.raises(OSError):
        kernel.socket.if_indextoname(12345)


def test_constants(kernel: liblinux.Kernel) -> None:
    """All of the standard library's, with its values, and some of those that it lacks."""
    theirs = {name for name in dir(socket) if name.isupper()}
    assert theirs <= set(dir(kernel.socket))
    assert all(getattr(kernel.socket, name) == getattr(socket, name) for name in theirs)
    assert (kernel.socket.SOL_SCTP, kernel.socket.IPPROTO_DCCP, kernel.socket.IPPROTO_MPTCP) == (132, 33, 262)
    with pytest.raises(AttributeError, match="SO_NONSENSE"):
        kernel.socket.SO_NONSENSE  # noqa: B018 - the look-up is the test


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("127.0.0.1", TypeError),
        (("127.0.0.1",), TypeError),
        (("127.0.0.1", 65536), OverflowError),
        (("127.0.0.1", -1), OverflowError),
        (("127.0.0.1", "http"), TypeError),
        ((1, 1), TypeError),
        (("no.such.host.invalid", 1), socket.gaierror),
        (("nul\0", 1), ValueError),
    ],
)
def test_addresses_that_are_none(kernel: liblinux.Kernel, address: object, error: type[Exception]) -> None:
    with kernel.socket.socket() as sock, pytest.raises(error):
        sock.connect(address)


def test_port_in_use(kernel: liblinux.Kernel) -> None:
    with (
        kernel.socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(OSError, match="Address already in use"),
    ):
        kernel.socket.create_server(server.getsockname())


def test_loopback_of_a_process_without_rights(kernel: liblinux.Kernel) -> None:
    """It is up, whoever asks first: the one of a namespace of its own, and the one of all others."""
    for namespaces in ((), ("net",)):
        alice = kernel.process(uid=1000, gid=1000, namespaces=namespaces)
        with alice.socket.create_server(("127.0.0.1", 0)) as server:
            alice.socket.create_connection(server.getsockname()).close()
        alice.close()


def test_virtual_clock() -> None:
    """Timeouts are by the kernel's clock: an hour passes at once."""
    with liblinux.Kernel(clock="virtual", seed=1) as kernel, kernel.socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(3600)
        started = kernel.now()
        with pytest.raises(TimeoutError):
            sock.recv(1)
        assert 3600 * 10**9 <= kernel.now() - started < 3601 * 10**9
