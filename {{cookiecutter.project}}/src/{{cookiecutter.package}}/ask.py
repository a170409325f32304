"""One command on one host, in bounded time: connect, check the host key, log in, ask.

Each step knows what can fail in it. Only what comes before authentication is tried again: a login
that was refused twice may lock the account.
"""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from .authentication import authenticate
from .connection import TOO_LATE, Connection
from .devices import DEVICES
from .failures import Failure, last_line
from .targets import Target

# Without a handler, paramiko's threads would print their tracebacks.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

MOST = 1_000_000
"""Characters of an answer. A host that prints more is not asked for the right thing."""
_PAUSES = (0.2, 0.4, 0.8, 1.6, 0)  # seconds before the next try at a server that is too busy
_FAST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")  # no separate MAC to compute


@dataclass(frozen=True)
class Session:
    """A host that let us in, until the time `end` of time.monotonic()."""

    target: Target
    end: float
    transport: paramiko.Transport
    algorithms: tuple[str, str, str]
    """Key exchange, host key and cipher that were agreed on."""

    def left(self) -> float:
        """Return the seconds that are left, a little more than 0 when there are none."""
        return max(0.001, self.end - monotonic())

    def run(self, command: str) -> str:
        """Run a command and return what it prints. Raises Failure."""
        device = DEVICES.get(self.target.device_type)
        try:
            if device and device.unix:
                return self._exec(command)
            from .device_shell import send_command  # netmiko takes 0.2 s: only where it is needed

            return send_command(self, command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            reason = last_line(str(error)) or "the session broke off"
            raise Failure("command", f"logged in, but {command!r} failed: {reason}") from error

    def _exec(self, command: str) -> str:
        """Run a command as `ssh HOST COMMAND` does: with any shell, and any prompt or none."""
        channel = self.transport.open_session(timeout=self.left())
        channel.settimeout(self.left())
        channel.set_combine_stderr(True)
        channel.exec_command(command)
        answer = b""
        while received := channel.recv(65536):
            answer += received
            if len(answer) > MOST:
                raise Failure(
                    "parse", f"{command!r} is answered without end: check the device type"
                )
        if channel.recv_exit_status() < 0 and not self.transport.is_active():
            raise EOFError
        return answer.decode("utf-8", "replace")


def ask(target: Target, command: str, timeout: float = 30.0) -> str:
    """Log in to a host, run a command and return what it prints. Raises Failure.

    All of it takes at most `timeout` seconds. The command is run once, or not at all.
    """
    with login(target, timeout) as session:
        return session.run(command)


@contextmanager
def login(target: Target, timeout: float) -> Iterator[Session]:
    """Log in, and out after the block; all of it takes at most `timeout` seconds.

    Raises Failure, also for what the block raises because the time was over.
    """
    end = monotonic() + timeout
    connection = None
    try:
        for pause in _PAUSES:
            connection = Connection(target, end)
            try:
                session = _handshake(target, connection)
                break
            except Failure as failure:
                if failure.kind != "no-ssh" or not pause or monotonic() + 2 * pause > end:
                    raise
            connection.close_down()
            sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads hosts, no secret
        authenticate(session.transport, target)
        yield session
    except Exception as error:
        told = isinstance(error, Failure) and error.kind in ("no-prompt", "no-ssh")
        if monotonic() >= end and not told:
            raise Failure("timeout", TOO_LATE) from error
        raise
    finally:
        if connection:
            connection.close_down()


def _handshake(target: Target, connection: Connection) -> Session:
    """Agree on algorithms and check the host key. Raises Failure."""
    trust, blocked = target.trust, target.settings.get("disabled_algorithms")
    transport = paramiko.Transport(connection, disabled_algorithms=blocked)  # type: ignore[arg-type]
    options = transport.get_security_options()
    options.ciphers = sorted(options.ciphers, key=lambda name: name not in _FAST)
    known = {line.kind.replace("ssh-rsa", "rsa-sha2-512") for line in trust.lines}
    options.key_types = sorted(options.key_types, key=lambda name: name not in known)
    kex, left = options.kex, max(0.001, connection.end - monotonic())
    transport.daemon = True
    transport.banner_timeout = transport.handshake_timeout = left
    transport.auth_timeout = transport.channel_timeout = left
    try:
        transport.start_client(timeout=left)
        key = transport.get_remote_server_key()
    except IncompatiblePeer:
        raise connection.incompatible() from None
    except Exception as error:  # paramiko lets out what a broken packet raises in it
        raise connection.broken() from error
    trust.judge(key)
    offered, _ = connection.offers()
    agreed = next((name for name in kex if name in offered), "")  # the client's first
    algorithms = (agreed, str(transport.host_key_type), transport.local_cipher)
    return Session(target, connection.end, transport, algorithms)
