"""Fixtures: devices on loopback, and the command run as its user would run it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from server import OUTPUTS, PASSWORD, Device, known_hosts_line, serve


@pytest.fixture
def start() -> Iterator[Callable[[Device], int]]:
    """A function that starts a device and returns its port."""
    with ExitStack() as stack:
        yield lambda device: stack.enter_context(serve(device))


@pytest.fixture
def linux() -> Device:
    return Device(answers={"uptime": OUTPUTS.joinpath("linux.txt").read_text().rstrip("\n")})


@pytest.fixture
def known_hosts(tmp_path: Path) -> Callable[..., Path]:
    """A function that vouches for devices in a known_hosts file and returns the file."""

    def write(*devices: tuple[Device, int]) -> Path:
        file = tmp_path / "known_hosts"
        file.write_text("".join(known_hosts_line(device, port) for device, port in devices))
        return file

    return write


@pytest.fixture
def ssh_uptime(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs the command in a home of its own, with the devices' password."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "{{ cookiecutter.package }}", *map(str, arguments)]
        secret = {"SSH_UPTIME_PASSWORD": PASSWORD, "HOME": str(tmp_path)}
        env = {**os.environ, **secret, **environment}
        return subprocess.run(
            command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60, check=False
        )

    return run
