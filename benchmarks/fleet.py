"""ssh-uptime beside what else asks many hosts, on a farm of SSH servers on loopback.

    build/bench/bin/python benchmarks/fleet.py [--runs 5] [--small] [TASK...]

Two jobs: Unix hosts, whose `uptime` is run on SSH's exec channel, and devices, at whose prompt
`show version` is typed. All log in with the same key, and check host keys strictly, but for
parallel-ssh, which cannot. The farm takes its share of the same processors.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import measure
from farm import USER, address, farm, many_files
from measure import ROOT, Contenders, Cost, FailedError

TASKS = ("near", "far", "devices", "devices far", "encrypted", "known")
SAMPLE = ROOT / "{{cookiecutter.project}}" / "src" / "{{cookiecutter.package}}"
CLIENTS = Path(__file__).with_name("clients.py")
SIZES = (10, 100, 500, 2_000)
ROUND_TRIP = {"near": 0.0, "far": 0.05, "devices": 0.0, "devices far": 0.05}
"""Seconds."""
ENCRYPTED_AT = 300
"""Hosts that are asked with an encrypted key, and with a plain one."""
PASSPHRASE = "open sesame"  # noqa: S105 - of a key that is made here
KNOWN = (10, 10_000)
"""Lines of known_hosts."""
KNOWN_AT = 100
"""Hosts that are asked with those."""
PORT = 22000
SESSIONS = 32
"""At a time, for all but the loop."""
MOST = {"netmiko in a loop": 10, "ansible raw": 100, "pssh": 500}
"""Hosts up to which a slow one is measured; beyond, nothing is said about it."""
ONCE = 1_000
"""Hosts from which on a run is long enough to be measured once."""


class Job:
    """A folder with what the contenders read: keys, known_hosts and inventories."""

    def __init__(self, folder: Path, key: str, port: int) -> None:
        self.folder, self.key, self.port = folder, key, port
        (folder / "sample").symlink_to(SAMPLE)
        self.env = {
            "PATH": os.environ["PATH"],
            "SSH_UPTIME_PASSPHRASE": PASSPHRASE,
            "PYTHONPATH": str(folder),
            "HOME": str(folder),
            "ANSIBLE_FORKS": str(SESSIONS),
            "ANSIBLE_HOST_KEY_CHECKING": "true",
            # No connection stays open for later: the others log in each time.
            "ANSIBLE_SSH_ARGS": " ".join([*self._openssh(), "-oControlMaster=no"]),
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }

    def _openssh(self) -> list[str]:
        strict = ["-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={self.folder}/known"]
        return ["-F", os.devnull, *strict, f"-oIdentityFile={self.folder}/id", "-oLogLevel=ERROR"]

    def prepare(
        self, hosts: int, lines: int = 0, addresses: int = 0, device_type: str = "linux"
    ) -> None:
        """Write inventories of `hosts`, on fewer addresses if so wanted, and known_hosts."""
        unique = [address(index) for index in range(addresses or hosts)]
        known = [f"[{name}]:{self.port} {self.key}\n" for name in unique]
        each = self.folder / "each"
        each.mkdir(exist_ok=True)
        for name, line in zip(unique, known, strict=True):
            (each / name).write_text(line)
        other = b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + secrets.token_bytes(32)).decode()
        known += [f"other{i}.example.com ssh-ed25519 {other}\n" for i in range(lines - len(known))]
        (self.folder / "known").write_text("".join(known))
        names = [unique[index % len(unique)] for index in range(hosts)]
        job = {
            "hosts": names,
            "port": self.port,
            "user": USER,
            "key": str(self.folder / "id"),
            "known": str(self.folder / "known"),
            "each": str(each),
            "sessions": SESSIONS,
            "device_type": device_type,
            "command": "uptime" if device_type == "linux" else "show version",
        }
        (self.folder / "job.json").write_text(json.dumps(job))
        named = [
            (f"{USER}{index}" if addresses else USER, name) for index, name in enumerate(names)
        ]
        lines_of = {
            "hosts.yml": "".join(
                f"{user}-{name}: {{host: {name}, port: {self.port}, username: {user},"
                f" device_type: {device_type}}}\n"
                for user, name in named
            ),
            "pssh": "".join(f"{name}:{self.port} {user}\n" for user, name in named),
            "ansible": "".join(
                f"h{index} ansible_host={name} ansible_port={self.port} ansible_user={user}\n"
                for index, (user, name) in enumerate(named)
            ),
        }
        for file, text in lines_of.items():
            (self.folder / file).write_text(text)

    def _run(self, hosts: int, command: Sequence[str | Path], mark: str = " 1 day") -> Cost:
        out = self.folder / "out"
        cost = measure.run(command, cwd=self.folder, env=self.env, output=out)
        found = out.read_text(encoding="utf-8").count(mark)
        if found != hosts:
            raise FailedError(f"only {found} of {hosts} hosts answered")
        return cost

    def ours(self, hosts: int, key: str = "id") -> Cost:
        """Ask with ssh-uptime."""
        command = [sys.executable, "-m", "sample", "-i", "hosts.yml", "-o", "json", "--key", key]
        command += ["--known-hosts", "known", "--workers", str(SESSIONS)]
        return self._run(hosts, command, '"ok": true')

    def client(self, hosts: int, name: str) -> Cost:
        """Ask with the client `name` of clients.py."""
        return self._run(hosts, [sys.executable, CLIENTS, name, "job.json"])

    def ansible(self, hosts: int) -> Cost:
        """Ask with ansible's raw module."""
        program = Path(sys.executable).with_name("ansible")
        words = ["all", "-i", "ansible", "-m", "raw", "-a", "uptime"]
        return self._run(hosts, [program, *words])

    def pssh(self, program: str, hosts: int) -> Cost:
        """Ask with `program`, a pssh of Python."""
        words = [
            "-h",
            "pssh",
            "-p",
            str(SESSIONS),
            "-t",
            "60",
            "-i",
            "-x",
            " ".join(self._openssh()),
        ]
        return self._run(hosts, [program, *words, "uptime"])

    def devices(self, hosts: int) -> Contenders:
        """Return what types at the prompt of a device."""
        found = {
            "ssh-uptime": partial(self.ours, hosts),
            "nornir + netmiko": partial(self.client, hosts, "nornir"),
            "netmiko in a loop": partial(self.client, hosts, "loop"),
        }
        return {name: job for name, job in found.items() if hosts <= MOST.get(name, hosts)}

    def unix(self, hosts: int) -> Contenders:
        """Return what runs a command on the exec channel."""
        found: dict[str, partial[Cost]] = {
            "ssh-uptime": partial(self.ours, hosts),
            "asyncssh": partial(self.client, hosts, "asyncssh"),
            "parallel-ssh": partial(self.client, hosts, "parallel-ssh"),
            "ansible raw": partial(self.ansible, hosts),
        }
        if program := pssh():
            found["pssh"] = partial(self.pssh, program, hosts)
        return {name: job for name, job in found.items() if hosts <= MOST.get(name, hosts)}


