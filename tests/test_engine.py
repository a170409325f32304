"""The engine: fetched once by whatever installer is there, checked by hash, used in place."""

from __future__ import annotations

import os
import re
import shutil
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest
from condaw import engine
from condaw.base.project import own_cache
from condaw.network.pip_config import pip_settings
from machine import Machine

NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_TIMEOUT": "1"}
# This machine may have other sources configured; these tests say which index there is.
ONLY = {"PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}
LOAD = "from condaw import engine; engine.load(engine.ENGINE); import rattler, yaml, uv"


@pytest.fixture(scope="module")
def without_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without-pip")
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


@pytest.mark.xdist_group("engine")
def test_a_colleague_with_nothing_but_python_gets_engine_and_environment(
    bare: Path, project: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")
    done = machine.run(bare, "-m", "condaw", "create", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0].startswith("condaw: fetching its engine, rattler and uv")
    assert done.stderr.splitlines()[-1] == f"condaw: created and verified {project / '.conda'}"
    again = machine.run(bare, "-m", "condaw", "verify", cwd=project, **NO_INDEX)
    assert again.returncode == 0, again.stderr
    assert "fetching" not in again.stderr
    assert not list(machine.cache.glob("*.part"))


@pytest.mark.xdist_group("engine")
def test_uv_fetches_it_where_python_has_no_pip(
    without_pip: Path, locked: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")
    folder = tmp_path / "only-uv"
    folder.mkdir()
    (folder / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    done = machine.run(without_pip, "-c", LOAD, cwd=locked, PATH=str(folder))
    assert done.returncode == 0, done.stderr


def test_the_pip_that_python_carries_is_found_where_nothing_else_is(
    without_pip: Path, locked: Path, machine: Machine
) -> None:
    code = (
        "from condaw import engine; from condaw.base import process;"
        "print(process.run(engine.pip()).stdout)"
    )
    done = machine.run(without_pip, "-c", code, cwd=locked, PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert "pip <command>" in done.stdout


def test_an_engine_that_cannot_be_fetched_is_one_clear_line_and_leaves_no_litter(
    bare: Path, locked: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")
    done = machine.run(bare, "-m", "condaw", "create", cwd=locked, **ONLY, **NO_INDEX)
    assert done.returncode == 3
    last = done.stderr.splitlines()[-2:]
    assert last[0].startswith(
        "condaw: cannot create: the packages of condaw/engine.txt could not be fetched: "
    )
    assert last[1].startswith("condaw: next: check the network, the proxy and pip's index settings")
    assert "Traceback" not in done.stderr
    assert [path.name for path in machine.cache.iterdir()] == ["locks"]


def test_a_wheel_with_another_hash_is_refused(
    bare: Path, locked: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")
    project = Path(shutil.copytree(locked, tmp_path / "demo"))
    wrong = "installer==1.1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    (project / "condaw" / "engine.txt").write_text(wrong, encoding="utf-8")
    done = machine.run(bare, "-m", "condaw", "create", cwd=project)
    assert done.returncode == 3
    assert "could not be fetched" in done.stderr
    assert [path.name for path in machine.cache.iterdir()] == ["locks"]


def test_what_the_user_asks_of_pip_for_everyday_use_does_not_reach_the_pinned_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = re.search(r"^truststore==.*(\n +--hash.*)*\n", engine.ENGINE.read_text(), re.M)
    assert pins
    (tmp_path / "pins.txt").write_text(pins[0])
    (tmp_path / "constraint.txt").write_text("truststore==0.1.0\n")
    sources = ("index-url", "extra-index-url", "find-links", "cert")
    known = {name: value for name, value in pip_settings().items() if name in sources}
    known |= {"uploaded-prior-to": "2001-01-01", "prefix": "/nowhere"}
    lines = [f"{name} = {' '.join(value.split())}\n" for name, value in known.items()]
    (tmp_path / "pip.conf").write_text("[global]\n" + "".join(lines))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_UPLOADED_PRIOR_TO", "2001-01-01")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraint.txt"))
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2001-01-01")
    engine._install(tmp_path / "pins.txt", tmp_path / "by-pip")
    monkeypatch.setattr(engine, "pip", list)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    engine._install(tmp_path / "pins.txt", tmp_path / "by-uv")
    for folder in ("by-pip", "by-uv"):
        assert (tmp_path / folder / "truststore" / "__init__.py").is_file()


def test_a_cache_that_cannot_be_written_is_named(
    bare: Path, locked: Path, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    machine = replace(machine, cache=tmp_path / "file" / "cache")
    done = machine.run(bare, "-m", "condaw", "create", cwd=locked)
    assert done.returncode == 3
    assert f"the cache folder {tmp_path / 'file' / 'cache'} cannot be written" in done.stderr


def test_an_interpreter_that_holds_the_pinned_versions_is_used_in_place(
    locked: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")
    done = machine.run(sys.executable, "-c", LOAD, cwd=locked)
    assert done.returncode == 0, done.stderr
    assert not machine.cache.exists()


def test_an_interpreter_with_another_version_is_not_used_in_place(
    locked: Path, machine: Machine, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(locked, tmp_path / "demo"))
    pins = project / "condaw" / "engine.txt"
    pins.write_text(pins.read_text(encoding="utf-8").replace("uv==", "uv==99"), encoding="utf-8")
    code = "from condaw import engine; print(engine.importable(engine.ENGINE))"
    assert machine.run(sys.executable, "-c", code, cwd=project).stdout == "False\n"


def test_a_machine_that_no_package_fits_is_told_what_they_fit() -> None:
    error = engine.not_fetched("it", "ERROR: No matching distribution found for uv==0.13.9\n")
    assert "use a 64-bit Python on Linux with glibc (not Alpine)" in error.next_step
    assert "glibc" not in engine.not_fetched("it", "ERROR: 404\n").next_step


def test_the_engine_is_not_fetched_again_because_a_scanner_holds_its_folder_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renames, really = list[Path](), Path.rename

    def refuse(source: Path, target: Path) -> Path:
        renames.append(source)
        if len(renames) > 1:
            return really(source, target)
        error = PermissionError(13, "Access is denied")
        error.winerror = 32  # type: ignore[attr-defined]
        raise error

    monkeypatch.setenv("CONDAW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engine, "_install", lambda requirements, target: None)
    monkeypatch.setattr(Path, "rename", refuse)
    assert engine.fetched(engine.ENGINE).is_dir()
    assert len(renames) == 2


@pytest.mark.parametrize(("mode", "owner"), [(0o777, None), (0o775, None), (0o755, 4321)])
def test_a_cache_that_others_can_write_to_is_refused_before_anything_of_it_runs(
    mode: int, owner: int | None, without_pip: Path, locked: Path, machine: Machine, tmp_path: Path
) -> None:
    if owner and os.geteuid():
        pytest.skip("only root can give a folder away")
    machine = replace(machine, cache=tmp_path / "cache")
    folder = "from condaw import engine; f = engine.folder(engine.ENGINE); f.mkdir(parents=True);"
    planted = f"{folder} (f / 'rattler.py').write_text('raise SystemExit(99)')"
    assert machine.run(without_pip, "-c", planted, cwd=locked).returncode == 0
    machine.cache.chmod(mode)
    os.chown(machine.cache, owner or -1, -1)
    done = machine.run(without_pip, "-c", LOAD, cwd=locked)
    assert "CannotError: other users can write to the cache folder" in done.stderr
    machine.cache.chmod(0o700)
    os.chown(machine.cache, os.geteuid(), -1)
    assert machine.run(without_pip, "-c", LOAD, cwd=locked).returncode == 99


def test_the_cache_is_made_for_its_user_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONDAW_CACHE", str(tmp_path / "cache"))
    before = os.umask(0)
    try:
        assert own_cache().stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
