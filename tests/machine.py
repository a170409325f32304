"""A machine for programs under test: an account with an empty home, and a cache of this run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

# Settings of the person who runs the tests, and of make. Each project has its byte-code beside it:
# without that, every start takes half a second more.
FOREIGN = ("CONDA", "MAMBA", "COOKIECUTTER", "RATTLER", "VIRTUAL_ENV", "PYTHON")

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Machine:
    """An account with an empty home: the environment in which programs under test run."""

    home: Path
    cache: Path
    template: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def temporary(self) -> Path:
        """A folder for what programs leave behind in theirs."""
        folder = self.home / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        own = {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "CONDAW_CACHE": str(self.cache),
            "TMPDIR": str(self.temporary),
            "COLUMNS": "100",
        }
        return {**kept, **own, **self.extra}

    def run(self, *command: str | Path, cwd: Path, **extra: str) -> Result:
        """Run a program to its end; stdout and stderr are kept apart."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**self.env, **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def condaw(self, project: Path, *arguments: str, **extra: str) -> Result:
        """`python -m condaw ARGUMENTS` in `project`."""
        return self.run(sys.executable, "-m", "condaw", *arguments, cwd=project, **extra)

    def bake(self, folder: Path, **answers: str) -> Result:
        """Real cookiecutter, on this repository, into `folder`; no network unless asked for."""
        chosen = {"environment": "no", "python": VERSION, **answers}
        program = Path(sys.executable).with_name("cookiecutter")
        words = [f"{name}={value}" for name, value in chosen.items()]
        return self.run(program, "--no-input", self.template, *words, cwd=folder)


class Here(Machine):
    """A machine on which `lock`, `add` and `remove` run in the process of the tests, one after the
    other: to load conda-lock takes a second of CPU, which is most of what they take."""

    def condaw(self, project: Path, *arguments: str, **extra: str) -> Result:
        if arguments[0] not in ("lock", "add", "remove"):
            return super().condaw(project, *arguments, **extra)
        import truststore
        from condaw.base.project import Project
        from condaw.commands import main

        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {**self.env, **extra}, clear=True),
            mock.patch.object(Project.__init__, "__defaults__", (project,)),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = main(arguments)
        truststore.extract_from_ssl()  # where a solve has put it
        return Result(arguments, code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Namespace:
    """A view of the file system in which this test may mount; it ends with its process."""

    process: subprocess.Popen[str]

    def run(self, machine: Machine, *command: str | Path, cwd: Path) -> Result:
        enter = ["nsenter", "-t", str(self.process.pid), "-U", "-m", "--preserve-credentials"]
        there = ["sh", "-c", 'cd "$0" && exec "$@"', str(cwd)]
        return machine.run(*enter, *there, *command, cwd=Path("/"))

    def look(self, path: Path) -> Path:
        """Where `path` of this view is in the view of the test."""
        return Path(f"/proc/{self.process.pid}/root{path}")
