"""`condaw lock`: solves, says what changed, and leaves the old lock alone when it cannot."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from machine import ROOT, Here, Machine
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pins import UNUSED, names

PLATFORMS = ("linux-64", "win-64")
CONDA_LOCK = Path(sys.executable).with_name("conda-lock")
CHECK_INPUT_HASH = (
    *(CONDA_LOCK, "lock", "--check-input-hash", "-f", "environment.yml"),
    *("--lockfile", "conda-lock.yml"),
    *("--pypi_to_conda_lookup_file", "condaw/lockfile/pypi-names.json"),
)
OFFLINE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")
OFFLINE["NO_PROXY"] = "127.0.0.1"


class Channel:
    """Records without archives: all that a solve needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.add("python", "3.13.1")
        self.add("app", "1.0", "lib >=1", "python")
        self.add("lib", "1.0")
        self.add("tool", "1.0", "python")

    def add(
        self,
        name: str,
        version: str,
        *depends: str,
        on: Iterable[str] = PLATFORMS,
        build: int = 0,
        constrains: Sequence[str] = (),
        **more: object,
    ) -> None:
        for subdir in (*on, "noarch"):
            path = self.folder / subdir / "repodata.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            known = json.loads(path.read_text()) if path.exists() else {"packages.conda": {}}
            file = f"{name}-{version}-h1_{build}.conda"
            digest = hashlib.sha256(f"{subdir}/{file}".encode()).hexdigest()
            if subdir != "noarch":
                known["packages.conda"][file] = {
                    "name": name,
                    "version": version,
                    "build": f"h1_{build}",
                    "build_number": build,
                    "depends": depends,
                    "constrains": constrains,
                    "subdir": subdir,
                    "md5": digest[:32],
                    "sha256": digest,
                    "size": 1,
                    **more,
                }
            path.write_text(json.dumps({"info": {"subdir": subdir}, "packages": {}, **known}))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, template: Path) -> tuple[Path, list[str]]:
    """A folder with a channel and a locked project, to be copied; and what the lock printed."""
    folder = tmp_path_factory.mktemp("first")
    channel, project, home = Channel(folder / "channel"), folder / "project", folder / "home"
    home.mkdir()
    shutil.copytree(ROOT / "{{cookiecutter.project}}" / "condaw", project / "condaw")
    environment(project, channel, "app", "tool")
    return folder, lock(project, Here(home, folder / "cache", template, OFFLINE))


@pytest.fixture
def project(first: tuple[Path, list[str]], tmp_path: Path) -> Path:
    """The locked project. Its lock is not fresh: the content hash is of another channel URL."""
    for name in ("channel", "project"):
        shutil.copytree(first[0] / name, tmp_path / name)
    for path in (tmp_path / "project").glob("*.yml"):
        path.write_text(path.read_text().replace(str(first[0]), str(tmp_path)))
    return tmp_path / "project"


@pytest.fixture
def channel(project: Path) -> Channel:
    return Channel(project.with_name("channel"))


@pytest.fixture
def machine(machine: Machine, tmp_path: Path) -> Machine:
    """A machine without any network and with a cache of its own."""
    return Here(machine.home, tmp_path / "cache", machine.template, OFFLINE)


def environment(
    folder: Path, channel: Channel, *specs: str, platforms: Iterable[str] = PLATFORMS
) -> None:
    (folder / "environment.yml").write_text(
        f"channels: ['{channel.folder.as_uri()}']\nplatforms: [{', '.join(platforms)}]\n"
        f"dependencies: [python, {', '.join(specs)}]\n"
    )


