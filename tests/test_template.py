"""What the template renders: each answer does what it says, and nothing is left unrendered."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml
from condaw.lockfile.package import this_platform
from machine import ROOT, Machine

pytestmark = pytest.mark.xdist_group("template")  # they share generated projects
QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
Bake = Callable[..., Path]


def jsonc(path: Path) -> dict[str, Any]:
    """Return JSON with comments, as VS Code and dev containers read it."""
    text = re.sub(r"^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.M)
    document: dict[str, Any] = json.loads(text)
    return document


def load_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_every_question_has_a_prompt_and_every_choice_is_one_of_its_answers() -> None:
    prompts = QUESTIONS["__prompts__"]
    questions = [name for name in QUESTIONS if not name.startswith("_")]
    assert list(prompts) == questions
    for name, prompt in prompts.items():
        if isinstance(prompt, dict):
            assert set(prompt) - {"__prompt__"} == set(QUESTIONS[name])


def test_the_default_project_holds_what_the_readme_promises(bake: Bake) -> None:
    project = bake(project="fleet")
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    small = (
        ".gitattributes .gitignore LICENSE README.md environment.yml conda-lock.yml inventory.yml"
        " pyproject.toml examples/first.py .github/dependabot.yml"
        " .github/workflows/audit.yml .github/workflows/ci.yml .github/workflows/relock.yml"
    )
    rooms = {"condaw", "src", "tests"}
    assert {name for name in files if name.split("/")[0] not in rooms} == set(small.split())
    assert {"condaw/__main__.py", "condaw/engine.txt", "src/fleet/ask.py"} <= files
    assert any(re.fullmatch(r"tests/test_\w+\.py", name) for name in files)
    assert not [name for name in files if "pycache" in name or "{" in name]


def test_without_the_sample_there_is_an_empty_package_with_a_test_and_nothing_of_ssh(
    bake: Bake, machine: Machine
) -> None:
    project = bake(project="my-project", sample="none", extras="all", ci="gitlab")
    paths = [path for path in project.rglob("*") if path.is_file()]
    files = {path.relative_to(project).as_posix(): path for path in paths}
    own = {name for name in files if name.startswith(("src/", "tests/"))}
    assert own == {"src/my_project/__init__.py", "tests/test_my_project.py"}
    assert not {"inventory.yml", "examples", "blank"} & {path.name for path in project.iterdir()}
    for name, path in files.items():
        text = path.read_text(encoding="utf-8")
        # What condaw knows of the world (names on PyPI) is not the sample.
        if not name.startswith("condaw/"):
            assert not re.search("ssh|netmiko|paramiko|uptime|SHA-1", text, re.I), name
    assert_all_is_rendered(project)
    linted = machine.run(Path(sys.executable).with_name("ruff"), "check", "--no-cache", cwd=project)
    assert linted.returncode == 0, linted.stdout


def test_condaw_can_be_taken_into_a_project_that_has_an_environment_yml(
    machine: Machine, channel: Path, tmp_path: Path
) -> None:
    project = tmp_path / "theirs"
    shutil.copytree(machine.template / "{{cookiecutter.project}}" / "condaw", project / "condaw")
    (project / "script.py").touch()
    environment = {"channels": [channel.as_uri()], "dependencies": ["python", "pyyaml"]}
    text = yaml.safe_dump({**environment, "platforms": [this_platform()]})
    (project / "environment.yml").write_text(text, encoding="utf-8")
    (project / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n", encoding="utf-8")
    for verb in ("lock", "create", "verify"):
        done = machine.condaw(project, verb)
        assert done.returncode == 0, done.stderr


def assert_all_is_rendered(project: Path) -> None:
    """Nothing is left unrendered, and the README fits on a page and has no holes."""
    for path in project.rglob("*"):
        if path.is_file() and "outputs" not in path.parts:
            text = path.read_text(encoding="utf-8").replace("${{", "")
            assert not re.search(r"\{\{ ?cookiecutter|\{%", text), path
    text = (project / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") < 75
    assert "\n\n\n" not in text
    assert not re.search(r"\|\n\n\|", text), "a table in two parts"


DEV_CONTAINER = {".devcontainer/devcontainer.json"}
CONTAINERS = {"Dockerfile", ".dockerignore", *DEV_CONTAINER}
EDITORS = {
    *(".envrc", ".pre-commit-config.yaml", ".vscode/extensions.json", ".vscode/settings.json"),
    *(f".githooks/{name}" for name in ("condaw", "post-checkout", "post-merge", "post-rewrite")),
    *DEV_CONTAINER,
}
EXTRAS = {
    "none": set(),
    "editors": EDITORS,
    "containers": CONTAINERS,
    "all": CONTAINERS | EDITORS,
}


LICENSES = {
    "MIT": "Permission is hereby granted, free of charge",
    "BSD-3-Clause": "Redistributions in binary form",
    "Apache-2.0": "Apache License",
    "none": "",
}


@dataclass(frozen=True)
class Chosen:
    """A project with some choices, for tests that only look."""

    project: Path
    license: str
    extras: str
    ci: str


@pytest.fixture(scope="module", params=range(4))
def chosen(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Chosen:
    """Each choice of each question is in one of four projects."""
    names = ("license", "extras", "ci")
    answers = {name: QUESTIONS[name][request.param % len(QUESTIONS[name])] for name in names}
    folder = tmp_path_factory.mktemp("chosen")
    done = Machine(folder, folder / "cache", template).bake(folder, project="demo", **answers)
    assert done.returncode == 0, done.stderr
    return Chosen(folder / "demo", **answers)


def test_nothing_is_left_unrendered(chosen: Chosen) -> None:
    assert_all_is_rendered(chosen.project)


def test_each_choice_of_extras_brings_its_files_and_the_readme_names_no_others(
    chosen: Chosen,
) -> None:
    project, extras = chosen.project, chosen.extras
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert files & EXTRAS["all"] == EXTRAS[extras]
    assert not [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())]
    readme = (project / "README.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `(\.\w[\w.-]*|Dockerfile)` \|", readme, re.MULTILINE))
    described -= {".github", ".gitlab-ci.yml"}
    assert described == {name.split("/")[0] for name in EXTRAS[extras] - {".dockerignore"}}
    for name in EXTRAS[extras]:
        path = project / name
        if path.suffix == ".yaml":
            load_yaml(path)
        elif path.suffix == ".json":
            jsonc(path)
        elif path.parent.name == ".githooks":
            assert os.access(path, os.X_OK)
            assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")


def test_condaw_and_the_sample_are_copied_byte_for_byte(bake: Bake, machine: Machine) -> None:
    project = bake(package="mine")
    source = machine.template / "{{cookiecutter.project}}"
    pairs = {"condaw": "condaw", "src/mine": "src/{{cookiecutter.package}}"}
    for rendered, original in pairs.items():
        for path in (project / rendered).rglob("*"):
            twin = source / original / path.relative_to(project / rendered)
            assert path.is_dir() or path.read_bytes() == twin.read_bytes(), path


def test_conda_lock_itself_renders_the_shipped_lock(bake: Bake, machine: Machine) -> None:
    project = bake()
    conda_lock = Path(sys.executable).with_name("conda-lock")
    done = machine.run(conda_lock, "render", "-k", "explicit", "-p", "win-64", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "win-64/python-3" in (project / "conda-win-64.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_channel_of_the_users_own_brings_no_lock_and_no_exact_pins(ci: str, bake: Bake) -> None:
    project = bake(channel="https://conda.example.invalid/team", ci=ci, extras="all")
    assert not (project / "conda-lock.yml").exists()
    environment = load_yaml(project / "environment.yml")
    assert environment["channels"] == ["https://conda.example.invalid/team"]
    assert "pip" in environment["dependencies"]
    assert_all_is_rendered(project)


@pytest.mark.parametrize("channel", [r"C:\conda\channel", r"\\server\share\O'Neill"])
def test_a_folder_of_windows_is_written_with_slashes(channel: str, bake: Bake) -> None:
    environment = load_yaml(bake(channel=channel) / "environment.yml")
    assert environment["channels"] == [channel.replace("\\", "/")]


def test_conda_forge_may_be_written_in_capitals(bake: Bake) -> None:
    capitals, usual = bake(project="a", channel=" CONDA-FORGE "), bake(project="b")
    for path in (path for path in usual.rglob("*") if path.is_file()):
        twin = capitals / str(path.relative_to(usual)).replace("src/b", "src/a")
        text = path.read_text(encoding="utf-8")
        assert len(twin.read_text(encoding="utf-8")) == len(text), path


def test_a_relative_channel_begins_where_the_project_is_put(bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "my" / "channel").mkdir(parents=True)
    project = bake(channel="./my/channel")
    [channel] = load_yaml(project / "environment.yml")["channels"]
    assert channel == f"{tmp_path}/my/channel"


def test_the_licence_is_the_chosen_one(chosen: Chosen) -> None:
    project = chosen.project
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if chosen.license == "none":
        assert not (project / "LICENSE").exists()
        assert "license" not in metadata
    else:
        text = (project / "LICENSE").read_text(encoding="utf-8")
        assert LICENSES[chosen.license] in text
        assert metadata["license"] == chosen.license


def test_ci_is_the_chosen_one_and_bootstraps_with_condaw(chosen: Chosen) -> None:
    project, ci = chosen.project, chosen.ci
    assert (project / ".github").exists() == (ci == "github")
    assert (project / ".gitlab-ci.yml").exists() == (ci == "gitlab")
    if ci == "github":
        job = load_yaml(project / ".github" / "workflows" / "ci.yml")["jobs"]["test"]
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] <= 30
        for step in job["steps"]:
            assert re.search(r"@[0-9a-f]{40}$", step.get("uses", "@" + "0" * 40))
    elif ci == "gitlab":
        commands = load_yaml(project / ".gitlab-ci.yml")["test"]["script"]
    else:
        return
    assert commands[0] == "python -m condaw create"


def test_answers_with_hostile_looking_but_legal_text_stay_text(bake: Bake) -> None:
    description = "50% of {hosts}: #1, <b>fast</b> & safe - 'not'"[:-6]
    author = "Zoë Ångström <zoe@example.invalid>"
    project = bake(description=description, author=author, project="yes")
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["name"] == "yes"
    assert metadata["description"] == description
    assert metadata["authors"] == [{"name": author}]
    assert load_yaml(project / "environment.yml")["name"] == "yes"


def test_the_generated_project_passes_its_own_linter_and_a_strict_type_checker(
    bake: Bake, machine: Machine
) -> None:
    project = bake(package="fleet", python="3.14")  # ruff has more to say of newer Pythons
    scripts = Path(sys.executable).parent
    linted = machine.run(scripts / "ruff", "check", "--no-cache", cwd=project)
    assert linted.returncode == 0, linted.stdout
    settings = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", os.devnull]
    typed = machine.run(scripts / "mypy", *settings, "-p", "fleet", cwd=project / "src")
    assert typed.returncode == 0, typed.stdout
