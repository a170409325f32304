"""A farm of hosts: many threads, processes, a Dask cluster, a large known_hosts, Ctrl-C."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from ssh_servers import PACKAGES, PASSWORD, Farm, Home


@pytest.fixture
def user(home: Home) -> Home:
    """The account, with the farm's password in its environment."""
    home.env["SSH_UPTIME_PASSWORD"] = PASSWORD
    return home


def names(farm: Farm) -> list[str]:
    """The farm's hosts as arguments."""
    return [f"{host}:{farm.port}" for host in farm.hosts]


def targets(farm: Farm, tmp_path: Path) -> list[Any]:
    """The farm's hosts as a program makes them."""
    from sample.hostkeys import KnownHosts
    from sample.inventory import parse, resolve

    file = tmp_path / "known_hosts"
    file.write_text(farm.known_hosts)
    entries = {name: parse(name) for name in names(farm)}
    known = KnownHosts([str(file)], "strict")
    return list(resolve(entries, {}, known, tmp_path / "none", lambda *_: PASSWORD))


def test_a_fleet_answers_with_hosts_from_a_file(farm: Farm, user: Home) -> None:
    user.known_hosts(farm.known_hosts)
    (user.path / "hosts").write_text("# the farm\n" + "\n".join(names(farm)))

    result = user.ssh_uptime("-i", "hosts", "-o", "json")

    assert result.code == 0, result.out
    assert set(result.rows) == set(names(farm))
    assert {row["uptime_seconds"] for row in result.rows.values()} == {93_780}


def test_first_keys_are_added_once_each_with_many_threads(farm: Farm, user: Home) -> None:
    first = user.ssh_uptime(*names(farm), "--accept-new", "-w", "40")
    lines = (user.path / ".ssh" / "known_hosts").read_text().splitlines()
    again = user.ssh_uptime(*names(farm), "--accept-new")

    assert (first.code, again.code) == (0, 0)
    assert sorted(lines) == sorted(farm.line(host).strip() for host in farm.hosts)
    assert (user.path / ".ssh" / "known_hosts").read_text().splitlines() == lines


def test_a_known_hosts_that_cannot_be_written_loses_no_row(farm: Farm, user: Home) -> None:
    (user.path / "nowhere").write_text("a file, not a folder")

    result = user.ssh_uptime(
        names(farm)[0], "--accept-new", "--known-hosts", "nowhere/known_hosts", "-o", "json"
    )

    assert result.code == 0
    assert len(result.rows) == 1
    assert "was not kept" in result.err


def test_processes_share_the_work_and_learn_keys_too(farm: Farm, user: Home) -> None:
    result = user.ssh_uptime(*names(farm), "--accept-new", "--processes", "2", "-o", "json")

    assert (result.code, result.err) == (0, "")
    assert len(result.rows) == len(farm.hosts)
    assert len((user.path / ".ssh" / "known_hosts").read_text().splitlines()) == len(farm.hosts)


def test_a_dask_cluster_shares_the_work(farm: Farm, user: Home) -> None:
    distributed = pytest.importorskip("distributed", reason="the optional dask distributed")
    user.known_hosts(farm.known_hosts)
    with (
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PYTHONPATH", str(PACKAGES))
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster:
            address = cluster.scheduler_address
            result = user.ssh_uptime(*names(farm), "--scheduler", address, "-w", "8", "-o", "json")

    assert result.code == 0, result.err
    assert len(result.rows) == len(farm.hosts)


def test_what_is_not_installed_or_not_there_is_a_usage_error(user: Home) -> None:
    (user.path / "distributed.py").write_text("raise ImportError('No module named distributed')\n")

    result = user.ssh_uptime("web", "--scheduler", "tcp://127.0.0.1:1")

    assert result.code == 2
    assert "distributed" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_a_program_may_bring_its_own_executor(farm: Farm, tmp_path: Path, kind: str) -> None:
    from sample.fleet import collect

    pool: Executor = (
        ThreadPoolExecutor(8) if kind == "threads" else ProcessPoolExecutor(2, get_context("spawn"))
    )
    with pool as executor:
        rows = list(collect(targets(farm, tmp_path)[:6], 15, executor))

    assert [row.detail for row in rows if not row.ok] == []
    assert len(rows) == 6


def test_hosts_of_a_lost_worker_get_their_rows(farm: Farm, tmp_path: Path) -> None:
    from sample.fleet import collect

    class Broken(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(RuntimeError("the machine is gone"))
            return future

    rows = list(collect(targets(farm, tmp_path)[:3], 15, Broken(), 2))

    assert len({row.name for row in rows}) == 3
    assert all("the machine is gone" in row.detail for row in rows)


def test_ten_thousand_known_hosts_lines_cost_next_to_nothing(farm: Farm, user: Home) -> None:
    from sample.hostkeys import KnownHosts

    blob = b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + secrets.token_bytes(32)).decode()
    lines = [
        f"host{index}.example.com,10.1.2.{index} ssh-ed25519 {blob}\n" for index in range(10_000)
    ]
    file = user.known_hosts("".join(lines) + farm.known_hosts)

    began = time.process_time()
    known = KnownHosts([str(file)], "strict")
    found = [known.trust(host, farm.port) for host in farm.hosts]
    spent = time.process_time() - began

    assert all(len(trust.lines) == 1 for trust in found)
    assert spent < 3  # paramiko's own reader takes some 30 s
    assert user.ssh_uptime(*names(farm)).code == 0


# Processes hand their rows back in batches: one batch waits for the host that hangs.
@pytest.mark.parametrize(("processes", "done"), [(1, 5), (2, 3)])
def test_ctrl_c_prints_what_is_there_and_stops_at_once(
    farm: Farm, user: Home, processes: int, done: int
) -> None:
    good = names(farm)[:5]
    known_hosts = user.path / ".ssh" / "known_hosts"
    with closing(socket.create_server(("127.0.0.1", 0))) as hanging:
        hosts = [*good, f"127.0.0.1:{hanging.getsockname()[1]}"]
        command = [sys.executable, "-m", "sample", *hosts, "--accept-new", "-t", "60", "-o", "json"]
        command += ["--processes", str(processes), "-w", str(4 * processes)]
        process = subprocess.Popen(
            command,
            env=user.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if known_hosts.exists() and len(known_hosts.read_text().splitlines()) == done:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = process.communicate(timeout=30)

    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert err == f"interrupted: {done} of 6 hosts were done\n"
    assert {row["name"] for row in json.loads(out)} == set(good[:done])


def test_the_help_is_fast(user: Home) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "sample", "--help"]
    done = subprocess.run(command, env=user.environment(), capture_output=True, text=True)

    assert done.returncode == 0
    for heavy in ("paramiko", "netmiko", "rich", "yaml", "cryptography"):
        assert f" {heavy}\n" not in done.stderr


def test_a_table_in_a_pipe_is_not_folded(farm: Farm, user: Home) -> None:
    result = user.ssh_uptime("a-name-that-is-not-there.invalid")

    assert len(result.out.splitlines()) == 2
