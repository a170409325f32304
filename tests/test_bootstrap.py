"""How this repository's own tools are installed: on each platform, and with a sentence if not."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

import pytest
from condaw.network import pip_config
from machine import ROOT, Machine

BOOTSTRAP = ROOT / "tools" / "bootstrap.py"
PLATFORMS = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
]
NOWHERE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "0",
    "PIP_CONFIG_FILE": "/dev/null",
    "PIP_FIND_LINKS": "",
    "PIP_EXTRA_INDEX_URL": "",
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_all_tools_have_a_wheel_for(platform: str, machine: Machine, tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--dry-run",
        "--target",
        tmp_path,
    ]
    command += ["--no-deps", "--only-binary", ":all:", "--python-platform", platform]
    command += ["--python-version", "3.13", "--requirement", ROOT / "requirements.txt"]
    done = machine.run(*command, cwd=tmp_path, **pip_config.uv_environment())
    assert done.returncode == 0, done.stderr


def test_an_old_python_reads_it_as_far_as_the_sentence_that_it_is_too_old() -> None:
    tree = ast.parse(BOOTSTRAP.read_text(encoding="utf-8"), feature_version=(3, 6))
    future = [
        n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "__future__"
    ]
    assert not future


def test_what_uv_fetches_is_kept_where_make_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", "/build/cache/uv")
    assert pip_config.uv_environment()["UV_CACHE_DIR"] == "/build/cache/uv"


def test_an_installation_that_fails_is_a_sentence(machine: Machine, tmp_path: Path) -> None:
    for folder in ("tools", "{{cookiecutter.project}}"):
        (tmp_path / folder).mkdir()
    shutil.copy(BOOTSTRAP, tmp_path / "tools")
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    condaw = Path("{{cookiecutter.project}}", "condaw")
    shutil.copytree(ROOT / condaw, tmp_path / condaw)
    done = machine.run(sys.executable, tmp_path / "tools/bootstrap.py", cwd=tmp_path, **NOWHERE)
    assert done.returncode == 1
    assert "The tools of requirements.txt could not be installed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv" / "ready").exists()
