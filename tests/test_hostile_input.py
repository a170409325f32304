"""Whatever a file holds, the answer is a sentence: no traceback, no crash, no endless work.

The targets of tools/fuzz.py run here on a few inputs, always the same ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest
from condaw.base import console
from condaw.base.errors import CannotError
from condaw.base.project import Project, smoke_commands, table
from condaw.environment import state
from condaw.lockfile import reader
from machine import ROOT, VERSION, Machine

BEYOND = "a character beyond U+FFFF: \U00020bb7"


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_hostile_input_is_answered(name: str) -> None:
    fuzz.run(name, 60, always_the_same=True)


def grown(levels: int, join: str) -> str:
    """YAML of some lines in which each name stands for ten of the one before."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels):
        names = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {join.format(names)}")
    return "\n".join(lines) + "\n"


YAML = {
    "aliases that multiply": grown(12, "[{}]").encode(),
    "merges that multiply": grown(12, "{{<<: [{}]}}").encode(),
    "brackets a million deep": b"[" * 1_000_000,
    "brackets as deep, and closed": b"[" * 100_000 + b"]" * 100_000,
    "mappings as deep": b"{a: " * 100_000,
    "lists as deep": b"- " * 100_000 + b"x",
    "keys as deep": b"? " * 100_000 + b"x",
    "ten thousand lines, each deeper": b"".join(b" " * n + b"a:\n" for n in range(6_000)),
    "a null character": b"version: 1\0",
    "no UTF-8": b"version: \xff\xfe",
    "UTF-16": "version: 1\n".encode("utf-16"),
    "a number of many digits": b"version: " + b"9" * 10_000,
    "a date that is none": b"version: 2024-13-45",
    "an object of Python": b"!!python/object/apply:os.system [exit 1]",
    "two documents": b"version: 1\n---\nversion: 1\n",
    "an unknown tag": b"version: !x 1",
    "an alias of nothing": b"version: *a",
    "an alias of itself": b"&a [*a]",
    "a list as a key": b"? [a]\n: 1\n",
    "nothing": b"",
    "only a comment": b"# nothing\n",
    "a word": b"lock",
}
READ = """
import sys
from pathlib import Path
from condaw.lockfile import reader
from condaw.base.errors import CannotError
from condaw.base.project import Project
project = Project(Path.cwd())
for read in (
    lambda: reader.channel_urls(project),
    lambda: reader.read(project.lock_file, "linux-64", []),
):
    try:
        read()
    except CannotError as error:
        print("refused:", error.cause)
"""


@pytest.mark.parametrize("case", YAML)
def test_yaml_that_would_crash_or_fill_the_reader_is_refused(case: str, tmp_path: Path) -> None:
    for name in ("environment.yml", "conda-lock.yml"):
        (tmp_path / name).write_bytes(YAML[case])
    # In a process of its own: what is tested here could end this one.
    done = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "{{cookiecutter.project}}")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    refusals = done.stdout.splitlines()
    assert len(refusals) == 2, done.stdout
    assert refusals[0] == "refused: there is no environment.yml with a readable list of channels"
    assert refusals[1].startswith("refused: conda-lock.yml is not acceptable: line ")


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\r\n"], ids=["a byte-order mark", "CRLF"])
def test_files_as_windows_editors_write_them_are_read(start: bytes, tmp_path: Path) -> None:
    project = Project(tmp_path)
    text = b"channels:\n- conda-forge\n".replace(b"\n", b"\r\n")
    project.environment_yml.write_bytes(start + text)
    assert len(reader.channel_urls(project)) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tool = 3", "tool in pyproject.toml is not a table"),
        ("[tool]\ncondaw = []", "condaw in pyproject.toml is not a table"),
        ("[[tool.condaw]]", "condaw in pyproject.toml is not a table"),
        ("[tool.condaw]\nsmoke = 1979-05-27", "smoke in [tool.condaw] of pyproject.toml is not"),
        (
            '[tool.condaw]\nsmoke = [["a\\u0000"]]',
            "smoke in [tool.condaw] of pyproject.toml is not",
        ),
        (f"a = {'9' * 10_000}", "pyproject.toml is not valid TOML"),
        (f"a = {'[' * 100_000}", "pyproject.toml is not valid TOML"),
        ("a = '\0'", "pyproject.toml is not valid TOML"),
    ],
)
def test_settings_of_another_shape_are_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(CannotError) as caught:
        smoke_commands(Project(tmp_path))
    assert caught.value.cause.startswith(said)


