"""The locks that the template ships: right for every profile and platform, and fresh."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from condaw.base.project import Project
from condaw.lockfile import environment_yml, reader
from locks import PROFILES, SHIPPED
from rattler import LockFile
from test_solve import CHECK_INPUT_HASH

PLATFORMS = ["linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64"]


def test_there_is_one_lock_for_each_profile() -> None:
    assert {path.stem for path in SHIPPED.iterdir()} == {*PROFILES}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_answers_choose_a_lock_that_is_strict_fresh_and_of_the_versions_asked_for(
    profile: str, bake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bake(project="demo", **PROFILES[profile])
    path = project / "conda-lock.yml"
    assert path.read_bytes() == (SHIPPED / f"{profile}.yml").read_bytes()

    content = yaml.safe_load((project / "environment.yml").read_text())
    assert content["platforms"] == PLATFORMS
    direct = [spec for spec in content["dependencies"] if isinstance(spec, str)]
    sample = "paramiko" in profile
    loose = [spec for spec in direct if not re.fullmatch(r"[\w-]+==[\w.]+", spec)]
    assert loose == (["bcrypt", "cryptography>=48", "pynacl"] if sample else [])
    pins = dict(spec.split("==") for spec in direct if spec not in loose)
    if sample:
        pins |= dict(spec.split("==") for spec in content["dependencies"][-1]["pip"])
        assert pins["paramiko"].startswith(profile[-1])
    assert pins["python"].startswith(f"{PROFILES[profile]['python']}.")

    versions = defaultdict(set)
    channels = environment_yml.channel_urls(Project(project))
    for platform in PLATFORMS:
        packages = reader.read(path, platform, channels)
        assert all(p.url.startswith(f"{channels[0]}/") for p in packages if p.manager == "conda")
        assert all(p.url.endswith("-none-any.whl") for p in packages if p.manager == "pip")
        for package in packages:
            versions[package.name].add(package.version)
    assert {name: versions[name] for name in pins} == {n: {v} for n, v in pins.items()}

    from conda_lock.conda_lock import main as conda_lock  # here, as it takes half a second
    from condaw.lockfile import satisfies

    assert satisfies.stale(Project(project)) == []
    stub = project / "conda"
    stub.write_text("#!/bin/sh\necho conda 26.0\n")
    stub.chmod(0o755)
    monkeypatch.chdir(project)
    theirs = CliRunner().invoke(conda_lock, [*CHECK_INPUT_HASH[1:], "--conda", str(stub)])
    assert f"Spec hash already locked for {PLATFORMS}. Skipping solve." in theirs.stderr


def test_rattler_reads_every_lock_too() -> None:
    for path in SHIPPED.iterdir():
        assert LockFile.from_path(path).environments(), path


def test_no_lock_names_a_machine_a_person_or_a_time() -> None:
    for path in SHIPPED.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "file://" not in text and "127.0.0.1" not in text
        assert not re.search(r"(time|git|inputs|custom)_metadata", text)
