"""The generated Dockerfile and dev container: built from the lock alone, small, not as root."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import dockerfile
import pytest
from machine import Machine

SCRIPTS = Path(sys.executable).parent


def jsonc(path: Path) -> dict[str, object]:
    """JSON with comments, as VS Code and dev containers read it."""
    text = re.sub(r"^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.M)
    document = json.loads(text)
    assert isinstance(document, dict)
    return document


@pytest.fixture
def folder() -> Iterator[Path]:
    """A scratch folder that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def cache() -> Iterator[Path]:
    """On another file system where there is one: as a cache mount is, out of hard links' reach."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def bases(folder: Path) -> dict[str, Path]:
    """The programs that tell the base images from this machine."""

    def programs(name: str, **scripts: str) -> Path:
        for program, script in scripts.items():
            path = folder / "bases" / name / program
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(0o755)
        return folder / "bases" / name

    add_user = 'mkdir -p "$HOME/../home/user"; chown 1000 "$HOME/../home/user" || true'
    return {
        "python": programs("python", python=f'exec "{sys.executable}" "$@"'),
        "debian": programs("debian", useradd=add_user),
    }


def test_hadolint_passes_the_dockerfile(bake: Callable[..., Path], machine: Machine) -> None:
    project = bake()
    done = machine.run(SCRIPTS / "hadolint", "--failure-threshold=style", "Dockerfile", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_holds_a_working_environment_and_nothing_that_made_it(
    project: Path, folder: Path, cache: Path, bases: dict[str, Path]
) -> None:
    for secret in (".env", "secret.pem", "src/demo/__pycache__/x.pyc", ".git/config"):
        (project / secret).parent.mkdir(parents=True, exist_ok=True)
        (project / secret).touch()
    image = dockerfile.build(project, folder, cache, bases)
    shutil.rmtree(bases["python"])
    for left in cache.iterdir():
        shutil.rmtree(left)
    assert sorted(path.name for path in image.path(".").iterdir()) == [".conda", "src"]
    assert not list(image.root.rglob(".env")) + list(image.root.rglob("secret.pem"))
    assert not [*image.path("/root").iterdir()]
    tested = image.run([*image.entrypoint, "--self-test"])
    assert tested.returncode == 0, tested.stdout + tested.stderr
    where = image.run(["python", "-c", "import demo, sys; print(sys.prefix, demo.__file__)"])
    assert where.stdout.split() == [
        str(image.path(".conda")),
        str(image.path("src/demo/__init__.py")),
    ]
    assert image.user == 1000
    programs = {path.name for path in image.path(".conda/bin").iterdir()}
    assert not programs & {"conda", "mamba", "micromamba", "uv", "gcc", "cc", "condaw"}
    # The smoke command left byte-code: no later start has to compile, which `user` could not keep.
    assert list(image.path(".conda").rglob("netmiko/__pycache__/*.pyc"))


def test_an_image_is_built_from_what_condaw_reads_and_the_sources(project: Path) -> None:
    (project / "LICENSE").touch()
    tops = {path.parts[0] for path in dockerfile.context(project)}
    assert tops == {
        *("condaw", "src", "conda-lock.yml", "environment.yml", "pyproject.toml"),
        *("README.md", "LICENSE"),
    }


def test_the_dev_container_makes_the_environment_with_condaw(bake: Callable[..., Path]) -> None:
    project = bake(project="fleet")
    settings = jsonc(project / ".devcontainer" / "devcontainer.json")
    assert settings["name"] == "fleet"
    assert settings["postCreateCommand"] == "python -m condaw create"
    # The names are those of the specification's reference of devcontainer.json.
    assert set(settings) <= {"name", "image", "postCreateCommand", "customizations"}
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", str(settings["image"]))
