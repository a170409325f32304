"""doctor looks and changes nothing; each failed check says what to do."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from machine import Machine


def checks(project: Path, machine: Machine) -> dict[str, dict[str, object]]:
    done = machine.condaw(project, "doctor", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode == 0) == all(check["ok"] for check in found)
    return {check["name"]: check for check in found}


def test_a_healthy_project_passes_every_check(shown: Path, machine: Machine) -> None:
    found = checks(shown, machine)
    assert all(check["ok"] for check in found.values())
    assert {"python", "cache", "disk", "engine", "lock", "channel", "environment"} == set(found)


def test_a_missing_environment_is_told_with_its_command(locked: Path, machine: Machine) -> None:
    environment = checks(locked, machine)["environment"]
    assert environment["ok"] is False
    assert environment["advice"] == "run: python -m condaw create"


def test_a_channel_that_is_gone_is_told(locked: Path, machine: Machine, tmp_path: Path) -> None:
    project = Path(shutil.copytree(locked, tmp_path / "demo"))
    for name in ("environment.yml", "conda-lock.yml"):
        path = project / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("/channel-", "/gone-channel-"), encoding="utf-8")
    channel = checks(project, machine)["channel"]
    assert channel["ok"] is False
    assert "does not answer" in str(channel["text"])


def test_it_writes_nothing(locked: Path, machine: Machine, tmp_path: Path) -> None:
    machine = replace(machine, cache=tmp_path / "unused")
    before = sorted(path for path in locked.rglob("*"))
    checks(locked, machine)
    assert sorted(path for path in locked.rglob("*")) == before
    assert not machine.cache.exists()
