"""An SSH server in this process and a probe of it, which proves that the cryptography works."""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import paramiko

from .fleet import Row, probe
from .hostkeys import Line, Trust
from .session import Target

PROMPT = "selftest@loopback:~$ "
UPTIME = " 12:00:00 up 1 day,  2:03,  1 user,  load average: 0.00, 0.00, 0.00"


class Server(paramiko.ServerInterface):
    """Lets in who has the password, and gives a shell that knows one command."""

    def __init__(self, password: str) -> None:
        self._password = password

    def check_auth_password(self, username: str, password: str) -> int:
        return 0 if secrets.compare_digest(password, self._password) else 2  # AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return 0  # OPEN_SUCCEEDED

    def check_channel_pty_request(self, *args: Any) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        threading.Thread(target=_shell, args=[channel], daemon=True).start()
        return True


def _shell(channel: paramiko.Channel) -> None:
    with suppress(OSError, EOFError):
        channel.sendall(PROMPT.encode())
        for line in channel.makefile("r"):
            answer = [line.strip(), *([UPTIME] if line.strip() == "uptime" else []), PROMPT]
            channel.sendall("\r\n".join(answer).encode())


@contextmanager
def serve(password: str, key: paramiko.PKey) -> Iterator[int]:
    """Serve on a free port of the loopback interface, which is yielded."""

    def accept() -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            while True:
                transport = paramiko.Transport(listener.accept()[0])
                transport.add_server_key(key)
                transport.start_server(threading.Event(), Server(password))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def main() -> int:
    """Log in with the right host key and with a wrong one; returns the exit code."""
    password = secrets.token_urlsafe()
    right, wrong = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
    with serve(password, right) as port:
        good, bad = (_probe(port, password, key) for key in (right, wrong))
    if good.uptime_seconds == 93_780 and bad.error == "host-key-changed":
        print(f"self-test passed: logged in over SSH in {good.elapsed} s, refused a wrong host key")
        return 0
    print(f"self-test FAILED: {good.error}: {good.detail}; wrong host key: {bad.error}")
    return 1


def _probe(port: int, password: str, key: paramiko.PKey) -> Row:
    known = Line("", key.get_name(), key.get_base64(), "self-test")
    settings = {"host": "127.0.0.1", "port": port, "username": "selftest", "password": password}
    trust = Trust(f"[127.0.0.1]:{port}", (known,))
    return probe(Target("self-test", settings | {"device_type": "linux"}, trust), timeout=10)
