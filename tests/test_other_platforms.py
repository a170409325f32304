"""Other machines and other installers: what is installed for them, and what they are given."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from channel import SITE_PACKAGES, write_package
from machine import ROOT, Machine

CONDA_LOCK = Path(sys.executable).with_name("conda-lock")
SHIPPED = ROOT / "templates" / "conda-lock"
FILES = {
    "win-64": ["python.exe", "Lib/os.py", "Library/bin/native.dll"],
    "osx-arm64": ["bin/python3.13", "lib/python3.13/os.py", "lib/libnative.dylib"],
}
INDEX = """
import asyncio, os, sys
from rattler.index import index_fs
asyncio.run(index_fs(sys.argv[1], write_zst=False, write_shards=False))
os._exit(0)
"""
# Installs the part of the lock that is for another platform, and prints what verify finds.
INSTALL = """
import json, sys
from pathlib import Path
from condaw.lockfile import environment_yml, reader
from condaw.environment.look import look, take_snapshot
from condaw.base import process
from condaw.environment import conda_meta
from condaw.environment import prefix as contents, verify
from condaw.environment.conda_packages import link
from condaw.base.project import Project
project, prefix, platform = Project(Path.cwd()), Path(sys.argv[1]), sys.argv[2]
packages = reader.read(project.lock_file, platform, environment_yml.channel_urls(project))
if not prefix.exists():
    link(packages, prefix, prefix)
    conda_meta.complete_records(project, prefix, packages)
    site = contents.site_packages(prefix, packages)
    conda_meta.protect(prefix, site)
    installed = contents.installed(prefix, site)
    take_snapshot(look(prefix, site, installed, contents.files_of(installed)))
print(json.dumps([finding.as_dict() for finding in verify.compare(project, prefix, packages)]))
process.finish(0)
"""


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel whose packages hold a file or two, for platforms that are not this one."""
    folder = tmp_path_factory.mktemp("stubs")
    for subdir, names in FILES.items():
        (folder / "channel" / subdir).mkdir(parents=True)
        for package, version, files in (
            ("python", "3.13.1", names[:2]),
            ("native", "1", names[2:]),
        ):
            stage = folder / subdir / package
            for name in files:
                (stage / name).parent.mkdir(parents=True, exist_ok=True)
                (stage / name).write_text(f"{package} on {subdir}")
            index = {"name": package, "version": version, "depends": [], "subdir": subdir}
            write_package(stage, folder / "channel", index)
    (folder / "channel" / "noarch").mkdir()
    stage = folder / "greeter"
    module = stage / SITE_PACKAGES / "greeter.py"
    module.parent.mkdir(parents=True)
    module.write_text("def main(): print('hello')\n")
    index = {"name": "greeter", "version": "1", "depends": ["python"], "subdir": "noarch"}
    index["noarch"] = "python"
    write_package(stage, folder / "channel", index, ["greet = greeter:main"])
    return folder / "channel"