def lock(project: Path, machine: Machine, *arguments: str) -> list[str]:
    """The lines that a successful `condaw lock` prints."""
    done = machine.condaw(project, "lock", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_first_lock_lists_everything_and_no_platform_where_all_have_it(
    first: tuple[Path, list[str]],
) -> None:
    assert first[1] == ["+ app 1.0", "+ lib 1.0", "+ python 3.13.1", "+ tool 1.0", "4 added"]


def test_everything_moves_and_the_difference_is_folded_over_the_platforms(
    project: Path, channel: Channel, machine: Machine
) -> None:
    channel.add("lib", "2.0", "dep")
    channel.add("dep", "7")
    channel.add("tool", "1.1", "python", on=["win-64"])
    channel.add("app", "1.0", "lib >=1", "python", build=1)
    assert lock(project, machine, "--upgrade") == [
        "~ app 1.0 -> another build",
        "+ dep 7",
        "~ lib 1.0 -> 2.0",
        "~ tool 1.0 -> 1.1  (win-64)",
        "1 added, 3 changed",
    ]
    environment(project, channel, "app")
    assert lock(project, machine) == [
        "- tool 1.0  (linux-64)",
        "- tool 1.1  (win-64)",
        "2 removed",
    ]


def test_a_line_that_is_added_or_removed_moves_nothing_else(
    project: Path, channel: Channel, machine: Machine
) -> None:
    for name in ("python", "app", "lib", "tool"):
        channel.add(name, "3.99.0", "python")
    channel.add("extra", "1.0", "dep")
    channel.add("extra", "2.0", "dep", "lib >=2")
    channel.add("dep", "7")
    environment(project, channel, "app", "tool", "extra <2")
    assert lock(project, machine, "--update", "extra") == ["+ dep 7", "+ extra 1.0", "2 added"]
    environment(project, channel, "app", "tool", "extra")
    assert lock(project, machine) == ["nothing changed"]
    assert lock(project, machine, "--update", "extra") == [
        "~ extra 1.0 -> 2.0",
        "~ lib 1.0 -> 3.99.0",
        "2 changed",
    ]
    environment(project, channel, "tool")
    assert lock(project, machine, "--update", "tool") == [
        "- app 1.0",
        "- dep 7",
        "- extra 2.0",
        "- lib 3.99.0",
        "~ tool 1.0 -> 3.99.0",
        "1 changed, 4 removed",
    ]


def test_what_is_kept_is_held_against_all_that_the_channel_says_of_it(
    project: Path, channel: Channel, machine: Machine
) -> None:
    """A lock does not hold what a package cannot stand beside (`constrains`)."""
    channel.add("lib", "1.0", constrains=["extra <2"])
    channel.add("extra", "1.0")
    channel.add("extra", "2.0")
    environment(project, channel, "app", "tool", "extra")
    assert lock(project, machine) == ["+ extra 1.0", "1 added"]


def test_a_lock_that_is_not_acceptable_is_no_dead_end(
    project: Path, channel: Channel, machine: Machine
) -> None:
    """After a careless merge, or for other channels, everything may move."""
    path = project / "conda-lock.yml"
    path.write_text(path.read_text().replace("name: lib", "name: other"))
    assert machine.condaw(project, "create").returncode == 3
    lock(project, machine)
    other = Channel(channel.folder.rename(channel.folder.with_name("other")))
    environment(project, other, "app", "tool")
    lock(project, machine)
    assert machine.condaw(project, "lock", "--check").returncode == 0


def test_update_moves_what_is_named_and_what_that_drags_along(
    project: Path, channel: Channel, machine: Machine
) -> None:
    channel.add("lib", "1.4")
    channel.add("lib", "1.5")
    channel.add("app", "2.0", "lib >=1.4", "python")
    channel.add("tool", "3.0", "python")
    assert lock(project, machine, "--update", "app") == [
        "~ app 1.0 -> 2.0",
        "~ lib 1.0 -> 1.5",
        "2 changed",
    ]
    assert machine.condaw(project, "lock", "--check").returncode == 0


def test_update_keeps_what_the_channel_has_lost(
    project: Path, channel: Channel, machine: Machine
) -> None:
    shutil.rmtree(channel.folder)
    channel.add("python", "3.13.1")
    channel.add("tool", "2.0", "python")
    assert lock(project, machine, "--update", "tool") == ["~ tool 1.0 -> 2.0", "1 changed"]


def test_a_platform_is_added_without_moving_the_others(
    project: Path, channel: Channel, machine: Machine
) -> None:
    lock(project, machine)
    for name in ("python", "app", "lib", "tool"):
        channel.add(name, "3.99.0", on=[*PLATFORMS, "osx-64"])
    environment(project, channel, "app", "tool", platforms=[*PLATFORMS, "osx-64"])
    done = machine.condaw(project, "lock", "--check")
    assert done.returncode == 1
    assert "lock-stale: osx-64" in done.stderr and "win-64" not in done.stderr
    assert lock(project, machine) == [
        "+ app 3.99.0  (osx-64)",
        "+ python 3.99.0  (osx-64)",
        "+ tool 3.99.0  (osx-64)",
        "3 added",
    ]
    assert machine.condaw(project, "lock", "--check").returncode == 0
    environment(project, channel, "app", "tool", platforms=["linux-64"])
    assert "- app 1.0  (win-64)" in lock(project, machine)


def test_the_same_input_gives_the_same_bytes(project: Path, machine: Machine) -> None:
    path = project / "conda-lock.yml"
    path.unlink()
    lock(project, machine)
    first = path.read_bytes()
    assert lock(project, machine) == ["nothing changed"]
    assert path.read_bytes() == first


FAILURES = {
    "a conflict": (["app", "lib <1"], [], "No candidates were found for lib <1"),
    "a missing package": (["nonesuch"], [], "No candidates were found for nonesuch"),
    "a spec that is none": (["app=!=1"], [], "environment.yml, line 3: found `app=!=1`"),
    "a name that is nowhere": (
        ["app"],
        ["--update", "nope"],
        "nope is neither in environment.yml nor in conda-lock.yml",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_the_old_lock_stays_and_the_reason_is_said_after(
    case: str, project: Path, channel: Channel, machine: Machine
) -> None:
    specs, arguments, reason = FAILURES[case]
    environment(project, channel, *specs)
    before = {path: path.read_bytes() for path in project.iterdir() if path.is_file()}
    done = machine.condaw(project, "lock", *arguments)
    assert done.returncode == 3
    assert reason in done.stderr, done.stderr
    assert "condaw: next: " in done.stderr and "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in project.iterdir() if path.is_file()} == before


def test_a_channel_that_is_gone_is_named(project: Path, channel: Channel, machine: Machine) -> None:
    shutil.rmtree(channel.folder)
    done = machine.condaw(project, "lock")
    assert done.returncode == 3
    assert f"could not find subdir 'noarch' in channel '{channel.folder.as_uri()}" in done.stderr


def test_a_change_of_environment_yml_makes_the_lock_stale_for_conda_lock_too(
    project: Path, channel: Channel, machine: Machine, tmp_path: Path
) -> None:
    environment(project, channel, "app")
    done = machine.condaw(project, "lock", "--check")
    assert done.returncode == 1
    for name in PLATFORMS:
        assert f"lock-stale: {name}: tool is locked, and nothing asks for it" in done.stderr
    stub = tmp_path / "conda"
    stub.write_text("#!/bin/sh\necho conda 26.0\n")
    stub.chmod(0o755)
    theirs = machine.run(*CHECK_INPUT_HASH, "--conda", stub, cwd=project)
    assert "Failed to parse json" in theirs.stderr, theirs.stderr  # it goes on to solve


def test_check_judges_each_platform_by_what_is_for_it_and_needs_no_conda_lock(
    project: Path, channel: Channel, machine: Machine, tmp_path: Path
) -> None:
    def check() -> list[str]:
        done = machine.condaw(project, "lock", "--check")
        findings = [line for line in done.stderr.splitlines() if "lock-stale" in line]
        assert (done.returncode, bool(findings)) in ((0, False), (1, True)), done.stderr
        return [line.partition("lock-stale: ")[2].partition("; run:")[0] for line in findings]

    # With another pin, nothing that is installed counts as conda-lock.
    pins = project / "condaw" / "relock.txt"
    pins.write_text(pins.read_text().replace("conda-lock==", "conda-lock==99."))
    assert check() == []
    source = project / "environment.yml"
    lines = ["  - python", "  - app >=1", "  - tool", "  - more # [win]"]
    lines += [
        "  - pip:",
        "    - some ; sys_platform == 'linux'",
        "    - old ; python_version < '3'",
    ]
    head = source.read_text().partition("dependencies:")[0]
    source.write_text("\n".join([f"{head}dependencies:", *lines, ""]))
    more = "environment.yml asks for more, which is not locked"
    some = "environment.yml asks for some ; sys_platform == 'linux', which is not locked"
    assert check() == [f"linux-64: {some}", f"win-64: {more}"]
    source.write_text(source.read_text().replace("channels: [", "channels: [conda-forge, "))
    assert check()[0] == "conda-lock.yml was made from another environment.yml: the channels differ"


def test_create_and_check_refuse_the_same_in_the_same_words(
    project: Path, channel: Channel, machine: Machine
) -> None:
    """conda-lock's content hash does not hold the file's own pin of pip: see conda-lock#919."""
    channel.add("pip", "1.0")
    channel.add("pip", "2.0")
    environment(project, channel, "pip==1.0", "{pip: []}")
    assert "+ pip 1.0" in lock(project, machine)
    assert machine.condaw(project, "lock", "--check").returncode == 0
    environment(project, channel, "pip==2.0", "{pip: []}")
    said = "environment.yml asks for pip==2.0, and 1.0 is locked"
    done = machine.condaw(project, "lock", "--check")
    assert done.returncode == 1
    for platform in PLATFORMS:
        assert f"lock-stale: {platform}: {said}; run: python -m condaw lock\n" in done.stderr
    done = machine.condaw(project, "create")
    assert done.returncode == 3
    assert done.stderr.startswith(f"condaw: cannot create: {said}\n")


def test_what_create_refuses_is_not_written(project: Path, machine: Machine) -> None:
    before = (project / "conda-lock.yml").read_bytes()
    (project / "pyproject.toml").write_text("[project]\ndependencies = ['app >=2', 'lib >=1']\n")
    said = "pyproject.toml asks for app>=2, and 1.0 is locked: ask for it in environment.yml, too"
    for verb in ("lock", "create"):
        done = machine.condaw(project, verb)
        assert done.returncode == 3
        assert said in done.stderr and "lib" not in done.stderr
    assert (project / "conda-lock.yml").read_bytes() == before


def test_check_without_a_lock_says_what_to_do(project: Path, machine: Machine) -> None:
    (project / "conda-lock.yml").unlink()
    done = machine.condaw(project, "lock", "--check")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "condaw: cannot lock: there is no conda-lock.yml",
        "condaw: next: run: python -m condaw lock",
    ]


def test_check_refuses_a_lock_that_is_broken_for_any_platform(
    project: Path, machine: Machine
) -> None:
    path = project / "conda-lock.yml"
    text = path.read_text()
    last = text.rindex("sha256: ")
    path.write_text(text[:last] + "sha256: x" + text[last + 9 :])
    done = machine.condaw(project, "lock", "--check")
    assert done.returncode == 3
    assert "sha256 is missing or malformed" in done.stderr


def test_a_channel_may_be_a_plain_folder(project: Path, channel: Channel, machine: Machine) -> None:
    (project / "environment.yml").write_text(
        f"channels: ['{channel.folder}']\nplatforms: [linux-64]\ndependencies: [python]\n"
    )
    lock(project, machine)
    urls = [
        line.split()[-1]
        for line in (project / "conda-lock.yml").read_text().splitlines()
        if line.startswith("  url: ")
    ]
    assert urls == [f"{channel.folder.as_uri()}/linux-64/python-3.13.1-h1_0.conda"]


def test_an_own_channel_is_solved_when_the_project_is_generated(
    machine: Machine, tmp_path: Path
) -> None:
    """Only for the platforms that it has, and pinned to what all of them have."""
    own = Channel(tmp_path / "own")
    own.add("pytest", "6.0.3", on=["win-64"])
    for name in ("pip", "pytest", "ruff"):
        own.add(name, "6.0.2" if name == "pytest" else "26.0")
    answers = {"channel": str(own.folder), "python": "3.13", "sample": "none"}
    baked = machine.bake(tmp_path, project="demo", **answers)
    assert baked.returncode == 0, baked.stderr
    done = machine.condaw(tmp_path / "demo", "lock", "--pin")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "demo" / "environment.yml").read_text()
    assert f'channels:\n  - "{own.folder}"\n' in text
    assert "platforms:\n  - linux-64\n  - win-64\ndependencies:" in text
    assert "- python==3.13.1\n" in text and "- pytest==6.0.2\n" in text
    locked = (tmp_path / "demo" / "conda-lock.yml").read_text()
    assert f"{own.folder.as_uri()}/win-64/pytest-6.0.2-h1_0.conda" in locked


def test_a_draft_that_a_killed_run_has_left_is_gone_after_the_next(
    project: Path, machine: Machine
) -> None:
    draft = project / ".conda-lock.part" / "conda-lock.yml"
    draft.parent.mkdir()
    draft.write_text("half a lock")
    assert lock(project, machine) == ["nothing changed"]
    assert not draft.parent.exists()
    assert "--lockfile conda-lock.yml --update" in (project / "conda-lock.yml").read_text()


def test_conda_lock_reads_and_renders_what_is_written(project: Path, machine: Machine) -> None:
    done = machine.run(CONDA_LOCK, "render", "--kind", "explicit", cwd=project)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in project.glob("*.lock")} == {f"conda-{p}.lock" for p in PLATFORMS}


