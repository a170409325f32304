"""Make the shipped locks: one for each profile, solved from a folder of conda-forge records.

    python tools/locks.py RECORDS [PROFILE...]

RECORDS holds `<subdir>/repodata.json` as a channel has it. It is served on loopback and set up as
a mirror in rattler's configuration, so the locks come out of `python -m condaw lock` as any
project runs it, with the channel's public URLs in them.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cookiecutter.main import cookiecutter
from rattler import Channel

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "templates" / "conda-lock"
PROFILES = {
    f"python-{python}-paramiko-{paramiko}": {"python": python, "legacy_ssh": legacy}
    for python in ("3.11", "3.12", "3.13", "3.14")
    for paramiko, legacy in (("5", "no"), ("4", "yes"))
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL under which `folder` is served on loopback."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def make(profile: str, home: Path) -> bytes:
    """The lock of one profile; `home` has the mirror in its rattler configuration."""
    answers = {**PROFILES[profile], "channel": "conda-forge", "environment": "no"}
    shipped = SHIPPED / f"{profile}.yml"
    if not shipped.exists():
        shipped.touch()  # the template includes it
    project = Path(
        cookiecutter(
            str(ROOT), no_input=True, extra_context=answers, output_dir=str(home / profile)
        )
    )
    (project / "conda-lock.yml").unlink()
    env = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "CONDAW_CACHE": str(home)}
    subprocess.run(
        [sys.executable, "-m", "condaw", "lock", "--quiet"],
        cwd=project,
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return (project / "conda-lock.yml").read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", default=list(PROFILES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(arguments.records) as mirror:
        home = Path(folder)
        (home / ".rattler").mkdir()
        public = str(Channel("conda-forge").base_url).rstrip("/")
        (home / ".rattler" / "config.toml").write_text(
            f'[mirrors]\n"{public}" = ["{mirror}"]\n', encoding="utf-8"
        )
        for profile in arguments.profiles:
            lock = make(profile, home)
            (SHIPPED / f"{profile}.yml").write_bytes(lock)
            print(f"{profile}: {lock.count(b'- name:')} packages", flush=True)
    sys.stdout.flush()
    os._exit(0)  # rattler can crash at interpreter exit


if __name__ == "__main__":
    main()
