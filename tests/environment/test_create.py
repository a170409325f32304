"""An environment is made whole or not at all; what fails says why, and the old one stays."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from condaw.base.errors import CannotError
from condaw.environment import create
from harm import (
    CLOSED,
    LITTER,
    Dripping,
    Halting,
    HaltingBeforeHeaders,
    archive,
    assert_told,
    empty,
    garble,
    point,
    replace_by_another,
    truncate,
)
from loopback import served
from machine import Machine


@pytest.mark.parametrize(
    ("system", "sign", "breaks"),
    [
        ("posix", "'", True),
        ("posix", "$", True),
        ("posix", "%", False),
        ("nt", "'", False),
        ("nt", "$", False),
        ("nt", "%", False),
        ("nt", ";", True),
    ],
)
def test_a_path_is_refused_for_the_signs_that_break_environments_there(
    system: str, sign: str, breaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pathsep = ";" if system == "nt" else ":"
    monkeypatch.setattr(create, "os", SimpleNamespace(name=system, pathsep=pathsep))
    if not breaks:
        create._check_path(Path(f"/home/a{sign}b/.conda"))
        return
    with pytest.raises(CannotError) as error:
        create._check_path(Path(f"/home/a{sign}b/.conda"))
    assert "which breaks environments" in error.value.cause


@pytest.mark.skipif(sys.platform != "linux", reason="only packages for Linux need case")
def test_a_folder_that_ignores_case_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create._check_path(tmp_path / ".conda")
    assert capsys.readouterr().err == ""
    (tmp_path / "CONDA-LOCK.YML").touch()
    create._check_path(tmp_path / ".conda")
    assert f"{tmp_path} ignores the case of file names" in capsys.readouterr().err


def old_environment_is_there(project: Path, machine: Machine) -> bool:
    done = machine.condaw(project, "run", "--", "python", "-c", "import iniconfig")
    return done.returncode == 0 and not any((project / name).exists() for name in LITTER)


@pytest.mark.parametrize("harm", [empty, truncate, garble, replace_by_another, Path.unlink])
def test_a_local_archive_that_is_not_the_locked_one_is_refused_and_named(
    harm: Callable[[Path], None], own_channel: Path, project: Path, machine: Machine
) -> None:
    path = archive(own_channel, "rich")
    harm(path)
    done = machine.condaw(project, "create")
    assert_told(done, str(path), "")
    assert f"condaw: cannot create: rich: {path}" in done.stderr.replace("the sha256 of ", "")
    assert not (project / ".conda").exists()


IMPATIENT = """
import sys
from condaw.base import process
from condaw.environment import conda_packages
from condaw.commands import main
conda_packages.SILENCE = 1.5
process.finish(main(["create"]))
"""


@pytest.mark.parametrize("handler", [Halting, HaltingBeforeHeaders])
def test_a_server_that_goes_silent_is_given_up_with_a_sentence(
    handler: type[Halting], own_channel: Path, small: Path, fresh: Machine
) -> None:
    handler.over = threading.Event()
    with served(own_channel, handler) as url:
        point(small, own_channel.as_uri(), url)
        done = fresh.run(sys.executable, "-c", IMPATIENT, cwd=small)
        handler.over.set()
    assert_told(done, "the server has sent nothing for 1.5 s", "check the network and the proxy")
    assert not (small / ".conda").exists()


def test_a_slow_server_is_no_silent_one(own_channel: Path, small: Path, fresh: Machine) -> None:
    with served(own_channel, Dripping) as url:
        point(small, own_channel.as_uri(), url)
        done = fresh.run(sys.executable, "-c", IMPATIENT, cwd=small)
    assert done.returncode == 0, done.stderr


def test_a_failed_repair_leaves_the_old_environment_and_no_litter(
    own_channel: Path, small_made: Path, machine: Machine
) -> None:
    empty(archive(own_channel, "iniconfig"))
    assert machine.condaw(small_made, "create", "--repair").returncode == 3
    assert old_environment_is_there(small_made, machine)


def test_an_index_that_is_gone_is_named_while_the_old_environment_stays(
    small_made: Path, machine: Machine, tmp_path: Path
) -> None:
    without_wheels = replace(machine, cache=tmp_path / "cache")
    done = without_wheels.condaw(small_made, "create", "--repair", **CLOSED)
    assert done.returncode == 3
    assert "condaw: cannot create: the PyPI packages could not be installed" in done.stderr
    assert old_environment_is_there(small_made, machine)


def test_settings_for_everyday_use_of_uv_do_not_reach_an_installation_by_hash(
    small: Path, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "constraint.txt").write_text("textfsm==1.1.0\n", encoding="utf-8")
    (tmp_path / "uv.toml").write_text('exclude-newer = "2001-01-01T00:00:00Z"\n', encoding="utf-8")
    settings = {
        "UV_EXCLUDE_NEWER": "2001-01-01",
        "UV_CONSTRAINT": str(tmp_path / "constraint.txt"),
        "UV_REQUIRE_HASHES": "1",
        "UV_NO_EDITABLE": "1",
        "UV_CONFIG_FILE": str(tmp_path / "uv.toml"),
        "UV_TARGET": str(tmp_path / "elsewhere"),
        "UV_NO_BINARY": "1",
    }
    done = replace(machine, cache=tmp_path / "cache").condaw(small, "create", **settings)
    assert done.returncode == 0, done.stderr
    assert machine.condaw(small, "verify").returncode == 0


def test_an_environment_moved_away_by_a_killed_run_is_put_back(
    small_made: Path, machine: Machine
) -> None:
    (small_made / ".conda").rename(small_made / ".conda.old")
    done = machine.condaw(small_made, "create", **CLOSED)
    assert done.returncode == 0, done.stderr
    assert old_environment_is_there(small_made, machine)


def test_another_build_backend_is_fetched_and_used(small: Path, machine: Machine) -> None:
    pyproject = small / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    text = text.replace('requires = ["uv_build>=0.9,<0.14"]', 'requires = ["flit_core"]')
    text = text.replace('build-backend = "uv_build"', 'build-backend = "flit_core.buildapi"')
    text += '\n[tool.flit.module]\nname = "demo"\n'
    pyproject.write_text(text, encoding="utf-8")
    done = machine.condaw(small, "create")
    assert done.returncode == 0, done.stderr


def test_scripts_of_wheels_and_of_the_project_start_the_environments_own_python(
    shown: Path,
) -> None:
    prefix = shown / ".conda"
    for name in ("ssh-uptime", "netmiko-show", "pytest"):
        first = (prefix / "bin" / name).read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith((f"#!{prefix / 'bin' / 'python'}", "#!/bin/sh")), name
        assert ".conda.part" not in (prefix / "bin" / name).read_text(encoding="utf-8")


def test_what_only_a_left_out_group_needs_is_neither_there_nor_missed(
    project: Path, machine: Machine
) -> None:
    def installed() -> set[str]:
        records = (project / ".conda" / "conda-meta").glob("*.json")
        return {path.stem.rsplit("-", 2)[0] for path in records}

    assert machine.condaw(project, "create", "--without", "dev").returncode == 0
    less = installed()
    assert "rich" in less and "pygments" in less  # pytest needs pygments, and so does rich
    assert not less & {"pytest", "ruff", "pluggy", "iniconfig"}
    assert "without dev" in machine.condaw(project, "status").stdout
    verified = machine.condaw(project, "verify")
    assert verified.returncode == 0, verified.stderr
    again = machine.condaw(project, "create", "--without", "dev")
    assert "nothing to do" in again.stderr
    assert machine.condaw(project, "create").returncode == 0
    assert {"pytest", "ruff", "pluggy", "iniconfig"} <= installed() - less
    unknown = machine.condaw(project, "create", "--without", "docs")
    assert unknown.returncode == 3
    assert "pyproject.toml has no dependency group docs" in unknown.stderr
