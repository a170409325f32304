"""What is seen in a prefix, and what a snapshot keeps of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from condaw.environment import look, verify
from condaw.environment.findings import Kind
from condaw.environment.prefix import File, files_of, wheels

FILE = File("package", None, None)


def seen(prefix: Path) -> look.Now:
    """What a prefix with wheels in `lib` is like."""
    (prefix / "conda-meta").mkdir(exist_ok=True)
    installed = wheels(prefix, prefix / "lib")
    return look.look(prefix, prefix / "lib", installed, files_of(installed))


def test_a_launcher_has_the_same_mode_by_its_path_and_when_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPython on Windows adds 0o111 to the mode of .exe, .bat, .cmd and .com given by path."""
    for name in ("greet.exe", "RUN.BAT", "old.cmd", "older.com"):
        assert look.mode_of(name, 0o100777) == look.mode_of(name, 0o100666) == 0o666
    assert look.mode_of("program", 0o100777) == 0o777


def test_the_read_only_attribute_of_windows_is_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(look, "IGNORED", 0)
    assert look.mode_of("a.py", 0o100444) != look.mode_of("a.py", 0o100666)
    monkeypatch.setattr(look, "IGNORED", 0o222)
    assert look.mode_of("a.py", 0o100444) == look.mode_of("a.py", 0o100666)


@pytest.mark.parametrize("recorded", ["", "sha512=abc"])
def test_a_file_without_a_sha256_in_the_record_of_its_wheel_is_compared(
    recorded: str, tmp_path: Path
) -> None:
    site = tmp_path / "lib"
    (site / "x-1.dist-info").mkdir(parents=True)
    (site / "x-1.dist-info" / "RECORD").write_text(f"x.py,{recorded},\nx-1.dist-info/RECORD,,\n")
    (site / "x.py").write_text("good")
    taken = look.take_snapshot(seen(tmp_path))
    assert list(verify._compare_files(seen(tmp_path), taken)) == []
    (site / "x.py").write_text("evil")
    [finding] = verify._compare_files(seen(tmp_path), taken)
    assert (finding.kind, finding.path) == (Kind.FILE_CHANGED, "lib/x.py")
    assert look.read_snapshot(tmp_path) == taken
