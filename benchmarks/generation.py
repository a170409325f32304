"""Measure how long a new user waits, from `cookiecutter` to a verified environment.

.venv/bin/python benchmarks/generation.py [--runs 5] [TASK...]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import contenders
import measure
from measure import ROOT, Contenders, Cost
from template import export
from workshop import embedded_channel

TASKS = ("generate", "clone", "try")


class Newcomer:
    """A person with Python and cookiecutter, and an account of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.template = export(folder / "template")
        # PyPI is the real one: the engine and the wheels of a fresh account come from there.
        self.env = {**contenders.online(folder / "home"), "CONDAW_CACHE": str(self.cache)}
        self.words = [
            f"channel={embedded_channel().as_uri()}",
            f"python={sys.version_info[0]}.{sys.version_info[1]}",
            "environment=required",
        ]

    def generate(self, *, cold: bool) -> Cost:
        """Run `cookiecutter`; the hook also locks, because the channel is not conda-forge."""
        measure.discard(self.folder / "ssh-uptime")
        if cold:
            measure.discard(self.cache)
        program = Path(sys.executable).with_name("cookiecutter")
        words = ["--no-input", str(self.template), *self.words]
        return measure.run([program, *words], cwd=self.folder, env=self.env)

    def clone(self, *, cold: bool) -> Cost:
        """Create the environment of a project that has its lock, as in a fresh clone."""
        project, bare = self.folder / "ssh-uptime", Path(sys.base_prefix) / "bin" / "python3"
        if not project.exists():
            self.generate(cold=False)
        measure.discard(project / ".conda")
        if cold:
            measure.discard(self.cache)
        return measure.run([bare, "-m", "condaw", "create"], cwd=project, env=self.env)


def make_try(folder: Path, env: Mapping[str, str], *, fresh: bool) -> Cost:
    """Run `make try` in a copy of this checkout, made again if `fresh`."""
    if fresh:
        measure.discard(folder / "clone")
        tracked = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.split("\0")
        for name in filter(None, tracked):
            target = folder / "clone" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return measure.run(["make", "try"], cwd=folder / "clone", env=env)


def main() -> None:
    """Measure the chosen tasks, and record them."""
    options = measure.arguments(__doc__, TASKS)
    record = measure.Record("generation", options, contenders.versions())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        newcomer = Newcomer(folder)
        jobs: dict[str, Contenders] = {
            "generate": {
                "nothing cached": lambda: newcomer.generate(cold=True),
                "the next project": lambda: newcomer.generate(cold=False),
            },
            "clone": {
                "nothing cached": lambda: newcomer.clone(cold=True),
                "the next project": lambda: newcomer.clone(cold=False),
            },
            "try": {
                "nothing made": lambda: make_try(folder, newcomer.env, fresh=True),
                "again": lambda: make_try(folder, newcomer.env, fresh=False),
            },
        }
        for task in options.tasks:
            record.add(measure.alternate(task, jobs[task], options.runs))


if __name__ == "__main__":
    main()
