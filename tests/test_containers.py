"""The generated Dockerfile and dev container: built from the lock alone, small, not as root.

Without a container engine the two stages are made one after the other in one folder, so that a path
that both have is the same path: what the second does not copy is gone by then.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harm import smoke
from machine import Machine
from test_template import jsonc

SCRIPTS = Path(sys.executable).parent
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A scratch folder that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def cache() -> Iterator[Path]:
    """On another file system where there is one, as a cache mount is: out of hard links' reach."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        yield Path(name)


def stages(project: Path) -> list[dict[str, list[str]]]:
    """Return the arguments of each kind of instruction, by stage of the Dockerfile."""
    text = re.sub(
        r"^\s*#.*\n", "", (project / "Dockerfile").read_text(encoding="utf-8"), flags=re.M
    )
    found: list[dict[str, list[str]]] = []
    for line in filter(None, text.replace("\\\n", " ").splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append({})
        found[-1].setdefault(word, []).append(rest)
    return found


def context(project: Path) -> list[Path]:
    """Return what .dockerignore lets into the build: it leaves out all, then takes names back."""
    rules = (project / ".dockerignore").read_text(encoding="utf-8").splitlines()[1:]
    assert [rule for rule in rules if rule[0] != "!"] == ["*", "**/__pycache__"]
    return [
        project / rule[1:] for rule in rules if rule[0] == "!" and (project / rule[1:]).exists()
    ]


def run(command: list[str], cwd: Path, user: int | None, **env: str) -> str:
    """Run `command` with `env` alone, as `user` where this process may; return what it printed."""
    user = user if os.getuid() == 0 else None
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(project: Path, root: Path, cache: Path) -> tuple[Path, dict[str, str], list[str]]:
    """Make both stages under `root`; return the image's folder, variables and entry point."""
    first, second = stages(project)
    [workdir] = {*first["WORKDIR"], *second["WORKDIR"]}
    work, home, programs = root / workdir.lstrip("/"), root / "root", root / "programs"
    for path in (work, home / ".cache", programs):
        path.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    assert first["COPY"] == [". ."]
    for path in context(project):
        if path.is_dir():
            shutil.copytree(path, work / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, work)
    [command] = first["RUN"]
    mount, _, command = command.partition(" ")
    assert mount == "--mount=type=cache,target=/root/.cache/condaw"
    (home / ".cache" / "condaw").symlink_to(cache)
    run(["/bin/sh", "-c", command], work, None, HOME=str(home), PATH=f"{programs}:{SYSTEM}")
    work = work.rename(root / "first")
    (root / workdir.lstrip("/")).mkdir()
    for copy in second["COPY"]:
        source, target = re.fullmatch(rf"--from=build {workdir}/(\S+) (\S+)", copy).groups()  # type: ignore[union-attr]
        (work / source).rename(root / workdir.lstrip("/") / target)
    for left in (work, home, programs, *cache.iterdir()):
        shutil.rmtree(left)
    [variables] = second["ENV"]
    pairs = dict(word.split("=") for word in variables.replace(workdir, f"{root}{workdir}").split())
    env = {name: value.replace("$PATH", SYSTEM) for name, value in pairs.items()}
    return root / workdir.lstrip("/"), env, json.loads(second["ENTRYPOINT"][0])


def test_hadolint_passes_the_dockerfile(locked: Path, machine: Machine) -> None:
    done = machine.run(SCRIPTS / "hadolint", "--failure-threshold=style", "Dockerfile", cwd=locked)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_holds_a_working_environment_and_nothing_that_made_it(
    project: Path, folder: Path, cache: Path
) -> None:
    smoke(project, ["ssh-uptime", "--help"], ["python", "-c", "import netmiko"])
    image, env, entrypoint = build(project, folder, cache)
    assert sorted(path.name for path in image.iterdir()) == [".conda", "src"]
    run([str(image / ".conda/bin" / entrypoint[0]), "--help"], image, 1000, **env)
    script = "import demo, sys; print(sys.prefix, demo.__file__)"
    where = run([str(image / ".conda/bin/python"), "-c", script], image, 1000, **env)
    assert where.split() == [str(image / ".conda"), str(image / "src/demo/__init__.py")]
    programs = {path.name for path in (image / ".conda/bin").iterdir()}
    assert not programs & {"conda", "mamba", "micromamba", "uv", "gcc", "cc", "condaw"}
    assert "ssh-uptime" in programs and not programs & {"pytest", "ruff"}
    # The smoke command left byte-code: no later start has to compile, which `user` could not keep.
    assert list((image / ".conda").rglob("netmiko/__pycache__/*.pyc"))


def test_an_image_runs_as_a_user_who_cannot_change_it(locked: Path) -> None:
    _, second = stages(locked)
    assert second["RUN"] == ["useradd --create-home --uid 1000 user"]
    assert second["USER"] == ["1000"]
    assert not [copy for copy in second["COPY"] if "--chown" in copy]


def test_an_image_is_built_from_what_condaw_reads_and_the_sources(locked: Path) -> None:
    files = {"conda-lock.yml", "environment.yml", "pyproject.toml", "README.md", "LICENSE"}
    assert {path.name for path in context(locked)} == {"condaw", "src", *files}


def test_the_dev_container_makes_the_environment_with_condaw(locked: Path) -> None:
    settings = jsonc(locked / ".devcontainer" / "devcontainer.json")
    assert settings["name"] == "demo"
    assert settings["postCreateCommand"] == "python -m condaw create"
    # The names are those of the specification's reference of devcontainer.json.
    assert set(settings) <= {"name", "image", "postCreateCommand", "customizations"}
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", settings["image"])
