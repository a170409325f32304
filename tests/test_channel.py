"""The embedded channel: what it holds can be solved, installed, verified and used."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import channel as channel_tool
import pytest
import yaml
from conda_package_streaming import package_streaming  # type: ignore[import-untyped]
from machine import ROOT

TOOL = ROOT / "tools" / "channel.py"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PURE = {"iniconfig", "markdown-it-py", "mdurl", "packaging", "pip", "pluggy"}
PURE |= {"pycparser", "pygments", "pytest", "rich", "ruamel.yaml", "typing_extensions"}
BINARY = {"bcrypt", "cffi", "cryptography", "pynacl", "pyyaml", "ruff", "python"}
NO_BYTE_CODE = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
# In a process of its own, because py-rattler can crash while the interpreter shuts down.
INSTALL = """
import asyncio, os, sys
from pathlib import Path
from rattler import VirtualPackage, install, solve

async def main(channel, prefix, cache, *specs):
    detected = [package.into_generic() for package in VirtualPackage.detect()]
    records = await solve([channel], list(specs), virtual_packages=detected)
    await install(records, prefix, cache_dir=cache, show_progress=False)

try:
    asyncio.run(main(*sys.argv[1:]))
except Exception as error:
    print(error, file=sys.stderr, flush=True)
    os._exit(1)
os._exit(0)
"""


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, **options)


def install(channel: Path, prefix: Path, *specs: str) -> subprocess.CompletedProcess[str]:
    cache = prefix.with_name("cache")
    return run(sys.executable, "-c", INSTALL, channel.as_uri(), prefix, cache, *specs)


def python(prefix: Path, *arguments: str) -> str:
    """What the Python of `prefix` prints."""
    done = run(prefix / "bin" / "python", *arguments, env=NO_BYTE_CODE)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def records(channel: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every archive of the channel and its record in the index."""
    for repodata in channel.glob("*/repodata.json"):
        for name, record in json.loads(repodata.read_bytes())["packages.conda"].items():
            yield repodata.with_name(name), record


