"""What the tests of faults share: projects to harm, ways to harm them, what must be true after."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from contextlib import suppress
from pathlib import Path

from loopback import Quiet
from machine import Result

LITTER = (".conda.part", ".conda.old")
# No index of PyPI packages can be reached.
CLOSED = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull}
CLOSED |= {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "UV_HTTP_RETRIES": "0"}
# Nothing but this machine can be reached, and every index is what it was.
UNREACHABLE = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
UNREACHABLE |= {name.lower(): proxy for name, proxy in UNREACHABLE.items()}
UNREACHABLE |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")
PROGRESS = ("condaw: installing ", "condaw: fetching ", "condaw: waiting ")


def assert_told(done: Result, cause: str, step: str = "run the command again") -> None:
    """Exit code 3; on stderr, after progress, the cause and what to do, and little else."""
    said = [line for line in done.stderr.splitlines() if not line.startswith(PROGRESS)]
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert 2 <= len(said) <= 5, done.stderr
    assert said[-2].startswith("condaw: cannot create: ") and cause in said[-2], done.stderr
    assert said[-1].startswith("condaw: next: ") and step in said[-1], done.stderr


def assert_tidy(project: Path, cache: Path | None = None) -> None:
    """Nothing half done is in the project, nor in the cache's folder of packages."""
    assert not [name for name in LITTER if os.path.lexists(project / name)]
    folders = cache.glob("pkgs/.*") if cache else ()
    assert not [path for path in folders if path.is_dir()]
    assert not list(cache.glob("*.part") if cache else ())


def contents(project: Path) -> dict[str, int | str]:
    """The environment: each file with its size, each link with its target; without byte-code, and
    without what says that its smoke commands have passed."""
    found: dict[str, int | str] = {}
    for folder, folders, files in os.walk(project / ".conda"):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in {*files} - {"condaw.passed"}:
            path = Path(folder, name)
            where = path.relative_to(project).as_posix()
            found[where] = str(path.readlink()) if path.is_symlink() else path.stat().st_size
    return found


def point(project: Path, old: str, new: str) -> None:
    """Write `new` for `old` into environment.yml and lock."""
    for name in ("environment.yml", "conda-lock.yml"):
        path = project / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def smoke(project: Path, *commands: list[str]) -> None:
    """Write these smoke commands into pyproject.toml."""
    path = project / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    text, count = re.subn(r"(?m)^smoke = .*$", f"smoke = {json.dumps(commands)}", text)
    assert count == 1
    path.write_text(text, encoding="utf-8")


def archive(channel: Path, name: str) -> Path:
    return next(path for path in channel.glob("*/*.conda") if path.name.startswith(f"{name}-"))


def rewrite(path: Path, content: bytes) -> None:
    """Give `path` another content, and leave its hard links alone."""
    path.unlink()
    path.write_bytes(content)


def empty(path: Path) -> None:
    rewrite(path, b"")


def truncate(path: Path) -> None:
    content = path.read_bytes()
    rewrite(path, content[: len(content) // 2])


def garble(path: Path) -> None:
    content = path.read_bytes()
    rewrite(path, content[:-40] + bytes(40))


def replace_by_another(path: Path) -> None:
    rewrite(path, archive(path.parent.parent, "pluggy").read_bytes())


class Halting(Quiet):
    """Serves half of each archive, then nothing more, until the test is over."""

    before_headers = False
    over = threading.Event()

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        if not self.before_headers:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        self.over.wait()


class HaltingBeforeHeaders(Halting):
    before_headers = True


class Resuming(Halting):
    """Serves the other half when the wait is over."""

    def do_GET(self) -> None:
        super().do_GET()
        content = Path(self.translate_path(self.path)).read_bytes()
        with suppress(OSError):  # who asked may be dead
            self.wfile.write(content[len(content) // 2 :])


class Dripping(Quiet):
    """Serves the largest archive in pieces, each within the time that a server may be silent."""

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        pieces = 6 if len(content) > 5_000_000 else 1
        size = len(content) // pieces + 1
        for start in range(0, len(content), size):
            self.wfile.write(content[start : start + size])
            time.sleep(0.5 if pieces > 1 else 0)  # the pace of a slow line, not a wait
