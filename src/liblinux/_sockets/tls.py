"""`kernel.ssl`: the standard library's TLS over sockets of a kernel.

OpenSSL would use a descriptor of the host; so it is given two buffers in memory, and
what it wants to send and to receive goes through the socket. Checks of certificates,
protocol versions and all else are its own and those of the context.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

from liblinux._sockets.sock import Socket
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, Self

    from typing_extensions import Buffer

    from liblinux._sockets.address import Address

__all__ = ["KernelContext", "SslModule", "TlsSocket"]

_BLOCK_BYTES = 256 * 1024
_HEADER_BYTES = 5  # of a record: type, version, length of the rest (RFC 8446, 5.1)


class TlsSocket(Socket):
    """A TLS connection over a socket of a kernel, with the methods of `ssl.SSLSocket`; made by wrap_socket()."""

    context: ssl.SSLContext
    server_side: bool
    server_hostname: str | bytes | None
    do_handshake_on_connect: bool
    suppress_ragged_eofs: bool
    _session: ssl.SSLSession | None
    _sslobj: ssl.SSLObject | None = None
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _unsent = memoryview(b"")  # encrypted, and not taken by the socket yet
    _accepted = 0  # bytes of a write() that is not over
    _header = b""  # as much as has come of a record's
    _record_left = 0  # bytes of a record that are still to come

    @classmethod
    def _wrap(
        cls,
        context: ssl.SSLContext,
        sock: Socket,
        server_side: bool,
        do_handshake_on_connect: bool,
        suppress_ragged_eofs: bool,
        server_hostname: str | bytes | None,
        session: ssl.SSLSession | None,
    ) -> TlsSocket:
        """Take a socket over; it is closed afterwards, as one that SSLSocket takes over is."""
        if sock.type != socket.SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        if server_side and server_hostname is not None:
            raise ValueError("server_hostname can only be specified in client mode")
        bound: Any = type("TlsSocket", (cls,), {"_module": sock._module, "__module__": __name__})
        timeout = sock.gettimeout()
        self: TlsSocket = bound(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self.context = context
        self.server_side = server_side
        self.server_hostname = server_hostname
        self.do_handshake_on_connect = do_handshake_on_connect
        self.suppress_ragged_eofs = suppress_ragged_eofs
        self._session = session
        try:
            self.settimeout(timeout)
            if self._is_connected():
                self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _is_connected(self) -> bool:
        try:
            self.getpeername()
        except OSError:
            return False
        return True

    def _start(self) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._sslobj = self.context.wrap_bio(
            self._incoming, self._outgoing, self.server_side, self.server_hostname, self._session
        )
        if self.do_handshake_on_connect:
            if self.gettimeout() == 0:
                raise ValueError("do_handshake_on_connect should not be specified for non-blocking sockets")
            self.do_handshake()

    # ---- between OpenSSL and the socket ----------------------------------------

    def _object(self) -> ssl.SSLObject:
        if self._sslobj is None:
            raise ValueError("the TLS connection has not begun, or has ended")
        return self._sslobj

    def _perform(self, function: Callable[..., Any], *args: Any) -> Any:
        """Let OpenSSL do something, and carry bytes to and fro until it can. Its last words are still to be sent.

        Of a socket that does not wait: SSLWantReadError, SSLWantWriteError, and all can be called again.
        """
        while True:
            try:
                return function(*args)
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError:
                self._flush_quietly()  # the alert, which says why
                raise

    def _flush(self) -> None:
        """Send what OpenSSL has for the other end; SSLWantWriteError keeps what could not go."""
        while self._outgoing.pending or self._unsent:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            try:
                sent = super().send(self._unsent)
            except BlockingIOError:
                raise ssl.SSLWantWriteError(
                    ssl.SSL_ERROR_WANT_WRITE, "The operation did not complete (write)"
                ) from None
            self._unsent = self._unsent[sent:]

    def _flush_quietly(self) -> None:
        """Send what can go now; the rest goes with the next call, and so does the failure."""
        if self._outgoing.pending or self._unsent:
            with contextlib.suppress(OSError):
                self._flush()

    def _fill(self) -> None:
        """Receive one record for OpenSSL, and nothing behind it: after unwrap() that would be in clear."""
        while True:
            wanted = self._record_left or _HEADER_BYTES - len(self._header)
            try:
                data = super().recv(wanted)
            except BlockingIOError:
                raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete (read)") from None
            if not data:
                self._incoming.write_eof()
                return
            self._incoming.write(data)
            if self._record_left:
                self._record_left -= len(data)
                if not self._record_left:
                    return
                continue
            self._header += data
            if len(self._header) == _HEADER_BYTES:
                self._record_left = int.from_bytes(self._header[3:], "big")
                self._header = b""

    # ---- the methods of SSLSocket ----------------------------------------------

    def do_handshake(self, block: bool = False) -> None:
        """Agree with the other end, and check its certificate; SSLError, SSLCertVerificationError."""
        timeout = self.gettimeout()
        if block and timeout == 0:
            self.settimeout(None)
        try:
            self._perform(self._object().do_handshake)
            self._flush()
        finally:
            if block and timeout == 0:
                self.settimeout(timeout)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """Decrypted bytes, at most `len`; or their count, when they go into `buffer`."""
        sslobj = self._object()
        try:
            result = self._perform(sslobj.read, len) if buffer is None else self._perform(sslobj.read, len, buffer)
        except ssl.SSLZeroReturnError:
            return b"" if buffer is None else 0
        except ssl.SSLEOFError:
            if not self.suppress_ragged_eofs:
                raise
            return b"" if buffer is None else 0
        self._flush_quietly()
        return result

    def write(self, data: Buffer) -> int:
        """Encrypt and send some of it; returns how many bytes.

        After SSLWantWriteError or TimeoutError they are encrypted already: the same
        call again sends the rest, as OpenSSL has it.
        """
        if not self._accepted:
            with memoryview(data) as view, view.cast("B") as octets:
                self._accepted = self._perform(self._object().write, octets[:_BLOCK_BYTES])
        self._flush()
        written, self._accepted = self._accepted, 0
        return written

    def recv(self, bufsize: int = 1024, flags: int = 0, /) -> bytes:
        """Like read()."""
        if self._sslobj is None:
            return super().recv(bufsize, flags)
        self._no_flags("recv", flags)
        data: bytes = self.read(bufsize)
        return data

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Like read() into a buffer."""
        if self._sslobj is None:
            return super().recv_into(buffer, nbytes, flags)
        self._no_flags("recv_into", flags)
        with memoryview(buffer) as view, view.cast("B") as octets:
            wanted = nbytes or len(octets)
            count: int = self.read(wanted, octets) if wanted else 0
            return count

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Like write()."""
        if self._sslobj is None:
            return super().send(data, flags)
        self._no_flags("send", flags)
        return self.write(data)

    def sendall(self, data: Buffer, flags: int = 0, /) -> None:
        """Encrypt and send all."""
        if self._sslobj is None:
            super().sendall(data, flags)
            return
        self._no_flags("sendall", flags)
        with memoryview(data) as view, view.cast("B") as octets:
            done = 0
            while done < len(octets):
                done += self.write(octets[done:])

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Encrypt and send a file."""
        if self._sslobj is None:
            return super().sendfile(file, offset, count)
        return self._sendfile_use_send(file, offset, count)

    def pending(self) -> int:
        """Decrypted bytes that are there already."""
        return 0 if self._sslobj is None else self._sslobj.pending()

    def connect(self, address: Address, /) -> None:
        """Connect and, unless it was told not to, do the handshake."""
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._sslobj is not None:
            raise ValueError("attempt to connect already-connected TlsSocket!")
        super().connect(address)
        self._start()

    def accept(self) -> tuple[Self, Address]:
        """Wait for a connection; the socket that comes is a TLS one of the same context."""
        fd, raw = self._accept()
        plain = self._module.socket(self._family, self._type, self.proto, fileno=fd)
        options = (self.do_handshake_on_connect, self.suppress_ragged_eofs, None, None)
        return self._wrap(self.context, plain, True, *options), self._decode(self._module, raw)  # type: ignore[return-value]

    def unwrap(self) -> Socket:
        """End the TLS connection in order; the plain socket comes back."""
        self._perform(self._object().unwrap)
        self._flush()
        self._sslobj = None
        timeout = self.gettimeout()
        plain = self._module.socket(self._family, self._type, self.proto, fileno=self.detach())
        plain.settimeout(timeout)
        return plain

    def shutdown(self, how: int, /) -> None:
        """End it without a word to the other end."""
        self._sslobj = None
        super().shutdown(how)

    def verify_client_post_handshake(self) -> None:
        """Ask the client for its certificate (TLS 1.3)."""
        self._perform(self._object().verify_client_post_handshake)
        self._flush()

    # ---- what is known ---------------------------------------------------------

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The certificate of the other end."""
        return self._object().getpeercert(binary_form)

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, protocol and secret bits of the cipher in use."""
        return None if self._sslobj is None else self._sslobj.cipher()

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """The ciphers that both ends have."""
        return None if self._sslobj is None else self._sslobj.shared_ciphers()

    def compression(self) -> str | None:
        """The compression in use."""
        return None if self._sslobj is None else self._sslobj.compression()

    def version(self) -> str | None:
        """The protocol in use, as "TLSv1.3"."""
        return None if self._sslobj is None else self._sslobj.version()

    def selected_alpn_protocol(self) -> str | None:
        """What both ends have agreed to talk."""
        return None if self._sslobj is None else self._sslobj.selected_alpn_protocol()

    def selected_npn_protocol(self) -> None:
        """None: it is gone from TLS."""

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """Data that only these two ends of this connection know."""
        return None if self._sslobj is None else self._sslobj.get_channel_binding(cb_type)

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session, for wrap_socket() of a later connection."""
        return None if self._sslobj is None else self._sslobj.session

    @property
    def session_reused(self) -> bool | None:
        """Whether an earlier session was continued."""
        return None if self._sslobj is None else self._sslobj.session_reused

    # ---- what TLS has not ------------------------------------------------------

    def _no_flags(self, function: str, flags: int) -> None:
        if flags:
            raise ValueError(f"non-zero flags not allowed in calls to {function}() on {type(self).__name__}")

    def _refuse(self, function: str) -> NoReturn:
        raise ValueError(f"{function} not allowed on instances of {type(self).__name__}")

    def recvfrom(self, bufsize: int = 1024, flags: int = 0, /) -> tuple[bytes, Address]:
        """Refused, as by SSLSocket."""
        return self._refuse("recvfrom") if self._sslobj is not None else super().recvfrom(bufsize, flags)

    def recvfrom_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> tuple[int, Address]:
        """Refused, as by SSLSocket."""
        return (
            self._refuse("recvfrom_into") if self._sslobj is not None else super().recvfrom_into(buffer, nbytes, flags)
        )

    def sendto(self, data: Buffer, *rest: Any) -> int:
        """Refused, as by SSLSocket."""
        return self._refuse("sendto") if self._sslobj is not None else super().sendto(data, *rest)

    def sendmsg(self, *args: Any) -> int:
        """Refused, as by SSLSocket."""
        self._refuse("sendmsg")

    def recvmsg(self, *args: Any) -> NoReturn:
        """Refused, as by SSLSocket."""
        self._refuse("recvmsg")

    def recvmsg_into(self, *args: Any) -> NoReturn:
        """Refused, as by SSLSocket."""
        self._refuse("recvmsg_into")

    def dup(self) -> NoReturn:
        """Refused, as by SSLSocket."""
        raise NotImplementedError(f"Can't dup() {type(self).__name__} instances")


class KernelContext(ssl.SSLContext):
    """An `ssl.SSLContext` whose wrap_socket() takes sockets of a kernel as well."""

    def wrap_socket(
        self,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> Any:
        """A TLS connection over a socket: a :class:`TlsSocket` for one of a kernel."""
        if isinstance(sock, Socket):
            options = (do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session)
            return TlsSocket._wrap(self, sock, server_side, *options)
        return super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
        )


class SslModule:
    """The standard library's `ssl`, whose contexts take sockets of a kernel."""

    SSLContext = KernelContext
    SSLSocket = TlsSocket

    def __getattr__(self, name: str) -> Any:
        return getattr(ssl, name)

    def __repr__(self) -> str:
        return "<liblinux ssl>"

    def create_default_context(
        self,
        purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
        *,
        cafile: str | None = None,
        capath: str | None = None,
        cadata: str | bytes | None = None,
    ) -> KernelContext:
        """A context with the settings of `ssl.create_default_context()`; certificates come from the host's files."""
        model = ssl.create_default_context(purpose, cafile=cafile, capath=capath, cadata=cadata)
        context = KernelContext(model.protocol)
        context.check_hostname = False  # else verify_mode could not be set
        if model.keylog_filename:
            context.keylog_filename = model.keylog_filename
        for name in ("options", "verify_mode", "verify_flags", "check_hostname"):
            setattr(context, name, getattr(model, name))
        _load(context, purpose, (cafile, capath, cadata))
        return context


def _load(context: ssl.SSLContext, purpose: ssl.Purpose, given: tuple[Any, Any, Any]) -> None:
    if any(given):
        context.load_verify_locations(*given)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs(purpose)
