"""How fast ssh-uptime is, beside nornir with netmiko, on a farm of SSH servers on loopback.

    python -m venv build/bench && build/bench/bin/pip install -r benchmarks/fleet.txt
    build/bench/bin/python benchmarks/fleet.py [--hosts 500] [--json FILE]

The farm is one asyncssh process on 127.1.0.0/16. Host keys are checked strictly on both sides;
nornir gets one known_hosts file a host, which is its best case. Figures hold the start of the
program. They depend on the machine: trust the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "{{cookiecutter.project}}" / "src" / "{{cookiecutter.package}}"
PASSWORD = "benchmark"  # noqa: S105 - of servers that live for this run
UPTIME = " 12:00:00 up 1 day,  2:03,  1 user,  load average: 0.00, 0.00, 0.00"


def address(index: int) -> str:
    """The loopback address of a host of the farm."""
    return f"127.1.{index // 250}.{index % 250 + 1}"


# --- the farm, in a process of its own


async def serve(count: int, port: int, delay: float) -> None:
    """Serve on `count` addresses; a `delay` in seconds is the round trip of a second port."""
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519")

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return password == PASSWORD

    async def shell(process: Any) -> None:
        process.stdout.write("me@farm:~$ ")
        async for line in process.stdin:
            answer = f"{UPTIME}\n" if line.strip() == "uptime" else ""
            process.stdout.write(f"{line.rstrip()}\n{answer}me@farm:~$ ")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay)  # the handshake of TCP
        host, number = writer.get_extra_info("sockname")
        there = await asyncio.open_connection(host, number - 1)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65536):
            loop.call_later(delay / 2, writer.write, data)
        loop.call_later(delay / 2, writer.close)

    options = {"server_factory": Server, "server_host_keys": [key], "process_factory": shell}
    for index in range(count):
        host = address(index)
        await asyncssh.listen(host, port, backlog=500, line_editor=False, **options)
        if delay:
            await asyncio.start_server(relay, host, port + 1, backlog=500)
    print(key.export_public_key().decode().strip(), flush=True)
    await asyncio.Event().wait()


@contextmanager
def farm(count: int, port: int, delay: float = 0.0) -> Any:
    """Run the farm; yields its public key."""
    command = [sys.executable, __file__, "--serve", str(count), str(port), str(delay)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


# --- the two programs, each in a process of its own


def measure(command: list[str], env: dict[str, str], hosts: int) -> dict[str, float]:
    """Run a program that prints JSON rows; seconds, CPU and memory of it and its children."""
    with tempfile.TemporaryFile() as out:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        process = subprocess.Popen(command, env=env, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        out.seek(0)
        rows = json.load(out)
    good = sum(row["ok"] for row in rows)
    if good != hosts:
        reasons = {row.get("error") for row in rows}
        raise SystemExit(f"only {good} of {hosts} hosts answered: {reasons}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "hosts": hosts,
        "seconds": round(seconds, 2),
        "hosts_per_second": round(hosts / seconds, 1),
        "cpu_ms_per_host": round(1000 * spent / hosts, 2),
        "memory_mb": round(usage.ru_maxrss / 1024, 1),
    }


def nornir(inventory: str, workers: str) -> None:
    """The same job as people do it with nornir and netmiko; prints rows as JSON."""
    from nornir.core import Nornir
    from nornir.core.inventory import ConnectionOptions, Defaults, Groups, Host, Hosts, Inventory
    from nornir.core.plugins.connections import ConnectionPluginRegister
    from nornir.plugins.runners import ThreadedRunner
    from nornir_netmiko.connections import Netmiko
    from nornir_netmiko.tasks import netmiko_send_command

    ConnectionPluginRegister.register("netmiko", Netmiko)
    hosts = Hosts()
    for name, settings in json.loads(Path(inventory).read_text()).items():
        extras = {"ssh_strict": True, "alt_host_keys": True, "alt_key_file": settings["known"]}
        hosts[name] = Host(
            name,
            hostname=settings["host"],
            port=settings["port"],
            username="me",
            password=PASSWORD,
            platform="linux",
            connection_options={"netmiko": ConnectionOptions(extras=extras)},
        )
    runner = ThreadedRunner(num_workers=int(workers))
    with Nornir(Inventory(hosts, Groups(), Defaults()), runner=runner) as network:
        result = network.run(netmiko_send_command, command_string="uptime")
        rows = [{"name": name, "ok": "up 1 day" in str(r[0].result)} for name, r in result.items()]
    print(json.dumps(rows))


class Bench:
    """A folder with the sample, its inventories and its known_hosts."""

    def __init__(self, folder: Path, port: int, key: str) -> None:
        self.folder, self.port, self.key = folder, port, key
        (folder / "sample").symlink_to(SAMPLE)
        self.env = os.environ | {
            "PYTHONPATH": str(folder),
            "HOME": str(folder),
            "SSH_UPTIME_PASSWORD": PASSWORD,
        }

    def ours(
        self, hosts: int, *flags: str, lines: int = 0, addresses: int = 0, port: int = 0
    ) -> Any:
        """Measure ssh-uptime; `lines` is the least size of known_hosts."""
        port = port or self.port
        names = [address(index % (addresses or hosts)) for index in range(hosts)]
        known = [f"[{name}]:{port} {self.key}\n" for name in sorted(set(names))]
        other = b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + secrets.token_bytes(32)).decode()
        known += [f"other{i}.example.com ssh-ed25519 {other}\n" for i in range(lines - len(known))]
        (self.folder / "known").write_text("".join(known))
        text = "".join(f"me{index}@{name}:{port}\n" for index, name in enumerate(names))
        (self.folder / "hosts").write_text(text)
        command = [sys.executable, "-m", "sample", "-i", f"{self.folder}/hosts", "-o", "json"]
        command += ["--known-hosts", f"{self.folder}/known", *flags]
        return measure(command, self.env, hosts)

    def theirs(self, hosts: int, workers: int) -> Any:
        """Measure nornir with netmiko."""
        inventory = {}
        for index in range(hosts):
            name = address(index)
            file = self.folder / f"known-{index}"
            file.write_text(f"[{name}]:{self.port} {self.key}\n")
            inventory[name] = {"host": name, "port": self.port, "known": str(file)}
        (self.folder / "inventory.json").write_text(json.dumps(inventory))
        command = [sys.executable, __file__, "--nornir", f"{self.folder}/inventory.json"]
        return measure([*command, str(workers)], self.env, hosts)


def main() -> None:
    """Run everything, print a table, and JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--many", type=int, default=5000, help="hosts of the memory figure")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--nornir", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(int(args.serve[0]), int(args.serve[1]), float(args.serve[2])))
    if args.nornir:
        nornir(*args.nornir)
        return
    figures: dict[str, dict[str, float]] = {}

    def show(name: str, figure: dict[str, float]) -> None:
        figures[name] = figure
        values = "  ".join(f"{value:>9}" for value in figure.values())
        print(f"{name:<34}{values}", flush=True)

    titles = ("hosts", "seconds", "hosts/s", "CPU ms", "MB")
    print(" " * 34 + "  ".join(f"{title:>9}" for title in titles))
    count = args.hosts
    with tempfile.TemporaryDirectory() as folder, farm(count, 22000) as key:
        bench = Bench(Path(folder), 22000, key)
        show("nornir + netmiko, 32 threads", bench.theirs(count, 32))
        show("ssh-uptime, 32 threads", bench.ours(count))
        show("nornir + netmiko, 32 threads again", bench.theirs(count, 32))
        show("ssh-uptime, 2 processes", bench.ours(count, "--processes", "2"))
        pairs = [[bench.ours(count, lines=n, addresses=10) for n in (10, 10_000)] for _ in range(3)]
        for name, runs in zip(("10", "10,000"), zip(*pairs, strict=True), strict=True):
            show(f"known_hosts of {name} lines", sorted(runs, key=lambda run: run["seconds"])[1])
        show(f"{args.many} hosts", bench.ours(args.many, addresses=count))
    with tempfile.TemporaryDirectory() as folder, farm(count, 22100, 0.05) as key:
        bench = Bench(Path(folder), 22100, key)
        for workers in ("32", "40", "50", "64"):
            figure = bench.ours(count, "-w", workers, port=22101)
            show(f"50 ms round trip, {workers} threads", figure)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
