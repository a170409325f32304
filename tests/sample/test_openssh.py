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


def encrypt(key: Path) -> None:
    """Give a key the passphrase `open sesame`."""
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)]
    subprocess.run(change, check=True, capture_output=True)


def test_what_is_wrong_with_a_key_is_one_line_before_any_host_is_asked(
    home: Home, tmp_path: Path
) -> None:
    keygen(tmp_path / "key")
    encrypt(tmp_path / "key")
    (tmp_path / "nokey").write_text("this is no key\n")
    host = "192.0.2.1"  # nobody answers there

    for key, phrase, said in (
        ("key", "", "set SSH_UPTIME_PASSPHRASE"),
        ("key", "x", "passphrase is wrong"),
        ("nokey", "", "not a private key"),
        ("missing", "", "cannot be read"),
    ):
        result = home.ssh_uptime(host, "--key", tmp_path / key, SSH_UPTIME_PASSPHRASE=phrase)
        assert (result.code, result.out) == (2, ""), key
        assert said in result.err
        assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_an_encrypted_key_of_each_kind_logs_in(
    sshd: Start, home: Home, tmp_path: Path, kind: str
) -> None:
    server = sshd()
    home.known_hosts(server.line())
    keygen(tmp_path / "key", kind)
    shutil.copy(tmp_path / "key.pub", server.folder / "user.pub")
    encrypt(tmp_path / "key")

    result = home.ssh_uptime(
        f"127.0.0.1:{server.port}", "--key", tmp_path / "key", SSH_UPTIME_PASSPHRASE="open sesame"
    )

    assert result.code == 0, result.out


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_refused_key_is_refused_and_nothing_else(
    sshd: Start, home: Home, tmp_path: Path, kind: str
) -> None:
    server = sshd()
    home.known_hosts(server.line())
    keygen(tmp_path / "key", kind)

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", tmp_path / "key", "-o", "json")

    (row,) = result.rows.values()
    assert row["error"] == "auth"
    assert row["detail"].startswith("login refused")
    assert "publickey" in row["detail"]


def test_keys_are_found_where_ssh_finds_them(sshd: Start, home: Home, tmp_path: Path) -> None:
    server = sshd()
    home.known_hosts("")
    (tmp_path / "known").write_text(server.line())
    keygen(tmp_path / "wrong", "rsa")
    (home.path / ".ssh" / "config").write_text(f"Include {tmp_path}/more\n")
    (tmp_path / "more").write_text(
        f"Host inner\n HostName 127.0.0.1\n Port {server.port}\n"
        f" UserKnownHostsFile {tmp_path}/known\n IdentityFile {tmp_path}/missing\n"
        f" IdentityFile {tmp_path}/wrong\n IdentityFile {server.key}\n"
    )
    shutil.copy(server.key, home.path / ".ssh" / "id_ed25519")

    result = home.ssh_uptime("inner", "-o", "json")
    default = home.ssh_uptime(
        f"127.0.0.1:{server.port}", "--known-hosts", tmp_path / "known", "--ssh-config", "none"
    )

    assert result.rows["inner"]["ok"], result.out
    assert default.code == 0, default.out


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


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("where", ["beside the key", "CertificateFile", "agent"])
def test_a_certificate_logs_in(
    sshd: Start, home: Home, agent: Callable[[Path], str], tmp_path: Path, where: str, kind: str
) -> None:
    keygen(tmp_path / "ca")
    server = sshd(f"TrustedUserCAKeys {tmp_path}/ca.pub")
    home.known_hosts(server.line())
    for name in ("other", "key"):
        keygen(tmp_path / name, kind)
    sign = ["ssh-keygen", "-q", "-s", str(tmp_path / "ca"), "-I", "me", "-n", server.user]
    subprocess.run([*sign, str(tmp_path / "key.pub")], check=True, capture_output=True)
    if where == "CertificateFile":
        (tmp_path / "key-cert.pub").rename(tmp_path / "signed.pub")
        (home.path / ".ssh" / "config").write_text(
            f"IdentityFile {tmp_path}/other\nIdentityFile {tmp_path}/key\n"
            f"CertificateFile {tmp_path}/missing\nCertificateFile {tmp_path}/signed.pub\n"
        )
    if where == "agent":
        home.env["SSH_AUTH_SOCK"] = agent(tmp_path / "key")
    arguments = ["--key", tmp_path / "key"] if where == "beside the key" else []

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", *arguments)

    assert result.code == 0, result.out


def test_the_running_agent_is_used(
    sshd: Start, home: Home, agent: Callable[[Path], str], tmp_path: Path
) -> None:
    server = sshd()
    home.known_hosts(server.line())
    socket = agent(server.key)
    host = f"127.0.0.1:{server.port}"
    encrypt(server.key)  # the file alone would not do, but the agent has the key

    assert home.ssh_uptime(host, SSH_AUTH_SOCK=socket).code == 0
    assert home.ssh_uptime(host, "--key", server.key, SSH_AUTH_SOCK=socket).code == 0


