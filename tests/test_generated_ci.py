"""The generated CI: the linters of its services pass it, and each of its steps really runs."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import actions
import yaml
from ci_runner import TOKEN, Job, Service, github, gitlab
from machine import ROOT, Machine

Bake = Callable[..., Path]
SCRIPTS = Path(sys.executable).parent
GITHUB_LINTERS = [
    [
        *("jactionlint", "--strict-exit", f"--shellcheck={SCRIPTS / 'shellcheck'}"),
        "--ignore=duplicate-triggers",  # it does not see that the first job's `if` prevents them
    ],
    ["zizmor", "--offline", "--quiet", "--no-progress", "--persona=auditor"],
    ["check-jsonschema", "--builtin-schema=vendor.github-workflows"],
    ["check-jsonschema", "--builtin-schema=custom.github-workflows-require-timeout"],
]

# A generated project's tests take a quarter of a minute; test_commands.py runs them all.
QUICK = {"PYTEST_ADDOPTS": "tests/test_output.py"}


def lint(machine: Machine, tool: list[str], files: list[Path]) -> None:
    assert files
    done = machine.run(SCRIPTS / tool[0], *tool[1:], *files, cwd=files[0].parent)
    assert done.returncode == 0, done.stdout + done.stderr


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def ask_for_less(project: Path) -> None:
    """Let environment.yml ask for less than what is locked."""
    file = project / "environment.yml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if "ruff" not in line]
    assert len(kept) == len(lines) - 1
    file.write_text("".join(kept), encoding="utf-8")


def test_the_linters_pass_the_generated_workflows_and_the_templates_own(
    bake: Bake, machine: Machine
) -> None:
    public = bake(project="public") / ".github"
    own = bake(project="own", channel="https://conda.example.invalid/team") / ".github"
    files = [
        file
        for folder in (public, own, ROOT / ".github")
        for file in sorted(folder.glob("workflows/*.yml"))
    ]
    for tool in GITHUB_LINTERS:
        lint(machine, tool, files)
    updates = [folder / "dependabot.yml" for folder in (public, ROOT / ".github")]
    lint(machine, ["check-jsonschema", "--builtin-schema=vendor.dependabot"], updates)
    lint(machine, ["zizmor", "--offline", "--quiet", "--no-progress"], updates)


def test_gitlabs_schema_passes_the_generated_pipeline(bake: Bake, machine: Machine) -> None:
    pipelines = [
        bake(project=name, ci="gitlab", channel=channel) / ".gitlab-ci.yml"
        for name, channel in {"a": "conda-forge", "b": "https://conda.example.invalid/c"}.items()
    ]
    lint(machine, ["check-jsonschema", "--builtin-schema=vendor.gitlab-ci"], pipelines)


def test_steps_that_windows_runs_too_are_single_commands_without_a_shells_syntax(
    bake: Bake,
) -> None:
    folders = [bake() / ".github" / "workflows", ROOT / ".github" / "workflows"]
    for file in (file for folder in folders for file in folder.glob("*.yml")):
        for job in load(file)["jobs"].values():
            shell = job.get("defaults", {}).get("run", {}).get("shell")
            for step in job["steps"] if "matrix.os" in job["runs-on"] and not shell else []:
                script = step.get("run", "") if "shell" not in step else ""
                assert not set(script.strip()) & set("\n$'\"\\|<>&;"), script


def test_a_lock_that_was_forgotten_is_told_first_and_on_one_system(bake: Bake) -> None:
    folder = bake() / ".github" / "workflows"
    jobs = load(folder / "ci.yml")["jobs"]
    assert (jobs["lock"]["runs-on"], jobs["test"]["needs"]) == ("ubuntu-latest", "lock")
    # Whatever the default branch is called, pushes to it are checked.
    for name, job in {"ci": "lock", "audit": "audit"}.items():
        workflow = load(folder / f"{name}.yml")
        assert "branches" not in (workflow[True]["push"] or {})  # YAML 1.1 reads `on` as true
        assert "github.event.repository.default_branch" in workflow["jobs"][job]["if"]


def test_the_actions_of_generated_workflows_are_kept_fresh_with_the_templates_own(
    tmp_path: Path,
) -> None:
    folders = ROOT / ".github", ROOT / "{{cookiecutter.project}}" / ".github"
    own, generated = (actions.pins(folder / "workflows") for folder in folders)
    for path in (folders[1] / "workflows").iterdir():
        assert set(actions.USES.findall(path.read_text(encoding="utf-8"))) <= own.items(), path
    paths = [
        Path(shutil.copytree(each / "workflows", tmp_path / str(n)))
        for n, each in enumerate(folders)
    ]
    for path in paths[0].iterdir():
        text = path.read_text(encoding="utf-8")
        fresh = text.replace(own["actions/cache"], f"{'1' * 40} # v7.0.0")
        path.write_text(fresh, encoding="utf-8")
    actions.copy(*paths)
    assert actions.pins(paths[1]) == {**generated, "actions/cache": f"{'1' * 40} # v7.0.0"}


def test_both_services_run_the_same_checks_and_cache_what_condaw_caches(bake: Bake) -> None:
    project = bake(project="a")
    workflow = load(project / ".github/workflows/ci.yml")
    pipeline = load(bake(project="b", ci="gitlab") / ".gitlab-ci.yml")
    for name in ("lock", "test"):
        steps = workflow["jobs"][name]["steps"]
        commands = re.findall(
            r"python -m [^|\n]*[^|\n ]", "\n".join(s.get("run", "") for s in steps)
        )
        assert commands == pipeline[name]["script"]
        [cache] = [step["with"] for step in steps if "cache@" in step.get("uses", "")]
        assert workflow["env"]["CONDAW_CACHE"] == "${{ github.workspace }}/" + cache["path"]
        theirs = pipeline[name].get("cache", pipeline["cache"])
        [path] = theirs["paths"]
        assert pipeline["variables"]["CONDAW_CACHE"] == f"$CI_PROJECT_DIR/{path}"
        for pattern in [*re.findall(r"'([^']+)'", cache["key"]), *theirs["key"]["files"]]:
            assert list(project.glob(pattern)), pattern
    # After a relock, what has not changed is in the cache already.
    assert cache["key"].startswith(cache["restore-keys"])
    # GitLab relocks only on a schedule that may push.
    assert "rules" not in pipeline["test"]
    scheduled = '$CI_PIPELINE_SOURCE == "schedule" && $RELOCK_TOKEN'
    assert pipeline["relock"]["rules"] == [{"if": scheduled}]
    # Both audit what is locked, each week and when it changes.
    audit = load(project / ".github/workflows/audit.yml")
    changes = ["conda-lock.yml", "pyproject.toml"]
    assert audit["jobs"]["audit"]["steps"][-1] == {"run": "python -m condaw audit"}
    assert audit[True]["pull_request"]["paths"] == audit[True]["push"]["paths"] == changes
    assert pipeline["audit"]["script"] == ["python -m condaw audit"]
    assert {"changes": changes} in pipeline["audit"]["rules"]


def test_githubs_checks_pass_on_a_fresh_machine_and_then_need_no_network(
    project: Path, machine: Machine, tmp_path: Path
) -> None:
    service = Service(machine, tmp_path / "service", QUICK)
    service.push(project, "Begin")
    first, second = service.clone(), service.clone()
    fetched = service.run(first, github(first, "ci.yml", "test"))
    (first / ".cache").rename(second / ".cache")
    dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    job = github(second, "ci.yml", "test")
    for done in (fetched, service.run(second, job, **dead, NO_PROXY="")):
        assert done.code == 0, done.output
        for sign in ("created and verified", "All checks passed", " passed in "):
            assert sign in done.output
    summary = first.with_name(f"{first.name}-temp") / "summary.md"
    assert " passed in " in summary.read_text(encoding="utf-8")
    assert 'failures="0"' in (first / "report.xml").read_text(encoding="utf-8")
    (second / "src" / "demo" / "__main__.py").write_text("import os\n", encoding="utf-8")
    assert service.run(second, job).code != 0


def relocked(service: Service, project: Path, job: Callable[[Path], Job]) -> None:
    """Run the job that relocks on a project whose lock has too much: it proposes less, and a newer
    version of what environment.yml pins."""
    ask_for_less(project)
    source = project / "environment.yml"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("netmiko==4.8.0", "netmiko==4.7.0"), encoding="utf-8")
    service.push(project, "Begin")
    workspace = service.clone()
    (workspace / "README.md").write_text("changed\n", encoding="utf-8")
    done = service.run(workspace, job(workspace))
    assert done.code == 0, done.output
    changed = service.git("diff", "--name-only", "main", "relock", cwd=service.origin)
    assert changed.split() == ["conda-lock.yml", "environment.yml"]
    pushed = service.git("show", "relock:environment.yml", cwd=service.origin)
    assert "- netmiko==4.7.0" not in pushed and "- netmiko==4." in pushed
    assert TOKEN not in done.output


def test_githubs_relock_opens_a_pull_request_with_environment_and_lock_alone(
    project: Path, machine: Machine, tmp_path: Path
) -> None:
    service = Service(machine, tmp_path / "service", QUICK)
    asked = tmp_path / "asked"
    service.program(
        "gh", f'echo "$@" >> "{asked}"; [ "$1" = auth ] || cp "${{@: -1}}" "{asked}.md"'
    )
    relocked(service, project, lambda workspace: github(workspace, "relock.yml", "relock"))
    assert "ruff" in asked.with_suffix(".md").read_text(encoding="utf-8")
    assert "pr create --head relock" in asked.read_text(encoding="utf-8")


def test_gitlabs_schedule_opens_a_merge_request_with_environment_and_lock_alone(
    locked: Path, bake: Bake, channel: Path, machine: Machine, tmp_path: Path
) -> None:
    project = bake(project="demo", ci="gitlab", channel=channel.as_uri())
    for name in ("environment.yml", "conda-lock.yml"):
        (project / name).write_bytes((locked / name).read_bytes())
    service = Service(machine, tmp_path / "service", QUICK)
    options = tmp_path / "options"
    hook = service.origin / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\necho "$GIT_PUSH_OPTION_0" > "{options}"\n', encoding="utf-8")
    hook.chmod(0o755)
    relocked(service, project, lambda workspace: gitlab(workspace, service.origin, "relock"))
    assert options.read_text(encoding="utf-8").strip() == "merge_request.create"


def test_the_example_branch_is_the_rendered_template_with_one_commit_for_each_change(
    template: Path, machine: Machine, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(template, tmp_path / "template"))
    shutil.copytree(ROOT / ".github", own / ".github")
    service = Service(machine, tmp_path / "service")
    service.program("gh", "exit 0")

    def render(change: str) -> None:
        service.push(own, change)
        workspace = service.clone()
        done = service.run(workspace, github(workspace, "example.yml", "example"))
        assert done.code == 0, done.output

    render("Begin")
    (own / "README.md").write_text("What is not in projects.\n", encoding="utf-8")
    render("Change nothing in projects")
    with (own / "{{cookiecutter.project}}" / ".gitignore").open("a", encoding="utf-8") as out:
        out.write("/notes/\n")
    render("Ignore notes")
    assert service.git("rev-list", "--count", "example", cwd=service.origin).strip() == "2"
    changed = service.git("diff", "--name-only", "example~", "example", cwd=service.origin)
    assert changed.split() == [".gitignore"]
    files = service.git("ls-tree", "-r", "--name-only", "example", cwd=service.origin).split()
    assert "conda-lock.yml" in files
    assert not [name for name in files if name.startswith(".github/workflows")]
