"""What the tools are measured with: a channel and an index on loopback, and locked projects."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from contenders import account, online
from loopback import served
from measure import ROOT
from template import export

PINS = ROOT / "tools" / "channel.txt"
"""The wheels that the embedded channel is made of; pip and uv install the same."""
WANTED = PINS.with_suffix(".in")
"""What was asked for."""
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Workshop:
    """A folder with everything that is measured with."""

    folder: Path
    url: str
    """Of the loopback server: `channel` and `simple` are below it."""
    env: dict[str, str]
    whole: Path
    """A generated project as it is: conda and PyPI packages, and the project itself."""
    plain: Path
    """The conda packages alone, which is what the conda tools can make."""
    explicit: Path
    """The same as an explicit file of conda: URLs and md5."""
    one: Path
    """The package to repair, likewise."""
    archives: list[Path]
    """The .conda files of `plain`."""


@contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    """Serve the channel and an index on loopback, and lock projects of them."""
    site = folder / "site"
    site.mkdir()
    channel = embedded_channel()
    (site / "channel").symlink_to(channel)
    wheels = ROOT / "build" / "bench-wheels"
    download(PINS, wheels)
    with served(site) as url:
        env = account(folder / "home", f"{url}/simple")
        whole = generated(folder, f"{url}/channel")
        pypi = folder / "pypi.txt"
        entries = [entry for entry in packages(whole) if entry["manager"] == "pip"]
        pypi.write_text("".join(map(pin, entries)), encoding="utf-8")
        download(pypi, wheels)
        serve_wheels(wheels, site / "simple")
        plain = without_pypi(whole, folder / "plain", env)
        archives = [channel.joinpath(*p["url"].split("/")[-2:]) for p in packages(plain)]
        explicit, one = folder / "explicit.txt", folder / "one.txt"
        write_explicit(explicit, f"{url}/channel", archives)
        pygments = [archive for archive in archives if archive.name.startswith("pygments-")]
        write_explicit(one, f"{url}/channel", pygments)
        yield Workshop(folder, url, env, whole, plain, explicit, one, archives)


def embedded_channel() -> Path:
    """Return the folder of the channel, made by another process: rattler can crash at exit."""
    tool = [sys.executable, str(ROOT / "tools" / "channel.py")]
    made = subprocess.run(tool, stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.splitlines()[-1])


def download(pins: Path, wheels: Path) -> None:
    """Download the wheels of a pin file from the index that pip is configured with."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
    subprocess.run([*command, "--dest", str(wheels), "--requirement", str(pins)], check=True)


def serve_wheels(wheels: Path, simple: Path) -> None:
    """Write the pages of an index (PEP 503) that has `wheels`."""
    for wheel in wheels.glob("*.whl"):
        page = simple / re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        page.mkdir(parents=True, exist_ok=True)
        shutil.copy2(wheel, page)
    for page in simple.iterdir():
        with (page / "index.html").open("w", encoding="utf-8") as out:
            for wheel in sorted(page.glob("*.whl")):
                digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
                out.write(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>\n')


def serve_engine(shop: Workshop) -> None:
    """Add the wheels that `condaw bundle` puts into a bundle to the loopback index."""
    file, wheels = shop.folder / "first-bundle", shop.folder / "bundle-wheels"
    command = [sys.executable, "-m", "condaw", "bundle", str(file)]
    env = {**online(shop.folder / "home"), "CONDAW_CACHE": str(shop.folder / "first-cache")}
    if wheels.exists():
        return
    subprocess.run(command, cwd=shop.plain, env=env, check=True)
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.startswith("wheels/")]
        archive.extractall(wheels, names)
    serve_wheels(wheels / "wheels", shop.folder / "site" / "simple")


def generated(folder: Path, channel: str) -> Path:
    """Generate a project, locked against the real PyPI, without smoke commands; return it."""
    env = online(folder / "home")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    words = [f"channel={channel}", "environment=no", "project=whole", f"python={version}"]
    template = export(folder / "template")
    program = Path(sys.executable).with_name("cookiecutter")
    subprocess.run([program, "--no-input", template, *words], cwd=folder, env=env, check=True)
    project = folder / "whole"
    lock = [sys.executable, "-m", "condaw", "lock", "--pin", "--quiet"]
    subprocess.run(lock, cwd=project, env=env, check=True, stdout=subprocess.DEVNULL)
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace('[["ssh-uptime", "--self-test"]]', "[]"), "utf-8")
    return project


def without_pypi(whole: Path, plain: Path, env: dict[str, str]) -> Path:
    """Copy `whole` to `plain`, lock only its conda packages, and return `plain`."""
    shutil.copytree(whole, plain)
    (plain / "pyproject.toml").unlink()
    source = plain / "environment.yml"
    text = source.read_text(encoding="utf-8")
    source.write_text(re.split(r"\n *- pip:", text)[0] + "\n", encoding="utf-8")
    lock = [sys.executable, "-m", "condaw", "lock", "--quiet"]
    subprocess.run(lock, cwd=plain, env=env, check=True, stdout=subprocess.DEVNULL)
    return plain


def packages(project: Path) -> list[dict[str, Any]]:
    """Return the entries of a project's lock."""
    text = (project / "conda-lock.yml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = yaml.load(text, LOADER)["package"]  # noqa: S506 - a safe one
    return entries


def pin(entry: dict[str, Any]) -> str:
    """Return an entry of a lock as a line of a requirements file."""
    return f"{entry['name']}=={entry['version']} --hash=sha256:{entry['hash']['sha256']}\n"


def write_explicit(file: Path, url: str, archives: list[Path]) -> None:
    """Write the packages as an explicit file for conda: URLs below `url`, and md5."""
    lines = ["@EXPLICIT"]
    # micromamba installs in this order, and compiles byte-code only when Python is there.
    for archive in sorted(archives, key=lambda archive: not archive.name.startswith("python-3")):
        digest = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
        lines.append(f"{url}/{archive.parent.name}/{archive.name}#{digest}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
