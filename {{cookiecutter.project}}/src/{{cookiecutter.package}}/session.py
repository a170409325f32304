"""An SSH login in bounded time: connect, agree on algorithms, check the host key, authenticate.

Each step knows what can fail in it. Only what comes before authentication is tried again: a login
that was refused twice may lock the account.
"""

import logging
import random
import time
from types import TracebackType
from typing import Self

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from .authentication import authenticate
from .connection import TOO_LATE, Connection
from .devices import DEVICES
from .failures import Failure
from .targets import Target

# Without a handler, paramiko's threads would print their tracebacks.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

MOST = 1_000_000
"""Characters of an answer. A host that prints more is not asked for the right thing."""
_PAUSES = (0.2, 0.4, 0.8, 1.6, 0)  # seconds before the next try at a server that is too busy
_FAST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")  # no separate MAC to compute


class Session:
    """A login to one host, for a `with` block. What it learns is there after a failure too."""

    def __init__(self, target: Target, timeout: float) -> None:
        """Plan a login that ends, with all that is done in it, after `timeout` seconds."""
        self.target = target
        self.end = time.monotonic() + timeout
        self.transport: paramiko.Transport
        self.learned = ""
        """The known_hosts line of a key that was accepted on first use."""
        self.algorithms = ("", "", "")
        """Key exchange, host key and cipher that were agreed on."""
        self.accepted = False
        """Whether the host let us in."""
        self._connection: Connection | None = None

    def left(self) -> float:
        """Return the seconds that are left, a little more than 0 when there are none."""
        return max(0.001, self.end - time.monotonic())

    def __enter__(self) -> Self:
        """Log in. Raises Failure."""
        device = DEVICES.get(self.target.device_type)
        try:
            self._connect()
            user = self.target.username + (device.login if device else "")
            authenticate(self.transport, self.target, user)
            self.accepted = True
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the connection. Raises Failure for what was raised because the time was over."""
        self._end()
        told = isinstance(error, Failure) and error.kind in ("no-prompt", "no-ssh")
        if time.monotonic() >= self.end and isinstance(error, Exception) and not told:
            raise Failure("timeout", TOO_LATE) from error

    def _end(self) -> None:
        if self._connection:
            self._connection.end()

    def _connect(self) -> None:
        """Connect and agree on algorithms; a server that breaks off is tried again."""
        for pause in _PAUSES:
            try:
                self._connection = Connection(self.target, self.end)
                self._handshake(self._connection)
                return
            except Failure as failure:
                if failure.kind != "no-ssh" or not pause or self.left() < 2 * pause:
                    raise
            self._end()
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads hosts, no secret

    def _handshake(self, connection: Connection) -> None:
        """Agree on algorithms and check the host key. Raises Failure."""
        trust, blocked = self.target.trust, self.target.settings.get("disabled_algorithms")
        transport = paramiko.Transport(connection, disabled_algorithms=blocked)  # type: ignore[arg-type]
        options = transport.get_security_options()
        options.ciphers = sorted(options.ciphers, key=lambda name: name not in _FAST)
        known = {line.kind.replace("ssh-rsa", "rsa-sha2-512") for line in trust.lines}
        options.key_types = sorted(options.key_types, key=lambda name: name not in known)
        kex = options.kex
        transport.daemon = True
        transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = self.left()
        try:
            transport.start_client(timeout=self.left())
            key = transport.get_remote_server_key()
        except IncompatiblePeer as error:
            raise connection.incompatible(str(error)) from None
        except Exception as error:  # paramiko lets out what a broken packet raises in it
            raise connection.broken() from error
        offered = connection.offers().get("kex", [])
        agreed = next((name for name in kex if name in offered), "")  # the client's first
        self.algorithms = (agreed, str(transport.host_key_type), transport.local_cipher)
        self.learned = trust.judge(key.get_name(), key.get_base64())
        self.transport = transport
