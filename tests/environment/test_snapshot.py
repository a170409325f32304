"""Modes of files, as each platform reports them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from condaw.environment import snapshot, verify
from condaw.environment.findings import Kind
from condaw.environment.prefix import File

FILE = File("package", None, None)


def test_a_launcher_has_the_same_mode_by_its_path_and_when_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPython on Windows adds 0o111 to the mode of .exe, .bat, .cmd and .com given by path."""
    names = ["greet.exe", "RUN.BAT", "old.cmd", "older.com", "module.py", "data.txt"]
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o666)
    (tmp_path / "conda-meta").mkdir()
    really = os.lstat

    def lstat(path: Any) -> os.stat_result:
        status: list[Any] = list(really(path))
        if str(path).lower().endswith((".exe", ".bat", ".cmd", ".com")):
            status[0] |= 0o111
        return os.stat_result(status)

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", lstat)
        snapshot.take(tmp_path, tmp_path / "site", names)
    taken = snapshot.read(tmp_path)
    assert taken
    differing = [
        name
        for name in names
        if verify._difference(f"{tmp_path}/{name}", FILE, name, taken, {os.getuid()})
    ]
    assert differing == []


def test_the_read_only_attribute_of_windows_is_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "IGNORED", 0)
    assert snapshot.mode_of("a.py", 0o100444) != snapshot.mode_of("a.py", 0o100666)
    monkeypatch.setattr(snapshot, "IGNORED", 0o222)
    assert snapshot.mode_of("a.py", 0o100444) == snapshot.mode_of("a.py", 0o100666)


@pytest.mark.parametrize("recorded", ["", "sha512=abc"])
def test_a_file_without_a_sha256_in_the_record_of_its_wheel_is_compared(
    recorded: str, tmp_path: Path
) -> None:
    (tmp_path / "conda-meta").mkdir()
    site, name = tmp_path / "lib", "lib/x.py"
    (site / "x-1.dist-info").mkdir(parents=True)
    (site / "x-1.dist-info" / "RECORD").write_text(f"x.py,{recorded},\nx-1.dist-info/RECORD,,\n")
    (site / "x.py").write_text("good")
    snapshot.take(tmp_path, site, [name, "lib/x-1.dist-info/RECORD"])
    taken = snapshot.read(tmp_path)
    assert taken
    assert verify._difference(f"{tmp_path}/{name}", FILE, name, taken, {os.getuid()}) is None
    (site / "x.py").write_text("evil")
    found = verify._difference(f"{tmp_path}/{name}", FILE, name, taken, {os.getuid()})
    assert found is Kind.FILE_CHANGED
