"""An SSH server on loopback that plays a device."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import paramiko


@dataclass
class Device:
    """What a device shows: its prompt, and its answer to each command."""

    password: str | None
    prompt: str = "admin@server:~$ "
    answers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    """Whether it lets in and then says nothing."""
    latency: float = 0.0
    """Seconds before it shows what is typed at its prompt."""
    key: paramiko.PKey = field(default_factory=paramiko.ECDSAKey.generate)
    allowed: paramiko.PKey | None = None
    """The key that logs in instead of the password."""
    asks: str = ""
    """A question after key or password: a second factor."""
    users: list[str] = field(default_factory=list)
    """Who logged in, in order."""
    refused: int = 0
    answers_given: list[str] = field(default_factory=list)
    """What was answered to questions, the password included."""
    sessions: int = 0

    def known_hosts(self, port: int) -> str:
        """Return the line of known_hosts that vouches for the device."""
        return f"[127.0.0.1]:{port} {self.key.get_name()} {self.key.get_base64()}\n"


class _Server(paramiko.ServerInterface):
    def __init__(self, device: Device) -> None:
        self.device, self.asks = device, ""

    def _check(self, username: str, right: bool) -> int:
        self.device.refused += not right
        if right and not self.device.asks:
            self.device.users.append(username)
        self.asks = self.device.asks if right else ""
        return 1 if self.asks else 0 if right else 2  # partially successful, successful, failed

    def check_auth_password(self, username: str, password: str) -> int:
        return self._check(username, password == self.device.password)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._check(username, key == self.device.allowed)

    def check_auth_interactive(self, username: str, submethods: str) -> Any:
        return paramiko.server.InteractiveQuery("", "", (self.asks or "Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.device.answers_given += responses
        return 2 if self.asks else self._check("", responses == [self.device.password])

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive" if self.asks else "publickey,password,keyboard-interactive"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return 0  # OPEN_SUCCEEDED

    def check_channel_pty_request(self, *args: Any) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return self._start(_shell, channel)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._start(_exec, channel, command.decode())

    def _start(self, act: Any, *args: Any) -> bool:
        self.device.sessions += 1
        threading.Thread(target=act, args=(self.device, *args), daemon=True).start()
        return True


def _shell(device: Device, channel: paramiko.Channel) -> None:
    with suppress(OSError, EOFError):
        if device.hangs:
            return
        channel.sendall(device.prompt.encode())
        for line in channel.makefile("rU"):  # some types send \r alone
            command = line.strip()
            time.sleep(device.latency)
            channel.sendall(f"{command}\r\n".encode())
            answer = device.answers.get(command, "")
            text = f"{answer}\n{device.prompt}" if answer else device.prompt
            channel.sendall(text.replace("\n", "\r\n").encode())


def _exec(device: Device, channel: paramiko.Channel, command: str) -> None:
    with closing(channel), suppress(OSError, EOFError):
        if device.hangs:
            channel.recv(1)
            return
        known = command in device.answers
        channel.sendall(f"{device.answers.get(command, f'{command}: not found')}\n".encode())
        channel.send_exit_status(0 if known else 127)
        channel.shutdown_write()
        channel.settimeout(0.5)  # to close at once could overtake the reply to the request
        channel.recv(1)


@contextmanager
def serve(device: Device) -> Iterator[int]:
    """Serve a device on a free port of 127.0.0.1, which is yielded, until the block ends."""
    open_ones: list[Any] = []

    def accept() -> None:
        with suppress(OSError, EOFError):
            while True:
                open_ones.append(listener.accept()[0])
                open_ones.append(transport := paramiko.Transport(open_ones[-1]))
                transport.add_server_key(device.key)
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(threading.Event(), _Server(device))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            for each in reversed(open_ones):
                each.close()
