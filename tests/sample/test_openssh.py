"""Against a real OpenSSH server."""

from __future__ import annotations

import os
import pty
import secrets
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from ssh_servers import Home, Sshd, keygen

Start = Callable[..., Sshd]


def test_a_key_logs_in_and_the_hashed_host_key_is_checked(sshd: Start, home: Home) -> None:
    server = sshd()
    file = home.known_hosts(server.line())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert file.read_text().startswith("|1|")

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", server.key, "-o", "json")

    (row,) = result.rows.values()
    assert (result.code, row["error"], row["detail"]) == (0, None, "")
    assert row["uptime_seconds"] > 0


def test_a_host_known_by_its_rsa_key_alone_is_asked_for_that_key(sshd: Start, home: Home) -> None:
    server = sshd()
    home.known_hosts(server.line("rsa"))

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", server.key)

    assert result.code == 0, result.out


def test_a_changed_host_key_is_refused(sshd: Start, home: Home, tmp_path: Path) -> None:
    server = sshd()
    keygen(tmp_path / "host_other")
    other = Sshd(server.port, tmp_path, server.user)
    home.known_hosts(other.line("other"))

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", server.key, "-o", "json")

    (row,) = result.rows.values()
    assert (result.code, row["error"]) == (1, "host-key-changed")
    assert "known_hosts:1" in row["detail"]
    assert "Accepted" not in (server.folder / "log").read_text()


def test_an_encrypted_key_asks_for_its_passphrase_by_variable(sshd: Start, home: Home) -> None:
    server = sshd()
    home.known_hosts(server.line())
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(server.key)]
    subprocess.run(change, check=True, capture_output=True)
    arguments = (f"127.0.0.1:{server.port}", "--key", server.key, "-o", "json")

    without = next(iter(home.ssh_uptime(*arguments).rows.values()))
    wrong = next(iter(home.ssh_uptime(*arguments, SSH_UPTIME_PASSPHRASE="x").rows.values()))
    right = next(
        iter(home.ssh_uptime(*arguments, SSH_UPTIME_PASSPHRASE="open sesame").rows.values())
    )

    assert (without["error"], wrong["error"], right["error"]) == ("auth", "auth", None)
    assert "SSH_UPTIME_PASSPHRASE" in without["detail"]


def test_a_file_that_is_no_key_is_a_config_failure(sshd: Start, home: Home, tmp_path: Path) -> None:
    server = sshd()
    home.known_hosts(server.line())
    (tmp_path / "nokey").write_text("this is no key\n")

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", tmp_path / "nokey", "-o", "json")

    assert [row["error"] for row in result.rows.values()] == ["config"]


@pytest.fixture
def agent(sshd: Start) -> Iterator[Callable[[Path], str]]:
    """A function that starts an ssh-agent with a key and returns its socket."""
    started = []

    def start(key: Path) -> str:
        socket = str(key.with_name("agent"))
        process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
        started.append(process)
        add = ["ssh-add", "-q", str(key)]
        for _ in range(200):
            env = {**os.environ, "SSH_AUTH_SOCK": socket}
            if subprocess.run(add, env=env, capture_output=True).returncode == 0:
                break
        return socket

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def test_the_agent_is_used_only_when_asked(
    sshd: Start, home: Home, agent: Callable[[Path], str]
) -> None:
    server = sshd()
    home.known_hosts(server.line())
    socket = agent(server.key)

    unasked = home.ssh_uptime(f"127.0.0.1:{server.port}", SSH_AUTH_SOCK=socket)
    asked = home.ssh_uptime(f"127.0.0.1:{server.port}", "--agent", SSH_AUTH_SOCK=socket)

    assert (unasked.code, asked.code) == (1, 0), asked.out


def test_keys_in_the_home_are_not_tried_unless_asked(sshd: Start, home: Home) -> None:
    server = sshd()
    home.known_hosts(server.line())
    shutil.copy(server.key, home.path / ".ssh" / "id_ed25519")

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "-o", "json")

    assert [row["error"] for row in result.rows.values()] == ["auth"]


@pytest.fixture
def account() -> Iterator[tuple[str, str]]:
    """A throw-away account with a password, where the tests may make one."""
    if os.geteuid() != 0 or not shutil.which("useradd"):
        pytest.skip("only root can make an account with a password")
    name, password = f"uptime{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    subprocess.run(["useradd", "-M", "-d", "/tmp", "-s", "/bin/sh", name], check=True)
    subprocess.run(["chpasswd"], input=f"{name}:{password}", text=True, check=True)
    yield name, password
    subprocess.run(["userdel", name], check=True)


def test_a_password_logs_in_and_is_shown_nowhere(
    sshd: Start, home: Home, account: tuple[str, str]
) -> None:
    server = sshd()
    home.known_hosts(server.line())
    user, password = account
    host = f"{user}@127.0.0.1:{server.port}"

    right = home.ssh_uptime(host, SSH_UPTIME_PASSWORD=password)
    wrong = home.ssh_uptime(host, "-o", "json", SSH_UPTIME_PASSWORD="x" + password)

    assert right.code == 0, right.out
    assert [row["error"] for row in wrong.rows.values()] == ["auth"]
    assert password not in right.out + right.err + wrong.out + wrong.err


