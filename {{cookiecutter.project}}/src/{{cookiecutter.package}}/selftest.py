"""A login to a server in this process, which proves that the cryptography works."""

import secrets
import socket
import threading

import paramiko

from .fleet import Row, probe
from .hostkeys import Line, Trust
from .targets import Target

_UPTIME = b" 12:00:00 up 1 day,  2:03,  1 user,  load average: 0.00, 0.00, 0.00\n"


class _Server(paramiko.ServerInterface):
    """A host that lets one password in, and answers any command with its uptime."""

    def __init__(self, password: str) -> None:
        self.password = password

    def check_auth_password(self, username: str, password: str) -> int:
        return 0 if password == self.password else 2  # successful, failed

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return 0

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        channel.sendall(_UPTIME)
        channel.send_exit_status(0)
        channel.shutdown_write()
        return True


def main() -> int:
    """Log in with the right host key and with a wrong one; return the exit code."""
    password, key = secrets.token_urlsafe(), paramiko.ECDSAKey.generate()

    def accept() -> None:
        for _ in range(2):
            transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(key)
            transport.start_server(threading.Event(), _Server(password))

    def visit(known: paramiko.PKey) -> Row:
        line = Line("", known.get_name(), known.get_base64(), "self-test")
        port = listener.getsockname()[1]
        trust = Trust(f"[127.0.0.1]:{port}", (line,))
        return probe(Target("", "127.0.0.1", "me", trust, port, password=password), timeout=20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        good, bad = visit(key), visit(paramiko.ECDSAKey.generate())
    if good.uptime_seconds == 93_780 and bad.error == "host-key-changed":
        print(f"self-test passed: logged in over SSH in {good.elapsed} s, refused a wrong host key")
        return 0
    print(f"self-test FAILED: {good.error}: {good.detail}; wrong host key: {bad.error}")
    return 1