def test_a_project_that_is_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(CannotError) as caught:
        table(Project(tmp_path), "project")
    assert caught.value.cause.startswith("pyproject.toml cannot be read")


@pytest.mark.parametrize("text", ["3", "[]", '"x"', "null", "[" * 100_000, "\0", '{"prefix": [1]}'])
def test_a_stamp_of_another_shape_makes_an_environment_stale_or_broken(
    text: str, tmp_path: Path
) -> None:
    prefix = tmp_path / ".conda"
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / state.MARK).write_text(text, encoding="utf-8")
    assert state.state(tmp_path)[0] in ("broken", "stale")


def test_messages_show_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    console.warn("a\x1b[2Jb\r\nc\x9b31md\u202ee\udcfff" + "x" * 5000)
    said = capsys.readouterr().err
    assert said.startswith(r"condaw: a\x1b[2Jb\r\nc\x9b31md\u202ee\udcfffx")
    assert len(said) < 2200
    assert said.count("\n") == 1


def test_names_in_a_lock_do_not_reach_the_terminal_as_they_are(
    project: Path, machine: Machine
) -> None:
    path = project / "conda-lock.yml"
    text = path.read_text(encoding="utf-8")
    name = json.dumps("bad\x1b]0;owned\x07\nname")
    path.write_text(text.replace("- name: iniconfig\n", f"- name: {name}\n"), encoding="utf-8")
    for verb in ("create", "doctor"):
        done = machine.condaw(project, verb)
        assert r"bad\x1b]0;owned\x07\nname" in done.stderr + done.stdout
        assert not [c for c in done.stderr + done.stdout if not c.isprintable() and c != "\n"]


def test_an_environment_with_strange_records_is_answered_by_every_command(
    made: Path, machine: Machine
) -> None:
    meta = made / ".conda" / "conda-meta"
    python = made / ".conda" / "lib" / f"python{VERSION}"
    (python / "this.py").unlink()
    os.mkfifo(python / "this.py")  # who opens it would wait for a writer
    record = next(meta.glob("rich-*.json"))
    record.write_text('{"name": "rich", "paths_data": {"paths": [{"_path": 5}]}}')
    (meta / "evil-1-0.json").write_text(
        '{"name": "evil", "paths_data": {"paths": [{"_path": "../../x", "size_in_bytes": 1}]}}'
    )
    done = machine.condaw(made, "verify", "--json")
    assert done.returncode == 1
    found = {(f["kind"], f["package"]) for f in json.loads(done.stdout)["findings"]}
    assert {("package-extra", "evil"), ("file-missing", "evil")} <= found
    assert {("package-differs", "rich"), ("file-changed", "python")} <= found
    (meta / "state").write_text('{"env_vars": [1]}')
    done = machine.condaw(made, "run", "--", "true")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"condaw: cannot run: {meta / 'state'} does not hold environment variables as JSON",
        "condaw: next: correct it, or make the environment again: python -m condaw create --repair",
    ]
    assert machine.condaw(made, "create", "--repair").returncode == 0
    assert machine.condaw(made, "run", "--", "true").returncode == 0


def test_answers_in_any_script_make_a_project_that_can_be_installed(
    machine: Machine, tmp_path: Path
) -> None:
    done = machine.bake(tmp_path, author="\U00020bb7\u7530", description=BEYOND)
    assert done.returncode == 0, done.stdout
    written = table(Project(tmp_path / "ssh-uptime"), "project")
    assert written["authors"] == [{"name": "\U00020bb7\u7530"}]
    assert written["description"] == BEYOND
