"""What ssh_config(5) says of hosts: the answer of `ssh -G`, or of paramiko's parser without it."""

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from .failures import UsageError, last_line

Section = dict[str, list[str]]

# A line that makes the answer differ from host to host.
_VARIES = re.compile(
    r"^\s*(?:host[\s=]+(?!\*\s*$)|match\b|include\b(?!.*ssh_config\.d))",
    re.IGNORECASE | re.MULTILINE,
)


def lookup(hosts: Iterable[str], file: str | None) -> dict[str, Section]:
    """Return for each host its settings: lower-case names, and the values of each.

    `file` is instead of the user's and the system's; `none` is no file. Raises UsageError and
    OSError.
    """
    names, home = list(dict.fromkeys(hosts)), Path.home()
    own = home / ".ssh" / "config"
    if not shutil.which("ssh"):
        return _parsed(names, Path(file) if file else own)
    with suppress(RuntimeError):  # a user that the system does not know
        home = Path(f"~{getpass.getuser()}").expanduser()
    if not file and Path.home() != home:  # ssh does not look at HOME
        file = str(own) if own.is_file() else "none"
    command = ["ssh", *(["-F", file] if file else []), "-G", "--"]
    system = Path("/etc/ssh")
    files = [Path(file)] if file else [own, system / "ssh_config", *system.glob("*.d/*.conf")]
    texts = [path.read_text("utf-8", "replace") for path in files if path.is_file()]
    if not any(map(_VARIES.search, texts)):  # one answer for all, at 10 ms each
        return dict.fromkeys(names, _ask(command, "host", home) | {"hostname": []})
    with ThreadPoolExecutor(4 * (os.cpu_count() or 1)) as pool:
        sections = pool.map(lambda name: _ask(command, name, home), names)
        return dict(zip(names, sections, strict=True))


def _ask(command: list[str], name: str, home: Path) -> Section:
    command = [*command, name]
    done = subprocess.run(
        command, input="", capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise UsageError(f"expected ssh_config: {last_line(done.stderr)}")
    section: Section = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        section.setdefault(name, []).append(value)
    for name in ("userknownhostsfile", "identityfile"):
        section[name] = [v.replace(f"{home}/", "~/") for v in section.get(name, [])]
    return section


def _parsed(names: list[str], file: Path) -> dict[str, Section]:
    """Read a file with paramiko, which knows neither Include nor the system's file."""
    import paramiko

    text = file.read_text("utf-8", "replace") if file.is_file() else ""
    try:
        config = paramiko.SSHConfig.from_text(text)
        for name in names:
            int(config.lookup(name).get("port", 22))
    except (paramiko.SSHException, ValueError) as error:
        raise UsageError(f"{file}: expected ssh_config: {error}") from None
    return {
        name: {key: v if isinstance(v, list) else [v] for key, v in config.lookup(name).items()}
        for name in names
    }
