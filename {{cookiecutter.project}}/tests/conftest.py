"""Fixtures: devices on loopback, and the command run as its user would run it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from ssh_devices import Device, serve

PASSWORD = "correct horse"
OUTPUTS = Path(__file__).parent / "outputs"


@pytest.fixture
def start() -> Iterator[Callable[[Device], int]]:
    """Return a function that starts a device and returns its port."""
    with ExitStack() as stack:
        yield lambda device: stack.enter_context(serve(device))


@pytest.fixture
def linux() -> Device:
    """Return a Linux host, which is not started."""
    answer = OUTPUTS.joinpath("linux.txt").read_text().rstrip("\n")
    return Device(PASSWORD, answers={"uptime": answer})


@pytest.fixture
def known_hosts(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that vouches for devices in a known_hosts file and returns the file."""

    def write(*devices: tuple[Device, int]) -> Path:
        file = tmp_path / "known_hosts"
        file.write_text("".join(device.known_hosts(port) for device, port in devices))
        return file

    return write


@pytest.fixture
def ssh_uptime(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command in a home of its own, with the password."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "{{ cookiecutter.package }}", *map(str, arguments)]
        mine = {"SSH_UPTIME_PASSWORD": PASSWORD, "HOME": str(tmp_path)}
        kept = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=kept | mine | environment,
            cwd=tmp_path,
            timeout=250,
            check=False,
        )

    return run
