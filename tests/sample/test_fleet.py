"""A farm of hosts: many threads, processes, a Dask cluster, a large known_hosts, Ctrl-C."""

from __future__ import annotations

import json
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import paramiko
import pytest
from ssh_servers import PACKAGES, ROOT, Farm, Home


@pytest.fixture
def user(home: Home, farm: Farm) -> Home:
    """The account, with the farm's key where ssh looks for it."""
    (home.path / ".ssh").mkdir(mode=0o700)
    shutil.copy(farm.key, home.path / ".ssh" / "id_ed25519")
    return home


def targets(farm: Farm, tmp_path: Path) -> list[Any]:
    """The farm's hosts as a program makes them."""
    from sample.inventory import parse
    from sample.targets import resolve

    file = tmp_path / "known_hosts"
    file.write_text(farm.known_hosts)
    entries = {name: parse(name) for name in farm.names}
    return list(resolve(entries, {"key_file": str(farm.key)}, "none", str(file)))


def test_a_fleet_answers_with_hosts_from_a_file(farm: Farm, user: Home) -> None:
    user.known_hosts(farm.known_hosts)
    lines = (f"{host}: {{port: {farm.port}, username: me}}\n" for host in farm.hosts)
    (user.path / "hosts.yml").write_text("# the farm\n" + "".join(lines))

    result = user.ssh_uptime("-i", "hosts.yml", "-o", "json")

    assert result.code == 0, result.out
    assert set(result.rows) == set(farm.hosts)
    assert {row["uptime_seconds"] for row in result.rows.values()} == {93_780}


@pytest.mark.skipif(paramiko.__version__ < "5.1", reason="paramiko 4 has no such key exchange")
def test_a_key_exchange_is_post_quantum_where_the_server_can(farm: Farm, user: Home) -> None:
    """The farm is asyncssh, in place of OpenSSH 9.9 and later. Its second host gets no choice."""
    user.known_hosts(farm.known_hosts)
    with closing(paramiko.Transport(socket.socket())) as transport:
        others = [name for name in transport.get_security_options().kex if "mlkem" not in name]
    hosts = {
        host: {"host": host, "port": farm.port, "username": "me", "disabled_algorithms": blocked}
        for host, blocked in zip(farm.hosts, ({}, {"kex": others}), strict=False)
    }
    (user.path / "inventory.yml").write_text(json.dumps(hosts))

    result = user.ssh_uptime("-i", "inventory.yml", "-o", "json")

    agreed = {name: (row["ok"], row["kex"]) for name, row in result.rows.items()}
    assert agreed == dict.fromkeys(hosts, (True, "mlkem768x25519-sha256"))


def test_first_keys_are_added_once_each_with_many_threads(farm: Farm, user: Home) -> None:
    first = user.ssh_uptime(*farm.names, "--accept-new", "-w", "40")
    lines = (user.path / ".ssh" / "known_hosts").read_text().splitlines()
    again = user.ssh_uptime(*farm.names, "--accept-new")

    assert (first.code, again.code) == (0, 0)
    assert sorted(lines) == sorted(farm.line(host).strip() for host in farm.hosts)
    assert (user.path / ".ssh" / "known_hosts").read_text().splitlines() == lines


def test_a_first_key_that_cannot_be_kept_is_not_accepted(farm: Farm, user: Home) -> None:
    (user.path / "nowhere").write_text("a file, not a folder")

    result = user.ssh_uptime(
        farm.names[0], "--accept-new", "--known-hosts", "nowhere/known_hosts", "-o", "json"
    )

    (row,) = result.rows.values()
    assert row["error"] == "config"
    assert "cannot be added to" in row["detail"]


def test_a_dask_cluster_shares_the_work(farm: Farm, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the optional dask distributed")
    from sample.fleet import collect

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PACKAGES))
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=4, dashboard_address=None, host="127.0.0.1"
            ) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            rows = list(collect(targets(farm, tmp_path), client.get_executor()))

    assert [row.detail for row in rows if not row.ok] == []
    assert sorted(row.name for row in rows) == sorted(farm.names)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_a_program_may_bring_its_own_executor(farm: Farm, tmp_path: Path, kind: str) -> None:
    from sample.fleet import collect

    pool: Executor = (
        ThreadPoolExecutor(8) if kind == "threads" else ProcessPoolExecutor(2, get_context("spawn"))
    )
    with pool as executor:
        rows = list(collect(targets(farm, tmp_path)[:6], executor))

    assert [row.detail for row in rows if not row.ok] == []
    assert len(rows) == 6


def test_no_connection_outlives_its_answer(farm: Farm, tmp_path: Path) -> None:
    from sample.fleet import collect

    with ThreadPoolExecutor(8) as executor:
        rows = list(collect(targets(farm, tmp_path), executor, timeout=600))

    assert all(row.ok for row in rows)
    left = [thread for thread in threading.enumerate() if isinstance(thread, paramiko.Transport)]
    for thread in left:
        thread.join(60)
    assert not any(thread.is_alive() for thread in left)


