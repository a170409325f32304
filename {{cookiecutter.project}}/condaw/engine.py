"""The libraries that do the work: hash-pinned, in a per-user cache, shared by all projects.

condaw starts on the standard library alone. `load` makes the pinned packages importable: in place
if this Python holds them already, else from a folder that pip fills once.
"""

import hashlib
import importlib.util
import re
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from condaw.base import process
from condaw.base.console import note, waiting
from condaw.base.errors import CannotError, next_step_after
from condaw.base.file_lock import of_cache
from condaw.base.files import rename
from condaw.base.project import cache_dir, own_cache, unwritable_cache
from condaw.network import pip_config

ENGINE = Path(__file__).with_name("engine.txt")
RELOCK = Path(__file__).with_name("relock.txt")  # what `lock` needs besides: conda-lock
AUDIT = Path(__file__).with_name("audit.txt")  # what `audit` runs: pixi-sbom
CONTENT = {
    ENGINE: "its engine, rattler and uv",
    RELOCK: "conda-lock, for solving",
    AUDIT: "pixi-sbom, for asking",
}
FITTING = ", use a 64-bit Python on Linux with glibc (not Alpine), macOS or Windows"


def load(*requirement_files: Path) -> None:
    """Make the packages of `requirement_files` importable, fetching them if they are nowhere."""
    for requirements in reversed(requirement_files):
        if not importable(requirements):
            sys.path.insert(0, str(fetched(requirements)))


def importable(requirements: Path) -> bool:
    """Return whether this interpreter holds each package in exactly the pinned version."""
    pins = re.findall(r"^([\w.-]+==\S+) \\$", requirements.read_text(encoding="utf-8"), re.M)
    # By the names of folders, NAME-VERSION.dist-info (PyPA specification, recording installed
    # projects): each command starts here, and importlib.metadata takes 25 ms.
    infos = (info for place in sys.path for info in Path(place).glob("*.dist-info"))
    return set(map(_normalized, pins)) <= {_normalized(info.stem) for info in infos}


def folder(requirements: Path) -> Path:
    """Return where the packages of `requirements` belong for this kind of Python and machine."""
    kind = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    return cache_dir() / f"{requirements.stem}-{digest}-{kind}"


def pip() -> list[str]:
    """Return the words that start pip, this Python's or the one that it carries along, if any."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    ensurepip = importlib.util.find_spec("ensurepip")
    wheels = Path(str(ensurepip.origin)).parent.glob("_bundled/pip-*.whl") if ensurepip else ()
    return next(([sys.executable, str(wheel / "pip")] for wheel in wheels), [])


def not_fetched(what: str, output: str) -> CannotError:
    """Return the error to raise when the program that printed `output` could not fetch `what`."""
    otherwise = "check the network, the proxy and pip's index settings"
    if "No matching distribution" in output:
        otherwise += FITTING
    cause = f"{what} could not be fetched: {process.last_line(output)}"
    return CannotError(cause, f"{next_step_after(output, otherwise)}, and run the command again")


def _normalized(name: str) -> str:
    return re.sub(r"[-_.=]+", "-", name).lower()


def fetched(requirements: Path) -> Path:
    """Return the folder of `requirements`, filled if it was not there yet."""
    target = folder(requirements)
    if own_cache() and target.is_dir():
        return target
    try:
        with of_cache("engine"):
            if target.is_dir():
                return target  # another process was first
            what = f"fetching {CONTENT[requirements]}"
            note(f"{what}, once for all projects with this Python, into {target}")
            for left in target.parent.glob("*.part"):
                shutil.rmtree(left, ignore_errors=True)
            # Its name is new: an installer that outlives its killed condaw goes on writing.
            part = tempfile.TemporaryDirectory(".part", dir=cache_dir(), ignore_cleanup_errors=True)
            with waiting(what), part as staging:
                _install(requirements, Path(staging))
                rename(Path(staging), target)
    except OSError as error:
        raise unwritable_cache(error) from None
    return target


def _install(requirements: Path, target: Path) -> None:
    """Install with pip, or else with uv."""
    if command := pip():
        command += ["install", "--quiet", "--disable-pip-version-check"]
        env = pip_config.pip_environment()
    elif uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", "--no-config", "--python", sys.executable]
        env = pip_config.uv_environment()
        command += ["--no-index"] if env.get("PIP_NO_INDEX") else []
    else:
        cause = f"this Python ({sys.executable}) has neither pip nor uv to fetch packages with"
        next_step = "install pip for it (on Debian: apt install python3-pip) or uv"
        raise CannotError(cause, f"{next_step}, and run the command again")
    command += ["--target", str(target), "--requirement", str(requirements)]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    result = process.run(command, env=env)
    if result.returncode:
        raise not_fetched(f"the packages of condaw/{requirements.name}", result.stdout)
