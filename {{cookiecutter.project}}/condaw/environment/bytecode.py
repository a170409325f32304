"""Byte-code of packages that bring none: compiled once for each Python, and kept in the cache.

Each holds a hash of its source, and Python runs it for no other (PEP 552). It is linked into a
prefix, and compared, like every other file.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from condaw.base import process
from condaw.base.file_lock import of_cache
from condaw.base.files import sha256_of
from condaw.base.layout import PYTHON
from condaw.base.project import cache_dir
from condaw.environment.prefix import File, site_packages, source_of
from condaw.lockfile.package import Package

COMPILE = ("-m", "compileall", "-qq", "--invalidation-mode", "checked-hash", "-i", "-")


def link(prefix: Path, packages: Sequence[Package], files: Mapping[str, File]) -> dict[str, File]:
    """Link byte-code for those of `files` that are sources in site-packages, and return it."""
    python = next(package for package in packages if package.name == "python")
    wanted = _wanted(files, f"{site_packages(Path(), packages).as_posix()}/", python)
    with of_cache("byte-code"):
        store = cache_dir() / "byte-code" / python.stem
        store.mkdir(parents=True, exist_ok=True)
        with os.scandir(store) as entries:
            kept = dict(entry.name.split(".") for entry in entries)
        missing = {sha256: path for path, (_, sha256) in wanted.items() if sha256 not in kept}
        _compile(prefix, list(missing.values()))
        for sha256, path in missing.items():
            (prefix / path).touch()  # if it cannot be compiled, this Python cannot import it either
            kept[sha256] = sha256_of(prefix / path)
            shutil.move(prefix / path, store / f"{sha256}.{kept[sha256]}")
        for path, (_, sha256) in wanted.items():
            _link(f"{store}/{sha256}.{kept[sha256]}", f"{prefix}/{path}")
    return {path: File(name, kept[sha256], None) for path, (name, sha256) in wanted.items()}


def forget() -> None:
    """Drop all byte-code from the cache: a hard link may have carried an edit into it."""
    with of_cache("byte-code"):
        shutil.rmtree(cache_dir() / "byte-code", ignore_errors=True)


def _wanted(files: Mapping[str, File], site: str, python: Package) -> dict[str, tuple[str, str]]:
    """Return where Python looks for byte-code in `site` that no package brings, each with the
    package and the sha256 of the source. A source whose size is not known names its prefix."""
    tag, found = "".join(python.version.split(".")[:2]), {}
    for path, file in files.items():
        if path.startswith(site) and path.endswith(".py") and file.sha256 and file.size is not None:
            folder, _, name = path.rpartition("/")
            target = f"{folder}/__pycache__/{name[:-3]}.cpython-{tag}.pyc"
            if target not in files:
                found[target] = file.package, file.sha256
    return found


def _compile(prefix: Path, targets: Sequence[str]) -> None:
    """Compile the sources of `targets`, without `site`: it would run what is in .pth files."""
    command = [str(prefix / PYTHON), "-I", "-S", "-X", "utf8", *COMPILE]
    sources = [f"{prefix}/{source_of(target)}" for target in targets]
    cores = os.cpu_count() or 1
    shares = ["\n".join(sources[core::cores]) for core in range(min(cores, len(sources)))]
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda share: process.run(command, stdin=share), shares))


def _link(kept: str, target: str) -> None:
    try:
        os.link(kept, target)
    except FileNotFoundError:
        Path(target).parent.mkdir()
        _link(kept, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(kept, target)
