"""One SSH session: the way to the host, the check of its key, one command, in bounded time."""

import functools
import logging
import random
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import paramiko
from netmiko import ssh_dispatcher
from netmiko.base_connection import BaseConnection
from netmiko.channel import SSHChannel
from netmiko.exceptions import ReadException

from .devices import Device
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

    def __init__(self, policy: Policy, device: Device, **settings: Any) -> None:
        self._policy, self._device = policy, device
        super().__init__(**settings)

    def _build_ssh_client(self) -> paramiko.SSHClient:
        self.key_policy = self._policy
        return super()._build_ssh_client()

    def _connect_params_dict(self) -> dict[str, Any]:
        own = {"look_for_keys": False, "transport_factory": self._transport}
        return super()._connect_params_dict() | own | {"channel_timeout": self.auth_timeout}

    def _transport(self, sock: Any, disabled_algorithms: Any) -> paramiko.Transport:
        transport = paramiko.Transport(sock, disabled_algorithms=disabled_algorithms)
        transport.handshake_timeout = self.auth_timeout
        security, wanted = transport.get_security_options(), self._policy.trust.algorithms()
        security.key_types = sorted(security.key_types, key=lambda kind: kind not in wanted)
        return transport

    def special_login_handler(self, delay_factor: float = 1.0) -> None:
        self.channel = Channel(self.remote_conn, self.encoding)
        super().special_login_handler(delay_factor)

    def cleanup(self, command: str = "") -> None:
        if self._device.restores:  # elsewhere it costs round trips and changes nothing
            super().cleanup()

    def paramiko_cleanup(self) -> None:
        hang_up(self.sock)
        super().paramiko_cleanup()


@functools.cache
def _driver(device_type: str) -> type[Session]:
    return type("Session", (Session, ssh_dispatcher(device_type)), {})


def hang_up(connection: Any) -> None:
    """End a socket, or what stands for one. paramiko's threads see it at once, not in 0.1 s."""
    with suppress(OSError):
        if isinstance(connection, socket.socket):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def ask(target: Target, device: Device, policy: Policy, timeout: float) -> str:
    """Log in to a host and return what the device's command prints.

    Raises Failure, within twice `timeout` seconds.
    """
    started = clock()
    for pause in (*_PAUSES, 0):
        try:
            return _attempt(target, device, policy, timeout)
        except Failure as failure:
            if failure.kind != "no-ssh" or not pause or clock() - started > timeout / 2:
                raise
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads hosts, no secret
    raise AssertionError


def _attempt(target: Target, device: Device, policy: Policy, timeout: float) -> str:
    connection, session, started = None, None, clock()
    # The timer ends the session; what netmiko and paramiko allow themselves comes later.
    late = dict.fromkeys(("conn_timeout", "banner_timeout", "auth_timeout"), 2 * timeout)
    try:
        connection = _connect(target, timeout)
        timer, started = threading.Timer(timeout, hang_up, [connection]), clock()
        timer.start()
        try:
            driver = _driver(target.settings["device_type"])
            session = driver(policy, device, **target.settings, **late, sock=connection)
            with session:
                # The prompt is known: to search it again, as netmiko would, costs a round trip.
                return session.send_command(
                    device.command, auto_find_prompt=False, read_timeout=2 * timeout
                )
        finally:
            timer.cancel()
            hang_up(connection)
    except Exception as error:
        failure = explain(error, clock() - started >= timeout, session is not None)
        if failure.kind == "no-ssh" and target.proxy:
            failure = Failure("no-ssh", f"no way through; run by hand: {target.proxy}")
        raise failure from error


def _connect(target: Target, timeout: float) -> Any:
    if target.proxy:
        return paramiko.ProxyCommand(target.proxy)
    address = target.settings["host"], target.settings["port"]
    connection = socket.create_connection(address, timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
