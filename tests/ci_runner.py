"""Runs CI definitions on this machine as their services do: GitHub's workflows, GitLab's jobs.

Each step's script really runs, in a fresh clone, with the service's variables, expressions,
conditions and caches. What it does not know raises NotImplementedError: nothing is skipped.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from machine import VERSION, Machine

LINUX = "ubuntu-latest"
JOB_WORDS = {"name", "runs-on", "timeout-minutes", "permissions", "strategy", "env", "steps"}
STEP_WORDS = {"name", "if", "uses", "with", "run", "env", "shell", "working-directory"}
GITLAB_WORDS = {"image", "variables", "cache", "stages", "workflow", "default", "include"}


@dataclass(frozen=True)
class Step:
    """One step that has run: its name or command, its exit code, all that it printed."""

    name: str
    code: int
    output: str


@dataclass
class Service:
    """What outlives a job: the repository, the caches; and the programs that a runner brings."""

    machine: Machine
    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, project: Path, folder: Path, **extra: str) -> Service:
        """A service with `project` as the first commit of branch main."""
        service = cls(machine, folder, extra)
        service.programs.mkdir(parents=True)
        service.program("python", f'exec {shlex.quote(sys.executable)} "$@"')
        service.git("init", "--quiet", "--bare", "--initial-branch=main", service.origin)
        service.git("config", "receive.advertisePushOptions", "true", cwd=service.origin)
        service.push(project, "Begin")
        return service

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    @property
    def programs(self) -> Path:
        return self.folder / "programs"

    def git(self, *words: str | Path, cwd: Path | None = None) -> str:
        identity = ("-c", "user.name=me", "-c", "user.email=me@example.invalid")
        done = self.machine.run("git", *identity, *words, cwd=cwd or self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

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
        """A fresh checkout of main, as a job begins."""
        number = len(list(self.folder.glob("work-*")))
        workspace = self.folder / f"work-{number}"
        self.git("clone", "--quiet", "--branch=main", self.origin.as_uri(), workspace)
        return workspace

    def restore(self, key: str, path: Path) -> bool:
        """Put what is cached under `key` at `path`; whether there was anything."""
        cached = self.folder / "caches" / key
        if cached.is_dir():
            shutil.copytree(cached, path, symlinks=True)
        return cached.is_dir()

    def save(self, key: str, path: Path) -> None:
        if not (self.folder / "caches" / key).exists():
            shutil.copytree(path, self.folder / "caches" / key, symlinks=True)

    def bash(self, script: str, cwd: Path, env: Mapping[str, str], *flags: str) -> tuple[int, str]:
        """Run `script`; nothing of the developer's own PATH is at hand but the system's folders."""
        path = os.pathsep.join([*filter(None, [env.get("PATH")]), str(self.programs)])
        settings = {
            **env,
            **self.extra,
            "PATH": f"{path}:/usr/local/bin:/usr/bin:/bin",
            "CI": "true",
        }
        merged = f"exec 2>&1\n{script}"
        done = self.machine.run("bash", *flags, "-c", merged, cwd=cwd, **settings)
        return done.returncode, done.stdout


# ---- GitHub ----------------------------------------------------------------------------------


def linux_legs(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The combinations of a job's matrix that run on Linux."""
    matrix = dict(job.get("strategy", {}).get("matrix", {}))
    included = matrix.pop("include", [])
    product = [
        dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())
    ]
    legs = [*(product if matrix or not included else []), *included]
    return [leg for leg in legs if expand(str(job["runs-on"]), {"matrix": leg}) == LINUX]


def evaluate(expression: str, contexts: Mapping[str, Any]) -> Any:
    """The value of a GitHub expression of the simple kinds."""
    expression = expression.strip()
    if match := re.fullmatch(r"(.+?) (==|!=) (.+)", expression):
        left, right = (evaluate(match[group], contexts) for group in (1, 3))
        return (left == right) == (match[2] == "==")
    if match := re.fullmatch(r"'([^']*)'", expression):
        return match[1]
    if match := re.fullmatch(r"(\w+)\((.*)\)", expression):
        arguments = [evaluate(word, contexts) for word in match[2].split(",") if word]
        return contexts["functions"][match[1]](*arguments)
    if re.fullmatch(r"[\w-]+(\.[\w-]+)+", expression):
        value: Any = contexts
        for name in expression.split("."):
            value = value[name]
        return value
    raise NotImplementedError(expression)