def test_the_relock_workflow_proposes_environment_and_lock_and_nothing_else(
    bake: Callable[..., Path], machine: Machine, tmp_path: Path
) -> None:
    project = bake(project="demo", ci="github")
    workflow = yaml.safe_load((project / ".github" / "workflows" / "relock.yml").read_text())
    script = workflow["jobs"]["relock"]["steps"][-1]["run"]
    said, origin = tmp_path / "said", tmp_path / "origin"
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    gh.chmod(0o755)

    def shell(text: str) -> str:
        path = f"{gh.parent}{os.pathsep}{os.environ['PATH']}"
        done = machine.run("bash", "-e", "-c", text, cwd=project, PATH=path, RUNNER_TEMP="/tmp/x")
        assert done.returncode == 0, done.stderr
        return done.stdout

    shell(f"git init -q --bare {origin}; git init -q; git remote add origin {origin}; git add .")
    shell("git -c user.name=a -c user.email=a@example.invalid commit -q -m first")
    shell(script)
    assert not said.exists()
    for name in ("environment.yml", "conda-lock.yml"):
        with (project / name).open("a") as file:
            file.write("# solved anew\n")
    (project / "changes.md").write_text("not to be committed")
    shell(script)
    assert said.read_text().splitlines() == [
        "auth setup-git",
        "pr create --head relock --title Relock --body-file /tmp/x/changes.md",
    ]
    changed = f"git --git-dir {origin} show --format= --name-only relock"
    assert shell(changed).splitlines() == ["conda-lock.yml", "environment.yml"]


