"""Builds an image's Dockerfile without a container engine: each instruction in a folder as root.

The last stage is made where the first one was: so a path that the image has in both stages is the
same path here, and what the first stage holds beside what is copied is out of reach.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Image:
    """A stage: its files are under `root`; paths in the Dockerfile are relative to that."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: int | None = None
    entrypoint: list[str] = field(default_factory=list)

    def path(self, written: str) -> Path:
        """Where a path of the image is on this machine."""
        return self.root / os.path.normpath(Path(self.workdir, written)).lstrip("/")

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run `command` in the image, as its user where this process may change that."""
        as_user = self.user if os.getuid() == 0 else None
        return subprocess.run(
            command,
            cwd=self.path("."),
            env={
                "HOME": str(self.path("/root" if self.user is None else "/home/user")),
                **self.env,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=as_user,
            group=as_user,
            extra_groups=None if as_user is None else [],
            check=False,
        )


def instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    """Each instruction's word and the rest of its line."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.M)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def context(project: Path) -> list[Path]:
    """The files that .dockerignore lets into the image's context; the last match decides."""
    patterns = (project / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in patterns if line and not line.startswith("#")]

    def taken(path: Path) -> bool:
        names = [path, *path.parents[:-1]]
        verdict = True
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            anywhere = "**/" in rule
            texts = [name.name if anywhere else name.as_posix() for name in names]
            if any(fnmatch.fnmatchcase(text, pattern) for text in texts):
                verdict = rule.startswith("!")
        return verdict

    files = (path.relative_to(project) for path in project.rglob("*") if path.is_file())
    return sorted(path for path in files if taken(path))


def build(project: Path, folder: Path, cache: Path, bases: Mapping[str, Path]) -> Image:
    """Build `project`'s Dockerfile in `folder`; `bases` has the programs of each base image.

    `cache` is what `RUN --mount=type=cache` brings. Earlier stages are gone afterwards.
    """
    stages: dict[str, Path] = {}
    image, name = Image(folder / "root"), ""
    for word, rest in instructions(project / "Dockerfile"):
        if word == "FROM":
            base, _, following = rest.partition(" AS ")
            if name:
                stages[name] = image.root.rename(folder / name)
            programs = bases[base.partition(":")[0]]
            image, name = Image(folder / "root", {"PATH": f"{programs}:{SYSTEM}"}), following
            image.path("/root").mkdir(parents=True, mode=0o755)
        elif word == "WORKDIR":
            image.workdir = rest
            image.path(".").mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            for key, value in re.findall(r"(\w+)=(\S+)", rest):
                here = re.sub(r"(?<![\w$])(?=/opt/)", str(image.root), value)
                image.env[key] = here.replace("$PATH", image.env["PATH"])
        elif word == "COPY":
            _copy(image, rest, project, stages)
        elif word == "RUN":
            _run(image, rest, cache)
        elif word == "USER":
            image.user = int(rest)
        elif word == "ENTRYPOINT":
            image.entrypoint = json.loads(rest)
        else:
            raise NotImplementedError(word)
    for stage in stages.values():
        shutil.rmtree(stage)
    return image


def _copy(image: Image, rest: str, project: Path, stages: Mapping[str, Path]) -> None:
    if match := re.fullmatch(r"--from=(\w+) (\S+) (\S+)", rest):
        source = stages[match[1]] / match[2].lstrip("/")
        shutil.copytree(source, image.path(match[3]), symlinks=True)
    elif rest == ". .":
        for file in context(project):
            target = image.path(str(file))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / file, target)
    else:
        raise NotImplementedError(rest)


def _run(image: Image, rest: str, cache: Path) -> None:
    mount = re.match(r"--mount=type=cache,target=(\S+) ", rest)
    target = image.path(mount[1]) if mount else None
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(cache, target_is_directory=True)
    done = image.run(["/bin/sh", "-c", rest[mount.end() :] if mount else rest])
    assert done.returncode == 0, done.stdout + done.stderr
    if target:
        target.unlink()