@pytest.fixture(scope="module")
def project(stubs: Path, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is locked for Windows and macOS, not for this machine; only looked at."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "home").mkdir()
    machine, project = Machine(folder / "home", folder / "cache", template), folder / "project"
    shutil.copytree(ROOT / "{{cookiecutter.project}}" / "condaw", project / "condaw")
    done = machine.run(sys.executable, "-c", INDEX, stubs, cwd=project)
    assert done.returncode == 0, done.stderr
    (project / "environment.yml").write_text(
        f"channels: ['{stubs.as_uri()}']\nplatforms: [{', '.join(FILES)}]\n"
        "dependencies: [python, native, greeter]\n"
    )
    done = machine.condaw(project, "lock")
    assert done.returncode == 0, done.stderr
    return project


def findings(project: Path, prefix: Path, platform: str, machine: Machine) -> list[str]:
    done = machine.run(sys.executable, "-c", INSTALL, prefix, platform, cwd=project)
    assert done.returncode == 0, done.stderr
    return [f"{finding['kind']} {finding['path']}" for finding in json.loads(done.stdout)]


LAYOUT = {
    "win-64": {
        "python.exe",
        "Lib/os.py",
        "Library/bin/native.dll",
        "Lib/site-packages/greeter.py",
        "Scripts/greet.exe",
        "Scripts/greet-script.py",
    },
    "osx-arm64": {
        "bin/python3.13",
        "lib/python3.13/os.py",
        "lib/libnative.dylib",
        "lib/python3.13/site-packages/greeter.py",
        "bin/greet",
    },
}


def test_another_platform_gets_its_own_layout_and_entry_points_and_verifies(
    project: Path, machine: Machine, tmp_path: Path
) -> None:
    for platform, layout in LAYOUT.items():
        prefix = tmp_path / platform
        assert findings(project, prefix, platform, machine) == []
        found = {
            path.relative_to(prefix).as_posix()
            for path in prefix.rglob("*")
            if path.is_file() and "conda-meta" not in path.parts and path.name != "CACHEDIR.TAG"
        }
        marks = {path.relative_to(prefix).as_posix() for path in prefix.rglob("EXTERNALLY-*")}
        assert found - marks == layout
    windows = (tmp_path / "win-64" / "Scripts" / "greet-script.py").read_text()
    assert "from greeter import main" in windows  # greet.exe beside it finds ..\\python.exe
    assert (tmp_path / "win-64" / "Scripts" / "greet.exe").read_bytes().startswith(b"MZ")
    macos = (tmp_path / "osx-arm64" / "bin" / "greet").read_text()
    assert f"{tmp_path / 'osx-arm64' / 'bin' / 'python3.13'}" in macos.splitlines()[0]

    (tmp_path / "win-64" / "Scripts" / "greet-script.py").write_text("other")
    site = tmp_path / "win-64" / "Lib" / "site-packages"
    (site / "own.py").write_text("own")
    (site / "more-1.dist-info").mkdir()
    (site / "more-1.dist-info" / "METADATA").write_text("Name: more\nVersion: 1\n")
    (site / "more-1.dist-info" / "RECORD").write_text(
        "more-1.dist-info/METADATA,,\nmore-1.dist-info/RECORD,,\n"
    )
    (tmp_path / "win-64" / "Library" / "bin" / "native.dll").unlink()
    assert sorted(findings(project, tmp_path / "win-64", "win-64", machine)) == [
        "file-changed Scripts/greet-script.py",
        "file-foreign Lib/site-packages/own.py",
        "file-missing Library/bin/native.dll",
        "package-extra None",
    ]


def test_a_lock_without_this_platform_is_refused_and_says_how_to_add_it(
    project: Path, machine: Machine
) -> None:
    done = machine.condaw(project, "create")
    assert done.returncode == 3
    first, second = done.stderr.splitlines()
    assert re.fullmatch(
        r"condaw: cannot create: conda-lock.yml has no [\w-]+, only win-64, osx-arm64", first
    )
    assert re.fullmatch(
        r"condaw: next: add [\w-]+ under platforms: in environment.yml"
        r" and run: python -m condaw lock",
        second,
    )


def test_conda_lock_renders_every_platform_and_its_files_lack_what_the_docs_say(
    machine: Machine, tmp_path: Path
) -> None:
    """No sha256 for conda packages; PyPI packages as comments only."""
    shutil.copy(SHIPPED / "python-3.13-paramiko-5.yml", tmp_path / "conda-lock.yml")
    entries = yaml.load((tmp_path / "conda-lock.yml").read_text(), yaml.CSafeLoader)["package"]
    done = machine.run(CONDA_LOCK, "render", "--kind", "explicit", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for platform in ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64"):
        text = (tmp_path / f"conda-{platform}.lock").read_text()
        urls = {line for line in text.splitlines() if line.startswith("http")}
        here = [entry for entry in entries if entry["platform"] == platform]
        conda = [entry for entry in here if entry["manager"] == "conda"]
        assert urls == {f"{e['url']}#{e['hash']['md5']}" for e in conda}
        comments = {line.split()[2] for line in text.splitlines() if line.startswith("# pip ")}
        assert comments == {e["name"] for e in here if e not in conda}
        assert not any(e["hash"]["sha256"] in "".join(urls) for e in conda)