def cool_down(project: Path, *lines: str) -> None:
    (project / "pyproject.toml").write_text("\n".join(["[tool.condaw]", *lines]))


def test_what_is_too_new_is_not_chosen_unless_it_is_exempt_or_locked_already(
    project: Path, channel: Channel, machine: Machine
) -> None:
    october = 1_790_812_800_000  # 2026, in milliseconds
    channel.add("lib", "2.0", timestamp=october)
    channel.add("tool", "1.1", "python", timestamp=1, indexed_timestamp=october)
    cool_down(project, "exclude-newer = 2026-06-01")
    assert lock(project, machine, "--upgrade") == ["nothing changed"]
    cool_down(project, "exclude-newer = 2026-06-01", "exclude-newer-package = { tool = false }")
    assert lock(project, machine, "--upgrade")[0] == "~ tool 1.0 -> 1.1"
    cool_down(project, "exclude-newer = 2026-06-01")
    assert lock(project, machine) == ["nothing changed"]
    assert lock(project, machine, "--upgrade")[0] == "~ tool 1.1 -> 1.0"


def test_a_channel_that_does_not_say_when_it_got_its_packages_is_named_once(
    project: Path, channel: Channel, machine: Machine
) -> None:
    channel.add("lib", "2.0")
    cool_down(project, 'exclude-newer = "7 days"')
    done = machine.condaw(project, "lock", "--upgrade")
    assert done.stdout.startswith("~ lib 1.0 -> 2.0"), done.stderr
    assert done.stderr.count("does not say when packages were published") == 1
    assert channel.folder.as_uri() in done.stderr


def test_a_solve_imports_nothing_that_its_pins_leave_out(project: Path, machine: Machine) -> None:
    modules = [{"gitpython": "git"}.get(name, name.replace("-", "_")) for name in UNUSED]
    code = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({modules}))
sys.argv = ["condaw", "lock", "--upgrade"]
runpy.run_module("condaw", run_name="__main__")
"""
    done = machine.run(sys.executable, "-c", code, cwd=project)
    assert done.returncode == 0, done.stderr


def test_the_pins_are_all_that_conda_lock_asks_for_less_what_it_never_imports() -> None:
    condaw = ROOT / "{{cookiecutter.project}}" / "condaw"
    pinned = {*names(condaw / "engine.txt"), *names(condaw / "relock.txt")}
    pending, asked = ["conda-lock"], set[str]()
    while pending:
        name = canonicalize_name(pending.pop())
        if name not in asked and name not in UNUSED:
            asked.add(name)
            needs = map(Requirement, requires(name) or ())
            pending += [n.name for n in needs if not n.marker or n.marker.evaluate({"extra": ""})]
    assert asked <= pinned
    assert not pinned & {*UNUSED}
