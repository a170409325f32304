"""`make try`: go from nothing to a verified environment on this machine.

Makes the local conda channel, generates a project that uses it, lets the hooks lock, create and
verify its environment, and reads the uptime of a host over SSH. All files stay in build/.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from channel import channel
from ssh_server import ssh_server
from template import export

BUILD = Path(__file__).resolve().parent.parent / "build"


def show(command: list[str], cwd: Path) -> None:
    """Print and run `command`; exit with a message if it fails."""
    name = Path(command[0]).stem
    print(f"\n$ {shlex.join([name, *command[1:]])}", flush=True)
    env = {**os.environ, "CONDAW_CACHE": str(BUILD / "cache")}
    code = subprocess.run(command, cwd=cwd, env=env, check=False).returncode
    if code:
        sys.exit(f"make try: exit code {code}; the lines above say why")


def main() -> None:
    """Run each step, and print the time it took in all."""
    began = time.monotonic()
    print("Making a conda channel from this Python and PyPI wheels ...", flush=True)
    url = channel(BUILD).as_uri()
    home = BUILD / "try"
    shutil.rmtree(home, ignore_errors=True)
    template = export(home / "template")
    cookiecutter = shutil.which("cookiecutter", path=str(Path(sys.executable).parent))
    assert cookiecutter, "requirements.txt has cookiecutter"
    answers = [
        "project=demo",
        f"python={sys.version_info.major}.{sys.version_info.minor}",
        f"channel={url}",
        "environment=required",
    ]
    show([cookiecutter, "--no-input", str(template), *answers], home)
    project = home / "demo"
    condaw = [sys.executable, "-m", "condaw"]
    show([*condaw, "status"], project)
    show([*condaw, "verify"], project)
    with tempfile.TemporaryDirectory() as folder, ssh_server(Path(folder)) as server:
        keys = ["--known-hosts", str(server.known_hosts), "--key", str(server.key)]
        target = f"{server.user}@127.0.0.1:{server.port}"
        show([*condaw, "run", "--", "ssh-uptime", *keys, target], project)
    print(f"\nDone in {time.monotonic() - began:.0f} s. The project: {project}")


if __name__ == "__main__":
    main()