def expand(text: str, contexts: Mapping[str, Any]) -> str:
    """`text` with the values of its `${{ }}`."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(evaluate(found[1], contexts)), text)


def hash_files(workspace: Path) -> Callable[..., str]:
    """GitHub's hashFiles in `workspace`."""

    def digest(*patterns: str) -> str:
        files = sorted({file for pattern in patterns for file in workspace.glob(pattern)})
        assert files, f"{patterns} match no file"
        hashes = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)
        return hashlib.sha256(hashes).hexdigest()

    return digest


@dataclass
class GitHub:
    """A run of one job of one workflow of the newest commit."""

    service: Service
    workflow: str
    job: str
    steps: list[Step] = field(default_factory=list)
    _saves: list[tuple[str, Path]] = field(default_factory=list)

    def run(self) -> bool:
        """Whether the job succeeded; `steps` tells what it did."""
        self.workspace = self.service.clone()
        file = self.workspace / ".github" / "workflows" / self.workflow
        workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
        job = workflow["jobs"][self.job]
        if (
            unknown := set(job) - JOB_WORDS
            | {word for step in job["steps"] for word in step} - STEP_WORDS
        ):
            raise NotImplementedError(unknown)
        shutil.rmtree(self.workspace)  # empty until actions/checkout
        self.workspace.mkdir()
        self.temporary = self.workspace.with_name(f"{self.workspace.name}-temp")
        self.temporary.mkdir()
        legs = linux_legs(job)
        leg = next((leg for leg in legs if leg.get("python") == VERSION), legs[0])
        self.contexts: dict[str, Any] = {
            "github": {
                "workspace": str(self.workspace),
                "token": "SECRET-TOKEN",
                "sha": self.service.git("rev-parse", "main", cwd=self.service.origin).strip(),
            },
            "runner": {"os": "Linux", "arch": "X64", "temp": str(self.temporary)},
            "matrix": leg,
            "functions": {
                "hashFiles": hash_files(self.workspace),
                "success": lambda: all(step.code == 0 for step in self.steps),
                "failure": lambda: any(step.code for step in self.steps),
                "always": lambda: True,
            },
        }
        self.env = self._expanded({**workflow.get("env", {}), **job.get("env", {})})
        for step in job["steps"]:
            if evaluate(str(step.get("if", "success()")), self.contexts):
                self.steps.append(self._step(step))
        good = all(step.code == 0 for step in self.steps)
        for key, path in self._saves if good else []:
            self.service.save(key, path)
        return good

    def _expanded(self, values: Mapping[str, Any]) -> dict[str, str]:
        # A YAML boolean reaches a step as `true` or `false`.
        text = {name: v if isinstance(v, str) else json.dumps(v) for name, v in values.items()}
        return {name: expand(value, self.contexts) for name, value in text.items()}

    def _step(self, step: Mapping[str, Any]) -> Step:
        if "uses" in step:
            name = step["uses"].partition("@")[0]
            inputs = self._expanded(step.get("with", {}))
            return Step(name, 0, self._action(name, inputs))
        script = expand(step["run"], self.contexts)
        files = {
            f"GITHUB_{name}": self.temporary / name.lower() for name in ("ENV", "PATH", "OUTPUT")
        }
        for file in files.values():
            file.write_text("")
        env = {
            **self.env,
            **self._expanded(step.get("env", {})),
            **{name: str(file) for name, file in files.items()},
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_SHA": self.contexts["github"]["sha"],
            "RUNNER_TEMP": str(self.temporary),
        }
        cwd = self.workspace / expand(step.get("working-directory", "."), self.contexts)
        # Source: GitHub's documentation of `shell`: without one it is `bash -e`.
        flags = {None: ["-e"], "bash": ["-e", "-o", "pipefail"]}[step.get("shell")]
        code, output = self.service.bash(script, cwd, env, *flags)
        for line in files["GITHUB_ENV"].read_text().splitlines():
            name, _, value = line.partition("=")
            self.env[name] = value
        if files["GITHUB_PATH"].read_text() or files["GITHUB_OUTPUT"].read_text():
            raise NotImplementedError("GITHUB_PATH and GITHUB_OUTPUT")
        return Step(step.get("name", script), code, output)

    def _action(self, name: str, inputs: Mapping[str, str]) -> str:
        if name == "actions/checkout":
            self.workspace.rmdir()
            clone = self.service.clone()
            clone.rename(self.workspace)
            assert inputs["persist-credentials"] == "false"
        elif name == "actions/setup-python":
            return inputs["python-version"]  # what there is, is the Python of the tests
        elif name == "actions/cache":
            path = self.workspace / inputs["path"]
            if self.service.restore(inputs["key"], path):
                return "hit"
            self._saves.append((inputs["key"], path))
            return "miss"
        else:
            raise NotImplementedError(name)
        return ""


