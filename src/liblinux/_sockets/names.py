"""Names: getaddrinfo() and its relatives, over the kernel's own network.

Numbers are parsed by the C library, which needs no network for that. A name is
looked up in `hosts`, in /etc/hosts of the kernel's file system, among the names of
the machine itself, and then by DNS.
"""

from __future__ import annotations

import ipaddress
import socket

from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence

    from liblinux._os import Os
    from liblinux._sockets.address import Address
    from liblinux._sockets.dns import Resolver
    from liblinux._sockets.sock import Socket

__all__ = ["NameFunctions"]

# The C library's, whatever `socket` has been made to lead to (liblinux.asyncio).
_c_getaddrinfo = socket.getaddrinfo
_c_getnameinfo = socket.getnameinfo
_LOOPBACK = ("::1", "127.0.0.1")
_FAMILIES = (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6)
# What the C library would look at the host's interfaces for, and what is done here.
_OURS = int(socket.AI_ADDRCONFIG | socket.AI_CANONNAME | socket.AI_V4MAPPED | socket.AI_ALL)
# As plain integers, which are several times quicker than flags.
_AI_CANONNAME, _AI_NUMERICHOST = int(socket.AI_CANONNAME), int(socket.AI_NUMERICHOST)
_Info = tuple[int, int, int, str, Any]


