"""A DNS resolver over the kernel's own network.

Messages are made and read by dnspython (ISC licence, well kept); sending, waiting
and trying again is done here, over sockets of the kernel and by the kernel's clock,
as of resolver(3): every server `attempts` times, TCP when an answer was cut, the
search list as resolv.conf(5) says. (dnspython's own resolver would wait by the
host's clock and look at host descriptors.) There is no cache.
"""

from __future__ import annotations

import socket

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.reversename

from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from liblinux._sockets.sock import Socket

__all__ = ["Resolver", "Servers", "servers"]

_PORT = 53
_UDP_BYTES = 65535
_CHAIN_MAX = 16


class Servers(Value):
    """What /etc/resolv.conf says; the times are in seconds."""

    servers: Sequence[tuple[str, int]]
    search: Sequence[str] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2


def servers(given: Iterable[str | tuple[str, int]], resolv_conf: str) -> Servers:
    """The servers that were given, or those of a resolv.conf; the rest from there in any case."""
    found: list[tuple[str, int]] = [(one, _PORT) if isinstance(one, str) else one for one in given]
    own = bool(found)
    search: list[str] = []
    options = {"ndots": 1, "timeout": 5, "attempts": 2}
    for line in resolv_conf.splitlines():
        keyword, *words = line.partition("#")[0].split() or [""]
        if keyword == "nameserver" and words and not own:
            found.append((words[0], _PORT))
        elif keyword in {"search", "domain"}:
            search = words
        elif keyword == "options":
            for name, _, value in (word.partition(":") for word in words):
                if name in options and value.isdecimal():
                    options[name] = int(value)
    return Servers(found, search, options["ndots"], max(options["timeout"], 1), max(options["attempts"], 1))


class Resolver:
    """Asks name servers; all failures are gaierror."""

    def __init__(self, make_socket: type[Socket], configured: Servers, now: Callable[[], int]) -> None:
        self._socket = make_socket
        self._configured = configured
        self._now = now  # the kernel's clock in nanoseconds

    def addresses(self, name: str, family: int) -> tuple[str, list[str]]:
        """The official name and the addresses of a name."""
        types: dict[int, str] = {socket.AF_INET: "A", socket.AF_INET6: "AAAA"}
        wanted = [types[family]] if family in types else ["AAAA", "A"]
        for candidate in self._candidates(name):
            canonical, found = candidate, list[str]()
            for kind in wanted:
                answer = self._ask(candidate, kind)
                if answer is not None:
                    canonical, values = answer
                    found += values
            if found:
                return canonical.to_text(omit_final_dot=True), found
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def names(self, address: str) -> list[str]:
        """The names of an address."""
        answer = self._ask(dns.reversename.from_address(address), "PTR")
        return [value.rstrip(".") for value in answer[1]] if answer else []

    def _candidates(self, name: str) -> list[dns.name.Name]:
        """The name with the domains of the search list, in the order in which they are to be tried."""
        try:
            plain = dns.name.from_text(name)
            if name.endswith("."):
                return [plain]
            longer = [dns.name.from_text(f"{name}.{domain}") for domain in self._configured.search]
        except dns.exception.DNSException as problem:
            raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {problem}") from None
        return [plain, *longer] if name.count(".") >= self._configured.ndots else [*longer, plain]

    def _ask(self, name: dns.name.Name, kind: str) -> tuple[dns.name.Name, list[str]] | None:
        """The official name and the values of a type, none for a name that has none of it; None for no such name."""
        query = dns.message.make_query(name, kind)
        response = self._response(query)
        if response.rcode() == dns.rcode.NXDOMAIN:
            return None
        chain = response.resolve_chaining()
        values = [] if chain.answer is None else [item.to_text() for item in chain.answer]
        return chain.canonical_name, values

    def _response(self, query: dns.message.QueryMessage) -> dns.message.QueryMessage:
        """The first answer that means something, of any server."""
        for _ in range(self._configured.attempts):
            for host, port in self._configured.servers:
                try:
                    response = self._by_udp(query, host, port)
                    if response.flags & dns.flags.TC:
                        response = self._by_tcp(query, host, port)
                except (OSError, dns.exception.DNSException):
                    continue  # another server, or the same again
                if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    return response
        asked = ", ".join(host for host, _ in self._configured.servers)
        raise socket.gaierror(socket.EAI_AGAIN, f"Temporary failure in name resolution: no answer from {asked}")

    def _by_udp(self, query: dns.message.QueryMessage, host: str, port: int) -> dns.message.QueryMessage:
        deadline = self._now() + self._configured.timeout * 10**9
        with self._connected(host, port, socket.SOCK_DGRAM) as sock:
            sock.send(query.to_wire())
            while True:
                sock.settimeout(max(deadline - self._now(), 1) / 1e9)
                try:
                    return _answer(query, sock.recv(_UDP_BYTES))
                except _NotTheAnswer:
                    continue  # a stranger's, or a late one

    def _by_tcp(self, query: dns.message.QueryMessage, host: str, port: int) -> dns.message.QueryMessage:
        with self._connected(host, port, socket.SOCK_STREAM) as sock:
            wire = query.to_wire()
            sock.sendall(len(wire).to_bytes(2, "big") + wire)
            length = int.from_bytes(_exactly(sock, 2), "big")
            return _answer(query, _exactly(sock, length))

    def _connected(self, host: str, port: int, kind: int) -> Socket:
        sock = self._socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        try:
            sock.settimeout(self._configured.timeout)
            sock.connect((host, port))
        except BaseException:
            sock.close()
            raise
        return sock


class _NotTheAnswer(Exception):
    """A message that is none, or not to this question."""


def _answer(query: dns.message.QueryMessage, wire: bytes) -> dns.message.QueryMessage:
    try:
        message = dns.message.from_wire(wire)
    except dns.exception.DNSException as problem:
        raise _NotTheAnswer from problem
    if not isinstance(message, dns.message.QueryMessage) or not query.is_response(message):
        raise _NotTheAnswer
    return message


def _exactly(sock: Socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionError("the name server has closed the connection")
        data += part
    return data
