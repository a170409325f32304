"""What ssh_config(5) says of hosts: the answer of `ssh -G`."""

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko

from .failures import UsageError, last_line

Section = dict[str, list[str]]

# A line that makes the answer differ from host to host.
_VARIES = re.compile(
    r"^\s*(?:host[\s=]+(?!\*\s*$)|match\b|include\b(?!.*ssh_config\.d))",
    re.IGNORECASE | re.MULTILINE,
)
_HOME = os.path.expanduser(f"~{getpass.getuser()}")  # never raises
_WITHOUT_SSH = {
    "identityfile": ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"],
    "userknownhostsfile": ["~/.ssh/known_hosts"],
}


def lookup(hosts: Iterable[str], file: str | None = None) -> dict[str, Section]:
    """Return for each host its settings: lower-case names, and the values of each.

    `file` is instead of the user's and the system's; `none` is no file. Raises UsageError and
    OSError.
    """
    names = list(dict.fromkeys(hosts))
    if not shutil.which("ssh"):
        return _parsed(names, Path(file or "~/.ssh/config").expanduser())
    system = Path("/etc/ssh")
    usual = [Path.home() / ".ssh" / "config", system / "ssh_config", *system.glob("*.d/*.conf")]
    files = filter(Path.is_file, [Path(file)] if file else usual)
    texts = [path.read_text("utf-8", "replace") for path in files]
    command = ["ssh", *option(file), "-G", "--"]
    if not any(map(_VARIES.search, texts)):  # one answer for all, at 10 ms each
        return dict.fromkeys(names, _ask([*command, "host"]) | {"hostname": []})
    with ThreadPoolExecutor(4 * (os.cpu_count() or 1)) as pool:
        sections = pool.map(lambda name: _ask([*command, name]), names)
        return dict(zip(names, sections, strict=True))


def first(section: Section, key: str, default: str = "") -> str:
    """Return the first value of a setting."""
    value = (section.get(key) or ["none"])[0]
    return default if value.lower() == "none" else value


def option(file: str | None) -> list[str]:
    """Return -F for a file, and for the user's where HOME is not the home that ssh looks at."""
    own = Path.home() / ".ssh" / "config"
    if not file and str(Path.home()) != _HOME:
        file = str(own) if own.is_file() else "none"
    return ["-F", file] if file else []


def _parsed(names: list[str], file: Path) -> dict[str, Section]:
    """Read a file as paramiko does, without Include, where there is no ssh."""
    sections = {}
    try:
        config = paramiko.SSHConfig.from_text(file.read_text("utf-8") if file.is_file() else "")
        for name in names:
            found = config.lookup(name)
            int(found.get("port", 22))
            listed = {key: [v] if isinstance(v, str) else v for key, v in found.items()}
            sections[name] = _WITHOUT_SSH | listed
    except (paramiko.SSHException, ValueError, ImportError) as error:
        raise UsageError(f"{file}: expected ssh_config: {error}") from None
    return sections


def _ask(command: list[str]) -> Section:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = last_line(done.stderr.decode("utf-8", "replace"))
        raise UsageError(f"expected ssh_config: {said}")
    section: Section = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        name, _, value = line.replace(f"{_HOME}/", "~/").partition(" ")
        section.setdefault(name, []).append(value)
    return section
