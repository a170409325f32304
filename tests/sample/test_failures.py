"""Servers that hang at each stage, break off, or speak something else."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest
from ssh_servers import Home, Result, Sshd, free_port

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


NO_SSH: dict[Callable[[socket.socket, threading.Event], None], set[str]] = {
    silent: {"timeout"},
    banner_only: {"timeout"},
    dribble: {"timeout", "no-ssh"},
    garbage: {"timeout", "no-ssh"},
    web_server: {"no-ssh"},
    telnet: {"no-ssh"},
    hang_up: {"no-ssh"},
}


def summed_up(result: Result) -> bool:
    """Whether nothing is said beside the rows but how many failed."""
    return all(line.startswith("0 of ") for line in result.err.splitlines())


def test_a_server_that_is_none_gets_its_row_in_time(home: Home, listen: Callable[..., int]) -> None:
    servers = {f"127.0.0.1:{listen(act)}": act for act in NO_SSH}

    result = home.ssh_uptime(*servers, "-t", "2", "-o", "json")

    for name, row in result.rows.items():
        act = servers.pop(name)
        assert row["error"] in NO_SSH[act], (act, row)
        assert row["elapsed"] <= 4
    assert (servers, result.code, summed_up(result)) == ({}, 1, True)


HANG = {"hangs", "no prompt", "deaf prompt", "hangs in output"}


def rows(
    scripts: dict[str, str], sshd: Start, home: Home, device_type: str, timeout: str
) -> dict[str, dict[str, Any]]:
    """The rows of hosts that run these scripts in place of a shell. All are asked at once, but
    those that HANG: they alone take all the time that they have, so it is short."""
    found: dict[str, dict[str, Any]] = {}
    for names, limit in ((scripts.keys() & HANG, timeout), (scripts.keys() - HANG, "60")):
        hosts, known = dict[str, dict[str, Any]](), ""
        for name in names:
            file = home.path / f"script{len(hosts)}"
            file.write_text(f"{scripts[name]}\n")
            server = sshd(f"ForceCommand exec sh {file}")
            known += server.line()
            hosts[name] = {"host": "127.0.0.1", "port": server.port, "key_file": str(server.key)}
        home.known_hosts(known)
        (home.path / "hosts.yml").write_text(json.dumps(hosts))
        asked = ("-i", "hosts.yml", "--device-type", device_type, "-t", limit)
        result = home.ssh_uptime(*asked, "-o", "json")
        assert summed_up(result), result.err
        found |= result.rows
    return found


# What a host does, what that is called, and what is said of it.
UNIX = {
    "hangs": ("sleep 60", "timeout", "no answer in time"),
    "exits": ("exit 3", "parse", "answered ''"),
    "unknown command": ("echo sh: uptime: not found; exit 127", "parse", "uptime: not found"),
    "expired": ("echo; echo Password has expired. >&2; exit 1", "parse", "Password has expired."),
    "breaks off": ("echo up; kill -9 $PPID; sleep 60", "command", "broke off"),
    "does not end": ("yes", "parse", "without end"),
}


def test_a_command_that_goes_wrong_on_unix_gets_its_row(sshd: Start, home: Home) -> None:
    found = rows({name: script for name, (script, _, _) in UNIX.items()}, sshd, home, "linux", "5")
    for name, (_, kind, said) in UNIX.items():
        assert (found[name]["error"], said in found[name]["detail"]) == (kind, True), found[name]


def answering(version: str) -> str:
    """A device with a prompt that works, and this for an answer to `show version`."""
    return (
        f'printf \'x# \'; while read l; do [ "${{l%version}}" != "$l" ] && {{ {version}; }}; '
        "printf 'x# '; done"
    )


DEVICE = {
    "no prompt": ("sleep 60", "no-prompt"),
    "deaf prompt": ("printf '$ '; sleep 60", "no-prompt"),
    "exits": ("echo This account is not available.; exit 3", "no-prompt"),
    # The terminal's echo of what netmiko types comes last.
    "exits after an echo": (
        "stty -echo; read blank; read width; echo $width; echo This account is not available.; "
        "read length; echo $length; exit 3",
        "no-prompt",
    ),
    "hangs in output": (answering("echo up; sleep 60"), "timeout"),
    "breaks off": (answering("echo up; exit"), "command"),
    "unknown command": (answering('echo "% Invalid input"'), "parse"),
    "endless output": (answering("yes"), "parse"),
}


def test_a_session_that_goes_wrong_on_a_device_gets_its_row(sshd: Start, home: Home) -> None:
    scripts = {name: script for name, (script, _) in DEVICE.items()}
    found = rows(scripts, sshd, home, "cisco_ios", "8")
    for name, (_, kind) in DEVICE.items():
        assert found[name]["error"] == kind, found[name]
    for name in ("exits", "exits after an echo"):
        assert "This account is not available." in found[name]["detail"]


def test_a_stopped_server_costs_the_timeout_and_no_more(home: Home) -> None:
    """The kernel accepts the connection, nobody answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        result = home.ssh_uptime(f"127.0.0.1:{port}", "-t", "1", "-o", "json")

    ((error, elapsed),) = [(row["error"], row["elapsed"]) for row in result.rows.values()]
    assert error == "timeout"
    assert 1 <= elapsed <= 2  # of the row, so that starting Python is not in it


@pytest.mark.slow
def test_a_slow_key_exchange_has_the_time_of_its_host(
    sshd: Start, home: Home, listen: Callable[..., int]
) -> None:
    """paramiko's own limit is 15 s."""
    server = sshd()

    def pump(source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)

    def slow(connection: socket.socket, over: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as there:
            connection.sendall(there.makefile("rb", buffering=0).readline())
            over.wait(16)
            threading.Thread(target=pump, args=(connection, there), daemon=True).start()
            pump(there, connection)

    port = listen(slow)
    home.known_hosts(server.line(name=f"[127.0.0.1]:{port}"))

    result = home.ssh_uptime(f"127.0.0.1:{port}", "--key", server.key, "-t", "100")

    assert result.code == 0, result.out


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
