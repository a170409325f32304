"""Servers that hang at each stage, break off, or speak something else."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from ssh_servers import Home, Sshd, free_port

BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
Start = Callable[..., Sshd]


@pytest.fixture
def listen() -> Iterator[Callable[..., int]]:
    """A function that starts a TCP server which does what it is given, and returns its port."""
    with ExitStack() as stack:
        over = threading.Event()
        stack.callback(over.set)

        def start(act: Callable[[socket.socket, threading.Event], None]) -> int:
            class Handler(socketserver.BaseRequestHandler):
                def handle(self) -> None:
                    act(self.request, over)

            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return int(server.server_address[1])

        yield start


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(60)


def banner_only(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(BANNER)
    over.wait(60)


def dribble(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.05):
        try:
            connection.sendall(b"hello\r\n")
        except OSError:
            return


def garbage(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(BANNER + bytes(range(256)) * 64)
    over.wait(60)


def web_server(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def telnet(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"\xff\xfd\x18\xff\xfd\x20login: ")
    over.wait(60)


def hang_up(connection: socket.socket, over: threading.Event) -> None:
    connection.close()


@pytest.mark.parametrize(
    ("act", "kinds"),
    [
        (silent, {"timeout"}),
        (banner_only, {"timeout"}),
        (dribble, {"timeout", "no-ssh"}),
        (garbage, {"timeout", "no-ssh"}),
        (web_server, {"no-ssh"}),
        (telnet, {"no-ssh"}),
        (hang_up, {"no-ssh"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_server_that_is_none_gets_its_row_in_time(
    home: Home, listen: Callable[..., int], act: object, kinds: set[str]
) -> None:
    result = home.ssh_uptime(f"127.0.0.1:{listen(act)}", "-t", "2", "-o", "json")

    (row,) = result.rows.values()
    assert row["error"] in kinds, row
    assert row["elapsed"] <= 4
    assert (result.code, result.err) == (1, "")


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("sleep 60", "timeout", "no answer in time"),
        ("exit 3", "parse", "answered ''"),
        ("echo sh: uptime: not found; exit 127", "parse", "sh: uptime: not found"),
        (
            "echo; echo Your password has expired. >&2; exit 1",
            "parse",
            "Your password has expired.",
        ),
        ("echo up; kill -9 $PPID; sleep 60", "command", "broke off"),
        ("yes", "parse", "without end"),
    ],
    ids=["hangs", "exits", "unknown command", "expired", "breaks off", "endless"],
)
def test_a_command_that_goes_wrong_on_unix_gets_its_row(
    sshd: Start, home: Home, tmp_path: Path, script: str, kind: str, said: str
) -> None:
    (tmp_path / "script").write_text(script)
    server = sshd(f"ForceCommand exec sh {tmp_path}/script")
    home.known_hosts(server.line())

    result = home.ssh_uptime(
        f"127.0.0.1:{server.port}", "--key", server.key, "-t", "5", "-o", "json"
    )

    (row,) = result.rows.values()
    assert row["error"] == kind, row
    assert said in row["detail"]
    assert result.err == ""


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("sleep 60", "no-prompt"),
        ("printf '$ '; sleep 60", "no-prompt"),
        ("echo This account is not available.; exit 3", "no-prompt"),
        # The terminal's echo of what netmiko types comes last.
        ("stty -echo; read blank; read width; echo $width; echo This account is not available.; "
         "read length; echo $length; exit 3", "no-prompt"),
        # A prompt that works, then a command that never ends, or breaks off.
        ("printf 'x# '; while read l; do [ \"${l%version}\" != \"$l\" ] && { echo up; "
         "sleep 60; }; printf 'x# '; done", "timeout"),
        ("printf 'x# '; while read l; do [ \"${l%version}\" != \"$l\" ] && { echo up; "
         "exit; }; printf 'x# '; done", "command"),
        ("printf 'x# '; while read l; do [ \"${l%version}\" != \"$l\" ] && { "
         "echo \"% Invalid input\"; }; printf 'x# '; done", "parse"),
        ("printf 'x# '; while read l; do [ \"${l%version}\" != \"$l\" ] && { yes; }; "
         "printf 'x# '; done", "parse"),
    ],
    ids=["no prompt", "deaf prompt", "exits", "exits after an echo", "hangs in output",
         "breaks off", "unknown command", "endless output"],
)  # fmt: skip
def test_a_session_that_goes_wrong_on_a_device_gets_its_row(
    sshd: Start, home: Home, tmp_path: Path, script: str, kind: str
) -> None:
    shell = tmp_path / "shell"
    shell.write_text(f"{script}\n")
    server = sshd(f"ForceCommand sh {shell}")
    home.known_hosts(server.line())

    result = home.ssh_uptime(
        f"127.0.0.1:{server.port}", "--device-type", "cisco_ios", "--key", server.key,
        "-t", "8", "-o", "json",
    )  # fmt: skip

    (row,) = result.rows.values()
    assert row["error"] == kind, row
    if "available" in script:
        assert "This account is not available." in row["detail"]
    assert result.err == ""


def test_a_stopped_server_costs_the_timeout_and_no_more(home: Home) -> None:
    """The kernel accepts the connection, nobody answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        result = home.ssh_uptime(f"127.0.0.1:{port}", "-t", "1", "-o", "json")

    ((error, elapsed),) = [(row["error"], row["elapsed"]) for row in result.rows.values()]
    assert error == "timeout"
    assert 1 <= elapsed <= 2  # of the row, so that starting Python is not in it


def test_one_bad_host_does_not_hold_up_the_rest(
    sshd: Start, home: Home, listen: Callable[..., int]
) -> None:
    server = sshd()
    home.known_hosts(server.line())
    good = f"127.0.0.1:{server.port}"
    hosts = [
        "bad-name.invalid",
        f"127.0.0.1:{free_port()}",
        f"127.0.0.1:{listen(silent)}",
        f"127.0.0.1:{listen(garbage)}",
        good,
    ]

    result = home.ssh_uptime(*hosts, "--key", server.key, "-t", "3", "-o", "json")

    assert result.code == 1
    assert result.err.startswith("1 of 5 hosts answered, 4 failed, in ")
    assert set(result.rows) == set(hosts)
    assert [name for name, row in result.rows.items() if row["ok"]] == [good]
    assert list(result.rows)[-1] == good
    assert all(row["detail"] for row in result.rows.values() if not row["ok"])


def test_a_closed_pipe_ends_quietly(sshd: Start, home: Home) -> None:
    command = "python -m sample bad-name.invalid -o json | true"
    done = subprocess.run(
        ["sh", "-c", command.replace("python", json.dumps(__import__("sys").executable))],
        env=home.environment(),
        capture_output=True,
        text=True,
        timeout=250,
    )

    assert "Traceback" not in done.stderr