# ---- GitLab ----------------------------------------------------------------------------------


def allowed(rules: Sequence[Mapping[str, str]], variables: Mapping[str, str]) -> bool:
    """Whether a job's `rules:` let it run: each is an `if:` of terms joined by &&."""

    def holds(term: str) -> bool:
        match = re.fullmatch(r'\$(\w+)(?: == "([^"]*)")?', term.strip())
        if not match:
            raise NotImplementedError(term)
        value = variables.get(match[1])
        return bool(value) if match[2] is None else value == match[2]

    return any(all(map(holds, rule["if"].split("&&"))) for rule in rules)


def gitlab_variables(
    service: Service, workspace: Path, *given: Mapping[str, str]
) -> dict[str, str]:
    """GitLab's own variables, then the given ones, which may name earlier ones."""
    variables = {
        "CI_PROJECT_DIR": str(workspace),
        "CI_PROJECT_URL": service.origin.as_uri().removesuffix(".git"),
        "CI_SERVER_HOST": "gitlab.example.invalid",
        "CI_PIPELINE_SOURCE": "push",
        "CI_DEFAULT_BRANCH": "main",
    }
    for name, value in ((name, value) for group in given for name, value in group.items()):
        variables[name] = re.sub(r"\$(\w+)", lambda found: variables[found[1]], value)
    return variables


def run_gitlab(service: Service, **given: str) -> dict[str, Step]:
    """Run a pipeline of the newest commit, with `given` variables; each job that ran, by name."""
    document = yaml.safe_load(service.git("show", "main:.gitlab-ci.yml", cwd=service.origin))
    done = {}
    for name, job in document.items():
        if name in GITLAB_WORDS or name.startswith("."):
            continue
        workspace = service.clone()
        service.git("checkout", "--quiet", "--detach", cwd=workspace)
        everywhere, own = document.get("variables", {}), job.get("variables", {})
        variables = gitlab_variables(service, workspace, given, everywhere, own)
        if "rules" in job and not allowed(job["rules"], variables):
            continue
        cache = {**document, **job}["cache"]
        digest = hash_files(workspace)(*cache["key"]["files"])
        paths = [workspace / path for path in cache["paths"]]
        hits = [service.restore(f"{digest}-{path.name}", path) for path in paths]
        lines = [*{**document, **job}.get("before_script", []), *job["script"]]
        # Source: GitLab Runner's bash generator.
        flags = ["-e", "-o", "pipefail"]
        code, output = service.bash("\n".join(lines), workspace, variables, *flags)
        for path in paths if code == 0 and not all(hits) else []:
            service.save(f"{digest}-{path.name}", path)
        done[name] = Step(name, code, output)
    return done


def without_network(service: Service) -> Service:
    """The same service where every request ends at a proxy that is not there."""
    dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    return replace(service, extra={**service.extra, **dead, "NO_PROXY": ""})
