"""Runs the scripts of a CI job as its service does: in a fresh clone, with the service's variables.

What a service does around the scripts is played by plain things: the clone is its checkout, a
`python` on PATH its image, the folder of CONDAW_CACHE its cache. An expression that is not in the
table below raises KeyError, so that nothing is skipped in silence.
"""

from __future__ import annotations

import os
import re
import shlex
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from machine import Machine

TOKEN = "SECRET-TOKEN"


@dataclass(frozen=True)
class Done:
    """A job that has run: the last exit code, and what each script printed."""

    code: int
    printed: dict[str, str]

    @property
    def output(self) -> str:
        return "\n".join(self.printed.values())


@dataclass(frozen=True)
class Job:
    """Scripts, each for a bash of its own, with the variables that they get, and bash's flags."""

    scripts: dict[str, tuple[str, dict[str, str]]]
    flags: tuple[str, ...]


def github(workspace: Path, workflow: str, name: str) -> Job:
    """Return the steps of a job in `workspace` that run something."""
    temporary = workspace.with_name(f"{workspace.name}-temp")
    temporary.mkdir()
    values = {"github.workspace": str(workspace), "github.token": TOKEN}

    def expanded(variables: Mapping[str, str]) -> dict[str, str]:
        return {
            name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], text)
            for name, text in variables.items()
        }

    file = workspace / ".github" / "workflows" / workflow
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    job = document["jobs"][name]
    given = {"RUNNER_TEMP": str(temporary), "GITHUB_SHA": "0" * 40}
    given["GITHUB_STEP_SUMMARY"] = str(temporary / "summary.md")
    everywhere = {**given, **expanded(document.get("env", {})), **expanded(job.get("env", {}))}
    steps = [step for step in job["steps"] if "uses" not in step]
    assert not [step for step in steps if {"if", "working-directory"} & set(step)]
    # GitHub's documentation of `shell`: without one it is `bash -e`, with bash also pipefail.
    assert {step.get("shell", "bash") for step in steps} == {"bash"}
    pipefail = {True: "set -o pipefail\n", False: ""}
    scripts = {
        step.get("name", step["run"]): (
            pipefail["shell" in step] + step["run"],
            everywhere | expanded(step.get("env", {})),
        )
        for step in steps
    }
    return Job(scripts, ("-e",))


def gitlab(workspace: Path, origin: Path, name: str) -> Job:
    """Return a job of the pipeline in `workspace` as the one script that GitLab's runner makes."""
    document: dict[str, Any] = yaml.safe_load((workspace / ".gitlab-ci.yml").read_text("utf-8"))
    variables = {
        "CI_PROJECT_DIR": str(workspace),
        "CI_PROJECT_URL": origin.as_uri().removesuffix(".git"),
        "CI_SERVER_HOST": "gitlab.example.invalid",
        "RELOCK_TOKEN": TOKEN,
    }
    for variable, value in document["variables"].items():
        variables[variable] = string.Template(value).substitute(variables)
    script = "\n".join(document[name]["script"])
    return Job({name: (script, variables)}, ("-e", "-o", "pipefail"))


@dataclass
class Service:
    """A repository with branch main, and the programs that a runner brings."""

    machine: Machine
    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.origin = self.folder / "origin.git"
        self.programs = self.folder / "programs"
        self.programs.mkdir(parents=True)
        self.program("python", f'exec {shlex.quote(sys.executable)} "$@"')
        self.git("init", "--quiet", "--bare", "--initial-branch=main", self.origin)
        self.git("config", "receive.advertisePushOptions", "true", cwd=self.origin)

    def git(self, *words: str | Path, cwd: Path | None = None) -> str:
        """Run git; return what it printed."""
        identity = ("-c", "user.name=me", "-c", "user.email=me@example.invalid")
        done = self.machine.run("git", *identity, *words, cwd=cwd or self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def push(self, project: Path, message: str) -> None:
        """Make what is in `project`, less what it ignores, the newest commit of main."""
        if not (project / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main", cwd=project)
        self.git("add", "--all", cwd=project)
        self.git("commit", "--quiet", "--message", message, cwd=project)
        self.git("push", "--quiet", self.origin, "main", cwd=project)

    def program(self, name: str, script: str) -> None:
        """Put a program on the runner's PATH."""
        path = self.programs / name
        path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def clone(self) -> Path:
        """Return a fresh checkout of main, detached as GitLab has it."""
        workspace = self.folder / f"work-{len(list(self.folder.glob('work-*')))}"
        self.git("clone", "--quiet", "--branch=main", self.origin.as_uri(), workspace)
        self.git("checkout", "--quiet", "--detach", cwd=workspace)
        return workspace

    def run(self, workspace: Path, job: Job, **extra: str) -> Done:
        """Run the job's scripts up to the first that fails; no other programs than the system's."""
        path = os.pathsep.join([str(self.programs), "/usr/local/bin", "/usr/bin", "/bin"])
        printed: dict[str, str] = {}
        code = 0
        for name, (script, variables) in job.scripts.items():
            env = {**variables, **self.extra, **extra, "PATH": path, "CI": "true"}
            words = ("bash", *job.flags, "-c", f"exec 2>&1\n{script}")
            done = self.machine.run(*words, cwd=workspace, **env)
            printed[name], code = done.stdout, done.returncode
            if code:
                break
        return Done(code, printed)
