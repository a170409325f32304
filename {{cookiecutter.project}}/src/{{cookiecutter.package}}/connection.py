"""A connection to a host: by TCP, or through a proxy command, and never past its deadline."""

import errno
import os
import re
import socket
import subprocess
from contextlib import suppress
from time import monotonic

from .failures import Failure, plain
from .targets import Target

TOO_LATE = "no answer in time: check the address, look at the host, or raise --timeout"


class Connection:
    """The socket that paramiko gets. After the time `end` it looks closed to whoever reads.

    It keeps the beginning of what it receives: paramiko tells neither a server's greeting nor what
    it offers. It also reads all that is there, where paramiko asks for a packet in three pieces.
    """

    def __init__(self, target: Target, end: float) -> None:
        """Connect before the time `end` of time.monotonic(). Raises Failure."""
        self.end = end
        self.heard = b""
        self._unread = b""
        self._closed = False  # paramiko looks at it, as at that of a socket
        self._command = target.proxy
        self._proxy: subprocess.Popen[bytes] | None = None
        self._socket = self._through(target.proxy) if target.proxy else _direct(target, end)

    def recv(self, size: int) -> bytes:
        """Receive as a socket does."""
        if not self._unread:
            self._socket.settimeout(max(0.001, self.end - monotonic()))
            with suppress(TimeoutError):
                self._unread = self._socket.recv(65536)
            if len(self.heard) < 8192:
                self.heard += self._unread
        received, self._unread = self._unread[:size], self._unread[size:]
        return received

    def send(self, data: bytes) -> int:
        """Send as a socket does. Raises EOFError after the deadline."""
        if monotonic() > self.end:
            raise EOFError
        return self._socket.send(data)

    def settimeout(self, seconds: float) -> None:
        """Wait until the deadline all the same: paramiko would wake up ten times a second."""

    def close(self) -> None:
        """Close the socket: for paramiko's thread, which reads from it, and for no other."""
        self._socket.close()
        self._closed = True

    def close_down(self) -> None:
        """End the connection. Whoever reads finds its end, and closes it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._proxy:
            self._proxy.kill()
            self._proxy.wait()

    def offers(self) -> tuple[list[str], list[str]]:
        """Return the key exchanges and host keys on offer: RFC 4253, sections 4.2 and 7.1."""
        packet = self.heard[self.heard.find(b"\n", self.heard.find(b"SSH-")) + 1 :]
        found, rest = [], packet[22:]  # after length, padding, type and cookie
        for _ in range(2):
            size = 4 + int.from_bytes(rest[:4], "big")
            found.append(rest[4:size].decode("ascii", "replace").split(","))
            rest = rest[size:]
        return found[0], found[1]

    def incompatible(self) -> Failure:
        """Return what a server offers where nothing is in common, and what to do about it."""
        kex, host_keys = self.offers()
        kex = [name for name in kex if not name.startswith(("ext-", "kex-"))]
        advice = "a newer paramiko may have one of them"
        # What paramiko 5 has no more, and paramiko 4 still has.
        if all(map(re.compile(".*-sha1$").match, kex)) or {*host_keys} <= {"ssh-rsa", "ssh-dss"}:
            advice = "an old device, SHA-1 only, needs a project made with legacy_ssh=yes"
        listed = plain(f"{', '.join(kex[:6])}; host keys {', '.join(host_keys[:6])}")
        return Failure("crypto", f"no algorithm in common, it offers {listed}: {advice}")

    def broken(self) -> Failure:
        """Return why there was no handshake: silence, no way through, or no SSH."""
        if self._proxy and not self.heard:
            return Failure("no-ssh", f"no way through, try it: {self._command}")
        if monotonic() >= self.end and (not self.heard or self.heard.startswith(b"SSH-")):
            return Failure("timeout", TOO_LATE)
        greeting = plain(self.heard.partition(b"\n")[0].decode("utf-8", "replace"))[:80]
        advice = "check the port; if the server is too busy, lower --workers"
        return Failure("no-ssh", f"it broke off, after it said {greeting!r}: {advice}")

    def _through(self, command: str) -> socket.socket:
        """Start a proxy command in a shell, as ssh does."""
        if os.name != "posix":
            raise Failure("config", "ProxyCommand and ProxyJump need Linux or macOS")
        shell = [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"]
        ours, theirs = socket.socketpair()
        with theirs:
            end = theirs.fileno()
            self._proxy = subprocess.Popen(shell, stdin=end, stdout=end, stderr=subprocess.DEVNULL)
        return ours


def _direct(target: Target, end: float) -> socket.socket:
    """Connect to the first address that answers; each gets its share of the time."""
    try:
        addresses = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Failure("dns", f"the name does not resolve ({error}): check its spelling") from None
    failed: OSError = TimeoutError()
    for tried, (*kind, _, address) in enumerate(addresses):
        left = max(0.001, end - monotonic()) / (len(addresses) - tried)
        try:
            connection = socket.socket(*kind)
            connection.settimeout(min(left, float(target.settings.get("conn_timeout") or left)))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            failed = error
    if isinstance(failed, TimeoutError):
        raise Failure("timeout", TOO_LATE)
    if failed.errno in (errno.EMFILE, errno.ENFILE):
        raise Failure("config", f"{failed.strerror}: lower --workers, or raise ulimit -n")
    raise Failure("refused", f"{failed.strerror}: check address, port and route")
