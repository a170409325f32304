"""`condaw` as a command of the shell: found from any folder of a project, and completed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from machine import Machine

COMPLETED = {
    "bash": 'COMP_WORDS=(condaw {0}) COMP_CWORD={1}; _condaw; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": 'complete -C "condaw {0}"',
}
QUICK = {"bash": ["bash", "--norc", "-c"], "zsh": ["zsh", "-f", "-c"], "fish": ["fish", "-c"]}


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_verbs_and_options_are_completed(shell: str, locked: Path, machine: Machine) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    script = machine.condaw(locked, "completion", shell).stdout
    for typed, word, completed in (("s", 1, "status shell"), ("lock --u", 2, "--update")):
        command = f"{script}\n{COMPLETED[shell].format(typed, word)}"
        done = machine.run(*QUICK[shell], command, cwd=locked)
        assert sorted(done.stdout.split()) == sorted(completed.split()), done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_condaw_is_found_from_any_folder_of_the_project(
    shell: str, locked: Path, machine: Machine
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    script = machine.condaw(locked, "completion", shell).stdout
    inside = machine.run(*QUICK[shell], f"{script}\ncondaw status", cwd=locked / "tests")
    assert inside.returncode == 1
    assert inside.stdout.startswith("missing: ")
    outside = machine.run(*QUICK[shell], f"{script}\ncondaw status", cwd=machine.home)
    assert (outside.returncode, outside.stdout) == (2, "")
    assert outside.stderr.endswith("condaw: no project with condaw here\n")
