"""The tools that are compared, each run as its documentation says.

Peers are used if they are on PATH.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import measure
from measure import ROOT, Cost

HERE = Path(__file__).resolve().parent
Command = Sequence[str | Path]
Words = list[str | Path]
# Settings of the person who measures.
FOREIGN = ("CONDA", "MAMBA", "PIP_", "UV_", "PYTHON", "VIRTUAL_ENV", "RATTLER", "XDG_")


def account(home: Path, index: str) -> dict[str, str]:
    """Return the variables of a new account whose PyPI is `index`, a URL."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    own = {"HOME": str(home), "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index}
    return {**kept, **own, "UV_DEFAULT_INDEX": index, "UV_NO_CONFIG": "1"}


def online(home: Path) -> dict[str, str]:
    """Return the variables of a new account with the pip settings of whoever measures."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    others = ("PIP_", "UV_DEFAULT_INDEX")
    quiet = {k: v for k, v in account(home, "").items() if not k.startswith(others)}
    return {**quiet, **kept}


@dataclass(frozen=True)
class Tool:
    """One way to make an environment: what to run, and what it leaves behind."""

    name: str
    prefix: Path
    cache: Path
    make: Sequence[Command]
    env: Mapping[str, str]
    again: Sequence[Command] = ()
    """Finds nothing to do; empty if the tool cannot tell."""
    verify: Sequence[Command] = ()
    repair: Sequence[Command] = ()
    """Repairs one broken package."""
    relock: Sequence[Command] = ()
    cwd: Path = field(default=Path("/"))

    def run(self, commands: Sequence[Command], accept: Sequence[int] = (0,)) -> Cost:
        """Run `commands` and return the sum of their costs; raise FailedError if one fails."""
        os.sync()
        costs = [
            measure.run(command, cwd=self.cwd, env=self.env, accept=accept) for command in commands
        ]
        return sum(costs[1:], costs[0])

    def warm(self) -> Cost:
        """Make the environment again, with the cache as it is."""
        measure.discard(self.prefix)
        return self.run(self.make)

    def cold(self) -> Cost:
        """Make the environment again, with an empty cache."""
        measure.discard(self.cache)
        return self.warm()

    def ready(self) -> None:
        """Make the environment if it is missing."""
        if not self.prefix.exists():
            self.run(self.make)

    def repair_file(self, path: str) -> Cost:
        """Replace the file at `path` in the environment, and return the cost of repairing it.

        It is not edited in place: that would change its hard link in the cache too. Raises
        FailedError if it is still broken afterwards.
        """
        self.ready()
        file = self.prefix / path
        file.unlink()
        file.write_text("broken\n", encoding="utf-8")
        cost = self.run(self.repair)
        if file.read_text(encoding="utf-8") == "broken\n":
            raise measure.FailedError(f"{path} is still broken")
        return cost


def condaw(name: str, project: Path, cache: Path, env: Mapping[str, str]) -> Tool:
    """Return condaw for one project."""
    words = [sys.executable, "-m", "condaw"]
    return Tool(
        name,
        project / ".conda",
        cache,
        [[*words, "create"]],
        {**env, "CONDAW_CACHE": str(cache)},
        again=[[*words, "create"]],
        verify=[[*words, "verify"]],
        repair=[[*words, "create", "--repair"]],
        relock=[[*words, "lock"]],
        cwd=project,
    )


def micromamba(
    program: str, folder: Path, file: Path, one: Path, env: Mapping[str, str], *, byte_code: bool
) -> Tool:
    """Return micromamba, or mamba; `file` is a conda-lock.yml or an explicit file.

    `one` is an explicit file with the package to repair.
    """
    label = Path(program).name
    prefix, cache = folder / f"{label}-{byte_code}", folder / f"{label}-{byte_code}-pkgs"
    own = {"CONDA_PKGS_DIRS": str(cache), "MAMBA_ROOT_PREFIX": str(folder / f"{label}-root")}
    words: Words = ["--yes", "--quiet", "--no-rc", "--prefix", prefix]
    plain: Words = [] if byte_code else ["--no-pyc"]
    install: Words = [program, "install", *words, *plain, "--force-reinstall", "--file", one]
    return Tool(
        f"{label}, byte-code" if byte_code else label,
        prefix,
        cache,
        [[program, "create", *words, *plain, "--file", file]],
        {**env, **own},
        repair=[install],
    )


def conda(program: str, folder: Path, explicit: Path, env: Mapping[str, str]) -> Tool:
    """Return conda; `explicit` is an explicit file."""
    prefix, cache = folder / "conda", folder / "conda-pkgs"
    words: Words = ["--yes", "--quiet", "--prefix", prefix, "--file"]
    own = {"CONDA_PKGS_DIRS": str(cache), "CONDA_NUMBER_CHANNEL_NOTICES": "0"}
    # With a file of certificates, `conda doctor` asks the default channel whether it works.
    own["REQUESTS_CA_BUNDLE"] = ""
    return Tool(
        "conda, byte-code",
        prefix,
        cache,
        [[program, "create", *words, explicit]],
        {**env, **own},
        verify=[[program, "doctor", "--prefix", prefix]],
    )


def conda_lock(solver: str, folder: Path, project: Path, env: Mapping[str, str]) -> Tool:
    """Return conda-lock with `solver`, the path of conda or micromamba."""
    prefix, cache = folder / "conda-lock", folder / "conda-lock-pkgs"
    program = Path(sys.executable).with_name("conda-lock")
    own = {"CONDA_PKGS_DIRS": str(cache), "MAMBA_ROOT_PREFIX": str(folder / "conda-lock-root")}
    front: Words = ["--conda", solver]
    source, made = project / "environment.yml", folder / "conda-lock-made.yml"
    return Tool(
        f"conda-lock with {Path(solver).name}, byte-code",
        prefix,
        cache,
        [[program, "install", *front, "--prefix", prefix, project / "conda-lock.yml"]],
        {**env, **own},
        relock=[[program, "lock", *front, "--file", source, "--lockfile", made]],
    )


def pip(folder: Path, pins: Path, env: Mapping[str, str]) -> Tool:
    """Return pip in a virtual environment; `pins` is a requirements file."""
    prefix, cache = folder / "venv", folder / "pip-cache"
    install: Words = [prefix / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["--require-hashes", "--no-deps", "--requirement", pins]
    return Tool(
        "venv + pip, byte-code",
        prefix,
        cache,
        [[sys.executable, "-m", "venv", prefix], install],
        {**env, "PIP_CACHE_DIR": str(cache)},
        again=[install],
        repair=[[*install, "--force-reinstall"]],
    )


def uv(folder: Path, pins: Path, wanted: Path, env: Mapping[str, str], *, checked: bool) -> Tool:
    """Return uv; if `checked`, a small program then compares all files with RECORD."""
    label = "uv, files compared" if checked else "uv"
    prefix, cache = folder / label.replace(", ", "-").replace(" ", "-"), folder / f"{label}-cache"
    program = Path(sys.executable).with_name("uv")
    target: Words = ["--quiet", "--python", prefix / "bin" / "python"]
    sync: Words = [program, "pip", "sync", *target, "--require-hashes", pins]
    compare: Words = [sys.executable, "-I", HERE / "floor.py", "record", prefix]
    compiled: Words = [
        program,
        "pip",
        "compile",
        "--quiet",
        "--generate-hashes",
        "--upgrade",
        wanted,
    ]
    return Tool(
        label,
        prefix,
        cache,
        [
            [program, "venv", "--quiet", "--python", sys.executable, prefix],
            sync,
            *([compare] if checked else []),
        ],
        {**env, "UV_CACHE_DIR": str(cache)},
        again=[sync],
        verify=[compare] if checked else [],
        repair=[] if checked else [[*sync, "--reinstall-package", "pygments"]],
        relock=[] if checked else [[*compiled, "--output-file", folder / "compiled.txt"]],
    )


def conda_pack() -> Path | None:
    """Return the conda-pack of the benchmarks' requirements, None if it is not installed."""
    program = ROOT / "build" / "bench" / "bin" / "conda-pack"
    return program if program.exists() else None


def versions() -> dict[str, str]:
    """Return the version of each tool that is found."""
    found = {"uv": measure.version(Path(sys.executable).with_name("uv"), "--version")}
    found["pip"] = measure.version(sys.executable, "-m", "pip", "--version")
    found["conda-lock"] = measure.version(Path(sys.executable).with_name("conda-lock"), "--version")
    for name in ("conda", "mamba", "micromamba"):
        if program := shutil.which(name):
            found[name] = measure.version(program, "--version")
    if program_path := conda_pack():
        found["conda-pack"] = measure.version(program_path, "--version")
    return found
