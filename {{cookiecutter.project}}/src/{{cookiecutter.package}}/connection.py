"""A connection to a host: by TCP, or through a proxy command, and never past its deadline."""

import errno
import os
import re
import socket
import subprocess
import tempfile
from contextlib import suppress
from time import monotonic

from .failures import Failure, last_line, plain
from .targets import Target

TOO_LATE = "no answer in time: look at the host, or raise --timeout"
# What paramiko 5 has no more, and paramiko 4 still has.
_SHA1 = {"kex": r".*-sha1$", "host key": r"ssh-(rsa|dss)$", "cipher": r"$."}


class Connection:
    """The socket that paramiko gets. After the time `end` it looks closed to whoever reads.

    It keeps the beginning of what it receives: paramiko tells neither a server's greeting nor what
    it offers. It also reads all that is there, where paramiko asks for a packet in three pieces.
    """

    def __init__(self, target: Target, end: float) -> None:
        """Connect before the time `end` of time.monotonic(). Raises Failure."""
        self.heard = b""
        self._unread = b""
        self._closed = False  # paramiko looks at it, as at that of a socket
        self._end = end
        self._proxy: subprocess.Popen[bytes] | None = None
        self._socket = self._proxied(target.proxy) if target.proxy else _direct(target, end)

    def recv(self, size: int) -> bytes:
        """Receive as a socket does."""
        if not self._unread:
            self._socket.settimeout(max(0.001, self._end - monotonic()))
            with suppress(TimeoutError):
                self._unread = self._socket.recv(65536)
            if len(self.heard) < 8192:
                self.heard += self._unread
        received, self._unread = self._unread[:size], self._unread[size:]
        return received

    def send(self, data: bytes) -> int:
        """Send as a socket does. Raises EOFError after the deadline."""
        if monotonic() > self._end:
            raise EOFError
        return self._socket.send(data)

    def settimeout(self, seconds: float) -> None:
        """Wait until the deadline all the same: paramiko would wake up ten times a second."""

    def close(self) -> None:
        """Close the socket: for paramiko's thread, which reads from it, and for no other."""
        self._socket.close()
        self._closed = True

    def end(self) -> None:
        """End the connection. Whoever reads finds its end, and closes it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._proxy:
            self._proxy.kill()
            self._proxy.wait()

    def offers(self) -> dict[str, list[str]]:
        """Return the algorithms that the server offers: RFC 4253, sections 4.2 and 7.1."""
        packet = self.heard[self.heard.find(b"\n", self.heard.find(b"SSH-")) + 1 :]
        found, at = {}, 22  # after length, padding, type and cookie
        for name in _SHA1 if packet[5:6] == b"\x14" else ():  # SSH_MSG_KEXINIT
            size = int.from_bytes(packet[at : at + 4], "big")
            found[name] = packet[at + 4 : at + 4 + size].decode("ascii", "replace").split(",")
            at += 4 + size
        return found

    def incompatible(self, said: str) -> Failure:
        """Return what a server offers where nothing is in common, and what to do about it."""
        name = next((name for name in _SHA1 if name in said), "kex")
        offered = [plain(a) for a in self.offers().get(name, []) if not re.match("ext-|kex-", a)]
        if offered and all(re.match(_SHA1[name], algorithm) for algorithm in offered):
            advice = "an old device, SHA-1 only, needs a project made with legacy_ssh=yes"
        else:
            advice = "a newer paramiko may have one of them, or the server may offer more"
        listed = ", ".join(offered[:6]) or "nothing"
        return Failure("crypto", f"no {name} algorithm in common, it offers {listed}: {advice}")

    def broken(self) -> Failure:
        """Return why there was no handshake: silence, no way through, no SSH, or a hang-up."""
        if monotonic() >= self._end and (not self.heard or self.heard.startswith(b"SSH-")):
            return Failure("timeout", TOO_LATE)
        if self._proxy and not self.heard:
            code = self._proxy.poll()
            self._said.seek(0)
            said = last_line(self._said.read().decode("utf-8", "replace")) or f"exit code {code}"
            kind = "config" if code == 127 else "no-ssh"  # 127: the shell found no such program
            return Failure(kind, f"no way through ({said}); try it: {self._command}")
        greeting = plain(self.heard.partition(b"\n")[0].decode("utf-8", "replace"))[:80]
        if not greeting:
            reason = "it closed the connection: a busy server, or one that lets only some in"
            return Failure("no-ssh", f"{reason}; check the port, lower --workers")
        if greeting.startswith("SSH-"):
            return Failure("no-ssh", f"{greeting} broke off the key exchange: try again")
        return Failure("no-ssh", f"no SSH server there, it says {greeting!r}: check the port")

    def _proxied(self, command: str) -> socket.socket:
        """Start the command in a shell, as ssh does."""
        if os.name != "posix":
            raise Failure("config", "ProxyCommand and ProxyJump need Linux or macOS")
        self._command = command
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection
        ours, theirs = socket.socketpair()
        with theirs:
            shell, end = os.environ.get("SHELL") or "/bin/sh", theirs.fileno()
            exec_it = [shell, "-c", f"exec {command}"]
            self._proxy = subprocess.Popen(exec_it, stdin=end, stdout=end, stderr=self._said)
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
        raise Failure("timeout", "no answer in time: check the address, or raise --timeout")
    if isinstance(failed, ConnectionRefusedError):
        raise Failure("refused", "nothing listens there: check address and port")
    if failed.errno in (errno.EMFILE, errno.ENFILE):
        raise Failure("config", f"{failed.strerror}: lower --workers, or raise ulimit -n")
    raise Failure("refused", f"unreachable ({failed.strerror}): check address and route")
