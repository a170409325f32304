"""What the tests of the sample share: the sample itself, a real sshd, a farm of fast hosts.

The sample has no Jinja in it, so it is imported as it is, as the package `sample`.
"""

from __future__ import annotations

import atexit
import getpass
import grp
import json
import os
import pty
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "{{cookiecutter.project}}" / "src" / "{{cookiecutter.package}}"
PACKAGES = Path(tempfile.mkdtemp(prefix="sample-"))
atexit.register(shutil.rmtree, PACKAGES, ignore_errors=True)
shutil.copytree(SOURCE, PACKAGES / "sample", ignore=shutil.ignore_patterns("__pycache__"))
sys.path[:0] = [str(PACKAGES), str(ROOT / "benchmarks")]
sys.path.append(str(SOURCE.parents[1] / "tests"))  # for ssh_devices, the server of its own tests

import farm as benchmark  # type: ignore[import-not-found]  # noqa: E402

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@dataclass
class Result:
    """What the command gave back."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of a JSON answer, by name."""
        return {row["name"]: row for row in json.loads(self.out)}


@dataclass
class Home:
    """The account that runs the command."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """Variables for a program that this account runs."""
        own = {"HOME": str(self.path), "PYTHONPATH": str(PACKAGES), "COLUMNS": "100"}
        kept = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        return kept | own | self.env | more

    def ssh_uptime(self, *arguments: object, timeout: float = 250, **env: str) -> Result:
        """Run the command to its end."""
        command = [sys.executable, "-m", "sample", *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(**env),
            cwd=self.path,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def known_hosts(self, text: str) -> Path:
        """Write ~/.ssh/known_hosts."""
        file = self.path / ".ssh" / "known_hosts"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def home(tmp_path: Path) -> Home:
    path = tmp_path / "home"
    path.mkdir()
    return Home(path)


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nothing listened on a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass
class Sshd:
    """A running OpenSSH server and the files around it."""

    port: int
    folder: Path
    user: str

    @property
    def key(self) -> Path:
        """The private key that logs in."""
        return self.folder / "user"

    def line(self, kind: str = "ed25519", name: str | None = None) -> str:
        """The known_hosts line of the server's key."""
        key = " ".join((self.folder / f"host_{kind}.pub").read_text().split()[:2])
        return f"{name or f'[127.0.0.1]:{self.port}'} {key}\n"


def keygen(file: Path, kind: str = "ed25519") -> None:
    """Make a key pair."""
    size = ["-b", "2048"] if kind == "rsa" else []  # larger ones take long to find
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-f", file], check=True)


@cache
def host_keys() -> list[Path]:
    """The files of the keys that all servers have."""
    folder = PACKAGES / "keys"
    folder.mkdir()
    for kind in ("ed25519", "rsa"):
        keygen(folder / f"host_{kind}", kind)
    return list(folder.iterdir())


def terminals_belong_to_tty() -> bool:
    """Whether new terminals have the group that sshd wants; else only root's sshd can set it."""
    ends = pty.openpty()
    try:
        return os.fstat(ends[1]).st_gid == grp.getgrnam("tty").gr_gid
    finally:
        for end in ends:
            os.close(end)


@contextmanager
def run_sshd(
    folder: Path, *options: str, addresses: tuple[str, ...] = ("127.0.0.1",)
) -> Iterator[Sshd]:
    """An OpenSSH server for the current user, with keys of its own."""
    if SSHD is None:
        pytest.skip("no sshd on this machine (package openssh-server)")
    if os.geteuid() != 0 and not terminals_belong_to_tty():
        pytest.skip("here only root can run an sshd that gives terminals (devpts without gid=tty)")
    folder.mkdir()
    for file in host_keys():
        shutil.copy(file, folder)
    keygen(folder / "user")
    port = free_port()
    lines = [
        *options,
        f"Port {port}",
        *(f"ListenAddress {address}" for address in addresses),
        *(f"HostKey {folder}/host_{kind}" for kind in ("ed25519", "rsa")),
        f"AuthorizedKeysFile {folder}/user.pub",
        f"PidFile {folder}/pid",
        "StrictModes no",
        "UsePAM no",
        "PrintMotd no",
        "PermitRootLogin yes",
    ]
    (folder / "config").write_text("\n".join(lines) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    log = (folder / "log").open("wb")
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=log)
    try:
        for _ in range(500):
            with closing(socket.socket()) as probe:
                probe.settimeout(0.02)
                if probe.connect_ex((addresses[0], port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            threading.Event().wait(0.02)
        yield Sshd(port, folder, getpass.getuser())
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """A function that starts an OpenSSH server with further lines of configuration."""
    with ExitStack() as stack:
        names = iter(range(100))
        yield lambda *options, **more: stack.enter_context(
            run_sshd(tmp_path / f"sshd{next(names)}", *options, **more)
        )


@dataclass(frozen=True)
class Farm:
    """Fast Linux hosts on 127.1.y.z, all with one host key: the farm of the benchmarks."""

    hosts: list[str]
    port: int
    public: str
    key: Path
    """The private key that logs in, as the user `me`."""

    @property
    def names(self) -> list[str]:
        """The hosts as arguments."""
        return [f"{benchmark.USER}@{host}:{self.port}" for host in self.hosts]

    @property
    def known_hosts(self) -> str:
        """The line for all hosts, as a pattern."""
        return f"[127.1.*]:{self.port} {self.public}\n"

    def line(self, host: str) -> str:
        """The line for one host."""
        return f"[{host}]:{self.port} {self.public}\n"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder, port = tmp_path_factory.mktemp("farm"), free_port()
    with benchmark.farm(folder, 40, port, 0) as public:
        hosts = [benchmark.address(index) for index in range(40)]
        yield Farm(hosts, port, public, folder / "id")
