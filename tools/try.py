"""`make try`: go from nothing to a verified environment on this machine.

Makes the local conda channel, generates a project that uses it, lets the hooks lock, create and
verify its environment, and reads the uptime of a host over SSH. All files stay in build/, caches
included; each run makes another project, so that one can go on with the last.
"""

from __future__ import annotations

import itertools
import json
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

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "{{cookiecutter.project}}"))
from condaw.base.console import waiting  # noqa: E402

BUILD = ROOT / "build"
HOME = BUILD / "try"
CACHES = {
    "CONDAW_CACHE": BUILD / "cache",
    "XDG_CACHE_HOME": BUILD / "cache",  # conda-lock's, on Linux
    "COOKIECUTTER_CONFIG": HOME / "cookiecutter.json",
}


def show(command: list[str], cwd: Path) -> None:
    """Print and run `command`; exit with a message if it fails."""
    name = Path(command[0]).stem
    print(f"\n$ {shlex.join([name, *command[1:]])}", flush=True)
    env = {**os.environ, **{name: str(path) for name, path in CACHES.items()}}
    code = subprocess.run(command, cwd=cwd, env=env, check=False).returncode
    if code:
        sys.exit(f"make try: exit code {code}; the lines above say why")


def main() -> None:
    """Run each step, and print the time it took in all."""
    began = time.monotonic()
    print("Making a conda channel from this Python and PyPI wheels ...", flush=True)
    with waiting("making a conda channel"):
        url = channel(BUILD).as_uri()
    HOME.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(HOME / "template", ignore_errors=True)
    template = export(HOME / "template")
    own = {f"{name}_dir": str(HOME / name) for name in ("replay", "cookiecutters")}
    CACHES["COOKIECUTTER_CONFIG"].write_text(json.dumps(own), encoding="utf-8")
    numbers = itertools.count(1)
    project = next(path for n in numbers if not (path := HOME / f"demo-{n}").exists())
    cookiecutter = shutil.which("cookiecutter", path=str(Path(sys.executable).parent))
    assert cookiecutter, "requirements.txt has cookiecutter"
    answers = [
        f"project={project.name}",
        f"python={sys.version_info.major}.{sys.version_info.minor}",
        f"channel={url}",
        "environment=required",
    ]
    show([cookiecutter, "--no-input", str(template), *answers], HOME)
    condaw = [sys.executable, "-m", "condaw"]
    show([*condaw, "status"], project)
    show([*condaw, "verify"], project)
    with tempfile.TemporaryDirectory() as folder, ssh_server(Path(folder)) as server:
        keys = ["--known-hosts", str(server.known_hosts), "--key", str(server.key)]
        target = f"{server.user}@127.0.0.1:{server.port}"
        show([*condaw, "run", "--", "ssh-uptime", *keys, target], project)
    python = Path(os.path.relpath(sys.executable, project)).as_posix()
    print(
        f"\nDone in {time.monotonic() - began:.0f} s. To go on in the project:",
        f"  cd {Path(os.path.relpath(project)).as_posix()}",
        f"  {python} -m condaw shell",
        sep="\n",
    )


if __name__ == "__main__":
    main()
