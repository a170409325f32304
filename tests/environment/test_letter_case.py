"""Folders that ignore the case of file names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from channel import write_package
from condaw.base.errors import CannotError
from condaw.environment import letter_case
from condaw.lockfile.package import Package

FILES = {
    "files": (["share/terminfo/2/2621A"], ["share/terminfo/2/2621a"]),
    "folders": (["share/terminfo/N/next"], ["share/terminfo/n/ncr260"]),
}


def packed(folder: Path, name: str, files: list[str]) -> tuple[Package, str]:
    """Return a package with `files`, and the URL of its archive."""
    stage = folder / "stages" / name
    for file in files:
        (stage / file).parent.mkdir(parents=True, exist_ok=True)
        (stage / file).write_text(name)
    (folder / "linux-64").mkdir(exist_ok=True)
    index = {"name": name, "version": "1", "depends": [], "subdir": "linux-64"}
    write_package(stage, folder, index)
    (archive,) = folder.glob(f"linux-64/{name}-1-*.conda")
    url = archive.as_uri()
    return Package("conda", name, "1", "linux-64", url, "0" * 64, None, {}, 1), url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder that ignores case: what is checked is there in both spellings."""
    (tmp_path / "conda-lock.yml").touch()
    (tmp_path / "CONDA-LOCK.YML").touch()
    return tmp_path


def refuse(folder: Path, first: list[str], second: list[str], platform: str = "linux-64") -> None:
    made = [packed(folder, "one", first), packed(folder, "two", second)]
    packages = [replace(package, platform=platform) for package, _ in made]
    letter_case.refuse_clash(folder, packages, [url for _, url in made])


@pytest.mark.parametrize("clash", FILES)
def test_two_names_that_differ_by_case_only_are_refused_before_the_installation(
    clash: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDAW_CACHE", str(folder / "cache"))
    with pytest.raises(CannotError) as error:
        refuse(folder, *FILES[clash])
    one, other = sorted(Path(file).parts[-1 if clash == "files" else -2] for [file] in FILES[clash])
    assert f"{folder} ignores the case of file names, and two needs both" in error.value.cause
    assert f"/{one} and " in error.value.cause
    assert error.value.cause.endswith(f"/{other}")
    assert "volume" in error.value.next_step


def test_a_folder_that_knows_case_takes_them(folder: Path) -> None:
    (folder / "CONDA-LOCK.YML").unlink()
    refuse(folder, *FILES["files"])


def test_packages_for_macos_and_windows_are_not_looked_at(folder: Path) -> None:
    refuse(folder, *FILES["files"], platform="osx-arm64")


def test_the_same_folder_in_two_packages_is_no_clash(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDAW_CACHE", str(folder / "cache"))
    refuse(folder, ["share/Terminfo/one"], ["share/Terminfo/two"])


def test_a_package_that_cannot_be_looked_into_is_left_to_the_installation(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDAW_CACHE", str(folder / "cache"))
    package, _ = packed(folder, "one", ["a"])
    letter_case.refuse_clash(folder, [package], [(folder / "missing.conda").as_uri()])
