"""What finds `.conda` without being told: VS Code, direnv, pre-commit, git hooks."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ci_runner import Service
from machine import Machine, Result
from test_template import jsonc

SCRIPTS = Path(sys.executable).parent
needs_direnv = pytest.mark.skipif(not shutil.which("direnv"), reason="direnv is not installed")


@pytest.fixture
def account(machine: Machine) -> Machine:
    """Its `python` and `python3` are those of the tests, by another path than the environment's."""
    programs = machine.home / "programs"
    programs.mkdir()
    for name in ("python", "python3"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), machine.env["PATH"]])
    return replace(machine, extra={"PATH": path, "GIT_CONFIG_GLOBAL": str(programs / "gitconfig")})


def test_vs_code_is_pointed_at_the_environment_and_kept_from_searching_it(locked: Path) -> None:
    settings = jsonc(locked / ".vscode" / "settings.json")
    # A folder stands for the interpreter in it, on each platform: VS Code's settings reference.
    assert settings["python.defaultInterpreterPath"] == "${workspaceFolder}/.conda"
    assert settings["search.exclude"] == {"**/.conda*": True}
    extensions = jsonc(locked / ".vscode" / "extensions.json")["recommendations"]
    container = jsonc(locked / ".devcontainer" / "devcontainer.json")
    assert container["customizations"] == {"vscode": {"extensions": extensions}}


@needs_direnv
def test_direnv_activates_the_environment_as_soon_as_there_is_one(
    project: Path, account: Machine
) -> None:
    assert account.run("direnv", "allow", cwd=project).returncode == 0
    hook = f"""
        eval "$(direnv hook bash)"; _direnv_hook; command -v ruff
        "{sys.executable}" -m condaw create --quiet; _direnv_hook
        command -v ruff; python -c 'import sys; print(sys.prefix)'; echo "$CONDA_PREFIX"
        cd ..; _direnv_hook; echo "left: $CONDA_PREFIX"
    """
    done = account.run("bash", "-c", hook, cwd=project, PATH=without_ruff(account))
    prefix = str(project / ".conda")
    assert done.stdout.split("\n")[-5:] == [f"{prefix}/bin/ruff", prefix, prefix, "left: ", ""]
    assert "python -m condaw create" in done.stderr


def without_ruff(machine: Machine) -> str:
    """PATH without the folder of the tests' own programs."""
    entries = machine.env["PATH"].split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if entry != str(SCRIPTS))


@pytest.mark.parametrize("name", ["python", "python3", "py"])
def test_git_hooks_take_the_python_that_is_there_and_new_enough(
    name: str, small_made: Path, account: Machine, tmp_path: Path
) -> None:
    """Debian has no `python`, Windows no `python3`, and that of macOS may be old."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / name).symlink_to(sys.executable)
    for old in {"python3", "python"} - {name}:
        (tools / old).write_text("#!/bin/sh\nexit 1\n")
        (tools / old).chmod(0o755)
    (small_made / "conda-lock.yml").write_text("changed")
    for hook in (".githooks/post-checkout", ".githooks/post-merge"):
        done = account.run("/bin/sh", hook, cwd=small_made, PATH=f"{tools}:/usr/bin:/bin")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("stale: conda-lock.yml has changed")


def test_pre_commit_stops_a_fault_and_a_stale_lock_with_the_environments_own_tools(
    made: Path, account: Machine
) -> None:
    def git(*words: str) -> Result:
        identity = ("-c", "user.name=me", "-c", "user.email=me@example.invalid")
        return account.run("git", *identity, *words, cwd=made, PATH=without_ruff(account))

    def commit() -> Result:
        assert git("add", "--all").returncode == 0
        return git("commit", "--message", "Change it")

    git("init", "--quiet")
    done = account.run(SCRIPTS / "pre-commit", "install", cwd=made)
    assert done.returncode == 0, done.stderr
    done = commit()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("Passed") == 2
    assert "warning" not in done.stderr.lower()
    source = made / "src" / "demo" / "__main__.py"
    good = source.read_text(encoding="utf-8")
    source.write_text(good + "undefined\n", encoding="utf-8")
    done = commit()
    assert done.returncode == 1
    assert "F821" in done.stderr
    source.write_text(good, encoding="utf-8")
    environment = made / "environment.yml"
    text = environment.read_text(encoding="utf-8")
    environment.write_text(text.replace("ruff", "zlib"), encoding="utf-8")
    done = commit()
    assert done.returncode == 1
    assert "lock-stale" in done.stderr


TOLD = "stale: conda-lock.yml has changed since it was made; run: python3 -m condaw create"


def change(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")


def test_a_pull_a_rebase_and_a_checkout_that_change_the_lock_say_so(
    small: Path, machine: Machine, tmp_path: Path
) -> None:
    service = Service(machine, tmp_path / "service")
    service.push(small, "Begin")
    own = service.clone()
    service.git("switch", "--quiet", "main", cwd=own)
    service.git("config", "core.hooksPath", ".githooks", cwd=own)
    done = machine.condaw(own, "create")
    assert done.returncode == 0, done.stderr

    def says(*words: str) -> bool:
        return TOLD in service.git(*words, cwd=own).splitlines()

    change(small / "README.md")
    service.push(small, "Change the readme")
    assert not says("pull", "--quiet")
    change(small / "conda-lock.yml")
    service.push(small, "Change the lock")
    assert says("pull", "--quiet")
    assert not says("switch", "--quiet", "--detach", "HEAD~1")
    assert says("switch", "--quiet", "main")
    service.git("reset", "--quiet", "--hard", "HEAD~1", cwd=own)
    change(own / "inventory.yml")
    service.git("commit", "--quiet", "--all", "--message", "Mine", cwd=own)
    assert says("pull", "--quiet", "--rebase")
    # Without a Python, git works as without the hooks.
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "sh", "dirname"):
        (tools / name).symlink_to(shutil.which(name) or name)
    words = ("git", "switch", "--quiet", "--detach", "HEAD")
    done = machine.run(*words, cwd=own, PATH=str(tools))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
