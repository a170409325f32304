"""environment.yml as a person would edit it: lines and versions change, and nothing else does."""

# ruff: noqa: F401, F811

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import pytest
from loopback import Quiet, served
from machine import Machine
from test_solve import Channel, channel, first, lock, machine, project

BEFORE = """\
# What it needs.
name: demo   # as everybody calls it
channels:
    - '{url}'
platforms:
    - linux-64
    - osx-64  # two of us
    - win-64
dependencies:
    - python=3.13   # not yet 3.14
    # Solves everything.
    - "app >=1"
    - tool==1.0
    - only ==1.0 # [win]
    - pip:
"""


def write(project: Path, text: str, url: str) -> Path:
    path = project / "environment.yml"
    path.write_bytes(text.format(url=url).replace("\n", "\r\n").encode())
    return path


def content(path: Path, url: str) -> str:
    data = path.read_bytes().decode()
    assert data.count("\n") == data.count("\r\n")
    return data.replace("\r\n", "\n").replace(url, "{url}")


def test_pin_writes_versions_and_leaves_out_a_platform_and_keeps_every_other_character(
    project: Path, channel: Channel, machine: Machine
) -> None:
    for name in ("only", "app"):
        channel.add(name, "2.0", on=["win-64"])
    channel.add("only", "1.0")
    url = channel.folder.as_uri()
    path = write(project, BEFORE, url)
    done = machine.condaw(project, "lock", "--pin", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"condaw: osx-64 is left out: {url} has no python for it\n"
    after = BEFORE.replace("    - osx-64  # two of us\n", "").replace('"app >=1"', '"app==1.0"')
    assert content(path, url) == after.replace("python=3.13 ", "python==3.13.1 ")
    assert lock(project, machine) == ["nothing changed"]


class Failing(Quiet):
    """A channel whose index for one platform cannot be had for the moment, or for this user."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def do_GET(self) -> None:
        if self.path.startswith("/win-64/"):
            self.send_error(self.status)
        else:
            super().do_GET()


class Forbidding(Failing):
    status = HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("handler", [Failing, Forbidding])
def test_a_failure_is_not_taken_for_a_platform_that_the_channel_does_not_have(
    handler: type[Failing], project: Path, channel: Channel, machine: Machine
) -> None:
    before = {file: file.read_bytes() for file in project.glob("*.yml")}
    with served(channel.folder, handler) as url:
        path = write(project, BEFORE, url)
        done = machine.condaw(project, "lock", "--pin")
        assert content(path, url) == BEFORE
    assert done.returncode == 3
    assert "cannot lock: the channels cannot be read: HTTP status" in done.stderr
    assert str(int(handler.status)) in done.stderr and "correct channels" not in done.stderr
    lock_file = project / "conda-lock.yml"
    assert lock_file.read_bytes() == before[lock_file]


def test_upgrade_moves_pins_to_the_newest_that_solve_everywhere_and_not_what_is_no_pin(
    project: Path, channel: Channel, machine: Machine
) -> None:
    text = BEFORE.replace("    - osx-64  # two of us\n", "").replace("    - pip:\n", "")
    text = text.replace("python=3.13 ", "python==3.13.1 ").replace(">=1", "<3")
    text += "    - held ==4.0 # weak ciphers\n    - lib==1.0"
    channel.add("only", "1.0")
    channel.add("held", "4.0")
    url = channel.folder.as_uri()
    path = write(project, text, url)
    (project / "pyproject.toml").write_text("[project]\ndependencies = ['Held<5']\n")
    lock(project, machine)
    for version in ("3.13.2", "3.14.0"):
        channel.add("python", version)
    for version in ("4.1", "5.0"):
        channel.add("held", version)
    for version in ("2.0", "3.0"):
        channel.add("app", version, "lib >=1", "python")
    channel.add("tool", "1.1", "python")
    channel.add("tool", "1.2", "python", "lib <2")  # stands in the way of a newer lib
    channel.add("lib", "1.5", on=["linux-64"])
    channel.add("lib", "1.4")
    channel.add("only", "9.0")
    done = machine.condaw(project, "lock", "--upgrade", "--pin")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "~ app 1.0 -> 2.0",
        "~ held 4.0 -> 4.1",
        "~ lib 1.0 -> 1.4",
        "~ python 3.13.1 -> 3.13.2",
        "~ tool 1.0 -> 1.2",
        "5 changed",
    ]
    assert "condaw: environment.yml: held ==4.0 -> held==4.1\n" in done.stderr
    moved = {"python==3.13.1": "python==3.13.2", "tool==1.0": "tool==1.2", "lib==1.0": "lib==1.4"}
    for old, new in {**moved, "held ==4.0": "held==4.1"}.items():
        text = text.replace(old, new)
    assert content(path, url) == text
    assert machine.condaw(project, "lock", "--check").returncode == 0


def test_an_edit_that_cannot_be_solved_changes_nothing(
    project: Path, channel: Channel, machine: Machine
) -> None:
    text = BEFORE.replace("    - osx-64  # two of us\n", "")
    path = write(project, text, url := channel.folder.as_uri())
    before = (project / "conda-lock.yml").read_bytes()
    flow = "channels: ['{url}']\ndependencies: [python]\n"
    for start, words, said in (
        (text, ["add", "nonesuch"], "No candidates were found for nonesuch"),
        (text, ["add", "a=!=1"], "line 14: found `a=!=1`, expected a conda package, such as"),
        (text, ["add", "--pip", "./local"], "found `./local`, expected a name with versions"),
        (text, ["add", "App"], "app is in environment.yml already"),
        (text, ["remove", "lib"], "lib is not asked for in environment.yml"),
        (text, ["remove", "--pip", "tool"], "tool is not asked for in environment.yml"),
        (flow, ["add", "app"], "does not have each item on a line of its own"),
    ):
        write(project, start, url)
        done = machine.condaw(project, *words)
        assert done.returncode == 3, done.stderr
        assert said in done.stderr, done.stderr
        assert content(path, url) == start
        assert (project / "conda-lock.yml").read_bytes() == before
