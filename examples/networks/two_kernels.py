"""Two kernels in one process, also of different versions: TCP, SCTP and MPTCP between them.

python examples/networks/two_kernels.py [6.1]       after: liblinux build --kernel 6.1
"""

import socket
import sys
import threading

import liblinux

SCTP, MPTCP = 132, 262
VERSION = sys.argv[1] if len(sys.argv) > 1 else None

with liblinux.Network() as net:
    new, old = net.host("new"), net.host("old", kernel=VERSION or "6.12")
    net.link(new, old, delay="1ms")
    net.up()
    for host in (new, old):
        print(host.name, "is Linux", host.os.uname().release)

    # Each protocol at the port of its own number.
    def serve(protocol: int, ready: threading.Event) -> None:
        with old.socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as server:
            server.bind(("", protocol))
            server.listen()
            ready.set()
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100).upper())

    for protocol in (socket.IPPROTO_TCP, SCTP, MPTCP):
        ready = threading.Event()
        thread = threading.Thread(target=serve, args=(protocol, ready))
        thread.start()
        ready.wait()
        with new.socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as client:
            client.connect((old.address, protocol))
            client.sendall(b"from kernel to kernel")
            print(protocol, client.recv(100).decode())
        thread.join()
