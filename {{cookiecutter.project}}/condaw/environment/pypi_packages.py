"""PyPI packages and the project itself: installed by uv into a prefix that will be renamed."""

import base64
import contextlib
import functools
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import uv
from packaging.utils import canonicalize_name

from condaw.base import process
from condaw.base.errors import RETRY, CannotError, next_step_after
from condaw.base.files import sha256_of
from condaw.base.layout import PYTHON
from condaw.base.project import Project, cache_dir, table
from condaw.environment.prefix import wheels
from condaw.lockfile.package import Package
from condaw.network import pip_config

# Looked up here, once: Python 3.11 cannot do that in two threads at the same time.
UV = uv.find_uv_bin()
PYPI = ("the PyPI packages", "check the network and pip's index settings")
ITSELF = ("the project itself", "correct pyproject.toml")
UvInstall = Callable[..., CompletedProcess[str]]


def environment() -> dict[str, str]:
    """Return the process environment for uv, with a cache that no other tool links files from.
    Raises CannotError if pip's configuration cannot be read."""
    env = pip_config.uv_environment()
    env |= {"UV_CACHE_DIR": str(cache_dir() / "uv"), "UV_NO_COLOR": "1"}
    if _kept().is_dir():
        env["UV_FIND_LINKS"] = ",".join(filter(None, [env.get("UV_FIND_LINKS"), _kept().as_uri()]))
    return env


def keep(packages: Sequence[Package], wheels: Path) -> None:
    """Copy the wheels of `packages` out of a bundle, so that the next time needs no bundle."""
    _kept().mkdir(parents=True, exist_ok=True)
    for wheel in (wheels / package.file_name for package in packages):
        part = _kept() / f"{wheel.name}.{os.getpid()}.part"
        shutil.copyfile(wheel, part)
        part.replace(_kept() / wheel.name)


def install(
    project: Project, packages: Sequence[Package], prefix: Path, site: Path, env: Mapping[str, str]
) -> None:
    """Install `packages`, each a wheel with the locked sha256, and the project as a link to its
    sources, if pyproject.toml describes one. uv writes all wheels at once. Of those that bring
    other content for the same file, the last by name must win, each time: so they are installed
    again, one after the other. Raises CannotError if that cannot be done."""
    for package in packages:
        kept = _kept() / package.file_name
        if kept.is_file() and sha256_of(kept) != package.sha256:
            kept.unlink()
    pins = {p.name: f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in packages}
    pinned = ["--only-binary", ":all:", "--requirement", "-"] if pins else []
    itself = ["--editable", "."] if table(project, "project") else []  # else settings of tools
    uv_install = functools.partial(_uv_install, project.root, prefix, env)
    # uv asks Python what it is in each run: so one run for all, if nothing is to be fetched.
    both, every = [*pinned, *itself], "".join(pins.values())
    if both and uv_install([*both, "--offline"], every).returncode:
        if pinned:
            _fetch(PYPI, uv_install, pinned, every)
        if itself:
            _fetch(ITSELF, uv_install, itself)
    names = {str(canonicalize_name(name)): name for name in pins}
    for name in filter(names.get, _rivals(prefix, site)):
        _fetch(PYPI, uv_install, [*pinned, "--reinstall"], pins[names[name]])


def forget(names: Sequence[str]) -> None:
    """Drop packages from uv's cache. Without `names`, uv would drop everything."""
    process.run([UV, "cache", "clean", "--no-config", *names], env=environment())


@contextlib.contextmanager
def relocatable(prefix: Path, site: Path) -> Iterator[None]:
    """Let uv write scripts that find their Python from where they are: `prefix` will be renamed.
    On Windows, where Python lies beside this mark, it would take the folder above for its prefix.
    Sources: uv, `venv --relocatable`; CPython's `Lib/site.py`, venv."""
    mark, own = prefix / "pyvenv.cfg", site / "condaw-prefix.pth"
    mark.write_text("relocatable = true\n", encoding="utf-8")
    own.write_text("import sys; sys.prefix = sys.exec_prefix = sys.base_prefix\n", encoding="utf-8")
    try:
        yield
    finally:
        mark.unlink()
        own.unlink()


def write_ascii_links(site: Path) -> None:
    """Replace each .pth file of other letters by code that adds the same folders. Source: Python's
    `site`."""
    for record in site.glob("*.dist-info/RECORD"):
        text = record.read_text(encoding="utf-8")
        for name in re.findall(r"(?m)^([^/\n]+\.pth),", text):
            content = (site / name).read_bytes()
            if content.isascii() or content.startswith(b"import"):
                continue
            folders = content.decode("utf-8").splitlines()
            code = "".join(f"import sys; sys.path.append({each!a})\n" for each in folders)
            (site / name).write_text(code, encoding="ascii", newline="\n")
            digest = base64.urlsafe_b64encode(hashlib.sha256(code.encode()).digest()).decode()
            row = f"{name},sha256={digest.rstrip('=')},{len(code)}"
            text = re.sub(rf"(?m)^{re.escape(name)},.*$", row, text)
            record.write_text(text, encoding="utf-8", newline="\n")


def _rivals(prefix: Path, site: Path) -> list[str]:
    """Return the names of the wheels that bring a file in which they differ, in their order."""
    brought: dict[str, dict[str, str | None]] = {}
    installed = wheels(prefix, site)
    for wheel in installed:
        for path, file in wheel.files.items():
            brought.setdefault(path, {})[wheel.name] = file.sha256
    rivals = {n for each in brought.values() if len({*each.values()}) > 1 for n in each}
    return [wheel.name for wheel in installed if wheel.name in rivals]


def _kept() -> Path:
    return cache_dir() / "wheels"


def _uv_install(
    folder: Path, prefix: Path, env: Mapping[str, str], words: Sequence[str], stdin: str = ""
) -> CompletedProcess[str]:
    command = [UV, "pip", "install", "--no-deps", "--no-progress", "--no-config"]
    command += ["--break-system-packages", "--python", str(prefix / PYTHON), *words]
    refused = env.get("PIP_NO_INDEX", "").lower() in ("1", "true", "yes", "on")
    if refused and "--offline" not in words:
        command.append("--no-index")  # uv has no variable for it
    return process.run(command, env=env, stdin=stdin, cwd=folder)


def _fetch(
    what: tuple[str, str], uv_install: UvInstall, words: Sequence[str], stdin: str = ""
) -> None:
    """Install from uv's cache, else from the index. Raises CannotError if that fails."""
    if uv_install([*words, "--offline"], stdin).returncode == 0:
        return
    result = uv_install(words, stdin)
    if result.returncode:
        # The last cause that uv names may go over several lines.
        lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
        marked = [at for at, line in enumerate(lines) if line.startswith(("error: ", "cause: "))]
        problem = " ".join(lines[marked[-1] if marked else -1 :]) or "no message"
        step = next_step_after(problem, what[1])
        raise CannotError(f"{what[0]} could not be installed: {problem}", f"{step}, and {RETRY}")
