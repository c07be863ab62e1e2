"""What urllib3 found on this machine when it was imported is not what it goes by in a run."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import socket
import sys
from liblinux import Network

probe = socket.socket.bind
def no_ipv6(self, address):
    if address[0] == "::1":
        raise OSError("there is no IPv6 here")
    return probe(self, address)
socket.socket.bind = no_ipv6  # a machine without

def urllib3():
    from urllib3.util import connection
    return connection

def asked(strict):
    with Network(clock="virtual", seed=1, strict=strict) as net:
        return net.host("a").run_blocking(lambda: urllib3().allowed_gai_family().name)

if BEFORE:
    assert not urllib3().HAS_IPV6
async def in_a_run():
    return urllib3().allowed_gai_family().name
with Network(clock="virtual", seed=1) as net:
    net.host("a")
    print(net.run(in_a_run()))  # as no host: a socket of this machine
print(asked(False), asked(True), urllib3().HAS_IPV6)
"""


@pytest.mark.parametrize("before", [True, False], ids=["imported before the run", "imported in it"])
def test_the_same_family_on_every_machine(before: bool) -> None:
    program = PROGRAM.replace("BEFORE", str(before))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["AF_UNSPEC", "AF_UNSPEC", "AF_UNSPEC", "False"], done.stdout + done.stderr
