"""Everything that the lock names in one file, for machines without a network.

A zip archive: the lock, conda packages in the layout of a channel, and in `wheels/` those of the
lock and of the engine, for each Python that condaw runs on. The same lock gives the same bytes.
It is trusted no more than a server: what is installed has the hashes of the lock and engine.txt.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from condaw import engine
from condaw.base import console, process
from condaw.base.errors import FULL, CannotError, next_step_after
from condaw.base.files import sha256_of
from condaw.base.layout import LOCK
from condaw.base.project import Project
from condaw.network import pip_config

if TYPE_CHECKING:
    from condaw.lockfile.package import Package

WHEELS = "wheels"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")  # that a bundle may be opened with


def write(project: Project, file: Path, platforms: Sequence[str], groups: Sequence[str]) -> None:
    """Write what the lock has for `platforms`, or this machine, without the dependency `groups`."""
    from condaw.lockfile import satisfies
    from condaw.lockfile.reader import locked_packages

    if not engine.pip():
        raise CannotError("this Python has no pip to fetch wheels with", "install pip for it")
    locked = [locked_packages(project, subdir) for subdir in platforms or (None,)]
    packages = [p for each in locked for p in satisfies.without(project, each, groups)]
    console.note(f"fetching {len(packages)} packages and condaw's engine")
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with console.waiting("fetching"):
            asyncio.run(_fetch(packages, folder))
            _download_wheels(packages, folder / WHEELS)
        shutil.copyfile(project.lock_file, folder / LOCK)
        try:
            with zipfile.ZipFile(part, "w", strict_timestamps=False) as archive:
                for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                    path.chmod(0o644)
                    os.utime(path, (0, 0))  # the same lock gives the same bytes
                    archive.write(path, path.relative_to(folder))
            part.replace(file)
        except OSError as error:
            cause = f"{file} cannot be written: {error.strerror}"
            raise CannotError(cause, "name another file") from None
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(project: Project, file: Path) -> Iterator[Path]:
    """Unpack the bundle `file`, and let pip and uv take wheels from it alone. Raises CannotError
    before anything is changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with zipfile.ZipFile(file) as archive:
                archive.extractall(folder)  # this compares each file with its CRC-32
            same_lock = (folder / LOCK).read_bytes() == project.lock_file.read_bytes()
        except Exception as error:  # the kinds that zipfile raises for damage are many
            reason, step = getattr(error, "strerror", None) or error, "copy the file again"
            if getattr(error, "errno", None) in FULL:
                step = f"make room in {folder.parent}, or set TMPDIR to another folder"
            raise CannotError(f"the bundle {file} cannot be used: {reason}", step) from None
        _use(file, folder / WHEELS)
        from condaw.lockfile.package import this_platform

        subdir = this_platform()
        if not same_lock or not (folder / subdir).is_dir():
            command = f"python -m condaw bundle {file.name} --platform {subdir}"
            cause = f"the bundle {file} was not made from this conda-lock.yml for {subdir}"
            raise CannotError(cause, f"make it again where there is a network: {command}")
        yield folder


async def _fetch(packages: Sequence[Package], folder: Path) -> None:
    from rattler.package_streaming import download_to_path

    from condaw.network import channels, probe

    gate = asyncio.Semaphore(channels.DOWNLOADS)

    async def fetch(package: Package) -> None:
        target = folder / package.subdir / package.file_name
        target.parent.mkdir(exist_ok=True)
        async with gate:
            try:
                if local := channels.local_path(package.url):
                    shutil.copyfile(local, target)
                else:
                    await download_to_path(channels.client(), package.url, target)
            except Exception as error:
                if answer := probe.unresolved(channels.fetched_from(package.url)):
                    cause = f"{package.name} could not be fetched: {answer[0]}"
                    raise CannotError(cause, answer[1]) from None
                raise engine.not_fetched(package.name, " ".join(str(error).split())) from None
        if sha256_of(target) != package.sha256:
            cause = f"{package.name}: {package.url} is not the file that is locked"
            next_step = "find out who changed it; if that is right, run: python -m condaw lock"
            raise CannotError(cause, next_step)

    unique = {package.url: package for package in packages if package.manager == "conda"}
    await asyncio.gather(*map(fetch, unique.values()))


def _download_wheels(packages: Sequence[Package], folder: Path) -> None:
    """Let pip fetch the wheels of the lock, and those of the engine for each Python."""
    # pip compares the markers of requirements with this Python, not with the one asked for.
    ours = re.sub(r" ; .* \\$", r" \\", engine.ENGINE.read_text(encoding="utf-8"), flags=re.M)
    folder.mkdir()
    for subdir in dict.fromkeys(package.platform for package in packages):
        here = [package for package in packages if package.platform == subdir]
        python = next(package.version for package in here if package.name == "python")
        wheels = [package for package in here if package.manager == "pip"]
        pins = (f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in wheels)
        for version, requirements in ((python, "".join(pins)), *((each, ours) for each in PYTHONS)):
            _pip_download(folder, subdir, version, requirements)


def _pip_download(folder: Path, subdir: str, python: str, requirements: str) -> None:
    """Fetch the wheels that a Python on a platform would install."""
    from condaw.lockfile.rules import wheel_platforms

    command = [*engine.pip(), "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--python-version", python, "--implementation", "cp"]
    command += [f"--platform={tag}" for tag in wheel_platforms(subdir)]
    file = folder.with_name("requirements.txt")
    file.write_text(requirements, encoding="utf-8")
    command += ["--dest", str(folder), "--requirement", str(file)]
    result = process.run(command, env=pip_config.pip_environment())
    file.unlink()
    if result.returncode:
        raise engine.not_fetched(f"wheels for Python {python} on {subdir}", result.stdout)


def _use(file: Path, wheels: Path) -> None:
    """Let pip and uv look for wheels in this folder and nowhere else, and load the engine."""
    links = wheels.as_uri()
    os.environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "UV_FIND_LINKS": links}
    # Where Python has no pip, uv installs the engine: the one among the wheels that starts here.
    pins = engine.ENGINE.read_text(encoding="utf-8")
    for wheel in () if engine.pip() else wheels.glob("uv-*.whl"):
        if sha256_of(wheel) not in pins:
            cause = f"the bundle {file} cannot be used: {wheel.name} is not the pinned file"
            raise CannotError(cause, "find out who changed it, or copy the file again")
        with zipfile.ZipFile(wheel) as archive:
            [member] = (n for n in archive.namelist() if re.search(r"/scripts/uv(\.exe)?$", n))
            program = Path(archive.extract(member, wheels))
        program.chmod(0o755)
        with contextlib.suppress(OSError):
            process.run([program, "--version"])
            os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
            break
    try:
        engine.load(engine.ENGINE)
    except CannotError as error:
        if "could not be fetched" not in error.cause:
            raise
        step = "copy the bundle again, or use it where it was made for, with"
        step = f"{step} one of Python {', '.join(PYTHONS)}"
        raise CannotError(error.cause, next_step_after(error.cause, step)) from None