def pssh() -> str | None:
    """Return the program, by either of its names."""
    return shutil.which("pssh") or shutil.which("parallel-ssh")


def versions() -> dict[str, str]:
    """Return the versions of the contenders."""
    names = ("ansible-core", "asyncssh", "netmiko", "nornir", "paramiko", "parallel-ssh")
    found = {name: importlib.metadata.version(name) for name in names}
    ssh = subprocess.run(["ssh", "-V"], stderr=subprocess.PIPE, text=True, check=False).stderr
    found["OpenSSH"] = ssh.partition("_")[2].split()[0] if "_" in ssh else "none"
    if program := pssh():
        found["pssh"] = measure.version(program, "--version")
    return found


def main() -> None:
    """Measure, and write the figures."""
    options = measure.arguments(__doc__, TASKS)
    sizes = SIZES[: 1 if options.small else None]
    many_files()
    record = measure.Record("fleet", options, versions())
    for task in [task for task in options.tasks if task in ROUND_TRIP]:
        delay = ROUND_TRIP[task]
        for hosts in sizes:
            with tempfile.TemporaryDirectory() as name, farm(Path(name), hosts, PORT, delay) as key:
                job = Job(Path(name), key, PORT + bool(delay))
                unix = not task.startswith("devices")
                job.prepare(hosts, device_type="linux" if unix else "cisco_ios")
                runs = options.runs if hosts < ONCE else 1
                contenders = job.unix(hosts) if unix else job.devices(hosts)
                record.add(measure.alternate(task, contenders, runs, size=hosts))
    if "encrypted" in options.tasks:
        hosts = ENCRYPTED_AT
        with tempfile.TemporaryDirectory() as name, farm(Path(name), hosts, PORT, 0) as key:
            job = Job(Path(name), key, PORT)
            job.prepare(hosts)
            contenders = keys(job, hosts)
            record.add(measure.alternate("encrypted", contenders, options.runs, size=hosts))
    if "known" in options.tasks:
        with tempfile.TemporaryDirectory() as name, farm(Path(name), KNOWN[0], PORT, 0) as key:
            job = Job(Path(name), key, PORT)
            record.add(measure.alternate("known", known_hosts(job), options.runs, size=KNOWN_AT))


def keys(job: Job, hosts: int) -> Contenders:
    """Return ssh-uptime with a plain key and with the same one encrypted."""
    shutil.copy(job.folder / "id", job.folder / "encrypted")
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", "encrypted"]
    subprocess.run(command, cwd=job.folder, check=True, capture_output=True)
    return {
        "ssh-uptime, plain key": partial(job.ours, hosts),
        "ssh-uptime, encrypted key": partial(job.ours, hosts, "encrypted"),
    }


def known_hosts(job: Job) -> Contenders:
    """Return contenders by the length of known_hosts.

    paramiko reads it anew for each host, and takes half a minute for 10,000 lines: nothing on it
    but ssh-uptime can take part.
    """

    def prepared(lines: int, run: Callable[[], Cost]) -> Cost:
        job.prepare(KNOWN_AT, lines, addresses=KNOWN[0])
        return run()

    able = job.unix(KNOWN_AT)
    return {
        f"{name}, {lines:,} lines": partial(prepared, lines, able[name])
        for lines in KNOWN
        for name in ("ssh-uptime", "asyncssh", "pssh")
        if name in able
    }


if __name__ == "__main__":
    main()
