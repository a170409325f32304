"""From environment.yml to an environment, again and again: the lock follows, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from machine import Machine

IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


@pytest.mark.slow
def test_each_pin_holds_when_the_channel_has_something_newer_for_all_of_them(
    own_channel: Path, project: Path, machine: Machine
) -> None:
    text = (project / "environment.yml").read_text(encoding="utf-8")
    pins = dict(re.findall(r"(?m)^ *- ([\w-]+)==(\S+)$", text))
    assert {"pip", "python", "rich"} < pins.keys()
    for path in own_channel.glob("*/repodata.json"):
        index = json.loads(path.read_text(encoding="utf-8"))
        for file, record in list(index["packages.conda"].items()):
            if record["name"] in pins:
                newer = f"{record['version']}.99"
                name = file.replace(record["version"], newer)
                index["packages.conda"][name] = {**record, "version": newer}
        path.unlink()  # it is a hard link
        path.write_text(json.dumps(index), encoding="utf-8")
    for words in (["lock", "--upgrade"], ["lock", "--check"], ["create"]):
        done = machine.condaw(project, *words)
        assert done.returncode == 0, done.stderr
    lock = (project / "conda-lock.yml").read_text(encoding="utf-8")
    assert set(pins.items()) <= set(re.findall(r"- name: (\S+)\n  version: '?([^'\n]+)", lock))


def test_two_branches_that_each_added_a_package_are_merged_by_taking_either_lock(
    project: Path, machine: Machine
) -> None:
    """The lock of one branch is taken, and `lock` adds what the other has: nothing else moves."""

    def git(*words: str) -> None:
        done = machine.run("git", *IDENTITY, *words, cwd=project)
        assert done.returncode == 0 or words[0] == "merge", done.stderr

    def branch(name: str, old: str, new: str) -> None:
        git("switch", "-q", "-c", name, "main")
        path = project / "environment.yml"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        assert machine.condaw(project, "lock").returncode == 0
        git("commit", "-q", "-a", "-m", name)

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "begin")
    branch("one", "  - pip==", "  - ruamel.yaml\n  - pip==")
    branch("two", "- netmiko==", "- scp==0.14.5\n      - netmiko==")
    git("merge", "-q", "one")
    status = machine.run("git", "status", "--short", cwd=project).stdout.splitlines()
    assert status == ["UU conda-lock.yml", "M  environment.yml"]
    git("checkout", "--ours", "conda-lock.yml")
    assert machine.condaw(project, "lock", "--check").returncode == 1
    done = machine.condaw(project, "lock")
    assert done.stdout.splitlines() == ["+ ruamel.yaml 0.19.1", "1 added"], done.stderr
    assert machine.condaw(project, "lock", "--check").returncode == 0
    path = project / "environment.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("      - scp==0.14.5\n", ""))
    assert machine.condaw(project, "lock").stdout == "nothing changed\n"
    assert machine.condaw(project, "lock", "--update", "scp").stdout.startswith("~ scp 0.14.5 -> ")
    path = project / "conda-lock.yml"
    path.write_text(re.sub(r"(- name: scp\n  version: )\S+", r"\g<1>0.14.99", path.read_text()))
    done = machine.condaw(project, "lock")
    assert done.stdout.startswith("~ scp 0.14.99 -> "), done.stderr  # the index has lost it


def test_add_and_remove_edit_lock_and_create_or_leave_everything_as_it_was(
    small: Path, machine: Machine
) -> None:
    files = [small / name for name in ("environment.yml", "conda-lock.yml")]
    text = files[0].read_text(encoding="utf-8")
    assert machine.condaw(small, "create", "--without", "dev").returncode == 0
    assert machine.condaw(small, "add", "iniconfig").returncode == 0
    assert "without dev" in machine.condaw(small, "status").stdout
    assert re.search(r"(?m)^- python\n- iniconfig==[\d.]+\n", files[0].read_text(encoding="utf-8"))
    done = machine.condaw(small, "add", "--pip", "humanize==4.13.0")
    assert done.stdout.startswith("+ humanize 4.13.0\n"), done.stderr
    assert "\n- pip:\n    - humanize==4.13.0\n" in files[0].read_text(encoding="utf-8")
    words = ("run", "--", "python", "-c", "import humanize, iniconfig")
    assert machine.condaw(small, *words).returncode == 0
    done = machine.condaw(small, "remove", "Humanize", "iniconfig")
    assert done.stdout.startswith("- humanize 4.13.0\n- iniconfig "), done.stderr
    assert files[0].read_text(encoding="utf-8") == text
    assert machine.condaw(small, *words).returncode == 1
    before = [file.read_bytes() for file in files]
    (small / ".conda").rename(small / "kept")
    (small / ".conda").write_text("mine")
    done = machine.condaw(small, "add", "iniconfig")
    assert done.returncode == 3 and "are as they were" in done.stderr, done.stderr
    assert [file.read_bytes() for file in files] == before
