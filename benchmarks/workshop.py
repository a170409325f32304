"""What is measured: a channel and an index on loopback, locked projects, and who installs them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import yaml
from loopback import served
from measure import ROOT, Cost
from template import export

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CONDAW = [sys.executable, "-m", "condaw"]
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
# Settings of the person who measures.
FOREIGN = ("CONDA", "MAMBA", "PIP_", "UV_", "PYTHON", "VIRTUAL_ENV", "RATTLER", "XDG_")
PUBLIC = "https://conda.anaconda.org"
Command = Sequence[str | Path]


def account(home: Path, index: str = "") -> dict[str, str]:
    """Return the variables of a new account whose PyPI is the URL `index`; without one, the pip
    settings are those of whoever measures."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    if index:
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index}
    return {**kept, **pip, "HOME": str(home), "UV_NO_CONFIG": "1"}


@dataclass(frozen=True)
class Tool:
    """One way to make an environment, and where it puts it."""

    name: str
    prefix: Path
    cache: Path
    make: Sequence[Command]
    env: Mapping[str, str]
    cwd: Path = Path("/")

    def run(self, *commands: Command) -> Cost:
        """Run `commands` and return the sum of their costs; raise FailedError if one fails."""
        os.sync()
        costs = [measure.run(command, cwd=self.cwd, env=self.env) for command in commands]
        return sum(costs[1:], costs[0])

    def warm(self) -> Cost:
        """Make the environment again, with the cache as it is."""
        measure.discard(self.prefix)
        return self.run(*self.make)

    def cold(self) -> Cost:
        """Make the environment again, with an empty cache."""
        measure.discard(self.cache)
        return self.warm()


def condaw(name: str, project: Path, cache: Path, env: Mapping[str, str]) -> Tool:
    """Return condaw for one project."""
    own = {**env, "CONDAW_CACHE": str(cache)}
    return Tool(name, project / ".conda", cache, [[*CONDAW, "create"]], own, project)


def micromamba(
    name: str, folder: Path, file: Path, env: Mapping[str, str], more: Sequence[Command] = ()
) -> Tool:
    """Return micromamba for a conda-lock.yml or an explicit file; without byte-code unless `more`
    is to be done, in the environment at `folder`/prefix."""
    prefix, cache = folder / "prefix", folder / "cache"
    words = ["--yes", "--quiet", "--no-rc", *([] if more else ["--no-pyc"])]
    create: Command = ["micromamba", "create", *words, "--prefix", prefix, "--file", file]
    own = {"CONDA_PKGS_DIRS": str(cache), "MAMBA_ROOT_PREFIX": str(folder / "root")}
    own["PIP_CACHE_DIR"] = str(cache / "pip")
    return Tool(name, prefix, cache, [create, *more], {**env, **own})


@dataclass(frozen=True)
class Workshop:
    """A folder with everything that is measured with."""

    folder: Path
    url: str
    """Where channel and index are served."""
    env: dict[str, str]
    whole: Path
    """A generated project as it is: conda and PyPI packages, the project itself, and smoke."""
    plain: Path
    """The conda packages alone."""

    def tools(self) -> list[Tool]:
        """Return who makes these two projects: condaw, and micromamba if it is on PATH."""
        found = [
            condaw("condaw, as generated", self.whole, self.folder / "cache", self.env),
            condaw("condaw, plain", self.plain, self.folder / "cache-plain", self.env),
        ]
        if not shutil.which("micromamba"):
            return found
        place, pins = self.folder / "micromamba-same", self.folder / "pypi.txt"
        explicit = self.folder / "explicit.txt"
        write_explicit(explicit, packages(self.plain))
        python = place / "prefix" / "bin" / "python"
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        smoke = f"'{python}' -c 'import netmiko' & '{python}' -m whole --help && wait $!"
        more: list[Command] = [
            [python, *install, "--require-hashes", "--requirement", pins],
            ["env", f"PYTHONPATH={self.whole / 'src'}", "sh", "-c", smoke],
        ]
        same = micromamba("micromamba, the same job", place, explicit, self.env, more)
        bare = self.folder / "micromamba-bare"
        return [*found, same, micromamba("micromamba, bare", bare, explicit, self.env)]


@contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    """Serve the channel and an index on loopback, and lock projects of them."""
    site, wheels = folder / "site", ROOT / "build" / "bench-wheels"
    site.mkdir()
    channel = embedded_channel()
    for name in ("channel", "conda-forge"):
        (site / name).symlink_to(channel)
    with served(site) as url:
        whole, pins = generated(folder, f"{url}/channel"), folder / "pypi.txt"
        pins.write_text("".join(pin(e) for e in packages(whole) if e["manager"] == "pip"))
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
        download += [str(wheels), "--require-hashes", "--requirement", str(pins)]
        subprocess.run(download, check=True)
        serve_wheels(wheels, site / "simple")
        env = account(folder / "home", f"{url}/simple")
        ship(whole, f"{url}/channel", folder / "shipped")
        yield Workshop(folder, url, env, whole, without_pypi(whole, folder / "plain", env))


def embedded_channel(stand_ins: bool = True) -> Path:
    """Return the folder of the channel, made by another process: rattler can crash at exit."""
    tool = [sys.executable, str(ROOT / "tools" / "channel.py")]
    tool += ["--stand-ins"] if stand_ins else []
    made = subprocess.run(tool, stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.splitlines()[-1])


def serve_wheels(wheels: Path, simple: Path) -> None:
    """Write the pages of an index (PEP 503) that has `wheels`."""
    for wheel in wheels.glob("*.whl"):
        page = simple / re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        page.mkdir(parents=True, exist_ok=True)
        shutil.copy2(wheel, page)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with (page / "index.html").open("a", encoding="utf-8") as out:
            out.write(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>\n')


def cookiecutter(folder: Path, name: str, template: str, *words: str) -> list[str | Path]:
    """Return the command that generates the project `name` in `folder`, from a `template` there."""
    if not (folder / template).exists():
        export(folder / template)
    program = Path(sys.executable).with_name("cookiecutter")
    words = (f"python={VERSION}", f"project={name}", *words)
    return [program, "--no-input", folder / template, *words]


def ship(whole: Path, channel: str, template: Path) -> None:
    """Let a copy of the template ship the lock of `whole` as one of the public channel."""
    export(template)
    lock = template / "templates" / "conda-lock" / f"python-{VERSION}-paramiko-5.yml"
    rendered = template / "{{cookiecutter.project}}" / "environment.yml"
    for source, target in ((whole / "environment.yml", rendered), (whole / "conda-lock.yml", lock)):
        text = source.read_text(encoding="utf-8").replace(channel, f"{PUBLIC}/conda-forge")
        target.write_text(text, encoding="utf-8")


def generated(folder: Path, channel: str) -> Path:
    """Generate a project, locked against the real PyPI; return it."""
    env, project = account(folder / "home-online"), folder / "whole"
    words = (f"channel={channel}", "environment=no")
    command = cookiecutter(folder, project.name, "template", *words)
    subprocess.run(command, cwd=folder, env=env, check=True)
    lock = [*CONDAW, "lock", "--pin", "--quiet"]
    subprocess.run(lock, cwd=project, env=env, check=True, stdout=subprocess.DEVNULL)
    return project


def without_pypi(whole: Path, plain: Path, env: dict[str, str]) -> Path:
    """Copy `whole` to `plain`, lock only its conda packages, and return `plain`."""
    shutil.copytree(whole, plain)
    (plain / "pyproject.toml").unlink()
    source = plain / "environment.yml"
    text = source.read_text(encoding="utf-8")
    source.write_text(re.split(r"\n *- pip:", text)[0] + "\n", encoding="utf-8")
    lock = [*CONDAW, "lock", "--quiet"]
    subprocess.run(lock, cwd=plain, env=env, check=True, stdout=subprocess.DEVNULL)
    return plain


def packages(project: Path) -> list[dict[str, Any]]:
    """Return the entries of a project's lock that are for this machine."""
    text = (project / "conda-lock.yml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = yaml.load(text, LOADER)["package"]  # noqa: S506 - a safe one
    return entries


def pin(entry: dict[str, Any]) -> str:
    """Return an entry of a lock as a line of a requirements file."""
    return f"{entry['name']}=={entry['version']} --hash=sha256:{entry['hash']['sha256']}\n"


def write_explicit(file: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write the packages as an explicit file of conda: URLs and md5, Python first: micromamba
    installs in this order, and compiles byte-code only when Python is there."""
    first = sorted(entries, key=lambda entry: entry["name"] != "python")
    lines = ["@EXPLICIT", *(f"{entry['url']}#{entry['hash']['md5']}" for entry in first)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
