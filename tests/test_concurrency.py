"""Several at once: each ends well, and who waits is told for whom."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from condaw.environment import swap
from harm import Resuming, assert_tidy, assert_told, point
from loopback import served
from machine import Machine

CONDAW = [sys.executable, "-m", "condaw"]


@contextmanager
def started(machine: Machine, project: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A program that runs beside the test, and ends with it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=project, env=machine.env, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str], beginning: str) -> str:
    """The next line on stderr that begins so."""
    assert process.stderr
    for text in process.stderr:
        if text.startswith(beginning):
            return text
    pytest.fail(f"it ended without saying: {beginning}")


def test_ten_creates_in_one_project_all_end_well(small: Path, machine: Machine) -> None:
    processes = [
        subprocess.Popen(
            [*CONDAW, "create", "-q"], cwd=small, env=machine.env, stderr=subprocess.PIPE
        )
        for _ in range(10)
    ]
    assert [process.communicate()[1] for process in processes] == [b""] * 10
    assert [process.returncode for process in processes] == [0] * 10
    assert_tidy(small)
    assert machine.condaw(small, "verify").returncode == 0


@pytest.mark.slow
@pytest.mark.xdist_group("engine")
def test_five_projects_on_an_empty_cache_fetch_one_engine_that_heals(
    small: Path, fresh: Machine, bare: Path, tmp_path: Path
) -> None:
    projects = [Path(shutil.copytree(small, tmp_path / f"demo{n}" / "demo")) for n in range(5)]
    processes = [
        subprocess.Popen(
            [bare, "-m", "condaw", "create"],
            cwd=project,
            env=fresh.env,
            stderr=subprocess.PIPE,
            text=True,
        )
        for project in projects
    ]
    said = "".join(process.communicate()[1] for process in processes)
    assert [process.returncode for process in processes] == [0] * 5, said
    assert said.count(", once for all projects with this Python") == 1
    assert len(list(fresh.cache.glob("engine-*"))) == 1
    for project in projects:
        assert_tidy(project, fresh.cache)
    # A part of the engine is lost.
    [engine] = fresh.cache.glob("engine-*")
    shutil.rmtree(engine / "rattler")
    done = fresh.run(bare, "-m", "condaw", "create", "--repair", cwd=projects[0])
    assert_told(done, "rattler", "remove condaw's cache")
    # What killed fetches have left is removed, and what is missing is fetched.
    left = engine.rename(engine.with_name(f"{engine.name}.1.part"))
    done = fresh.run(bare, "-m", "condaw", "create", "--repair", cwd=projects[0])
    assert done.returncode == 0, done.stderr
    assert not left.exists()


@pytest.mark.parametrize("subject", ["environment", "cache"])
def test_who_waits_is_told_for_whom_and_a_dead_one_holds_nothing(
    subject: str, own_channel: Path, small: Path, fresh: Machine, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(small, tmp_path / "other"))
    second = small if subject == "environment" else other
    what = f"{small}/.conda" if subject == "environment" else f"the cache {fresh.cache}"
    Resuming.over = threading.Event()
    with served(own_channel, Resuming) as url:
        point(small, own_channel.as_uri(), url)
        with started(fresh, small, *CONDAW, "create") as first:
            while not any((fresh.cache / "pkgs").glob(".[a-z]*-*")):
                time.sleep(0.01)  # until a download is under way
            if subject == "environment":  # which has one lock, wherever the caches are
                fresh = replace(fresh, cache=tmp_path / "another cache")
            with started(fresh, second, *CONDAW, "create") as waiting:
                said = line(waiting, "condaw: waiting")
                who = (
                    rf"process {first.pid} \(`condaw create`, since \d{{4}}-\d\d-\d\d [\d:]{{8}}\)"
                )
                what = re.escape(what)
                assert re.fullmatch(f"condaw: waiting for {who}, which works on {what}\n", said)
                first.kill()
                first.wait()
                Resuming.over.set()
                _, said = waiting.communicate()
                assert waiting.returncode == 0, said
    assert_tidy(second, fresh.cache)


def test_during_create_an_environment_is_always_there_and_verify_finds_nothing(
    small_made: Path, machine: Machine
) -> None:
    stamp = small_made / ".conda" / "conda-meta" / "condaw"
    again = "for _ in 1 2; do " + " ".join([*CONDAW, "create", "--repair", "-q"]) + "; done"
    code = (
        "import pathlib, subprocess, sys\n"
        "codes, verify = [], [sys.executable, '-m', 'condaw', 'verify', '-q']\n"
        "while not pathlib.Path('over').exists(): codes.append(subprocess.call(verify))\n"
        "print(len(codes), set(codes))\n"
    )
    with started(machine, small_made, sys.executable, "-c", code) as verifying:
        creating = subprocess.Popen(["sh", "-c", again], cwd=small_made, env=machine.env)
        looks = 0
        while creating.poll() is None:
            os.stat(stamp)  # noqa: PTH116 - as often as can be
            looks += 1
        assert creating.returncode == 0
        (small_made / "over").touch()
        out, err = verifying.communicate()
    count, _, codes = out.strip().partition(" ")
    assert (int(count) > 1, codes) == (True, "{0}"), err
    assert looks > 1000


def test_two_folders_change_places_in_one_step(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / f"of {folder.name}").touch()
    assert swap._exchange(one, other) == (sys.platform in ("linux", "darwin"))
    assert (one / "of other").exists() == (sys.platform in ("linux", "darwin"))
    assert not swap._exchange(one, tmp_path / "missing")


def test_a_program_that_runs_while_create_replaces_its_environment_goes_on(
    small_made: Path, machine: Machine
) -> None:
    code = "print('up', flush=True); input(); import iniconfig, decimal; print(iniconfig.__file__)"
    run = [*CONDAW, "run", "--", "python", "-u", "-c", code]
    with started(machine, small_made, *run) as program:
        assert program.stdout and program.stdout.readline() == "up\n"
        assert machine.condaw(small_made, "create", "--repair").returncode == 0
        out, err = program.communicate("\n")
    assert program.returncode == 0, err
    assert out.startswith(
        str(small_made / ".conda")
    )  # what it had not imported comes from the new one
