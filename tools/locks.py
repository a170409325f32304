"""Make the shipped locks: one for each profile, solved from the channel or from a copy of it.

    python tools/locks.py [--records FOLDER] [--check] [PROFILE...]

FOLDER holds `<subdir>/repodata.json`, as a channel does. It is served on loopback and configured
as a mirror for rattler: `python -m condaw lock` runs as in any project, and writes the public
URLs of the channel. What changed is printed as Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from loopback import served
from rattler import Channel
from template import export

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "templates" / "conda-lock"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PROFILES = {
    f"python-{python}-paramiko-{paramiko}": {"python": python, "legacy_ssh": legacy}
    for python in PYTHONS
    for paramiko, legacy in (("5", "no"), ("4", "yes"))
} | {f"python-{python}": {"python": python, "sample": "none"} for python in PYTHONS}


def mirror(home: Path, url: str) -> None:
    """Let programs with this home read the public channel from `url`."""
    public = str(Channel("conda-forge").base_url).rstrip("/")
    (home / ".rattler").mkdir()
    config = home / ".rattler" / "config.toml"
    config.write_text(f'[mirrors]\n"{public}" = ["{url}"]\n', encoding="utf-8")


def make(profile: str, home: Path) -> tuple[bytes, str]:
    """Lock one profile; return the lock, and what changed in it."""
    template = home / "template"
    shipped = template / "templates" / "conda-lock" / f"{profile}.yml"
    new = not shipped.exists()
    shipped.touch()  # the template includes it
    answers = [f"{question}={answer}" for question, answer in PROFILES[profile].items()]
    command = ["cookiecutter", "--no-input", "--output-dir", str(home / profile), str(template)]
    run([*command, "project=demo", "environment=no", *answers], home)
    project = home / profile / "demo"
    if new:
        (project / "conda-lock.yml").unlink()
    changes = run(["condaw", "lock", "--upgrade", "--quiet"], home, project)
    return (project / "conda-lock.yml").read_bytes(), changes


def run(module: list[str], home: Path, folder: Path = ROOT) -> str:
    """Run `python -m MODULE...` in `folder` as a user with that home; return its stdout."""
    env = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "CONDAW_CACHE": str(home)}
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=folder,
        env=env,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout


def main() -> None:
    """Make the locks of the chosen profiles, and print what changed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=Path, help="a copy of the channel's repodata")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if locks differ")
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", default=list(PROFILES))
    arguments = parser.parse_args()
    differ = False
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        export(home / "template")
        if arguments.records:
            mirror(home, stack.enter_context(served(arguments.records)))
        for profile in arguments.profiles:
            lock, changes = make(profile, home)
            path = SHIPPED / f"{profile}.yml"
            differ |= not path.exists() or lock != path.read_bytes()
            if not arguments.check:
                path.write_bytes(lock)
            print(f"### {profile}\n\n```diff\n{changes}```\n", flush=True)
    sys.stdout.flush()
    os._exit(int(arguments.check and differ))  # rattler can crash at interpreter exit


if __name__ == "__main__":
    main()
