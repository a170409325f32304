"""An environment is made whole or not at all; what fails says why, and the old one stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Quiet, served
from machine import Machine

LITTER = (".conda.part", ".conda.old")
CLOSED = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull}
CLOSED |= {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}


@pytest.fixture
def own_channel(project: Path, channel: Path, tmp_path: Path) -> Path:
    """A copy of the channel that this test may harm; `project` is locked to it."""
    copy = Path(shutil.copytree(channel, tmp_path / "channel", copy_function=os.link))
    point(project, channel.as_uri(), copy.as_uri())
    return copy


def point(project: Path, old: str, new: str) -> None:
    for name in ("environment.yml", "conda-lock.yml"):
        path = project / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def archive(channel: Path, name: str) -> Path:
    return next(path for path in channel.glob("*/*.conda") if path.name.startswith(f"{name}-"))


def empty(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def replace_by_another(path: Path) -> None:
    other = archive(path.parent.parent, "iniconfig").read_bytes()
    path.unlink()
    path.write_bytes(other)


def old_environment_is_there(project: Path, machine: Machine) -> bool:
    done = machine.condaw(project, "run", "--", "python", "-c", "import paramiko")
    return done.returncode == 0 and not any((project / name).exists() for name in LITTER)


@pytest.mark.parametrize("harm", [empty, truncate, replace_by_another, Path.unlink])
def test_a_local_archive_that_is_not_the_locked_one_is_refused_and_named(
    harm: Callable[[Path], None], own_channel: Path, project: Path, machine: Machine
) -> None:
    path = archive(own_channel, "rich")
    harm(path)
    done = machine.condaw(project, "create")
    assert done.returncode == 3
    assert f"condaw: cannot create: rich: {path}" in done.stderr.replace("the sha256 of ", "")
    assert len(done.stderr.splitlines()) <= 5
    assert "Traceback" not in done.stderr
    assert not (project / ".conda").exists()


def test_a_download_with_another_hash_is_refused_then_healed_by_the_right_one(
    own_channel: Path, project: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")
    path = archive(own_channel, "rich")
    good = path.read_bytes()
    replace_by_another(path)
    with served(own_channel) as url:
        point(project, own_channel.as_uri(), url)
        done = machine.condaw(project, "create")
        assert done.returncode == 3
        assert "the conda packages could not be installed" in done.stderr
        assert "rich" in done.stderr
        path.write_bytes(good)
        assert machine.condaw(project, "create").returncode == 0


class Halting(Quiet):
    """Serves half of each archive, then nothing more, until the test is over."""

    before_headers = False
    over = threading.Event()

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        if not self.before_headers:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        self.over.wait()


class HaltingBeforeHeaders(Halting):
    before_headers = True


class Dripping(Quiet):
    """Serves the largest archive in pieces, each within the time that a server may be silent."""

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        pieces = 6 if len(content) > 5_000_000 else 1
        size = len(content) // pieces + 1
        for start in range(0, len(content), size):
            self.wfile.write(content[start : start + size])
            time.sleep(0.5 if pieces > 1 else 0)  # the pace of a slow line, not a wait


IMPATIENT = """
import sys
from condaw import process, progress
from condaw.__main__ import main
progress.SILENCE = 1.5
process.finish(main(["create"]))
"""


@pytest.mark.parametrize("handler", [Halting, HaltingBeforeHeaders])
def test_a_server_that_goes_silent_is_given_up_with_a_sentence(
    handler: type[Halting],
    own_channel: Path,
    project: Path,
    machine: Machine,
    tmp_path: Path,
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")
    handler.over = threading.Event()
    with served(own_channel, handler) as url:
        point(project, own_channel.as_uri(), url)
        done = machine.run(sys.executable, "-c", IMPATIENT, cwd=project)
        handler.over.set()
    assert done.returncode == 3
    assert "condaw: cannot create: the server has sent nothing for 1.5 s" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / ".conda").exists()


def test_a_slow_server_is_no_silent_one(
    own_channel: Path, project: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")
    with served(own_channel, Dripping) as url:
        point(project, own_channel.as_uri(), url)
        done = machine.run(sys.executable, "-c", IMPATIENT, cwd=project)
    assert done.returncode == 0, done.stderr


def test_a_failed_repair_leaves_the_old_environment_and_no_litter(
    own_channel: Path, project: Path, machine: Machine
) -> None:
    assert machine.condaw(project, "create").returncode == 0
    empty(archive(own_channel, "rich"))
    assert machine.condaw(project, "create", "--repair").returncode == 3
    assert old_environment_is_there(project, machine)


def test_an_index_that_is_gone_is_named_while_the_old_environment_stays(
    made: Path, machine: Machine
) -> None:
    shutil.rmtree(machine.cache / "uv", ignore_errors=True)
    done = machine.condaw(made, "create", "--repair", **CLOSED)
    assert done.returncode == 3
    assert "condaw: cannot create: the PyPI packages could not be installed" in done.stderr
    assert old_environment_is_there(made, machine)


def test_a_killed_run_is_finished_by_the_next(made: Path, machine: Machine) -> None:
    for stage in (".conda.part", ".conda.part/conda-meta/condaw", ".conda.old"):
        process = subprocess.Popen(
            [sys.executable, "-m", "condaw", "create", "--repair", "-q"],
            cwd=made,
            env=machine.env,
        )
        while process.poll() is None and not (made / stage).exists():
            time.sleep(0.001)  # the deed is timed by what is on the disk
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = machine.condaw(made, "create", "--repair")
        assert done.returncode == 0, f"{stage}: {done.stderr}"
        assert old_environment_is_there(made, machine), stage


def test_an_environment_moved_away_by_a_killed_run_is_put_back(
    made: Path, machine: Machine
) -> None:
    (made / ".conda").rename(made / ".conda.old")
    done = machine.condaw(made, "create", **CLOSED)
    assert done.returncode == 0, done.stderr
    assert old_environment_is_there(made, machine)


def test_several_creates_in_one_project_all_end_well(project: Path, machine: Machine) -> None:
    command = [sys.executable, "-m", "condaw", "create", "-q"]
    processes = [
        subprocess.Popen(command, cwd=project, env=machine.env, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [process.communicate()[1] for process in processes] == [b""] * 4
    assert [process.returncode for process in processes] == [0] * 4
    assert machine.condaw(project, "verify").returncode == 0


def test_conda_finds_the_environment_in_its_list_once(made: Path, machine: Machine) -> None:
    assert machine.condaw(made, "create", "--repair").returncode == 0
    listing = (machine.home / ".conda" / "environments.txt").read_text(encoding="utf-8")
    assert listing == f"{made / '.conda'}\n"


def test_another_build_backend_is_fetched_and_used(project: Path, machine: Machine) -> None:
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    text = text.replace('requires = ["uv_build>=0.9,<0.14"]', 'requires = ["flit_core"]')
    text = text.replace('build-backend = "uv_build"', 'build-backend = "flit_core.buildapi"')
    text += '\n[tool.flit.module]\nname = "demo"\n'
    pyproject.write_text(text, encoding="utf-8")
    done = machine.condaw(project, "create")
    assert done.returncode == 0, done.stderr


def test_scripts_of_wheels_and_of_the_project_start_the_environments_own_python(
    shown: Path,
) -> None:
    prefix = shown / ".conda"
    for name in ("ssh-uptime", "netmiko-show", "pytest"):
        first = (prefix / "bin" / name).read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith((f"#!{prefix / 'bin' / 'python'}", "#!/bin/sh")), name
        assert ".conda.part" not in (prefix / "bin" / name).read_text(encoding="utf-8")
