"""One host that answers, and many that do not: each ends in one row that says what to do."""

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import PASSWORD
from ssh_devices import Device

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[[Device], int]
KnownHosts = Callable[..., Path]


def row(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The only row of a JSON answer."""
    (only,) = json.loads(result.stdout)
    return dict(only)


def test_a_host_answers(
    ssh_uptime: Run, start: Start, linux: Device, known_hosts: KnownHosts
) -> None:
    port = start(linux)

    result = ssh_uptime(
        f"me@127.0.0.1:{port}", "--known-hosts", known_hosts((linux, port)), "-o", "json"
    )

    assert result.returncode == 0, result.stderr
    answer = row(result)
    assert answer.pop("elapsed") > 0
    agreed = [answer.pop(name) for name in ("kex", "host_key", "cipher")]
    assert agreed[1:] == ["ecdsa-sha2-nistp256", "aes128-gcm@openssh.com"]
    assert "25519" in agreed[0]
    assert answer == {
        "name": f"me@127.0.0.1:{port}",
        "host": "127.0.0.1",
        "device_type": "linux",
        "ok": True,
        "uptime_seconds": 2_115_960,
        "text": "24 days, 11:46",
        "error": None,
        "detail": "",
    }
    assert result.stderr == ""


def test_no_password_and_no_key_says_what_to_give(
    ssh_uptime: Run, start: Start, linux: Device, known_hosts: KnownHosts
) -> None:
    port = start(linux)
    file = known_hosts((linux, port))

    answer = row(
        ssh_uptime(f"127.0.0.1:{port}", "--known-hosts", file, "-o", "json", SSH_UPTIME_PASSWORD="")
    )

    assert answer["error"] == "auth"
    assert "SSH_UPTIME_PASSWORD" in answer["detail"]


def test_an_unknown_host_key_is_refused_before_the_password_is_sent(
    ssh_uptime: Run, start: Start, linux: Device
) -> None:
    port = start(linux)

    answer = row(ssh_uptime(f"127.0.0.1:{port}", "-o", "json"))

    assert answer["error"] == "host-key-unknown"
    assert "--accept-new" in answer["detail"]
    assert linux.sessions == 0


def test_accept_new_adds_a_first_key_but_never_a_second(
    ssh_uptime: Run, start: Start, linux: Device, tmp_path: Path
) -> None:
    port, file = start(linux), tmp_path / "new" / "known_hosts"
    arguments = (f"127.0.0.1:{port}", "--known-hosts", file, "-o", "json")

    first = ssh_uptime(*arguments, "--accept-new")
    second = ssh_uptime(*arguments)
    file.write_text(f"[127.0.0.1]:{port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA\n")
    third = ssh_uptime(*arguments, "--accept-new")

    assert (first.returncode, second.returncode) == (0, 0)
    assert row(third)["error"] == "host-key-changed"
    assert "ssh-keygen -R" in row(third)["detail"]


def test_the_wrong_device_type_is_named(
    ssh_uptime: Run, start: Start, linux: Device, known_hosts: KnownHosts
) -> None:
    port = start(linux)
    arguments = (f"127.0.0.1:{port}", "--known-hosts", known_hosts((linux, port)), "-o", "json")

    linux.prompt = "switch#"
    output = row(ssh_uptime(*arguments, "--device-type", "cisco_ios"))
    unknown = row(ssh_uptime(*arguments, "--device-type", "toaster"))

    assert [answer["error"] for answer in (output, unknown)] == ["parse", "config"]
    assert "cisco_ios" in unknown["detail"]


def test_a_password_that_a_device_gives_back_is_masked(
    ssh_uptime: Run, start: Start, linux: Device, known_hosts: KnownHosts
) -> None:
    linux.answers = {"uptime": f"syslog: login with {PASSWORD}"}
    port = start(linux)

    result = ssh_uptime(
        f"127.0.0.1:{port}", "--known-hosts", known_hosts((linux, port)), "-o", "json"
    )

    assert row(result)["error"] == "parse"
    assert "login with ***" in row(result)["detail"]


def test_what_is_no_ssh_server_is_told_apart(ssh_uptime: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refused = listener.getsockname()[1]

    closed = row(ssh_uptime(f"127.0.0.1:{refused}", "-o", "json"))
    unnamed = row(ssh_uptime("no-such-host.invalid", "-o", "json"))
    unnameable = row(ssh_uptime("no..such", "-o", "json"))

    assert (closed["error"], unnamed["error"], unnameable["error"]) == ("refused", "dns", "dns")
