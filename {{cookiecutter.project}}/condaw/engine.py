"""The libraries that do the work: hash-pinned, in a per-user cache, shared by all projects.

condaw starts on Python's standard library alone. `load` makes the pinned packages importable:
in place if this interpreter holds them already, else from a folder that pip fills once.
"""

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from condaw.base import process
from condaw.base.console import note
from condaw.base.errors import CannotError, next_step_after
from condaw.base.file_lock import exclusive
from condaw.base.project import cache_dir, unwritable_cache
from condaw.base.rename import rename

ENGINE = Path(__file__).with_name("engine.txt")
"""What makes and verifies environments: py-rattler, uv and a few small libraries."""
RELOCK = Path(__file__).with_name("relock.txt")
"""conda-lock and its dependencies; only `condaw lock` loads it."""


def load(*requirement_files: Path) -> None:
    """Make the packages of `requirement_files` importable, fetching them if they are nowhere.

    Raises CannotError if they cannot be fetched.
    """
    for requirements in reversed(requirement_files):
        if not importable(requirements):
            sys.path.insert(0, str(ensure(requirements)))


def importable(requirements: Path) -> bool:
    """Return whether this interpreter holds each package in exactly the pinned version."""
    pins = re.findall(r"^([\w.-]+)==(\S+) \\$", requirements.read_text(encoding="utf-8"), re.M)
    found: dict[str, str] = {}
    for place in sys.path:
        # Named NAME-VERSION.dist-info (PyPA specification, recording installed projects).
        for info in Path(place).glob("*.dist-info"):
            name, _, version = info.stem.partition("-")
            found.setdefault(_normalized(name), version)  # the first one is what is imported
    return all(found.get(_normalized(name)) == version for name, version in pins)


def folder(requirements: Path) -> Path:
    """Return where the packages of `requirements` belong for this kind of Python and machine."""
    kind = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    return cache_dir() / f"{requirements.stem}-{digest}-{kind}"


def ensure(requirements: Path) -> Path:
    """Return the folder of `requirements`, filled if it was not there yet.

    Raises CannotError if that cannot be done.
    """
    target = folder(requirements)
    if target.is_dir():
        return target
    _refuse_unfit_machine()
    # An installer that outlives its killed condaw goes on writing into the folder of that one.
    staging = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with exclusive("engine", f"the cache {cache_dir()}"):
            if target.is_dir():
                return target  # another process was first
            note(f"fetching {requirements.stem} (once for all projects) into {target}")
            for left in target.parent.glob(f"{target.name}.*.part"):
                shutil.rmtree(left, ignore_errors=True)
            try:
                _fill(staging, requirements)
                rename(staging, target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise unwritable_cache(error) from None
    return target


def _refuse_unfit_machine() -> None:
    """Raise CannotError where neither the engine nor Python is built for this machine."""
    machine = platform.machine().lower()
    if sys.maxsize < 1 << 32:
        problem, step = "this Python is a 32-bit program", "use a 64-bit Python"
    elif machine not in ("x86_64", "amd64", "aarch64", "arm64"):
        problem, step = f"no conda packages fit a processor of the kind {machine}", ""
    elif sys.platform == "linux" and "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        problem, step = "this system has musl as its C library, and conda packages need glibc", ""
    else:
        return
    systems = "use Linux with glibc (Debian, not Alpine), macOS or Windows, on x86-64 or arm64"
    raise CannotError(problem, step or systems)


def pip() -> list[str]:
    """Return the words that start pip: this Python's, or the one that Python carries along.

    Empty if there is neither.
    """
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("ensurepip"):
        import ensurepip

        bundled = Path(ensurepip.__file__).parent / "_bundled"
        for wheel in sorted(bundled.glob("pip-*.whl")):
            return [sys.executable, str(wheel / "pip")]
    return []


def pip_environment() -> dict[str, str]:
    """Return the process environment, without what a pip.conf for everyday use may ask for."""
    return dict(os.environ, PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0", PIP_NO_INPUT="1")


def _normalized(name: str) -> str:
    """Source: PyPA specification, names and normalization."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _fill(target: Path, requirements: Path) -> None:
    command = [*_installer(), "--target", str(target), "--requirement", str(requirements)]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    result = process.run(command, env=pip_environment())
    if result.returncode:
        next_step = "check the network, the proxy and pip's index settings"
        raise CannotError(
            f"the packages of condaw/{requirements.name} could not be fetched: "
            + process.last_line(result.stdout),
            f"{next_step_after(result.stdout, next_step)}, and run the command again",
        )


def _installer() -> list[str]:
    """Return the words that start an installer and tell it to install."""
    if words := pip():
        return [*words, "install", "--quiet", "--disable-pip-version-check"]
    if uv := shutil.which("uv"):
        alone = ["--no-index"] if os.environ.get("PIP_NO_INDEX") else []
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, *alone]
    raise CannotError(
        f"this Python ({sys.executable}) has neither pip nor uv to fetch packages with",
        "install pip for it (on Debian: apt install python3-pip) or uv, and run the command again",
    )
