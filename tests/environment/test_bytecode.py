"""Byte-code: compiled once for each Python, and then linked."""

from __future__ import annotations

import platform
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from condaw.environment import bytecode
from condaw.environment.prefix import File, site_packages
from condaw.lockfile.package import Package

URL = "https://a.example/c/linux-64/python-3-0.conda"
PYTHON = Package("conda", "python", platform.python_version(), "linux-64", URL, "0", None, {}, 1)


def prefix_with(folder: Path, **modules: str) -> dict[str, File]:
    """The files of a package `p` in a prefix whose Python is this one."""
    site = site_packages(folder, [PYTHON])
    site.mkdir(parents=True)
    files = {}
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)
        digest = sha256(text.encode()).hexdigest()
        files[f"{site.relative_to(folder)}/{name}.py"] = File("p", digest, len(text))
    return files


def python_of(folder: Path, target: str) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(target)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONDAW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_compiled_once_and_linked_from_then_on(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    files = prefix_with(one, good="X = 1\n", also="Y = 2\n", broken="print 'Python 2'\n")
    python_of(one, sys.executable)
    linked = bytecode.link(one, [PYTHON], files)
    assert prefix_with(other, good="X = 1\n", also="Y = 2\n", broken="print 'Python 2'\n") == files
    python_of(other, "/bin/false")  # so that nothing can be compiled
    assert bytecode.link(other, [PYTHON], files) == linked
    assert len(linked) == 3
    for path, file in linked.items():
        assert (one / path).samefile(other / path)
        code = (other / path).read_bytes()
        assert file == File("p", sha256(code).hexdigest(), None)
        # Empty is what Python looks at and leaves; the others hold a hash that it checks (PEP 552).
        assert code[4:8] == (b"" if "broken" in path else b"\3\0\0\0")


def test_what_a_package_brings_and_what_names_the_prefix_is_left_alone(tmp_path: Path) -> None:
    files = prefix_with(tmp_path / "a", brought="", placed="", unknown="", wanted="")
    (brought, _), (placed, file), (unknown, _), (wanted, _) = files.items()
    files[placed] = file._replace(size=None)
    files[unknown] = file._replace(sha256=None)
    tag = sys.implementation.cache_tag
    code = [path.replace(".py", f".{tag}.pyc") for path in (brought, wanted)]
    code = [path.replace("site-packages/", "site-packages/__pycache__/") for path in code]
    files |= {code[0]: file, "lib/setup.py": file}
    python_of(tmp_path / "a", sys.executable)
    assert [*bytecode.link(tmp_path / "a", [PYTHON], files)] == code[1:]
