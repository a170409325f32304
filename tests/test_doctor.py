"""doctor looks and changes nothing; each failed check says what to do."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from condaw import __version__
from machine import Machine
from test_probe import serving

# An index on this machine; without proxies, which belong to who runs the tests.
EVERY = {"condaw", "python", "cache", "proxy", "index", "engine"}
EVERY |= {"lock", "channel", "environment", "settings"}
QUIET = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "")


class Check(NamedTuple):
    ok: bool
    text: str
    next_step: str


def checks(project: Path, machine: Machine, **extra: str) -> dict[str, Check]:
    with serving() as address:
        own = {"PIP_INDEX_URL": f"http://{address}/simple", **QUIET, **extra}
        done = machine.condaw(project, "doctor", **own)
    lines = re.findall(r"^(ok  |FAIL) (\w+): (.*?)(?:; next: (.*))?$", done.stdout, re.M)
    assert len(lines) == len(done.stdout.splitlines())
    found = {name: Check(word == "ok  ", text, step) for word, name, text, step in lines}
    assert (done.returncode == 0) == all(check.ok for check in found.values())
    return found


def test_a_healthy_project_passes_every_check(shown: Path, machine: Machine) -> None:
    found = checks(shown, machine)
    assert all(check.ok for check in found.values())
    assert set(found) == EVERY


def test_the_place_of_each_setting_in_force_is_named(shown: Path, machine: Machine) -> None:
    (machine.home / ".pip").mkdir()
    (machine.home / ".pip" / "pip.conf").write_text("[install]\nfind-links = /srv\nuser = no\n")
    (machine.home / ".condarc").write_text("channel_alias: https://mirror.example\n")
    text = checks(shown, machine, PIP_FIND_LINKS="")["settings"].text
    assert "find-links from ~/.pip/pip.conf" in text
    assert "index-url from PIP_INDEX_URL" in text
    assert "channel_alias from ~/.condarc" in text
    assert "user" not in text


def test_a_missing_environment_is_told_with_its_command(locked: Path, machine: Machine) -> None:
    environment = checks(locked, machine)["environment"]
    assert (environment.ok, environment.next_step) == (False, "run: python -m condaw create")


def test_a_channel_that_is_gone_is_told(locked: Path, machine: Machine, tmp_path: Path) -> None:
    project = Path(shutil.copytree(locked, tmp_path / "demo"))
    for name in ("environment.yml", "conda-lock.yml"):
        path = project / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("/channel-", "/gone-channel-"), encoding="utf-8")
    channel = checks(project, machine)["channel"]
    assert not channel.ok
    assert "does not answer" in channel.text


def test_a_report_can_be_shown_to_anybody(locked: Path, machine: Machine) -> None:
    home = Path(shutil.copytree(locked, machine.home / "demo"))
    proxy = "http://ada:s3cret@127.0.0.1:1"
    index = "https://bob:t0ken@example.invalid/simple"
    env = {**QUIET, "https_proxy": proxy, "PIP_INDEX_URL": index}
    text = machine.condaw(home, "doctor", **env).stdout
    assert "ok   proxy: https through http://127.0.0.1:1" in text
    assert "FAIL index: the proxy 127.0.0.1:1 does not answer: " in text
    assert "ok   condaw: 0.1.0 in ~/demo" in text.replace(__version__, "0.1.0")
    for secret in ("ada", "s3cret", "bob", "t0ken", str(machine.home)):
        assert secret not in text


@pytest.mark.parametrize("proxy", ["ada:s3cret@127.0.0.1:1", "http://ada:s3/c@r et@127.0.0.1:1"])
def test_no_password_of_a_proxy_is_in_a_report_however_it_is_written(
    proxy: str, locked: Path, machine: Machine
) -> None:
    env = {**QUIET, "https_proxy": proxy, "PIP_INDEX_URL": "https://b:t0k/en@h.invalid/?sig=t0ken"}
    text = machine.condaw(locked, "doctor", **env).stdout
    assert re.search(r"ok   proxy: https through (http://)?127.0.0.1:1\n", text)
    assert "FAIL index: " in text and "ok   lock: " in text
    for secret in ("ada", "s3", "r et", "t0k"):
        assert secret not in text


BROKEN = {
    "channel": {"CONDARC": "{tmp}/condarc"},
    "index": {"PIP_CONFIG_FILE": "{tmp}/condarc"},
    "proxy": {"https_proxy": "http://[", "http_proxy": "http://["},
    "home": {"HOME": "/dev/null/home", "CONDAW_CACHE": ""},
    "lock": {"PYTHONPATH": "{tmp}/broken"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_there_is_a_report_whatever_is_broken(
    name: str, locked: Path, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "condarc").write_text("[broken", encoding="utf-8")
    # What loads on a folder that is mounted noexec.
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "rattler.py").write_text("raise ImportError('failed to map segment')")
    env = {key: value.format(tmp=tmp_path) for key, value in BROKEN[name].items()}
    found = checks(locked, machine, **env)
    assert name in ("proxy", "home") or not found[name].ok
    assert set(found) - {"index"} == EVERY - {"index"}
    assert found["environment"].text == "missing: there is no environment yet"
    assert all(check.next_step for check in found.values() if not check.ok)


def test_a_lock_that_lacks_what_is_asked_for_is_told(project: Path, machine: Machine) -> None:
    environment = project / "environment.yml"
    text = environment.read_text(encoding="utf-8")
    text = re.sub(r"^( *)- pip==", r"\1- numpy\n\1- pip==", text, count=1, flags=re.M)
    environment.write_text(text, encoding="utf-8")
    check = checks(project, machine)["lock"]
    assert check.text == "environment.yml asks for numpy, which is not locked"
    assert check.next_step == "run: python -m condaw lock"


def test_it_writes_nothing(locked: Path, machine: Machine, tmp_path: Path) -> None:
    def listing() -> list[Path]:
        return sorted(path for path in locked.rglob("*") if "__pycache__" not in path.parts)

    machine = replace(machine, cache=tmp_path / "unused")
    before = listing()
    checks(locked, machine)
    assert listing() == before
    assert not machine.cache.exists()
