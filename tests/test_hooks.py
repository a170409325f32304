"""The hooks: bad answers are caught, and no failure costs the user the project."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.environment import StrictEnvironment
from locks import mirror
from machine import ROOT, Machine

TOO_OLD = "This template needs Python 3.10 and cookiecutter 2.6, or later versions."

BAD_ANSWERS = {
    "project": [
        *("a/b", "my tool", 'a"b', "a'b", "größe", "\N{ROCKET}", "$HOME", "a" * 65),
        "con",  # Windows reserves it
    ],
    "package": ["class", "match", "json", "netmiko", "test", "condaw", "Demo", "1demo"],
    "description": ['say "hi"', " "],
    "author": ["a\\b", "a\nb"],
    "channel": [
        *("https://me:secret@example.invalid/c", "https://example.invalid/t/abc-123/c"),
        *("defaults", " ", "~/channel", "ftp://example.invalid/c"),
    ],
}


def rendered(**answers: str) -> str:
    """Return the hook that checks answers as cookiecutter renders it."""
    source = (ROOT / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    good = dict.fromkeys(("project", "package", "author", "description"), "p")
    usual = {**good, "channel": "conda-forge", "sample": "ssh-uptime"}
    context = {"cookiecutter": {**usual, **answers}}
    return str(StrictEnvironment(context=context).from_string(source).render(**context))


def refused(**answers: str) -> list[str]:
    """Return the questions whose answers the hook refuses."""
    hook: dict[str, Any] = {"__name__": "hook"}
    exec(rendered(**answers), hook)
    return list(dict(hook["problems"]()))


@pytest.mark.parametrize("question", BAD_ANSWERS)
def test_a_bad_answer_is_refused(question: str) -> None:
    assert [refused(**{question: answer}) for answer in BAD_ANSWERS[question]] == [
        [question] for _ in BAD_ANSWERS[question]
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_all_bad_answers_are_told_in_a_sentence_each_and_leave_nothing(
    number: int, machine: Machine, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    done = machine.bake(folder, **{name: bad[number] for name, bad in BAD_ANSWERS.items()})
    assert done.returncode != 0
    assert "No project was made:" in done.stdout
    for question in BAD_ANSWERS:
        assert f"  {question}: " in done.stdout
    assert not done.stderr  # the traceback on stdout is cookiecutter's own
    for secret in ("me:secret", "abc-123"):
        assert secret not in done.stdout
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_the_package_that_follows_from_the_project_is_checked_too(
    machine: Machine, tmp_path: Path
) -> None:
    assert "  package: " in machine.bake(tmp_path, project="test").stdout


def test_the_line_that_a_refusal_prints_keeps_the_good_answers_and_works(
    machine: Machine, tmp_path: Path
) -> None:
    done = machine.bake(tmp_path, project="fine", package="class", author="Ada O. L", ci="none")
    line = done.stdout.split("To try again:")[1].strip().splitlines()[0]
    assert "package=..." in line
    words = shlex.split(line.replace("package=...", "package=good"))
    words[0] = str(Path(sys.executable).with_name("cookiecutter"))
    again = machine.run(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (tmp_path / "fine" / "src" / "good").is_dir()
    assert "Ada O. L" in (tmp_path / "fine" / "pyproject.toml").read_text(encoding="utf-8")
    assert not (tmp_path / "fine" / ".github").exists()


def test_an_old_cookiecutter_is_refused_in_one_line(machine: Machine, tmp_path: Path) -> None:
    metadata = tmp_path / "cookiecutter-2.5.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: cookiecutter\nVersion: 2.5.0\n")
    done = replace(machine, extra={"PYTHONPATH": str(tmp_path)}).bake(tmp_path)
    assert done.returncode != 0
    assert TOO_OLD in done.stderr.splitlines()


@pytest.mark.parametrize("version", ["(3, 6, 15)", "(3, 9, 18)"])
def test_an_old_python_is_refused_in_one_line(version: str, tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    missing = "del sys.stdlib_module_names; keyword.__dict__.pop('softkwlist')"
    start = f"import sys, keyword; sys.version_info = {version}; {missing}\n"
    script.write_text(start + rendered(), encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{TOO_OLD}\n")


def test_old_pythons_can_read_the_hook_that_refuses_them() -> None:
    assert ast.parse(rendered(), feature_version=(3, 7))


@pytest.mark.skipif(os.name == "nt", reason="looks into lib")
def test_no_module_of_the_environment_can_be_the_package(shown: Path) -> None:
    site_packages = next((shown / ".conda").glob("lib/python*/site-packages"))
    paths = [*site_packages.glob("[a-z]*.py"), *site_packages.glob("[a-z]*/__init__.py")]
    modules = {path.parent.name if path.name == "__init__.py" else path.stem for path in paths}
    assert {"netmiko", "paramiko", "yaml", "markdown_it"} <= modules
    assert not [name for name in modules if refused(package=name) != ["package"]]


@pytest.mark.parametrize(
    "channel",
    [
        r"C:\conda\channel",
        "C:/conda/channel",
        r"\\server\share",
        r"C:\O'Neill",
        "file://server/share",
    ],
)
def test_a_folder_of_windows_may_be_the_channel(channel: str) -> None:
    assert refused(channel=channel) == []


def test_a_relative_channel_is_refused_if_it_is_not_where_the_project_is_put(
    tmp_path: Path,
) -> None:
    assert refused(channel="./ch") == ["channel"]
    assert refused(channel="./ch", _output_dir=str(tmp_path)) == ["channel"]
    (tmp_path / "ch").mkdir()
    assert refused(channel="./ch", _output_dir=str(tmp_path)) == []


def test_without_the_sample_nothing_is_generated_over_files_of_the_user(
    machine: Machine, tmp_path: Path
) -> None:
    own = tmp_path / "mine" / "src" / "own.py"
    own.parent.mkdir(parents=True)
    own.write_text("x = 1\n", encoding="utf-8")
    words = ["project=mine", "sample=none"]
    program = Path(sys.executable).with_name("cookiecutter")
    done = machine.run(program, "--no-input", "-f", machine.template, *words, cwd=tmp_path)
    assert done.returncode != 0
    assert "  project: choose a name that no folder has yet" in done.stdout
    assert own.read_text(encoding="utf-8") == "x = 1\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_clone_with_an_environment_is_not_copied_before_the_first_question(
    machine: Machine, template: Path, tmp_path: Path
) -> None:
    clone = Path(shutil.copytree(template, tmp_path / "clone"))
    for folder in (".venv", "build"):
        (clone / folder).mkdir()
        os.mkfifo(clone / folder / "pipe")  # whoever copies it fails, or waits for ever
    done = replace(machine, template=clone).bake(tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("answers", [{}, {"package": "class"}], ids=["good", "refused"])
def test_an_output_that_lacks_a_letter_costs_nothing(
    answers: dict[str, str], machine: Machine, tmp_path: Path
) -> None:
    folder = tmp_path / "gr\xf6\xdfe \u7530"
    folder.mkdir()
    ascii_only = replace(machine, extra={"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"})
    done = ascii_only.bake(folder, author="Zo\xeb", **answers)
    assert (done.returncode == 0) != bool(answers)
    assert (folder / "ssh-uptime" / "README.md").is_file() != bool(answers)
    assert "UnicodeEncodeError" not in done.stdout + done.stderr
    assert ("author=Zo\\xeb" if answers else r"gr\xf6\xdfe \u7530") in done.stdout


def test_without_an_environment_no_network_is_touched_and_the_next_step_is_named(
    machine: Machine, tmp_path: Path
) -> None:
    blocked = replace(machine, cache=tmp_path / "unused cache")
    done = blocked.bake(tmp_path, environment="no")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["  cd ssh-uptime", "  python -m condaw create"]
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
    assert last[0].startswith(
        f"The project is in {tmp_path / 'ssh-uptime'}, without an environment"
    )
    assert last[1:] == ["  cd ssh-uptime", "  python -m condaw create"]
    assert (tmp_path / "ssh-uptime" / "conda-lock.yml").is_file()
    assert not (tmp_path / "ssh-uptime" / ".conda").exists()


def test_a_required_environment_that_fails_is_a_failure(machine: Machine, tmp_path: Path) -> None:
    done = unreachable(machine).bake(tmp_path, environment="required")
    assert done.returncode != 0
    assert "condaw: cannot create: the conda packages could not be installed" in done.stderr
    assert "environment=required makes that an error" in done.stdout
    assert not (tmp_path / "ssh-uptime").exists()


def test_a_channel_that_cannot_be_solved_keeps_the_project_and_names_both_commands(
    machine: Machine, tmp_path: Path
) -> None:
    empty = tmp_path / "empty channel"
    empty.mkdir()
    done = machine.bake(tmp_path, environment="yes", channel=empty.as_uri())
    assert done.returncode == 0
    assert "condaw: cannot lock: " in done.stderr
    wanted = ["  cd ssh-uptime", "  python -m condaw lock --pin", "  python -m condaw create"]
    assert done.stdout.splitlines()[-3:] == wanted
    assert (tmp_path / "ssh-uptime" / "environment.yml").is_file()


@pytest.mark.parametrize(
    ("sample", "trial"), [("ssh-uptime", "ssh-uptime HOST"), ("none", "pytest")]
)
def test_a_channel_of_the_users_own_gives_an_environment_that_is_made_and_verified(
    sample: str, trial: str, machine: Machine, tmp_path: Path, channel: Path
) -> None:
    answers = {"sample": sample, "channel": channel.as_uri(), "environment": "required"}
    done = machine.bake(tmp_path, project="own", **answers)
    assert done.returncode == 0, done.stderr
    project = tmp_path / "own"
    assert "condaw: created and verified" in done.stderr
    *_, ready, folder, last = done.stdout.splitlines()
    assert (ready, folder) == (f"Ready: {project}", "  cd own")
    assert last.endswith(f" -m condaw run -- {trial}")
    assert machine.condaw(project, "verify").returncode == 0
    if sample == "none":
        tested = machine.condaw(project, "run", "--", "pytest", "-q")
        assert "1 passed" in tested.stdout
