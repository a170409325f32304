"""A login to a server in this process, which proves that the cryptography works."""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko

from .fleet import Row, probe
from .hostkeys import Line, Trust
from .targets import Target

_UPTIME = b" 12:00:00 up 1 day,  2:03,  1 user,  load average: 0.00, 0.00, 0.00\n"


class _Server(paramiko.ServerInterface):
    """A host that lets one password in, and answers any command with its uptime."""

    def __init__(self, password: str) -> None:
        self.password = password

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        return 0 if password == self.password else 2  # successful, failed

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return 0

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._answer, args=(channel,), daemon=True).start()
        return True

    def _answer(self, channel: paramiko.Channel) -> None:
        channel.sendall(_UPTIME)
        channel.send_exit_status(0)
        channel.shutdown_write()


@contextmanager
def _serve(password: str, key: paramiko.PKey) -> Iterator[int]:
    """Serve two logins on a free port of 127.0.0.1, which is yielded."""

    def accept() -> None:
        for _ in range(2):
            transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(key)
            transport.start_server(threading.Event(), _Server(password))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def main() -> int:
    """Log in with the right host key and with a wrong one; return the exit code."""
    password, (key, other) = secrets.token_urlsafe(), [paramiko.ECDSAKey.generate() for _ in "12"]

    def visit(known: paramiko.PKey) -> Row:
        line = Line("", known.get_name(), known.get_base64(), "self-test")
        trust = Trust(f"[127.0.0.1]:{port}", (line,))
        return probe(Target("", "127.0.0.1", "me", trust, port, password=password), timeout=20)

    with _serve(password, key) as port:
        good, bad = visit(key), visit(other)
    if good.uptime_seconds == 93_780 and bad.error == "host-key-changed":
        print(f"self-test passed: logged in over SSH in {good.elapsed} s, refused a wrong host key")
        return 0
    print(f"self-test FAILED: {good.error}: {good.detail}; wrong host key: {bad.error}")
    return 1
