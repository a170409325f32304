"""Everything that the lock names in one file, for machines without a network.

The file is a zip archive: the lock, conda packages in the layout of a channel, and in `wheels/`
those of the lock and of condaw's engine, for each Python that condaw runs on. The same lock gives
the same bytes. It is trusted no more than a server is: what gets installed from it has the hashes
of the lock and of engine.txt.
"""

from __future__ import annotations

import asyncio
import contextlib
import lzma
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from condaw import engine
from condaw.base import console, process
from condaw.base.errors import CannotError
from condaw.base.layout import LOCK
from condaw.base.project import Project
from condaw.base.sha256 import sha256_of

if TYPE_CHECKING:
    from condaw.lockfile.package import Package

WHEELS = "wheels"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""What condaw may run on where the bundle is opened."""
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What zipfile raises for an archive that is damaged, besides errors of Python's own."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the first that a zip archive can hold."""


def write(project: Project, file: Path, platforms: Sequence[str]) -> None:
    """Fetch what the lock has for `platforms`, or for this machine, and the engine, into `file`.

    Raises CannotError, and leaves `file` as it was, if that cannot be done.
    """
    from condaw.lockfile.reader import locked_packages

    if not engine.pip():
        raise CannotError("this Python has no pip to fetch wheels with", "install pip for it")
    packages = [p for name in platforms or (None,) for p in locked_packages(project, name)]
    console.note(f"fetching {len(packages)} packages and condaw's engine")
    with tempfile.TemporaryDirectory() as name:
        folder, part = Path(name), file.with_name(f"{file.name}.{os.getpid()}.part")
        conda = {package.url: package for package in packages if package.manager == "conda"}
        asyncio.run(_fetch(list(conda.values()), folder))
        _download_wheels(packages, folder / WHEELS)
        shutil.copyfile(project.lock_file, folder / LOCK)
        try:
            _pack(folder, part)
            part.replace(file)
        except OSError as error:
            raise CannotError(
                f"{file} cannot be written: {error.strerror}", "name another file"
            ) from None
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(project: Project, file: Path) -> Iterator[Path]:
    """Give a folder with the content of the bundle `file`; pip and uv take wheels from it alone.

    Raises CannotError, before anything is changed, if the bundle is damaged or was made from
    another lock.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            _unpack(file, folder)
            same_lock = (folder / LOCK).read_bytes() == project.lock_file.read_bytes()
        except (OSError, EOFError, ValueError, RuntimeError, *BROKEN) as error:
            reason = getattr(error, "strerror", None) or error
            raise CannotError(
                f"the bundle {file} cannot be used: {reason}", "copy the file again"
            ) from None
        if not same_lock:
            raise CannotError(
                f"the bundle {file} was made from another conda-lock.yml",
                f"make it again where there is a network: python -m condaw bundle {file.name}",
            )
        _use(folder / WHEELS)
        _check_platform(file, folder)
        yield folder


async def _fetch(packages: Sequence[Package], folder: Path) -> None:
    """Fetch conda packages into the layout of a channel."""
    from rattler.package_streaming import download_to_path

    from condaw.network import channels

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
                raise CannotError(
                    f"{package.name} could not be fetched: {' '.join(str(error).split())}",
                    "check the network and the proxy, and run the command again",
                ) from None
        if sha256_of(target) != package.sha256:
            raise CannotError(
                f"{package.name}: {package.url} is not the file that is locked",
                "find out who changed it; if that is right, run: python -m condaw lock",
            )

    await asyncio.gather(*map(fetch, packages))


def _download_wheels(packages: Sequence[Package], folder: Path) -> None:
    """Let pip fetch the wheels of the lock, and those of the engine for each Python."""
    # pip compares the markers of requirements with this Python, not with the one asked for.
    ours = re.sub(r" ; .* \\$", " \\\\", engine.ENGINE.read_text(encoding="utf-8"), flags=re.M)
    folder.mkdir()
    wanted = []
    for platform in dict.fromkeys(package.platform for package in packages):
        here = [package for package in packages if package.platform == platform]
        python = next(package.version for package in here if package.name == "python")
        pypi = [package for package in here if package.manager == "pip"]
        pins = [f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in pypi]
        wanted += [(ours, platform, version) for version in PYTHONS]
        wanted += [("".join(pins), platform, python)] if pins else []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda words: _pip_download(folder, *words), wanted))


def _pip_download(folder: Path, requirements: str, platform: str, python: str) -> None:
    """Fetch the wheels that a Python on a platform would install."""
    command = [*engine.pip(), "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--python-version", python, "--implementation", "cp"]
    command += [f"--platform={tag}" for tag in _wheel_platforms(platform)]
    with tempfile.TemporaryDirectory() as name:  # two pips in one folder take each other's files
        file, fetched = Path(name, "requirements.txt"), Path(name, "wheels")
        file.write_text(requirements, encoding="utf-8")
        command += ["--dest", str(fetched), "--requirement", str(file)]
        result = process.run(command, env=engine.pip_environment())
        for wheel in fetched.glob("*.whl"):
            shutil.move(wheel, folder / wheel.name)
    if result.returncode:
        raise CannotError(
            f"wheels for Python {python} on {platform} could not be fetched: "
            + process.last_line(result.stdout),
            "check the network, the proxy and pip's index settings, and run the command again",
        )


def _wheel_platforms(platform: str) -> list[str]:
    """Return the platform tags that pip is to accept for a subdir, the best first.

    Source: PyPA specification, platform compatibility tags. For macOS, pip itself
    adds all versions before the one given.
    """
    system, _, machine = platform.partition("-")
    if system == "linux":
        machine = {"64": "x86_64"}.get(machine, machine)
        tags = [f"manylinux_2_{minor}_{machine}" for minor in range(40, 4, -1)]
        return [*tags, f"manylinux2014_{machine}", f"linux_{machine}"]
    if system == "osx":
        return [f"macosx_15_0_{'x86_64' if machine == '64' else machine}"]
    return ["win_amd64" if machine == "64" else "win_arm64"]


def _pack(folder: Path, file: Path) -> None:
    """Write the files of `folder` into a zip archive that depends on nothing else."""
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            member.create_system, member.file_size = 3, path.stat().st_size
            member.external_attr = 0o100644 << 16
            with path.open("rb") as content, archive.open(member, "w") as out:
                shutil.copyfileobj(content, out, 1 << 20)


def _unpack(file: Path, folder: Path) -> None:
    """Write the members of `file` into `folder`; zipfile compares each with its CRC-32."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > file.stat().st_size:
            raise ValueError("it holds more than its size allows")
        archive.extractall(folder)


