"""Logins that must not be tried twice, and questions that must not be answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import paramiko
import pytest
from ssh_devices import Device, serve
from ssh_servers import Home

PASSWORD = "correct horse battery"
UPTIME = " 12:00:00 up 1 day,  2:03,  1 user,  load average: 0.00, 0.00, 0.00"
Start = Callable[..., str]


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    """A function that starts a device, which is known then, and returns it as an argument."""
    home.known_hosts("")
    with ExitStack() as stack:

        def begin(device: Device) -> str:
            device.answers["uptime"] = UPTIME
            port = stack.enter_context(serve(device))
            with (home.path / ".ssh" / "known_hosts").open("a") as file:
                file.write(device.known_hosts(port))
            return f"me@127.0.0.1:{port}"

        yield begin


@pytest.mark.parametrize("device_type", ["linux", "cisco_ios"])
def test_a_wrong_password_is_tried_three_times_at_most(
    start: Start, home: Home, device_type: str
) -> None:
    devices = [Device(PASSWORD) for _ in range(12)]
    hosts = [start(device) for device in devices]
    arguments = (*hosts, "-o", "json", "--device-type", device_type)

    stopped = home.ssh_uptime(*arguments, SSH_UPTIME_PASSWORD="wrong-one")
    tried = sum(device.refused for device in devices)
    home.ssh_uptime(*arguments, "--keep-trying", SSH_UPTIME_PASSWORD="wrong-one")

    assert tried == 3
    assert {row["error"] for row in stopped.rows.values()} == {"auth"}
    assert sum("not tried" in row["detail"] for row in stopped.rows.values()) == 9
    assert sum(device.refused for device in devices) == 3 + 12


def test_a_password_that_most_hosts_accept_is_not_given_up(start: Start, home: Home) -> None:
    right, wrong = ([Device(word) for _ in range(8)] for word in (PASSWORD, "another one"))
    hosts = [start(device) for pair in zip(right, wrong, strict=True) for device in pair]

    result = home.ssh_uptime(*hosts, "-o", "json", SSH_UPTIME_PASSWORD=PASSWORD)

    assert sum(row["ok"] for row in result.rows.values()) == 8
    assert sum(device.refused for device in wrong) == 8


@pytest.mark.parametrize("device_type", ["linux", "cisco_ios"])
@pytest.mark.parametrize("first", ["key", "password"])
def test_a_second_factor_is_neither_answered_nor_printed(
    start: Start, home: Home, tmp_path: Path, first: str, device_type: str
) -> None:
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(tmp_path / "key"))
    host = start(Device(PASSWORD, allowed=key, asks="\x1b[31mVerification code: "))
    arguments = [host, "-o", "json", "--device-type", device_type]
    arguments += ["--key", str(tmp_path / "key")] if first == "key" else []
    if first == "password":
        home.env["SSH_UPTIME_PASSWORD"] = PASSWORD

    result = home.ssh_uptime(*arguments)

    (row,) = result.rows.values()  # so the JSON is whole
    assert row["error"] == "second-factor"
    assert "127.0.0.1" in row["detail"]
    assert "second factor" in row["detail"]
    assert "\x1b" not in result.out + result.err


def test_a_password_is_no_answer_to_a_question_for_something_else(start: Start, home: Home) -> None:
    key = paramiko.ECDSAKey.generate()
    device = Device(PASSWORD, allowed=key, asks="Verification code: ")
    host = start(device)
    key.write_private_key_file(str(home.path / "key"))

    result = home.ssh_uptime(host, "--key", home.path / "key", "-o", "json",
                             SSH_UPTIME_PASSWORD=PASSWORD)  # fmt: skip

    (row,) = result.rows.values()
    assert "Verification code" in row["detail"]
    assert device.answers_given == []


def test_the_password_follows_the_key_where_a_server_wants_both(start: Start, home: Home) -> None:
    key = paramiko.ECDSAKey.generate()
    device = Device(PASSWORD, allowed=key, asks="Password: ")
    host = start(device)
    key.write_private_key_file(str(home.path / "key"))

    home.ssh_uptime(host, "--key", home.path / "key", SSH_UPTIME_PASSWORD=PASSWORD)

    assert device.answers_given == [PASSWORD]


def test_a_login_is_not_repeated_after_authentication_began(start: Start, home: Home) -> None:
    device = Device(PASSWORD, hangs=True)
    host = start(device)

    home.ssh_uptime(host, "-t", "2", SSH_UPTIME_PASSWORD=PASSWORD)

    assert device.users == ["me"]
    assert device.sessions == 1


def test_an_agent_that_cannot_be_asked_costs_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    import sample.keys as keys

    def refuse() -> None:
        raise OSError("Bad device type")  # as Windows may say of its named pipes

    monkeypatch.setattr(paramiko, "Agent", refuse)
    monkeypatch.setattr(keys, "_agent", keys._agent.__wrapped__)
    assert list(keys.candidates((), None, (), only=False)) == []
