"""A host on loopback for the sample to visit: the server of its own tests, with a key."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import paramiko

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "{{cookiecutter.project}}" / "tests" / "ssh_devices.py"
UPTIME = " 09:41:07 up 51 days,  3:07,  1 user,  load average: 0.08, 0.03, 0.01"


@dataclass(frozen=True)
class Server:
    """What a client needs to log in."""

    port: int
    user: str
    key: Path
    known_hosts: Path


@contextmanager
def ssh_server(folder: Path) -> Iterator[Server]:
    """Serve a Linux host on 127.0.0.1, for one key made in `folder`, until the block ends."""
    loopback = _loopback()
    key, known_hosts = folder / "id", folder / "known_hosts"
    allowed = paramiko.ECDSAKey.generate()
    allowed.write_private_key_file(str(key))
    device = loopback.Device(password=None, allowed=allowed, answers={"uptime": UPTIME})
    with loopback.serve(device) as port:
        known_hosts.write_text(device.known_hosts(port), encoding="utf-8")
        yield Server(port, "operator", key, known_hosts)


def _loopback() -> ModuleType:
    """Return the module of its tests. It holds no Jinja, so it can be loaded where it is."""
    spec = importlib.util.spec_from_file_location("sample_loopback", SOURCE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module