def _check_platform(file: Path, folder: Path) -> None:
    """Load the engine, from the bundle if necessary, and check that it is for this machine."""
    with contextlib.suppress(CannotError):
        engine.load(engine.ENGINE)

        from condaw.lockfile.package import this_platform

        if (folder / this_platform()).is_dir():
            return
    platforms = sorted(path.name for path in folder.iterdir() if "-" in path.name and path.is_dir())
    raise CannotError(
        f"the bundle {file} is for {' and '.join(platforms)}, not for this machine",
        f"make one for it: python -m condaw bundle {file.name} --platform SUBDIR",
    )


def _use(wheels: Path) -> None:
    """Let pip and uv look for wheels in this folder and nowhere else."""
    links = wheels.as_uri()
    os.environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "UV_FIND_LINKS": links}
    if not engine.pip():
        folder = wheels.parent / "bin"
        _unpack_uv(wheels, folder)
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"


def _unpack_uv(wheels: Path, folder: Path) -> None:
    """Put the uv of this machine's kind into `folder`: the one that starts."""
    folder.mkdir()
    for wheel in wheels.glob("uv-*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            member = next(
                n for n in archive.namelist() if Path(n).stem == "uv" and "/scripts/" in n
            )
            program = folder / Path(member).name
            program.write_bytes(archive.read(member))
        program.chmod(0o755)
        with contextlib.suppress(OSError):
            process.run([program, "--version"])
            return
