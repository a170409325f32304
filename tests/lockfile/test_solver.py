"""rattler's solver, as conda-lock calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conda_lock.virtual_package import FakeRepoData, VirtualPackage
from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile.cooldown import Cooldown
from condaw.lockfile.solver import Solver


def record(name: str, version: str, *depends: str) -> dict[str, Any]:
    hashes = {"md5": "0" * 32, "sha256": "0" * 64}
    return {"name": name, "version": version, "build": "0", "build_number": 0, **hashes} | {
        "depends": depends,
        "subdir": "linux-64",
        "size": 1,
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """One with a channel of records without archives."""
    monkeypatch.setenv("CONDAW_CACHE", str(tmp_path / "cache"))
    records = [record("app", "1", "lib"), record("app", "2", "__glibc >=2.30"), record("lib", "1")]
    for subdir in ("linux-64", "noarch"):
        found = {f"{r['name']}-{r['version']}-0.conda": r for r in records if subdir != "noarch"}
        content = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": found}
        (tmp_path / "channel" / subdir).mkdir(parents=True)
        (tmp_path / "channel" / subdir / "repodata.json").write_text(json.dumps(content))
    text = f"channels: ['{(tmp_path / 'channel').as_uri()}']\ndependencies: [app]\n"
    (tmp_path / "environment.yml").write_text(text)
    return Project(tmp_path)


def solve(project: Project, spec: str, glibc: str = "2.28") -> list[dict[str, Any]]:
    virtual = FakeRepoData(base_path=project.root)
    virtual.add_package(VirtualPackage(name="__glibc", version=glibc), ["linux-64"])
    virtual.write()
    plan = Solver(project, [], virtual, Cooldown(None, {}))("", (), [spec], "linux-64")
    return list(plan["actions"]["FETCH"])


def test_a_plan_lists_what_conda_lists(project: Project) -> None:
    app, lib = solve(project, "app")
    assert (app["name"], app["version"], lib["name"]) == ("app", "1", "lib")
    assert app["url"] == f"{(project.root / 'channel').as_uri()}/linux-64/app-1-0.conda"
    assert (app["sha256"], app["md5"], app["subdir"]) == ("0" * 64, "0" * 32, "linux-64")
    assert app["depends"] == ["lib"]


def test_the_virtual_packages_are_those_of_the_machine_to_be(project: Project) -> None:
    assert [(r["name"], r["version"]) for r in solve(project, "app", "2.31")] == [("app", "2")]


def test_a_failure_has_the_platform_and_the_words_of_rattler(project: Project) -> None:
    with pytest.raises(CannotError) as error:
        solve(project, "app >=2")
    assert error.value.cause.startswith("linux-64: Cannot solve the request because of: ")
    assert "__glibc >=2.30, for which no candidates were found" in error.value.cause


def test_a_channel_that_cannot_be_reached_is_a_failure_too(project: Project) -> None:
    project.environment_yml.write_text("channels: [file:///nowhere]\ndependencies: [app]\n")
    with pytest.raises(CannotError, match="could not find subdir"):
        solve(project, "app")
