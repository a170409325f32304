"""`python -m condaw`: every outcome has its exit code, and says what to do next."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from machine import Machine, Result

OK, DRIFTED, USAGE, CANNOT = 0, 1, 2, 3


def test_create_makes_verifies_and_then_has_nothing_to_do(project: Path, machine: Machine) -> None:
    first = machine.condaw(project, "create")
    assert (first.returncode, first.stdout) == (OK, "")
    said = [line for line in first.stderr.splitlines() if " waiting for " not in line]
    assert said == [
        "condaw: installing 18 conda packages and 7 from PyPI",
        f"condaw: created and verified {project / '.conda'}",
    ]
    second = machine.condaw(project, "create")
    assert second.returncode == OK
    assert (
        second.stderr
        == "condaw: nothing to do: the environment was made from this conda-lock.yml\n"
    )


def test_nothing_to_do_starts_without_the_engine(shown: Path, machine: Machine) -> None:
    bare = [sys.executable, "-S", "-I", "-c"]
    code = (
        f"import sys; sys.path.insert(0, {str(shown)!r}); from condaw.commands import main;"
        "assert main(['create']) == 0; assert 'rattler' not in sys.modules"
    )
    assert machine.run(*bare, code, cwd=shown).returncode == OK


@pytest.mark.parametrize("command", ["create", "create -q", "status"])
def test_a_command_with_nothing_to_do_loads_little(
    command: str, shown: Path, machine: Machine
) -> None:
    python = [sys.executable, "-X", "importtime"]
    done = machine.run(*python, "-m", "condaw", *command.split(), cwd=shown)
    assert done.returncode == OK
    loaded = re.findall(r"\| +(\S+)$", done.stderr, re.M)
    assert "condaw.environment.state" in loaded
    slow = {
        "argparse",
        "pathlib",
        "json",
        "typing",
        "dataclasses",
        "hashlib",
        "shutil",
        "subprocess",
    }
    assert not slow & {*loaded}


def test_quiet_says_nothing_and_status_tells_the_states_apart(
    small: Path, machine: Machine
) -> None:
    def state() -> tuple[int, str]:
        done = machine.condaw(small, "status", "--json")
        return done.returncode, json.loads(done.stdout)["state"]

    assert state() == (DRIFTED, "missing")
    done = machine.condaw(small, "create", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (OK, "", "")
    assert state() == (OK, "ready")
    lock = small / "conda-lock.yml"
    lock.write_text(lock.read_text(encoding="utf-8") + "# touched\n", encoding="utf-8")
    assert state() == (DRIFTED, "stale")
    (small / ".conda" / "conda-meta" / "condaw").write_text("{", encoding="utf-8")
    assert state() == (DRIFTED, "broken")
    verified = machine.condaw(small, "verify", "--json")
    assert "environment-stale" in {f["kind"] for f in json.loads(verified.stdout)["findings"]}
    (small / ".conda" / "conda-meta" / "condaw").unlink()
    assert state() == (DRIFTED, "foreign")
    for verb in ("status", "verify", "run"):
        done = machine.condaw(small, verb, *(["true"] if verb == "run" else []))
        assert "move it away, and run: python -m condaw create" in done.stdout + done.stderr


def test_an_environment_that_another_program_has_changed_is_not_ready(
    small_made: Path, machine: Machine
) -> None:
    def word() -> str:
        return machine.condaw(small_made, "status").stdout.partition(":")[0]

    meta = small_made / ".conda" / "conda-meta"
    [site] = small_made.glob(".conda/lib/python3*/site-packages")
    # What conda writes, what pip writes, and what Python writes.
    for folder, name, wanted in (
        (meta, "history", "changed"),
        (site, "sneaky.py", "changed"),
        (site / "__pycache__", "sneaky.pyc", "ready"),
    ):
        before = [path.stat() for path in (folder, meta / "history")]
        with (folder / name).open("a") as out:
            out.write("\n")
        assert word() == wanted, name
        os.utime(folder, ns=(0, before[0].st_mtime_ns))
        os.utime(meta / "history", ns=(0, before[1].st_mtime_ns // 10**9 * 10**9))  # by an image
        assert word() == "ready"
    (meta / "state").touch()
    assert word() == "changed"
    done = machine.condaw(small_made, "create")
    assert done.stderr.endswith(f"created and verified {small_made / '.conda'}\n")
    assert word() == "ready"
    assert not (site / "sneaky.py").exists()


def test_a_moved_project_is_stale_and_create_makes_it_right(
    small_made: Path, machine: Machine
) -> None:
    moved = small_made.rename(small_made.with_name("moved here"))
    done = machine.condaw(moved, "status")
    assert done.returncode == DRIFTED
    assert "the project has moved" in done.stdout
    assert machine.condaw(moved, "create").returncode == OK
    where = machine.condaw(moved, "run", "--", "python", "-c", "import sys; print(sys.prefix)")
    assert where.stdout.strip() == str(moved / ".conda")


@pytest.mark.parametrize(
    "words",
    [["fly"], ["create", "--fly"], ["lock", "--check", "--pin"], ["run"]],
    ids=" ".join,
)
def test_a_wrong_command_line_is_usage(words: list[str], locked: Path, machine: Machine) -> None:
    done = machine.condaw(locked, *words)
    assert done.returncode == USAGE
    assert done.stderr.startswith("usage: python -m condaw")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["verify", "run -- true", "shell"])
def test_without_an_environment_the_next_step_is_named(
    command: str, locked: Path, machine: Machine
) -> None:
    done = machine.condaw(locked, *command.split())
    assert done.returncode == CANNOT
    assert "python -m condaw create" in done.stderr.splitlines()[-1]


def test_without_a_lock_create_says_how_to_get_one(project: Path, machine: Machine) -> None:
    (project / "conda-lock.yml").unlink()
    done = machine.condaw(project, "create")
    assert done.returncode == CANNOT
    assert done.stderr.splitlines()[-1] == "condaw: next: run: python -m condaw lock"


def test_help_lists_the_commands_and_the_exit_codes(locked: Path, machine: Machine) -> None:
    text = machine.condaw(locked, "--help").stdout
    for word in ("create", "verify", "status", "lock", "run", "shell", "doctor", "exit codes"):
        assert word in text
    for words in ([], ["help"]):
        again = machine.condaw(locked, *words)
        assert (again.returncode, again.stdout) == (OK, text)
    assert "--upgrade" in machine.condaw(locked, "help", "lock").stdout


def test_quiet_and_json_may_stand_before_the_command(locked: Path, machine: Machine) -> None:
    for flags in (["--json"], ["-q", "--json"]):
        before, after = (
            machine.condaw(locked, *w) for w in ([*flags, "status"], ["status", *flags])
        )
        assert (before.returncode, before.stdout) == (after.returncode, after.stdout) != (2, "")


@pytest.mark.parametrize("start", ["condaw", "../condaw", "/condaw"])
def test_condaw_starts_by_its_path_from_anywhere_and_says_how_it_was_started(
    start: str, shown: Path, locked: Path, machine: Machine, tmp_path: Path
) -> None:
    def run(project: Path, *words: str) -> Result:
        folder = {"condaw": project, "../condaw": project / "src", "/condaw": tmp_path}[start]
        path = f"{project}/condaw" if start == "/condaw" else start
        return machine.run("python3", path, *words, cwd=folder, PATH=found)

    found = f"{sys.base_prefix}/bin:/usr/bin:/bin"
    ran = run(shown, "run", "--", "python", "-c", "import sys; print(sys.prefix)")
    assert (ran.returncode, ran.stdout.strip()) == (OK, str(shown / ".conda")), ran.stderr
    typed = f"python3 {locked}/condaw" if start == "/condaw" else f"python3 {start}"
    assert run(locked, "status").stdout.endswith(f"; run: {typed} create\n")
    assert run(locked, "verify").stderr.endswith(f"condaw: next: run: {typed} create\n")
    assert run(locked, "create", "--help").stdout.startswith(f"usage: {typed} create")


def test_a_program_that_starts_condaw_by_the_path_of_a_python_gets_a_command_to_type(
    locked: Path, machine: Machine, tmp_path: Path
) -> None:
    for path, name in ((f"{sys.base_prefix}/bin", "python3"), ("/nowhere", "python3")):
        python = tmp_path / "python-of-a-hook"
        python.unlink(missing_ok=True)
        python.symlink_to(f"{sys.base_prefix}/bin/python3")
        done = machine.run(python, "-m", "condaw", "status", cwd=locked, PATH=path)
        assert done.stdout.endswith(f"; run: {name} -m condaw create\n")


def test_the_generated_projects_own_tests_pass_in_its_environment(
    made: Path, machine: Machine
) -> None:
    done = machine.condaw(made, "run", "--", "pytest", "-q")
    assert done.returncode == OK, done.stdout
    verified = machine.condaw(made, "verify")
    assert verified.returncode == OK, verified.stderr


def test_an_error_that_nobody_foresaw_is_two_lines_and_a_way_to_see_more(
    small_made: Path, machine: Machine
) -> None:
    broken = small_made / "condaw" / "environment" / "activation.py"
    broken.write_text("1 / 0\n", encoding="utf-8")
    done = machine.condaw(small_made, "run", "--", "true")
    assert done.returncode == CANNOT
    assert "condaw: cannot run: ZeroDivisionError" in done.stderr
    assert "CONDAW_DEBUG=1" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    done = machine.condaw(small_made, "run", "--", "true", CONDAW_DEBUG="1")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("command", ["verify", "status"])
def test_json_output_is_json_and_nothing_else(command: str, shown: Path, machine: Machine) -> None:
    done = machine.condaw(shown, *command.split(), "--json")
    assert done.returncode == OK, done.stdout
    json.loads(done.stdout)


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
def test_shell_is_the_users_own_with_the_environment_in_front(
    shown: Path, machine: Machine
) -> None:
    import pty

    (machine.home / ".bashrc").write_text("export PATH=/usr/bin:/bin:$PATH\n", encoding="utf-8")
    env = {**machine.env, "SHELL": "/bin/bash"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(shown)
        os.execve(sys.executable, [sys.executable, "-m", "condaw", "shell"], env)
    os.write(terminal, b"command -v python; exit 7\n")
    output = b""
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert str(shown / ".conda" / "bin" / "python").encode() in output


def test_a_reader_that_goes_away_is_no_failure_worth_a_word(shown: Path, machine: Machine) -> None:
    command = f'"{sys.executable}" -m condaw status | true'
    done = machine.run("bash", "-c", command, cwd=shown)
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_a_command_is_ended_by_a_broken_pipe_and_by_a_file_that_is_too_large(
    shown: Path, machine: Machine
) -> None:
    """Python ignores SIGPIPE and SIGXFSZ, 13 and 25 of signal(7), and so would what it starts."""
    done = machine.condaw(shown, "run", "--", "grep", "SigIgn", "/proc/self/status")
    assert int(done.stdout.split()[1], 16) & (1 << 12 | 1 << 24) == 0


def test_a_closed_output_changes_no_exit_code(shown: Path, locked: Path, machine: Machine) -> None:
    for project, code in ((shown, OK), (locked, DRIFTED)):
        for closed in (">&-", ">&- 2>&-"):
            command = f'"{sys.executable}" -m condaw status {closed}'
            done = machine.run("sh", "-c", command, cwd=project)
            assert (done.returncode, done.stderr) == (code, "")
    if Path("/dev/full").exists():
        done = machine.run(
            "sh", "-c", f'"{sys.executable}" -m condaw create 2>/dev/full', cwd=shown
        )
        assert done.returncode == OK
