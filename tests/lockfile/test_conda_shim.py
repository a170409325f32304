"""The conda-compatible front of rattler's solver, as conda-lock calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from condaw.lockfile import conda_shim
from condaw.lockfile.cooldown import Cooldown
from machine import ROOT, Machine, Result

CONDAW = ROOT / "{{cookiecutter.project}}"


def repodata(folder: Path, subdir: str, *records: dict[str, Any], kind: str) -> str:
    """A channel of records without archives; `kind` is `packages` or `packages.conda`."""
    for name in {subdir, "noarch"}:
        found = {f"{r['name']}-{r['version']}-0.conda": r for r in records if name == subdir}
        content = {"info": {"subdir": name}, "packages": {}, kind: found}
        (folder / name).mkdir(parents=True)
        (folder / name / "repodata.json").write_text(json.dumps(content))
    return folder.as_uri()


def record(name: str, version: str, *depends: str) -> dict[str, Any]:
    hashes = {"md5": "0" * 32, "sha256": "0" * 64}
    return {"name": name, "version": version, "build": "0", "build_number": 0, **hashes} | {
        "depends": depends,
        "subdir": "linux-64",
        "size": 1,
    }


@pytest.fixture
def channel(tmp_path: Path) -> str:
    records = [record("app", "1", "lib"), record("app", "2", "__glibc >=2.30"), record("lib", "1")]
    return repodata(tmp_path / "channel", "linux-64", *records, kind="packages.conda")


def front(machine: Machine, *arguments: str, **extra: str) -> Result:
    """The answer for linux-64, whatever this machine is."""
    conda = conda_shim.install(
        machine.home, machine.home / "conda-lock.yml", [], Cooldown(None, {})
    )
    return machine.run(
        conda, *arguments, cwd=CONDAW, CONDA_SUBDIR="linux-64", PYTHONPATH=str(CONDAW), **extra
    )


def solve(machine: Machine, *words: str) -> tuple[int, Any]:
    flags = ("--prefix", "/nowhere", "--dry-run", "--json", "--override-channels")
    done = front(machine, "create", *flags, *words)
    return done.returncode, json.loads(done.stdout)


def test_it_says_that_it_is_conda(machine: Machine) -> None:
    assert front(machine, "--version").stdout.startswith("conda 2")


def test_a_plan_lists_what_conda_lists(channel: str, machine: Machine) -> None:
    code, plan = solve(machine, "--channel", channel, "app")
    assert (code, plan["success"]) == (0, True)
    app, lib = plan["actions"]["FETCH"]
    assert (app["name"], app["version"], lib["name"]) == ("app", "1", "lib")
    assert app["url"] == f"{channel}/linux-64/app-1-0.conda"
    assert app["fn"] == "app-1-0.conda"
    assert (app["sha256"], app["md5"], app["subdir"]) == ("0" * 64, "0" * 32, "linux-64")
    assert app["depends"] == ["lib"]


def test_the_virtual_packages_of_the_machine_to_be_are_a_channel_of_their_own(
    channel: str, machine: Machine, tmp_path: Path
) -> None:
    glibc = {**record("__glibc", "2.31"), "build_string": "0"}
    virtual = repodata(tmp_path / "virtual", "linux-64", glibc, kind="packages")
    _, plan = solve(machine, "--channel", channel, "--channel", virtual, "app")
    assert [(r["name"], r["version"]) for r in plan["actions"]["FETCH"]] == [("app", "2")]


def test_a_failure_is_json_with_the_platform_and_the_words_of_rattler(
    channel: str, machine: Machine
) -> None:
    code, answer = solve(machine, "--channel", channel, "app >=2")
    assert (code, answer["success"]) == (1, False)
    assert answer["message"].startswith("linux-64: Cannot solve the request because of: ")
    assert "__glibc >=2.30, for which no candidates were found" in answer["message"]


def test_a_channel_that_cannot_be_reached_is_a_failure_too(machine: Machine) -> None:
    code, answer = solve(machine, "--channel", "file:///nowhere", "app")
    assert (code, answer["success"]) == (1, False)
    assert "could not find subdir" in answer["message"]
