"""ssh-uptime beside what else asks many hosts, on a farm of SSH servers on loopback.

    build/bench/bin/python benchmarks/fleet.py [--runs 3] [--small] [TASK...]

Two jobs: Unix hosts, whose `uptime` is run on SSH's exec channel, and devices, at whose prompt
`show version` is typed. All log in with the same key, and check host keys strictly, but for
parallel-ssh, which cannot. The farm takes its share of the same processors.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import measure
from farm import USER, address, farm, many_files
from measure import ROOT, Contenders, Cost, FailedError

TASKS = ("near", "far", "devices", "devices far", "encrypted", "start")
SAMPLE = ROOT / "{{cookiecutter.project}}" / "src" / "{{cookiecutter.package}}"
CLIENTS = Path(__file__).with_name("clients.py")
SIZES = (100, 500, 2_000)
ROUND_TRIP = {"near": 0.0, "far": 0.05, "devices": 0.0, "devices far": 0.05}
"""Seconds."""
ENCRYPTED_AT = 300
"""Hosts that are asked with an encrypted key, and with a plain one."""
PASSPHRASE = "open sesame"  # noqa: S105 - of a key that is made here
PORT = 22000
SESSIONS = 32
"""At a time."""
MOST = {"ansible raw": 100}
"""Hosts up to which a slow one is measured; beyond, nothing is said about it."""
MOST_FAR = 500
"""Hosts up to which there is a round trip."""
ONCE = 500
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

    def prepare(self, hosts: int, device_type: str = "linux") -> None:
        """Write inventories of `hosts`, and known_hosts."""
        names = [address(index) for index in range(hosts)]
        known = [f"[{name}]:{self.port} {self.key}\n" for name in names]
        each = self.folder / "each"
        each.mkdir(exist_ok=True)
        for name, line in zip(names, known, strict=True):
            (each / name).write_text(line)
        (self.folder / "known").write_text("".join(known))
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
        options = f"port: {self.port}, username: {USER}, device_type: {device_type}"
        inventory = "".join(f"h{name}: {{host: {name}, {options}}}\n" for name in names)
        (self.folder / "hosts.yml").write_text(inventory)
        options = f"ansible_port={self.port} ansible_user={USER}"
        inventory = "".join(f"h{name} ansible_host={name} {options}\n" for name in names)
        (self.folder / "ansible").write_text(inventory)

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

    def devices(self, hosts: int) -> Contenders:
        """Return what types at the prompt of a device."""
        return {
            "ssh-uptime": partial(self.ours, hosts),
            "nornir + netmiko": partial(self.client, hosts, "nornir"),
        }

    def unix(self, hosts: int) -> Contenders:
        """Return what runs a command on the exec channel."""
        found: dict[str, partial[Cost]] = {
            "ssh-uptime": partial(self.ours, hosts),
            "asyncssh": partial(self.client, hosts, "asyncssh"),
            "parallel-ssh": partial(self.client, hosts, "parallel-ssh"),
            "ansible raw": partial(self.ansible, hosts),
        }
        return {name: job for name, job in found.items() if hosts <= MOST.get(name, hosts)}


def versions() -> dict[str, str]:
    """Return the versions of the contenders."""
    names = ("ansible-core", "asyncssh", "netmiko", "nornir", "paramiko", "parallel-ssh")
    found = {name: importlib.metadata.version(name) for name in names}
    ssh = subprocess.run(["ssh", "-V"], stderr=subprocess.PIPE, text=True, check=False).stderr
    found["OpenSSH"] = ssh.partition("_")[2].split()[0] if "_" in ssh else "none"
    return found


def main() -> None:
    """Measure, and write the figures."""
    options = measure.arguments(__doc__, TASKS)
    sizes = SIZES[: 1 if options.small else None]
    many_files()
    record = measure.Record("fleet", options, versions())
    for task in [task for task in options.tasks if task in ROUND_TRIP]:
        delay = ROUND_TRIP[task]
        for hosts in [size for size in sizes if size <= (MOST_FAR if delay else size)]:
            with tempfile.TemporaryDirectory() as name, farm(Path(name), hosts, PORT, delay) as key:
                job = Job(Path(name), key, PORT + bool(delay))
                unix = not task.startswith("devices")
                job.prepare(hosts, device_type="linux" if unix else "cisco_ios")
                runs = options.runs if hosts < ONCE else 1
                contenders = job.unix(hosts) if unix else job.devices(hosts)
                record.add(measure.alternate(task, contenders, runs, size=hosts))
    for task, hosts in {"encrypted": ENCRYPTED_AT, "start": 1}.items():
        if task in options.tasks:
            with tempfile.TemporaryDirectory() as name, farm(Path(name), hosts, PORT, 0) as key:
                job = Job(Path(name), key, PORT)
                job.prepare(hosts)
                able = keys(job, hosts) if task == "encrypted" else job.unix(hosts)
                record.add(measure.alternate(task, able, options.runs, size=hosts))


def keys(job: Job, hosts: int) -> Contenders:
    """Return ssh-uptime with a plain key and with the same one encrypted."""
    shutil.copy(job.folder / "id", job.folder / "encrypted")
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", "encrypted"]
    subprocess.run(command, cwd=job.folder, check=True, capture_output=True)
    return {
        "ssh-uptime, plain key": partial(job.ours, hosts),
        "ssh-uptime, encrypted key": partial(job.ours, hosts, "encrypted"),
    }


if __name__ == "__main__":
    main()
