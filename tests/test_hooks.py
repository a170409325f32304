"""The hooks: bad answers are caught, and no failure costs the user the project."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from locks import mirror
from machine import ROOT, Machine
from template import export

BAD_ANSWERS = {
    "a path separator in the project": {"project": "a/b"},
    "a space in the project": {"project": "my tool"},
    "a quote in the project": {"project": 'a"b'},
    "an apostrophe in the project": {"project": "a'b"},
    "unicode in the project": {"project": "größe"},
    "an emoji in the project": {"project": "\N{ROCKET}"},
    "a dollar sign in the project": {"project": "$HOME"},
    "a name that Windows reserves": {"project": "con", "package": "fine"},
    "a project that is too long": {"project": "a" * 65, "package": "fine"},
    "a keyword as the package": {"package": "class"},
    "a soft keyword as the package": {"package": "match"},
    "a stdlib module as the package": {"package": "json"},
    "a dependency as the package": {"package": "netmiko"},
    "the environment tool as the package": {"package": "condaw"},
    "a capital letter in the package": {"package": "Demo"},
    "a leading digit in the package": {"package": "1demo"},
    "a quote in the description": {"description": 'say "hi"'},
    "a backslash in the author": {"author": "a\\b"},
    "a line break in the author": {"author": "a\nb"},
    "an empty description": {"description": " "},
    "a password in the channel": {"channel": "https://me:secret@example.invalid/c"},
    "a token in the channel": {"channel": "https://example.invalid/t/abc-123/c"},
    "the channel defaults": {"channel": "defaults"},
    "no channel": {"channel": " "},
}


@pytest.mark.parametrize("answers", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_bad_answer_is_refused_in_a_sentence_and_leaves_nothing(
    answers: dict[str, str], machine: Machine, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    done = machine.bake(folder, **answers)
    assert done.returncode != 0
    assert "The project was not made:" in done.stdout
    assert f"  {next(iter(answers))}: " in done.stdout
    assert not done.stderr  # the traceback on stdout is cookiecutter's own
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_the_line_that_a_refusal_prints_keeps_the_good_answers_and_works(
    machine: Machine, tmp_path: Path
) -> None:
    done = machine.bake(tmp_path, project="fine", package="class", author="Ada O. L", ci="none")
    line = done.stdout.split("To run it again with your answers:")[1].strip().splitlines()[0]
    assert "package=..." in line
    words = shlex.split(line.replace("package=...", "package=good"))
    words[0] = str(Path(sys.executable).with_name("cookiecutter"))
    again = machine.run(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (tmp_path / "fine" / "src" / "good").is_dir()
    assert "Ada O. L" in (tmp_path / "fine" / "pyproject.toml").read_text(encoding="utf-8")
    assert not (tmp_path / "fine" / ".github").exists()


def test_a_secret_in_the_channel_is_not_in_the_message(machine: Machine, tmp_path: Path) -> None:
    done = machine.bake(tmp_path, channel="https://me:hunter2@example.invalid/c")
    assert "hunter2" not in done.stdout + done.stderr


def test_an_old_cookiecutter_is_refused_in_one_line(tmp_path: Path) -> None:
    metadata = tmp_path / "cookiecutter-2.1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: cookiecutter\nVersion: 2.1.0\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "hooks" / "pre_prompt.py")],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.splitlines() == [
        "This template needs cookiecutter 2.6 or later; upgrade it and try again."
    ]


def test_without_an_environment_no_network_is_touched_and_the_next_step_is_named(
    machine: Machine, tmp_path: Path
) -> None:
    blocked = replace(machine, cache=tmp_path / "unused cache")
    done = blocked.bake(tmp_path, environment="no")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "  cd ssh-uptime && python -m condaw create"
    assert not blocked.cache.exists()


def unreachable(machine: Machine) -> Machine:
    """`machine`, with every public channel mirrored to a port on which nobody listens."""
    mirror(machine.home, "http://127.0.0.1:9")
    return replace(machine, cache=machine.home / "cache")


def test_a_failed_environment_keeps_the_project_and_says_how_to_go_on(
    machine: Machine, tmp_path: Path
) -> None:
    done = unreachable(machine).bake(tmp_path, environment="yes")
    assert done.returncode == 0
    assert "condaw: cannot create: the conda packages could not be installed" in done.stderr
    assert "Traceback" not in done.stderr
    last = done.stdout.splitlines()[-3:]
    assert last[1] == "  cd ssh-uptime && python -m condaw create"
    assert last[2].startswith("The project is complete")
    assert (tmp_path / "ssh-uptime" / "conda-lock.yml").is_file()
    assert not (tmp_path / "ssh-uptime" / ".conda").exists()


def test_a_required_environment_that_fails_is_a_failure_in_the_same_words(
    machine: Machine, tmp_path: Path
) -> None:
    done = unreachable(machine).bake(tmp_path, environment="required")
    assert done.returncode != 0
    assert "condaw: cannot create: the conda packages could not be installed" in done.stderr
    assert "  cd ssh-uptime && python -m condaw create" in done.stdout


def test_a_channel_that_cannot_be_solved_keeps_the_project_and_names_both_commands(
    machine: Machine, tmp_path: Path
) -> None:
    empty = tmp_path / "empty channel"
    empty.mkdir()
    done = machine.bake(tmp_path, environment="yes", channel=empty.as_uri())
    assert done.returncode == 0
    assert "condaw: cannot lock: " in done.stderr
    wanted = "  cd ssh-uptime && python -m condaw lock --pin && python -m condaw create"
    assert wanted in done.stdout.splitlines()
    assert (tmp_path / "ssh-uptime" / "environment.yml").is_file()


def test_a_channel_of_the_users_own_gives_an_environment_that_is_made_and_verified(
    machine: Machine, tmp_path: Path, channel: Path
) -> None:
    done = machine.bake(tmp_path, channel=channel.as_uri(), environment="required")
    assert done.returncode == 0, done.stderr
    project = tmp_path / "ssh-uptime"
    assert "condaw: created and verified" in done.stderr
    assert done.stdout.splitlines()[-2] == f"Ready: {project}"
    assert machine.condaw(project, "verify").returncode == 0


def test_an_update_tool_that_renders_again_makes_no_environment(
    machine: Machine, tmp_path: Path, channel: Path
) -> None:
    template = export(tmp_path / "template")

    def git(*words: str, cwd: Path = template) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
        done = machine.run("git", *identity, *words, cwd=cwd)
        assert done.returncode == 0, done.stderr

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "one")
    scripts = Path(sys.executable).parent
    answers = f'{{"environment": "no", "python": "{sys.version_info[0]}.{sys.version_info[1]}"}}'
    words = ["create", str(template), "--no-input", "--extra-context", answers]
    done = machine.run(scripts / "cruft", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    project = tmp_path / "ssh-uptime"
    state = (project / ".cruft.json").read_text(encoding="utf-8")
    (project / ".cruft.json").write_text(
        state.replace('"environment": "no"', '"environment": "required"'), encoding="utf-8"
    )
    git("init", "-q", "-b", "main", cwd=project)
    git("add", "-A", cwd=project)
    git("commit", "-qm", "one", cwd=project)
    (template / "templates" / "licenses" / "MIT.txt").write_text("changed\n", encoding="utf-8")
    git("commit", "-qam", "two")
    fresh = replace(machine, cache=tmp_path / "unused cache")
    done = fresh.run(scripts / "cruft", "update", "-y", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "LICENSE").read_text(encoding="utf-8") == "changed\n"
    assert not fresh.cache.exists()
    assert not (project / ".conda").exists()
