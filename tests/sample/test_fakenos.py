"""Network devices as FakeNOS plays them, in an environment of its own: it wants paramiko 4."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from condaw.network import pip_config
from filelock import FileLock
from ssh_servers import ROOT, Home, free_port

HERE = Path(__file__).parent
TYPES = ("cisco_nxos", "juniper_junos", "hp_procurve", "huawei_vrp")

pytestmark = pytest.mark.xdist_group("fakenos")


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of an environment with FakeNOS, made once."""
    requirements = HERE / "fakenos.txt"
    folder = ROOT / "build" / f"fakenos-{sys.version_info.major}.{sys.version_info.minor}"
    stamp = folder / "requirements.txt"
    executable = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not stamp.exists() or stamp.read_text() != requirements.read_text():
            venv.create(folder, clear=True)
            command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--require-hashes"]
            command += ["--python", str(executable), "-r", str(requirements)]
            subprocess.run(command, env=pip_config.uv_environment(), check=True)
            stamp.write_text(requirements.read_text())
    return executable


@pytest.fixture(scope="session")
def devices(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The ports of running devices, by device type."""
    key = tmp_path_factory.mktemp("fakenos") / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-b", "2048", "-N", "", "-f", key],
        check=True,
    )
    ports = {kind: free_port() for kind in TYPES}
    command = [
        str(python),
        str(HERE / "fakenos_devices.py"),
        str(key),
        *(f"{k}={p}" for k, p in ports.items()),
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield ports
    process.stdin.close()
    process.wait(20)


def test_fakenos_devices_tell_their_uptime(devices: dict[str, int], home: Home) -> None:
    inventory = home.path / "inventory.yml"
    inventory.write_text(
        "".join(
            f"{kind}:\n  device_type: {kind}\n  host: 127.0.0.1\n  port: {port}\n"
            for kind, port in devices.items()
        )
    )

    result = home.ssh_uptime(
        "-i", inventory, "-u", "user", "--accept-new", "-o", "json", SSH_UPTIME_PASSWORD="user"
    )

    assert {name: row["detail"] for name, row in result.rows.items()} == dict.fromkeys(TYPES, "")
    assert all(row["uptime_seconds"] > 0 for row in result.rows.values())


def test_a_wrong_device_type_is_told_in_time(devices: dict[str, int], home: Home) -> None:
    result = home.ssh_uptime(
        f"user@127.0.0.1:{devices['juniper_junos']}",
        "--device-type", "paloalto_panos", "--accept-new", "-t", "4", "-o", "json",
        SSH_UPTIME_PASSWORD="user",
    )  # fmt: skip

    (row,) = result.rows.values()
    assert row["error"] in {"no-prompt", "parse", "auth"}
    assert row["elapsed"] <= 8
