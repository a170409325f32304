"""From a target to a connected socket: by TCP, or through a proxy command as ssh does it."""

import errno
import os
import socket
import subprocess
import tempfile
import time
from contextlib import suppress

from .failures import Failure, last_line
from .targets import Target


class Connection:
    """A socket to a host, and the proxy command behind it, if there is one."""

    def __init__(self, target: Target, end: float) -> None:
        """Connect before the time `end` of time.monotonic(). Raises Failure."""
        self.target = target
        self._proxy: subprocess.Popen[bytes] | None = None
        self.socket = self._proxied() if target.proxy else _direct(target, end)

    def close(self) -> None:
        """End the connection so that paramiko's thread sees it at once, not after its 0.1 s."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self._proxy:
            self._proxy.kill()
            self._proxy.wait()

    def _proxied(self) -> socket.socket:
        """Start the command in a shell; paramiko's own ProxyCommand spins when it ends."""
        if os.name != "posix":
            raise Failure("config", "ProxyCommand and ProxyJump need Linux or macOS")
        ours, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection
        command = [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {self.target.proxy}"]
        with theirs:
            end = theirs.fileno()
            self._proxy = subprocess.Popen(command, stdin=end, stdout=end, stderr=self._said)
        return ours

    def proxy_failure(self) -> Failure | None:
        """Return why there is no way through the proxy command, if there is one."""
        if not self._proxy:
            return None
        code = self._proxy.poll()
        self._said.seek(0)
        said = last_line(self._said.read().decode("utf-8", "replace")) or f"exit code {code}"
        kind = "config" if code == 127 else "no-ssh"  # 127: the shell found no such program
        return Failure(kind, f"no way through ({said}); try it: {self.target.proxy}")


def _direct(target: Target, end: float) -> socket.socket:
    """Connect to the first address that answers; each gets its share of the time."""
    try:
        addresses = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Failure("dns", f"the name does not resolve ({error}): check its spelling") from None
    failed: OSError = TimeoutError()
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        left = max(0.001, end - time.monotonic()) / (len(addresses) - tried)
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:
            failed = error
            continue
        try:
            connection.settimeout(min(left, float(target.settings.get("conn_timeout") or left)))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            connection.close()
            failed = error
    raise _unreachable(failed)


def _unreachable(error: OSError) -> Failure:
    if isinstance(error, TimeoutError):
        return Failure("timeout", "no answer in time: check the address, or raise --timeout")
    if isinstance(error, ConnectionRefusedError):
        return Failure("refused", "nothing listens there: check address and port")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Failure("config", f"{error.strerror}: lower --workers, or raise ulimit -n")
    return Failure("refused", f"unreachable ({error.strerror}): check address and route")