def test_an_agent_with_too_many_keys_is_said_to_have_them(
    sshd: Start, home: Home, agent: Callable[[Path], str], tmp_path: Path
) -> None:
    server = sshd("MaxAuthTries 3")
    home.known_hosts(server.line())
    keys = [tmp_path / f"other{index}" for index in range(4)]
    for key in keys:
        keygen(key)
    socket = agent(keys[0])
    for key in [*keys[1:], server.key]:
        subprocess.run(["ssh-add", "-q", key], env={**os.environ, "SSH_AUTH_SOCK": socket})
    host = f"127.0.0.1:{server.port}"

    (row,) = home.ssh_uptime(host, "-o", "json", SSH_AUTH_SOCK=socket).rows.values()
    logins = (server.folder / "log").read_text().count("Connection from")
    (home.path / ".ssh" / "config").write_text(f"IdentityFile {server.key}\nIdentitiesOnly yes\n")
    only = home.ssh_uptime(host, SSH_AUTH_SOCK=socket)

    assert row["error"] == "auth"
    assert "IdentitiesOnly" in row["detail"]
    assert logins <= 1
    assert only.code == 0, only.out


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
    command = [sys.executable, "-m", "sample", "--ask-password"]
    command.append(f"{user}@127.0.0.1:{server.port}")

    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, home.environment())
    shown = b""
    while select.select([terminal], [], [], 30)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
        if shown.endswith(b"Password: "):
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
        # As in ssh, a shell reads it.
        " ProxyCommand ssh -F $HOME/.ssh/config -oUserKnownHostsFile=$HOME/.ssh/known_hosts "
        "-W %h:%p bastion 2>/dev/null\n"
        f"Host broken\n HostName 127.0.0.1\n Port {inner.port}\n ProxyJump 127.0.0.1:1\n"
    )

    result = home.ssh_uptime("inner", "twice", "command", "broken", "-o", "json")

    rows = result.rows
    broken = rows.pop("broken")
    assert {name: row["detail"] for name, row in rows.items()} == dict.fromkeys(rows, "")
    assert "from 127.0.0.1" in (jump.folder / "log").read_text()
    assert (broken["error"], "try it: ssh" in broken["detail"]) == ("no-ssh", True)


def test_a_proxy_command_that_is_not_installed_is_shown(home: Home) -> None:
    home.known_hosts("")
    (home.path / ".ssh" / "config").write_text("Host inner\n ProxyCommand no-such-program %h\n")

    result = home.ssh_uptime("inner", "-o", "json")

    assert [row["error"] for row in result.rows.values()] == ["no-ssh"]
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
        assert "it offers diffie-hellman-group14-sha1" in row["detail"]
        assert "legacy_ssh=yes" in row["detail"]


def test_nobody_is_told_to_weaken_the_client_for_a_modern_server(sshd: Start, home: Home) -> None:
    server = sshd("KexAlgorithms sntrup761x25519-sha512@openssh.com")
    home.known_hosts(server.line())

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", server.key, "-o", "json")

    (row,) = result.rows.values()
    assert row["error"] == "crypto"
    assert "sntrup761x25519-sha512@openssh.com" in row["detail"]
    assert "legacy" not in row["detail"]


@pytest.mark.parametrize("option", ["PermitTTY no", "ForceCommand uptime", "PrintMotd yes"])
def test_unix_hosts_need_neither_a_terminal_nor_a_prompt(
    sshd: Start, home: Home, option: str
) -> None:
    server = sshd(option)
    home.known_hosts(server.line())

    result = home.ssh_uptime(f"127.0.0.1:{server.port}", "--key", server.key)

    assert result.code == 0, result.out


def test_a_row_names_the_algorithms_that_were_agreed_on(sshd: Start, home: Home) -> None:
    server = sshd("KexAlgorithms ecdh-sha2-nistp256", "Ciphers aes256-ctr")
    home.known_hosts(server.line("rsa"))

    arguments = (f"127.0.0.1:{server.port}", "--key", server.key)

    (row,) = home.ssh_uptime(*arguments, "-o", "json").rows.values()
    header, line = home.ssh_uptime(*arguments, "-o", "wide").out.splitlines()

    agreed = [row["kex"], row["host_key"], row["cipher"]]
    assert agreed == ["ecdh-sha2-nistp256", "rsa-sha2-512", "aes256-ctr"]
    assert header.split() == ["HOST", "UPTIME", "KEX", "HOST", "KEY", "CIPHER"]
    assert [line.split().count(name) for name in agreed] == [1, 1, 1]
