"""An SSH server on loopback that plays a device, with paramiko's server side."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

PASSWORD = "correct horse"
OUTPUTS = Path(__file__).parent / "outputs"


@dataclass
class Device:
    """What a device shows: its prompt, its answer to each command, where it hangs."""

    prompt: str = "admin@server:~$ "
    answers: dict[str, str] = field(default_factory=dict)
    hangs_at: str = ""  # banner, shell or command
    key: paramiko.PKey = field(default_factory=paramiko.ECDSAKey.generate)
    sessions: int = 0


class _Server(paramiko.ServerInterface):
    def __init__(self, device: Device) -> None:
        self.device = device

    def check_auth_password(self, username: str, password: str) -> int:
        return 0 if password == PASSWORD else 2

    def check_auth_interactive(self, username: str, submethods: str) -> Any:
        return paramiko.server.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return self.check_auth_password("", responses[0])

    def get_allowed_auths(self, username: str) -> str:
        return "password,keyboard-interactive"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return 0

    def check_channel_pty_request(self, *args: Any) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self.device.sessions += 1
        threading.Thread(target=_shell, args=(self.device, channel), daemon=True).start()
        return True


def _shell(device: Device, channel: paramiko.Channel) -> None:
    with suppress(OSError, EOFError):
        if device.hangs_at == "shell":
            return
        channel.sendall(device.prompt.encode())
        for line in channel.makefile("r"):
            command = line.strip()
            channel.sendall(f"{command}\r\n".encode())
            if command and device.hangs_at == "command":
                continue
            answer = device.answers.get(command, "")
            text = f"{answer}\n{device.prompt}" if answer else device.prompt
            channel.sendall(text.replace("\n", "\r\n").encode())


@contextmanager
def serve(device: Device) -> Iterator[int]:
    """Serve a device on a free port of 127.0.0.1, which is yielded."""
    transports: list[paramiko.Transport] = []

    def accept() -> None:
        with suppress(OSError, EOFError):
            while True:
                connection = listener.accept()[0]
                if device.hangs_at == "banner":
                    kept.append(connection)
                    continue
                transport = paramiko.Transport(connection)
                transports.append(transport)
                transport.add_server_key(device.key)
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(threading.Event(), _Server(device))

    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            for transport in transports:
                transport.close()
            for connection in kept:
                connection.close()


def known_hosts_line(device: Device, port: int) -> str:
    """The line that vouches for a device."""
    return f"[127.0.0.1]:{port} {device.key.get_name()} {device.key.get_base64()}\n"