def test_a_password_is_asked_for_on_a_terminal(
    sshd: Start, home: Home, account: tuple[str, str]
) -> None:
    server = sshd()
    home.known_hosts(server.line())
    user, password = account
    command = [sys.executable, "-m", "sample", f"{user}@127.0.0.1:{server.port}"]

    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, home.environment())
    shown = b""
    while select.select([terminal], [], [], 30)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
        if shown.endswith(b"for none): "):
            os.write(terminal, password.encode() + b"\n")
    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert password.encode() not in shown


def test_a_jump_host_of_ssh_config_is_gone_through(sshd: Start, home: Home) -> None:
    jump, inner = sshd(), sshd("AllowTcpForwarding no")
    home.known_hosts(jump.line() + inner.line())
    config = home.path / ".ssh" / "config"
    config.write_text(
        f"Host bastion\n HostName 127.0.0.1\n Port {jump.port}\n IdentityFile {jump.key}\n"
        f" UserKnownHostsFile {home.path}/.ssh/known_hosts\n"
        f"Host inner\n HostName 127.0.0.1\n Port {inner.port}\n IdentityFile {inner.key}\n"
        " ProxyJump bastion\n"
        f"Host twice\n HostName 127.0.0.1\n Port {inner.port}\n IdentityFile {inner.key}\n"
        " ProxyJump bastion,bastion\n"
        f"Host command\n HostName 127.0.0.1\n Port {inner.port}\n IdentityFile {inner.key}\n"
        f" ProxyCommand ssh -F {config} -o UserKnownHostsFile={home.path}/.ssh/known_hosts "
        "-W %h:%p bastion\n"
        f"Host broken\n HostName 127.0.0.1\n Port {inner.port}\n ProxyJump 127.0.0.1:1\n"
    )

    result = home.ssh_uptime("inner", "twice", "command", "broken", "-o", "json")

    rows = result.rows
    broken = rows.pop("broken")
    assert {name: row["detail"] for name, row in rows.items()} == dict.fromkeys(rows, "")
    assert "from 127.0.0.1" in (jump.folder / "log").read_text()
    assert (broken["error"], "ssh -F" in broken["detail"]) == ("no-ssh", True)


def test_a_proxy_command_that_is_not_installed_is_a_config_failure(home: Home) -> None:
    home.known_hosts("")
    (home.path / ".ssh" / "config").write_text("Host inner\n ProxyCommand no-such-program %h\n")

    result = home.ssh_uptime("inner", "-o", "json")

    assert [row["error"] for row in result.rows.values()] == ["config"]
    assert "no-such-program" in result.out


def test_an_unknown_jump_host_is_not_gone_through(sshd: Start, home: Home) -> None:
    jump, inner = sshd(), sshd()
    home.known_hosts(inner.line())
    (home.path / ".ssh" / "config").write_text(
        f"Host inner\n HostName 127.0.0.1\n Port {inner.port}\n IdentityFile {inner.key}\n"
        f" ProxyJump {jump.user}@127.0.0.1:{jump.port}\n"
        f"Host 127.0.0.1\n IdentityFile {jump.key}\n"
    )

    result = home.ssh_uptime("inner", "-o", "json", "-t", "4")

    assert [row["error"] for row in result.rows.values()] == ["no-ssh"]
    assert "Accepted" not in (jump.folder / "log").read_text()


def test_a_server_that_is_too_busy_is_tried_again(sshd: Start, home: Home) -> None:
    addresses = tuple(f"127.0.0.{index}" for index in range(1, 13))
    server = sshd("MaxStartups 3:100:3", addresses=addresses)
    home.known_hosts(server.line(name=f"[127.0.0.*]:{server.port}"))
    hosts = [f"{address}:{server.port}" for address in addresses]

    result = home.ssh_uptime(*hosts, "--key", server.key, "-o", "json", "-t", "20")

    assert {name: row["detail"] for name, row in result.rows.items()} == dict.fromkeys(hosts, "")
    assert "MaxStartups" in (server.folder / "log").read_text()


def test_a_device_that_speaks_sha1_only_is_told_the_legacy_answer(sshd: Start, home: Home) -> None:
    server = sshd("KexAlgorithms diffie-hellman-group14-sha1", "HostKeyAlgorithms ssh-rsa")
    home.known_hosts(server.line("rsa"))

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", server.key, "-o", "json")

    (row,) = result.rows.values()
    if int(paramiko.__version__.split(".")[0]) < 5:
        assert row["ok"]
    else:
        assert row["error"] == "crypto"
        assert "legacy_ssh=yes" in row["detail"]


def test_a_user_without_a_shell_is_told_so_at_once(sshd: Start, home: Home) -> None:
    server = sshd("ForceCommand echo This account is not available.")
    home.known_hosts(server.line())

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", server.key, "-o", "json")

    (row,) = result.rows.values()
    assert row["error"] == "no-prompt"
    assert row["elapsed"] < 5
