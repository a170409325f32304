"""One SSH session: the check of the host key, one command, all in bounded time."""

import functools
import logging
import random
import re
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import paramiko
from netmiko import ssh_dispatcher
from netmiko.base_connection import BaseConnection
from netmiko.channel import SSHChannel
from netmiko.exceptions import ReadException

from .devices import DEVICES
from .failures import Failure, explain
from .hostkeys import Trust

# Without a handler, paramiko's threads would print their tracebacks.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

clock = time.monotonic
_PAUSES = (0.2, 0.4, 0.8, 1.6)  # seconds before the next try at a server that is too busy


@dataclass(frozen=True, slots=True)
class Target:
    """A host: netmiko's settings for it, what known_hosts says, and ssh_config's ProxyCommand."""

    name: str
    settings: dict[str, Any] = field(repr=False)
    trust: Trust
    proxy: str | None = None


class Policy(paramiko.MissingHostKeyPolicy):
    """Judges every host key, as paramiko itself is given none to know."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.learned = ""

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        self.learned = self.trust.judge(key.get_name(), key.get_base64())


class Channel(SSHChannel):
    """netmiko's channel, which notices that the other side is gone."""

    def read_channel(self) -> str:
        output = super().read_channel()
        if not output and self.remote_conn is not None and self.remote_conn.closed:
            raise ReadException("the device closed the session")
        return output


class Session(BaseConnection):
    """Goes before a netmiko driver, and gives it our way to check a key and to end."""

    def __init__(self, policy: Policy, **settings: Any) -> None:
        self._policy = policy
        super().__init__(**settings)

    def _build_ssh_client(self) -> paramiko.SSHClient:
        client = self._get_ssh_client_instance()
        client.set_missing_host_key_policy(self._policy)
        return client

    def _connect_params_dict(self) -> dict[str, Any]:
        own = {"look_for_keys": False, "transport_factory": self._transport}
        return super()._connect_params_dict() | own

    def _transport(self, *args: Any, **kwargs: Any) -> paramiko.Transport:
        """Asks first for host keys of the kinds that are known."""
        transport = paramiko.Transport(*args, **kwargs)
        kinds = {line.kind.replace("ssh-rsa", "rsa-sha2-512") for line in self._policy.trust.lines}
        security = transport.get_security_options()
        security.key_types = sorted(security.key_types, key=lambda kind: kind not in kinds)
        return transport

    def special_login_handler(self, delay_factor: float = 1.0) -> None:
        self.channel = Channel(cast("paramiko.Channel", self.remote_conn), self.encoding)
        super().special_login_handler(delay_factor)

    def cleanup(self, command: str = "") -> None:
        if DEVICES[self.device_type].restores:  # elsewhere it costs round trips for nothing
            super().cleanup()

    def paramiko_cleanup(self) -> None:
        hang_up(cast("socket.socket", self.sock))
        super().paramiko_cleanup()


@functools.cache
def _driver(device_type: str) -> type[Session]:
    return type("Session", (Session, ssh_dispatcher(device_type)), {})


def hang_up(connection: socket.socket) -> None:
    """End a connection so that paramiko's thread sees it at once, not after its 0.1 s."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def ask(target: Target, policy: Policy, timeout: float) -> str:
    """Log in to a host and return what its uptime command prints.

    Raises Failure, within twice `timeout` seconds.
    """
    started = clock()
    for pause in (*_PAUSES, 0):
        try:
            return _attempt(target, policy, timeout)
        except Failure as failure:
            if failure.kind != "no-ssh" or not pause or clock() - started > timeout / 2:
                raise
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads hosts, no secret
    raise AssertionError


def _attempt(target: Target, policy: Policy, timeout: float) -> str:
    device_type, session, started = target.settings["device_type"], None, clock()
    if device_type not in DEVICES:
        raise Failure("config", f"device type {device_type!r} is not one of {', '.join(DEVICES)}")
    # The timer ends the session; what netmiko and paramiko allow themselves comes later.
    late = dict.fromkeys(("conn_timeout", "banner_timeout", "auth_timeout"), 2 * timeout)
    try:
        with _connected(target, timeout) as connection:
            timer, started = threading.Timer(timeout, hang_up, [connection]), clock()
            timer.start()
            try:
                session = _driver(device_type)(policy, **target.settings, **late, sock=connection)
                # The prompt is known: to search it again, as netmiko would, costs a round trip.
                prompt = rf"{re.escape(session.base_prompt)}[^\n]*(?<=[$#>%])\s*$"
                command = DEVICES[device_type].command
                return str(session.send_command(command, prompt, read_timeout=2 * timeout))
            finally:
                timer.cancel()
                if session:
                    session.disconnect()
    except Exception as error:
        failure = explain(error, clock() - started >= timeout, session is not None)
        if failure.kind == "no-ssh" and target.proxy:
            failure = Failure("no-ssh", f"no way through; see why with: {target.proxy}")
        raise failure from error


@contextmanager
def _connected(target: Target, timeout: float) -> Iterator[socket.socket]:
    if not target.proxy:
        address = target.settings["host"], target.settings["port"]
        with socket.create_connection(address, timeout) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield connection
        return
    ours, theirs = socket.socketpair()  # paramiko's ProxyCommand spins when the command ends
    command, end = shlex.split(target.proxy), theirs.fileno()
    with ours, subprocess.Popen(command, stdin=end, stdout=end, stderr=subprocess.DEVNULL) as ssh:
        theirs.close()
        try:
            yield ours
        finally:
            ssh.kill()
