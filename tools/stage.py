"""A stage in a folder, for transcripts and pictures: accounts, a channel, git repositories, a host.

The commands are real, on the embedded channel and on loopback. Only paths are shown as they would
be on a normal machine: FOLDER/home/ada as /home/ada.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from channel import channel
from ssh_server import ssh_server
from template import export

BUILD = Path(__file__).resolve().parent.parent / "build"
TEMPLATE = "OWNER/cookiecutter-condaw"
PROGRAMS = (
    "bash cat cp diff dirname env find git grep head ls mkdir mv readlink realpath rm sed sh tail"
    " touch uname"
)
"""The programs on PATH besides Python's: no compiler, as on a fresh machine."""
ACCOUNT_FILES = {
    ".gitconfig": """\
[user]
name = Ada
email = ada@example.org
[init]
defaultBranch = main
[advice]
detachedHead = false
[protocol "file"]
allow = always
[url "{git}/"]
insteadOf = git@git.example.org:
""",
    ".cookiecutterrc": """\
default_context: {{python: "{python}", channel: "{channel}"}}
abbreviations: {{gh: "{git}/{{0}}.git"}}
""",
    ".ssh/config": """\
Host lab-1
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {key}
""",
}


@dataclass(frozen=True)
class Stage:
    """A folder with `home/NAME`, `srv/channel` and `srv/git`; `extra` are variables of a page."""

    folder: Path
    files: Mapping[str, str]
    extra: dict[str, str] = field(default_factory=dict)

    def account(self, name: str) -> Path:
        """Return the home of `name`, with fresh settings; make it if it is missing."""
        home = self.folder / "home" / name
        for path, text in self.files.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(text, encoding="utf-8")
        (home / ".ssh" / "config").chmod(0o600)
        return home

    def env(self, home: Path) -> dict[str, str]:
        """Return the variables of a session: the settings for PyPI are kept, no others."""
        network = ("PIP_", "UV_", "SSL_", "REQUESTS_CA", "HTTP", "NO_PROXY", "http", "no_proxy")
        kept = {name: text for name, text in os.environ.items() if name.startswith(network)}
        return {
            **kept,
            "HOME": str(home),
            "USER": home.name,
            "PATH": f"{Path(sys.executable).parent}:{self.folder / 'bin'}",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLUMNS": "100",
            "PIP_ROOT_USER_ACTION": "ignore",
            "MATURIN_NO_INSTALL_RUST": "1",  # else a build downloads a compiler
            **self.extra,
        }

    def real(self, text: str) -> str:
        """Return `text` with each path that is shown replaced by the one that exists."""
        for top in ("home", "srv"):
            text = text.replace(f"/{top}/", f"{self.folder}/{top}/")
        return text.replace("/usr/bin", str(Path(sys.executable).parent))

    def shown(self, text: str) -> str:
        """Return `text` with each path as it is shown, without the folder of the stage."""
        text = text.replace(str(Path(sys.executable).parent), "/usr/bin")
        return text.replace(str(self.folder), "")


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Make a stage in `folder`, which must not exist; its host answers until the block ends."""
    folder = folder.resolve()
    programs, served = folder / "bin", folder / "srv"
    programs.mkdir(parents=True)
    served.mkdir()
    for name in PROGRAMS.split():
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    shutil.copytree(channel(BUILD), served / "channel", copy_function=os.link)
    _publish(folder)
    with ssh_server(served) as server:
        values = {
            "git": (served / "git").as_uri(),
            "channel": (served / "channel").as_uri(),
            "python": ".".join(platform.python_version_tuple()[:2]),
            "port": server.port,
            "user": server.user,
            "key": server.key,
        }
        files = {name: text.format(**values) for name, text in ACCOUNT_FILES.items()}
        files[".ssh/known_hosts"] = server.known_hosts.read_text(encoding="utf-8")
        yield Stage(folder, files)


def _publish(folder: Path) -> None:
    """Put the template where cookiecutter's `gh:` finds it; make an empty repository for a team."""
    repository = folder / "srv" / "git" / f"{TEMPLATE}.git"
    export(repository)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    run = ["git", "-C", str(repository), *identity]
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "The template"]):
        subprocess.run([*run, *command], check=True, stdout=subprocess.DEVNULL)
    team = folder / "srv" / "git" / "net" / "ssh-uptime.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(team)], check=True)


def project(stage: Stage, home: Path) -> Path:
    """Return `ssh-uptime` in `home`: generated, locked, created, and committed to git.

    If another page left one, it is reset. Raises RuntimeError with the output if a command fails.
    """
    folder = home / "ssh-uptime"
    create = ["python", "-m", "condaw", "create", "--quiet"]
    commands: Sequence[tuple[Path, Sequence[str]]] = (
        (home, ["cookiecutter", "--no-input", f"gh:{TEMPLATE}", "environment=required"]),
        (folder, ["git", "init", "--quiet"]),
        (folder, ["git", "add", "--all"]),
        (folder, ["git", "commit", "--quiet", "--message", "Begin"]),
        (folder, ["git", "tag", "begin"]),
    )
    if folder.exists():
        commands = ((folder, ["git", "reset", "--quiet", "--hard", "begin"]), (folder, create))
    env = stage.env(home)
    for cwd, command in commands:
        found = shutil.which(command[0], path=env["PATH"]) or command[0]
        done = subprocess.run([found, *command[1:]], cwd=cwd, env=env, capture_output=True)
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr).decode())
    return folder