class NameFunctions:
    """The functions of `socket` that turn names into addresses and back."""

    _os: Os
    hosts: MutableMapping[str, str | Sequence[str]]
    nameservers: list[str | tuple[str, int]]

    if TYPE_CHECKING:
        socket: type[Socket]

        def gethostname(self) -> str: ...
        def if_nametoindex(self, if_name: str | bytes, /) -> int: ...

    def getaddrinfo(
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[_Info]:
        """Addresses of a host and a service, as of the standard library; gaierror. Source: getaddrinfo(3)."""
        flags = int(flags)
        name, zone = _split_zone(_text(host))
        try:
            return self._infos(name, zone, port, (family, type, proto), flags)
        except socket.gaierror as problem:
            if problem.errno != socket.EAI_NONAME or name is None or flags & _AI_NUMERICHOST:
                raise
        canonical, addresses = self._look_up(name, family)
        found: list[_Info] = []
        for address in self._sorted(addresses):
            wanted = (socket.AF_INET6 if ":" in address else socket.AF_INET, type, proto)
            found += self._infos(address, "", port, wanted, flags & ~_AI_CANONNAME)
        if flags & _AI_CANONNAME and found:
            found[0] = (*found[0][:3], canonical, found[0][4])
        return found

    def gethostbyname(self, hostname: str, /) -> str:
        """The first IPv4 address of a host; gaierror."""
        return self._numeric(_text(hostname) or "", socket.AF_INET)

    def gethostbyname_ex(self, hostname: str, /) -> tuple[str, list[str], list[str]]:
        """Its official name, other names, and all IPv4 addresses; gaierror."""
        infos = self.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM, 0, _AI_CANONNAME)
        canonical = infos[0][3] or hostname
        others = [name for name, address in self._table() if address == infos[0][4][0] and name != canonical]
        return canonical, list(dict.fromkeys(others)), [info[4][0] for info in infos]

    def gethostbyaddr(self, ip_address: str, /) -> tuple[str, list[str], list[str]]:
        """The names of an address; herror when there is none."""
        name = _text(ip_address) or ""
        address = self.getaddrinfo(name, None, 0, socket.SOCK_STREAM)[0][4][0]
        names = self._names_of(address)
        if not names:
            raise socket.herror(1, "Unknown host")
        return names[0], names[1:], [address]

    def getnameinfo(self, sockaddr: Address, flags: int, /) -> tuple[str, str]:
        """The names of an address and of a port; gaierror. Source: getnameinfo(3)."""
        numeric = _c_getnameinfo(sockaddr, flags & ~socket.NI_NAMEREQD | socket.NI_NUMERICHOST)
        if flags & socket.NI_NUMERICHOST:
            return numeric
        names = self._names_of(numeric[0].partition("%")[0])
        if names:
            return names[0], numeric[1]
        if flags & socket.NI_NAMEREQD:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return numeric

    def getfqdn(self, name: str = "") -> str:
        """The full name of a host, by default of this machine; the name itself when none is known."""
        name = name.strip()
        if not name or name in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound to
            name = self.gethostname()
        try:
            official, others, _ = self.gethostbyaddr(name)
        except OSError:
            return name
        return next((other for other in (official, *others) if "." in other), official)

    # ---- for addresses ---------------------------------------------------------

    def _numeric(self, host: str, family: int) -> str:
        """The first address of a host, as a number, which may have a zone."""
        if host == "":
            return "0.0.0.0" if family == socket.AF_INET else "::"  # noqa: S104 - what the empty string means
        if host == "<broadcast>":
            if family != socket.AF_INET:
                raise OSError("address family mismatched")
            return "255.255.255.255"
        number, zone = _split_zone(host)
        found = self.getaddrinfo(number, None, family, socket.SOCK_DGRAM)[0][4][0]
        return f"{found}%{zone}" if zone else str(found)

    # ---- tables ----------------------------------------------------------------

    def _infos(self, name: str | None, zone: str, port: Any, wanted: tuple[int, int, int], flags: int) -> list[_Info]:
        """What the C library makes of a number."""
        ours = flags & _OURS if wanted[0] in _FAMILIES else 0
        found = _c_getaddrinfo(name, port, *wanted, flags & ~ours | _AI_NUMERICHOST * (name is not None))
        infos: list[_Info] = list(found)
        if zone:
            scope = int(zone) if zone.isdecimal() else self.if_nametoindex(zone)
            infos = [(*info[:4], (*info[4][:3], scope) if len(info[4]) == 4 else info[4]) for info in infos]
        if flags & _AI_CANONNAME and infos and name is not None:
            infos[0] = (*infos[0][:3], name, infos[0][4])
        return infos

    def _table(self) -> Iterator[tuple[str, str]]:
        """Names and addresses that are known without asking anybody."""
        for name, addresses in self.hosts.items():
            for address in [addresses] if isinstance(addresses, str) else addresses:
                yield name, str(address)
        yield from _parse_hosts(self._file("/etc/hosts"))
        for name in ("localhost", "ip6-localhost", self.gethostname()):
            for address in _LOOPBACK:
                if name != "ip6-localhost" or ":" in address:
                    yield name, address

    def _must_ask(self, host: str | bytes | None) -> bool:
        """Whether a name server has to be asked about a host."""
        name, _ = _split_zone(_text(host))
        if not name or _is_number(name):
            return False
        wanted = name.rstrip(".").lower()
        return not wanted.endswith("localhost") and not self._known(wanted) and self._has_servers()

    def _known(self, wanted: str) -> list[str]:
        """The addresses of a name in small letters that are known without asking anybody."""
        given = self.hosts.get(wanted)
        if given is not None:
            return [given] if isinstance(given, str) else list(map(str, given))
        return list(dict.fromkeys(address for other, address in self._table() if other.lower() == wanted))

    def _has_servers(self) -> bool:
        return bool(self.nameservers) or "nameserver" in self._file("/etc/resolv.conf")

    def _look_up(self, name: str, family: int) -> tuple[str, list[str]]:
        """The official name and all addresses of a name; gaierror."""
        wanted = name.rstrip(".").lower()
        if wanted.endswith(".localhost"):  # RFC 6761
            wanted = "localhost"
        known = self._known(wanted)
        canonical = name
        if not known:
            canonical, known = self._resolver(name).addresses(name, family)
        fitting = [address for address in known if _fits(address, family)]
        if not fitting:
            raise socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")
        return canonical, fitting

    def _names_of(self, address: str) -> list[str]:
        known = list(dict.fromkeys(name for name, other in self._table() if other == address))
        if known:
            return known
        try:
            return self._resolver(address).names(address)
        except socket.gaierror:
            return []

    def _resolver(self, name: str) -> Resolver:
        """Who asks the name servers; gaierror when there are none."""
        from liblinux._sockets.dns import Resolver, servers  # noqa: PLC0415 - dnspython is slow to import

        configured = servers(self.nameservers, self._file("/etc/resolv.conf"))
        if not configured.servers:
            said = f"Name or service not known: {name!r} is in no table of hosts, and there is no name server to ask"
            raise socket.gaierror(socket.EAI_NONAME, said)
        return Resolver(self.socket, configured, self._os._kernel.now)

    def _file(self, path: str) -> str:
        """A small file of the kernel's own file system, empty when there is none."""
        try:
            fd = self._os.open(path, self._os.O_RDONLY)
        except OSError:
            return ""
        try:
            parts = []
            while part := self._os.read(fd, 65536):
                parts.append(part)
        finally:
            self._os.close(fd)
        return b"".join(parts).decode("utf-8", "surrogateescape")

    def _sorted(self, addresses: Sequence[str]) -> list[str]:
        """Those first that there is a way to, else in the order that they came; IPv6 before IPv4. Source: RFC 6724."""
        unique = list(dict.fromkeys(addresses))
        if len({":" in address for address in unique}) < 2:
            return unique
        return sorted(unique, key=lambda address: (not self._reachable(address), ":" not in address))

    def _reachable(self, address: str) -> bool:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with self.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((address, 9))
        except OSError:
            return False
        return True


def _text(host: str | bytes | None) -> str | None:
    if host is None:
        return None
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii")
    if not isinstance(host, str):
        raise TypeError(f"getaddrinfo() argument 1 must be string or None, not {type(host).__name__}")
    # The same bytes as the standard library asks for, or its UnicodeError.
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _split_zone(host: str | None) -> tuple[Any, str]:
    if host is None or "%" not in host or ":" not in host:
        return host, ""
    number, _, zone = host.partition("%")
    return number, zone


def _fits(address: str, family: int) -> bool:
    return family == socket.AF_UNSPEC or (":" in address) == (family == socket.AF_INET6)


def _parse_hosts(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            yield name, address
