"""Activation gives what `conda activate` gives: PATH, variables, the packages' own scripts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from condaw.base import process
from condaw.environment import activation
from machine import Machine


def activated(project: Path, machine: Machine, **extra: str) -> dict[str, str]:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    done = machine.condaw(project, "run", "--", "python", "-c", code, **extra)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_environment_comes_first_on_path_and_only_once(shown: Path, machine: Machine) -> None:
    prefix = shown / ".conda"
    env = activated(shown, machine, PATH=f"/usr/bin:{prefix / 'bin'}:/bin")
    assert env["PATH"].split(os.pathsep) == [str(prefix / "bin"), "/usr/bin", "/bin"]
    assert env["CONDA_PREFIX"] == str(prefix)


def test_a_script_of_a_wheel_starts_where_no_path_is_set(
    shown: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PATH")
    done = machine.condaw(shown, "run", "--", "ssh-uptime", "--help")
    assert done.returncode == 0, done.stderr


def test_a_foreign_pythonhome_does_not_break_it(shown: Path, machine: Machine) -> None:
    done = machine.condaw(shown, "status")
    assert done.returncode == 0
    assert "PYTHONHOME" not in activated(shown, machine)


def test_variables_and_scripts_of_packages_take_effect_and_a_broken_script_is_a_sentence(
    small: Path, machine: Machine
) -> None:
    with (small / "environment.yml").open("a", encoding="utf-8") as out:
        out.write("variables: {FROM_STATE: two, PORT: 0022, GONE: '***unset***'}\n")
    assert machine.condaw(small, "create").returncode == 0
    assert machine.condaw(small, "verify").returncode == 0
    prefix = small / ".conda"
    stated = json.loads((prefix / "conda-meta" / "state").read_bytes())["env_vars"]
    assert stated == {"FROM_STATE": "two", "PORT": "0022", "GONE": "***unset***"}
    (prefix / "etc" / "conda" / "env_vars.d").mkdir(parents=True)
    (prefix / "etc" / "conda" / "env_vars.d" / "a.json").write_text('{"FROM_PACKAGE": "one"}')
    scripts = prefix / "etc" / "conda" / "activate.d"
    scripts.mkdir()
    (scripts / "10-first.sh").write_text('export ORDER="first $FROM_STATE"\necho noise\n')
    (scripts / "20-second.sh").write_text('export ORDER="$ORDER second"\nexport LINES_="a\nb"\n')
    env = activated(small, machine, GONE="still there")
    assert env["FROM_PACKAGE"] == "one"
    assert env["PORT"] == "0022"
    assert "GONE" not in env
    assert env["ORDER"] == "first two second"
    assert env["LINES_"] == "a\nb"
    (scripts / "broken.sh").write_text("exit 9\n")
    done = machine.condaw(small, "run", "--", "true")
    assert done.returncode == 3
    assert "the activation scripts in .conda/etc/conda/activate.d failed" in done.stderr
    assert "Traceback" not in done.stderr


def as_windows(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """Let the module think that it is on Windows; return the batch files that it has run."""
    scripts: list[str] = []

    def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        scripts.append(env["_CONDAW_FROM"])
        scripts.append(Path(command[-1]).read_bytes().decode("utf-8"))
        return subprocess.CompletedProcess(command, 0, "noise\n" + json.dumps(env))

    monkeypatch.setattr(activation, "os", SimpleNamespace(**{**vars(os), "name": "nt"}))
    monkeypatch.setattr(process, "run", run)
    (folder / "etc" / "conda" / "activate.d").mkdir(parents=True)
    for name in ("openssl.bat", "openssl.ps1", "openssl.sh"):
        (folder / "etc" / "conda" / "activate.d" / name).touch()
    return scripts


def test_cmd_reads_the_scripts_of_packages_as_utf_8_and_gets_its_code_page_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path / "Jürgen 100%" / ".conda"
    scripts = as_windows(monkeypatch, prefix)
    assert activation.variables(prefix)["CONDA_PREFIX"] == str(prefix)
    folder, script = scripts
    called = prefix / "etc" / "conda" / "activate.d"
    assert folder == str(called).replace("%", "%%")  # `call` reads its line twice
    call = r'@call "%_CONDAW_FROM%\openssl.bat"'
    assert script.splitlines()[1:4] == ["@chcp 65001 >nul", call, "@chcp %_CONDA_OLD_CHCP% >nul"]
    assert script.isascii()  # and so the same in every code page


def test_on_windows_the_shell_is_powershell_or_the_bash_that_the_user_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path / "O'Neill" / ".conda"
    as_windows(monkeypatch, prefix)
    command = activation.shell_command(prefix, {}, tmp_path)
    assert command[0] == "powershell"
    assert "$env:CONDAW_PATH" in command[-1]
    git = {"MSYSTEM": "MINGW64", "SHELL": "/usr/bin/bash"}
    assert activation.shell_command(prefix, git, tmp_path)[0] == "bash"
    assert "cygpath" in (tmp_path / "bashrc").read_text()