def test_hosts_of_a_lost_worker_get_their_rows(farm: Farm, tmp_path: Path) -> None:
    from sample.fleet import collect

    class Broken(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(RuntimeError("the machine is gone"))
            return future

    rows = list(collect(targets(farm, tmp_path)[:3], Broken()))

    assert len({row.name for row in rows}) == 3
    assert all("the machine is gone" in row.detail for row in rows)


def test_ten_thousand_known_hosts_lines_cost_next_to_nothing(farm: Farm, user: Home) -> None:
    import sample.hostkeys as hostkeys

    blob = b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + secrets.token_bytes(32)).decode()
    lines = [
        f"host{index}.example.com,10.1.2.{index} ssh-ed25519 {blob}\n" for index in range(10_000)
    ]
    file = user.known_hosts("".join(lines) + farm.known_hosts)

    began = time.process_time()
    found = [hostkeys.trust((str(file),), f"[{host}]:{farm.port}") for host in farm.hosts]
    spent = time.process_time() - began

    assert all(len(trust.lines) == 1 for trust in found)
    assert spent < 3  # paramiko's own reader takes some 30 s
    assert user.ssh_uptime(*farm.names).code == 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_prints_what_is_there_and_stops_at_once(farm: Farm, user: Home, name: str) -> None:
    good, number = farm.names[:5], getattr(signal, name)
    with closing(socket.create_server(("127.0.0.1", 0))) as hanging:
        hosts = [*good, f"127.0.0.1:{hanging.getsockname()[1]}"]
        command = [sys.executable, "-m", "sample", *hosts, "--accept-new", "-t", "600", "-w1"]
        process = subprocess.Popen(
            [*command, "-o", "json"],
            env=user.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a shell may ignore it
        )
        hanging.accept()  # it is asked last
        process.send_signal(number)
        out, err = process.communicate(timeout=300)  # a host alone would take 600

    assert process.returncode == 130
    done = {row["name"] for row in json.loads(out)}  # the fifth may just have come
    assert set(good[:4]) <= done <= set(good)
    assert err == f"interrupted: {len(done)} of 6 hosts were done\n"


def test_an_encrypted_key_is_decrypted_once_for_all_hosts(farm: Farm, user: Home) -> None:
    user.known_hosts(farm.known_hosts)
    key = user.path / "encrypted"
    shutil.copy(farm.key, key)
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-a", "64", "-f", str(key)]
    subprocess.run(change, check=True, capture_output=True)

    def cpu(*arguments: object) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = user.ssh_uptime(*farm.names, *arguments, SSH_UPTIME_PASSPHRASE="open sesame")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert result.code == 0, result.out
        return after.ru_utime - before.ru_utime

    plain, encrypted = cpu("--key", farm.key), cpu("--key", key)

    # Decrypting takes a second of CPU or more with 64 rounds, so forty times would be forty.
    assert encrypted < plain + 15


def test_the_script_of_the_page_on_other_commands_works(farm: Farm, user: Home) -> None:
    page = (ROOT / "docs" / "how-to" / "ask-another-command.md").read_text("utf-8")
    script = page.partition("```python\n")[2].partition("```")[0]
    command = script.replace("ssh_uptime", "sample").replace("show clock", "uptime")
    user.known_hosts(farm.known_hosts)
    hosts = "".join(
        f"r{index}: {{host: {host}, port: {farm.port}, username: me}}\n"
        for index, host in enumerate(farm.hosts[:3])
    )
    (user.path / "inventory.yml").write_text(f"{hosts}routers: [r0, r1]\n")

    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=user.path,
        env=user.environment(),
        capture_output=True,
        text=True,
    )

    assert [line.split()[0] for line in done.stdout.splitlines() if line] == ["r0", "r1"]
    assert done.stdout.count("up 1 day") == 2


def test_the_help_is_fast(user: Home) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "sample", "--help"]
    done = subprocess.run(command, env=user.environment(), capture_output=True, text=True)

    assert done.returncode == 0
    for heavy in ("paramiko", "netmiko", "rich", "yaml", "cryptography"):
        assert f" {heavy}\n" not in done.stderr


def test_a_fleet_of_unix_hosts_does_without_netmiko(farm: Farm, user: Home) -> None:
    user.known_hosts(farm.known_hosts)
    (user.path / "hosts.yml").write_text(f"{farm.hosts[0]}: {{port: {farm.port}, username: me}}\n")
    command = [sys.executable, "-X", "importtime", "-m", "sample", "-i", "hosts.yml"]
    done = subprocess.run(
        command, env=user.environment(), capture_output=True, text=True, cwd=user.path
    )

    assert done.returncode == 0, done.stdout
    assert " paramiko\n" in done.stderr
    for heavy in ("netmiko", "rich", "textfsm", "asyncio"):  # invoke brings the last
        assert f" {heavy}\n" not in done.stderr, heavy


def test_a_table_in_a_pipe_is_not_folded(farm: Farm, user: Home) -> None:
    result = user.ssh_uptime("a-name-that-is-not-there.invalid")

    assert len(result.out.splitlines()) == 2