@pytest.fixture(scope="module")
def prefix(channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with every package of the channel."""
    path = tmp_path_factory.mktemp("channel") / "prefix"
    names = {record["name"] for _, record in records(channel)}
    done = install(channel, path, *names)
    assert done.returncode == 0, done.stderr
    return path


def test_the_packages_have_the_names_and_kinds_that_conda_forge_gives_them(channel: Path) -> None:
    kinds = {record["name"]: record["subdir"] for _, record in records(channel)}
    assert {name for name, subdir in kinds.items() if subdir == "noarch"} == PURE | {"python_abi"}
    assert {name for name, subdir in kinds.items() if subdir != "noarch"} == BINARY


def test_stand_ins_are_what_the_shipped_lock_has_and_the_channel_has_not(
    channel: Path, tmp_path: Path
) -> None:
    file = channel_tool.LOCKS / f"python-{channel_tool.VERSION}-paramiko-5.yml"
    entries = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)["package"]
    linux = {e["name"] for e in entries if (e["manager"], e["platform"]) == ("conda", "linux-64")}
    assert linux - {record["name"] for _, record in records(channel)} == {
        *channel_tool.lacking("linux-64")
    }
    (tmp_path / "noarch").mkdir()
    channel_tool.pack_stand_in(tmp_path / "stage", tmp_path, "openssl", "3.6.5")
    assert [path.name[:14] for path in tmp_path.glob("noarch/*.conda")] == ["openssl-3.6.5-"]


def test_pure_packages_name_no_python_version(channel: Path) -> None:
    for path in channel.glob("noarch/*.conda"):
        with path.open("rb") as archive:
            members = package_streaming.stream_conda_component(path.name, archive, "pkg")
            folders = {member.name.split("/")[0] for _, member in members}
        assert folders <= {"site-packages", "python-scripts"}, path.name


def test_all_packages_work_together_in_one_prefix(prefix: Path) -> None:
    code = "import cryptography, bcrypt, nacl.signing, rich, yaml, pytest, ruamel.yaml, test, sys"
    where = python(prefix, "-c", f"{code}; print(sys.prefix, bcrypt.__version__, yaml.__file__)")
    site_packages = prefix / "lib" / PYTHON / "site-packages"
    assert where == f"{prefix} 5.0.0 {site_packages / 'yaml' / '__init__.py'}"
    assert python(prefix, "-c", "import platform as p; print(p.python_version())") == (
        platform.python_version()
    )


def test_pip_finds_every_requirement_met(prefix: Path) -> None:
    assert "No broken requirements" in python(prefix, "-m", "pip", "check")


def test_commands_run_from_the_prefix(prefix: Path) -> None:
    for command in ("pip", "pytest", "ruff", "cffi-gen-src"):
        done = run(prefix / "bin" / command, "--help", env=NO_BYTE_CODE)
        assert done.returncode == 0, done.stderr
        assert command in done.stdout


def test_files_name_the_prefix_and_no_placeholder(prefix: Path) -> None:
    code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    original = sysconfig.get_config_var("LIBDIR")
    assert python(prefix, "-c", code) == original.replace(sys.base_prefix, str(prefix))
    assert (prefix / "bin" / "cffi-gen-src").read_text().startswith(f"#!{prefix}/bin/{PYTHON}\n")
    files = {path for path in prefix.rglob("*") if path.is_file()} - {*prefix.glob("conda-meta/*")}
    assert not [path for path in files if channel_tool.PLACEHOLDER.encode() in path.read_bytes()]


def test_binary_packages_are_bound_to_the_python_that_they_were_built_for(
    channel: Path, tmp_path: Path
) -> None:
    done = install(channel, tmp_path / "prefix", "pyyaml", "python_abi 3.10.*")
    assert done.returncode == 1
    abi = f"python_abi {sys.version_info.major}.{sys.version_info.minor}.*"
    binary = [record for _, record in records(channel) if record["name"] in BINARY]
    assert all(any(d.startswith(abi) for d in record["depends"]) for record in binary)


def test_other_content_never_gets_the_same_name(tmp_path: Path) -> None:
    output = tmp_path / "channel"
    (output / "noarch").mkdir(parents=True)
    index = {"name": "sample", "version": "1", "subdir": "noarch", "depends": ["python"]}
    variants = [("one", index), ("two", index), ("one", {**index, "depends": []})]
    for number, (content, variant) in enumerate(variants):
        stage = tmp_path / str(number)
        stage.mkdir()
        (stage / "file").write_text(content, encoding="utf-8")
        channel_tool.write_package(stage, output, variant)
    assert len({path.name for path in output.glob("noarch/sample-1-h*.conda")}) == 3


def test_a_channel_that_exists_is_found_without_heavy_imports(channel: Path) -> None:
    done = run(sys.executable, "-X", "importtime", TOOL)
    assert done.stdout.splitlines()[-1] == str(channel)
    imported = set(re.findall(r"\| +([a-z_]+)", done.stderr))
    assert "hashlib" in imported
    assert not imported & {"rattler", "installer", "packaging", "conda_package_streaming"}


def test_two_builders_make_one_channel_after_one_that_was_killed_with_byte_code_all_the_same(
    channel: Path, tmp_path: Path
) -> None:
    (tmp_path / f"{channel.name}.part" / "output" / "noarch").mkdir(parents=True)
    command = [sys.executable, str(TOOL), "--output", str(tmp_path)]
    elsewhere = {**NO_BYTE_CODE, "PYTHONPYCACHEPREFIX": str(tmp_path / "pycache")}
    builders = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=elsewhere)
        for _ in range(2)
    ]
    assert {builder.communicate()[0].strip() for builder in builders} == {
        str(tmp_path / channel.name)
    }
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [channel.name]
    again = {path.name for path in (tmp_path / channel.name).glob("*/*.conda")}
    assert again == {path.name for path in channel.glob("*/*.conda")}


def test_the_python_has_byte_code_for_each_module_that_names_no_prefix(prefix: Path) -> None:
    library = prefix / "lib" / PYTHON
    modules = {path.stem for path in library.glob("*.py") if "_sysconfigdata" not in path.name}
    compiled = {path.name.split(".")[0] for path in (library / "__pycache__").iterdir()}
    assert compiled >= modules


def test_wheels_that_cannot_be_had_are_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    said = r"pip could not download the wheels of channel\.txt\. Check the network"
    with pytest.raises(channel_tool.ChannelError, match=said):
        channel_tool.download(tmp_path)


def test_a_python_that_cannot_be_copied_is_refused_in_one_sentence(tmp_path: Path) -> None:
    code = "import runpy, sys; sys.platlibdir = 'lib64'; tool = sys.argv.pop(1);"
    code += "runpy.run_path(tool, run_name='__main__')"
    done = run(sys.executable, "-c", code, TOOL, "--output", tmp_path / "build")
    assert done.returncode == 1
    assert re.fullmatch(
        r"Cannot make a conda package of .* lib64\. Run this with .*\n", done.stderr
    )
    assert not (tmp_path / "build").exists()
