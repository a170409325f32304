"""Strict reading: a good lock passes, and each way of breaking one is named with its line."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile import environment_yml, reader
from condaw.lockfile.package import Package
from condaw.lockfile.rules import url_faults
from machine import ROOT, Machine
from rattler import Channel

GOOD = ROOT / "templates" / "conda-lock" / "python-3.13-paramiko-5.yml"
PUBLIC = [str(Channel("conda-forge").base_url).rstrip("/")]
HEX = "0123456789abcdef" * 4

Content = dict[str, Any]
Break = Callable[[Content], object]


@functools.cache
def parsed() -> Content:
    """The good lock, with the packages of one platform only: that is read faster."""
    content: Content = yaml.load(GOOD.read_text(encoding="utf-8"), yaml.CSafeLoader)
    content["package"] = [e for e in content["package"] if e["platform"] == "linux-64"]
    return content


def entry(content: Content, name: str) -> Content:
    """One entry of the lock."""
    entries: list[Content] = content["package"]
    return next(e for e in entries if e["name"] == name)


def change(name: str, **fields: object) -> Break:
    """Give an entry other values."""
    return lambda content: entry(content, name).update(fields)


def replace(name: str, field: str, old: str, new: str) -> Break:
    """Replace text in a field of an entry."""

    def broken(content: Content) -> None:
        found = entry(content, name)
        assert old in found[field]
        found[field] = found[field].replace(old, new)

    return broken


def drop(name: str) -> Break:
    return lambda content: content["package"].remove(entry(content, name))


DEV = {"category": "dev"}


def wheel(file_name: str) -> Break:
    """Give the PyPI package scp another file."""
    return lambda content: entry(content, "scp").update(url=f"https://files.example/{file_name}")


ENTRY_DEFECTS: dict[str, tuple[Break, str]] = {
    "no sha256": (change("pip", hash={"md5": HEX[:32]}), "pip: sha256 is missing or malformed"),
    "no hash": (lambda c: entry(c, "pip").pop("hash"), "pip: sha256 is missing or malformed"),
    "a short sha256": (
        change("pip", hash={"sha256": HEX[:63]}),
        "pip: sha256 is missing or malformed",
    ),
    "capitals in sha256": (
        change("pip", hash={"sha256": HEX.upper()}),
        "sha256 is missing or malformed",
    ),
    "no hex in sha256": (
        change("pip", hash={"sha256": "x" * 64}),
        "pip: sha256 is missing or malformed",
    ),
    "a number as sha256": (
        change("pip", hash={"sha256": 1}),
        "pip: sha256 is missing or malformed",
    ),
    "malformed md5": (change("pip", hash={"sha256": HEX, "md5": "no"}), "pip: md5 is malformed"),
    "a missing dependency": (drop("openssl"), "needs openssl, which is not locked"),
    "a missing dependency of a wheel": (drop("scp"), "netmiko needs scp, which is not locked"),
    "a package twice": (
        lambda c: c["package"].append(entry(c, "pip")),
        "pip is locked twice",
    ),
    "another file in another category": (
        lambda c: c["package"].append({**entry(c, "pip"), "hash": {"sha256": HEX}} | DEV),
        "pip is locked twice",
    ),
    "a wheel twice, spelled otherwise": (
        lambda c: c["package"].append({**entry(c, "ntc-templates"), "name": "NTC_templates"}),
        "NTC_templates is locked twice",
    ),
    "no python": (drop("python"), "there is no python 3 for linux-64"),
    "a package of another platform": (
        replace("bzip2", "url", "/linux-64/", "/osx-64/"),
        "bzip2: its URL is of the platform osx-64",
    ),
    "an entry of a platform that the lock has not": (
        change("bzip2", platform="linux-46"),
        "bzip2: 'linux-46' is not one of the lock's platforms",
    ),
    "another channel": (
        replace("bzip2", "url", "/conda-forge/", "/someone-else/"),
        "bzip2: its URL is outside the channels of environment.yml",
    ),
    "another host": (
        replace("bzip2", "url", "https://", "https://evil."),
        "bzip2: its URL is outside the channels of environment.yml",
    ),
    "the channel defaults": (
        replace("bzip2", "url", "conda-forge", "pkgs/main"),
        "bzip2: its URL is `defaults`, whose terms need a licence",
    ),
    "plain http": (
        replace("bzip2", "url", "https:", "http:"),
        "bzip2: its URL is plain http: use https",
    ),
    "plain http for a wheel": (
        replace("scp", "url", "https:", "http:"),
        "scp: its URL is plain http: use https",
    ),
    "a password": (
        replace("scp", "url", "https://", "https://me:secret@"),
        "scp: its URL holds a password, a token or a variable for one",
    ),
    "a token in the path": (
        replace("bzip2", "url", "/conda-forge/", "/t/secret/conda-forge/"),
        "bzip2: its URL holds a password, a token or a variable for one",
    ),
    "a token in the query": (
        change("scp", url="https://files.example/scp-0.16.2-py2.py3-none-any.whl?token=secret"),
        "scp: its URL holds a password, a token or a variable for one",
    ),
    "a variable": (
        replace("bzip2", "url", "https://", "https://${TOKEN}@"),
        "bzip2: its URL holds a password, a token or a variable for one",
    ),
    "the file of another package": (
        replace("bzip2", "url", "/bzip2-", "/zlib-"),
        "bzip2: its URL is of another package, zlib-",
    ),
    "the file of another version": (
        change("bzip2", version="9"),
        "bzip2: its URL is of another package",
    ),
    "a file name that leaves the folder": (
        lambda c: entry(c, "bzip2").update(
            name="../bzip2", url=entry(c, "bzip2")["url"].replace("/bzip2-", "/..%2Fbzip2-")
        ),
        "../bzip2: its name is not one that conda packages have",
    ),
    "a source distribution": (wheel("scp-0.16.2.tar.gz"), "scp: its URL is not of a wheel"),
    "the wheel of another package": (
        wheel("scapy-0.16.2-py3-none-any.whl"),
        "scp: its URL is of another package, scapy-0.16.2-py3-none-any.whl",
    ),
    "the wheel of another version": (
        wheel("scp-0.16.1-py3-none-any.whl"),
        "scp: its URL is of another package, scp-0.16.1-py3-none-any.whl",
    ),
    "a wheel for an older Python": (
        wheel("scp-0.16.2-cp312-cp312-manylinux_2_17_x86_64.whl"),
        "does not fit Python 3.13.14 on linux-64",
    ),
    "a wheel for a later Python": (wheel("scp-0.16.2-py314-none-any.whl"), "does not fit Python"),
    "a wheel for Python 2": (wheel("scp-0.16.2-py2-none-any.whl"), "does not fit Python 3.13.14"),
    "a wheel for a free-threaded Python": (
        wheel("scp-0.16.2-cp313-cp313t-manylinux_2_17_x86_64.whl"),
        "does not fit Python 3.13.14 on linux-64",
    ),
    "a wheel for PyPy": (
        wheel("scp-0.16.2-pp311-pypy311_pp73-manylinux_2_17_x86_64.whl"),
        "does not fit Python 3.13.14 on linux-64",
    ),
    "a wheel for another system": (
        wheel("scp-0.16.2-cp313-cp313-win_amd64.whl"),
        "does not fit Python 3.13.14 on linux-64",
    ),
    "a wheel for another processor": (
        wheel("scp-0.16.2-cp313-cp313-manylinux_2_17_aarch64.whl"),
        "does not fit Python 3.13.14 on linux-64",
    ),
    "an unknown manager": (change("pip", manager="npm"), "pip: unknown manager 'npm'"),
    "a missing field": (lambda c: entry(c, "pip").pop("url"), "pip: url is not text"),
    "a number as version": (change("pip", version=26.2), "pip: version is not text"),
    "dependencies that are no mapping": (
        change("pip", dependencies=["python"]),
        "pip: dependencies are not names with versions",
    ),
    "a dependency without text": (
        change("pip", dependencies={"python": None}),
        "pip: dependencies are not names with versions",
    ),
    "an entry that is no mapping": (
        lambda c: c["package"].append("pip"),
        "an entry: name is not text",
    ),
}
EXAMPLE = """\
version: 1
metadata:
  content_hash:
    win-64: 0330a1a7629629d74acdf2d60b6a18e7691b47b25e14fa6b1f65fc31cc302951
  channels:
  - url: conda-forge
    used_env_vars: []
  platforms:
  - win-64
  sources:
  - environment.yml
package:
- name: ca-certificates
  version: 2025.10.5
  manager: conda
  platform: win-64
  dependencies:
    __win: ''
  url: https://conda.anaconda.org/conda-forge/noarch/ca-certificates-2025.10.5-h4c7d964_0.conda
  hash:
    md5: e54200a1cd1fe33d61c9df8d3b00b743
    sha256: bfb7f9f242f441fdcd80f1199edd2ecf09acea0f2bcef6f07d7cbb1a8131a345
  category: main
  optional: false
"""
"""The example of CEP 37, with the last of its platforms only."""
HEAD_DEFECTS: dict[str, tuple[Break, str]] = {
    "another version of the format": (
        lambda c: c.update(version=2),
        "the version of its format is not 1",
    ),
    "a version that is none": (lambda c: c.update(version=None), "the version of its format"),
    "no packages": (lambda c: c.pop("package"), "it has no list of packages"),
    "packages that are no list": (lambda c: c.update(package={}), "it has no list of packages"),
    "no metadata": (lambda c: c.pop("metadata"), "it has no list of platforms in metadata"),
    "no platforms": (lambda c: c["metadata"].pop("platforms"), "it has no list of platforms"),
    "platforms that are no names": (
        lambda c: c["metadata"].update(platforms=[["linux-64"]]),
        "it has no list of platforms",
    ),
}
HEAD = b"metadata: {platforms: [linux-64]}\n"
TEXT_DEFECTS = {
    "no UTF-8": (b"version: \xff", "line 1: it cannot be read as YAML"),
    "no YAML": (b"version: 1\npackage: [\n", "line 3: it cannot be read as YAML"),
    "a merge conflict": (
        b"version: 1\n<<<<<<< ours\npackage: []\n=======\n",
        "it cannot be read as YAML",
    ),
    "no mapping": (b"- 1\n", "line 1: it is not a mapping"),
    "nothing": (b"", "line 1: it is not a mapping"),
    "an object of Python": (b"!!python/object/apply:os.getcwd []", "it cannot be read as YAML"),
}


def read(path: Path, content: Content, platform: str = "linux-64") -> list[Package]:
    path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper), encoding="utf-8")
    return reader.read(path, platform, PUBLIC)


def broken(break_it: Break) -> Content:
    content = copy.deepcopy(parsed())
    break_it(content)
    return content


def test_a_good_lock_gives_every_package_of_the_platform() -> None:
    packages = reader.read(GOOD, "linux-64", PUBLIC)
    expected = parsed()["package"]
    assert [(p.name, p.version, p.url, p.sha256) for p in packages] == [
        (e["name"], e["version"], e["url"], e["hash"]["sha256"]) for e in expected
    ]


def test_the_shapes_that_the_specification_allows_are_taken(tmp_path: Path) -> None:
    """CEP 37: `version` and `category` are optional; a package may be in two categories."""

    def reshape(content: Content) -> None:
        content.pop("version")
        entry(content, "rich").pop("category")
        for name in ("pip", "scp"):
            content["package"].append(entry(content, name) | DEV)

    packages = read(tmp_path / "conda-lock.yml", broken(reshape))
    assert [p.name for p in packages] == [e["name"] for e in parsed()["package"]]


def test_the_example_of_the_specification_lacks_nothing_but_a_python(tmp_path: Path) -> None:
    path = tmp_path / "conda-lock.yml"
    path.write_text(EXAMPLE, encoding="utf-8")
    with pytest.raises(reader.LockError) as caught:
        reader.read(path, "win-64", PUBLIC)
    assert [defect.text for defect in caught.value.defects] == ["there is no python 3 for win-64"]


@pytest.mark.parametrize("defect", ENTRY_DEFECTS)
def test_an_entry_is_refused_for(defect: str, tmp_path: Path) -> None:
    break_it, reason = ENTRY_DEFECTS[defect]
    with pytest.raises(reader.LockError) as caught:
        read(tmp_path / "conda-lock.yml", broken(break_it))
    assert any(reason in found.text for found in caught.value.defects), caught.value.defects


@pytest.mark.parametrize("defect", HEAD_DEFECTS)
def test_the_head_is_refused_for(defect: str, tmp_path: Path) -> None:
    break_it, reason = HEAD_DEFECTS[defect]
    with pytest.raises(reader.LockError) as caught:
        read(tmp_path / "conda-lock.yml", broken(break_it))
    assert reason in caught.value.cause


@pytest.mark.parametrize("defect", TEXT_DEFECTS)
def test_the_file_is_refused_for(defect: str, tmp_path: Path) -> None:
    content, reason = TEXT_DEFECTS[defect]
    path = tmp_path / "conda-lock.yml"
    path.write_bytes(content)
    with pytest.raises(reader.LockError) as caught:
        reader.read(path, "linux-64", PUBLIC)
    assert reason in caught.value.cause


def test_a_defect_is_named_with_the_line_of_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "conda-lock.yml"
    text = GOOD.read_text(encoding="utf-8")
    good = entry(parsed(), "bzip2")["hash"]["sha256"]
    path.write_text(text.replace(good, "0" * 63), encoding="utf-8")
    with pytest.raises(reader.LockError) as caught:
        reader.read(path, "linux-64", PUBLIC)
    [defect] = caught.value.defects
    assert text.splitlines()[defect.line - 1] == "- name: bzip2"


def test_only_the_entries_of_the_platform_that_is_asked_for_are_judged(tmp_path: Path) -> None:
    """However they are written: with comments, empty lines, and no end of the last line."""
    path, text = tmp_path / "conda-lock.yml", GOOD.read_text(encoding="utf-8")
    other = "\n  platform: osx-64\n"
    text = text.replace(other, f"\n# a comment\n\n{other}  build: 1\n\n# another\n").rstrip()
    foreign = text.index(other)
    sha256 = text.index("sha256: ", foreign) + len("sha256: ")
    path.write_text(text[:sha256] + "x" + text[sha256 + 1 :], encoding="utf-8")
    good = reader.read(path, "linux-64", PUBLIC)
    assert [p.name for p in good] == [e["name"] for e in parsed()["package"]]
    lines = text.splitlines()
    assert all(lines[p.line - 1] == f"- name: {p.name}" for p in good)
    with pytest.raises(reader.LockError, match="sha256 is missing or malformed"):
        reader.read(path, "osx-64", PUBLIC)


def test_all_defects_are_kept_and_three_are_said(tmp_path: Path) -> None:
    def spoil(content: Content) -> None:
        for name in ("pip", "ruff", "rich", "scp", "bzip2"):
            entry(content, name)["hash"] = {}

    with pytest.raises(reader.LockError) as caught:
        read(tmp_path / "conda-lock.yml", broken(spoil))
    assert len(caught.value.defects) == 5
    assert caught.value.cause.endswith("; and 2 more")


def test_nothing_secret_of_a_lock_is_said(tmp_path: Path) -> None:
    break_it = replace("bzip2", "url", "https://", "https://me:secret@")
    with pytest.raises(reader.LockError) as caught:
        read(tmp_path / "conda-lock.yml", broken(break_it))
    assert "secret" not in str(caught.value) + caught.value.cause + caught.value.next_step


@pytest.mark.parametrize(
    "file_name",
    [
        "scp-0.16.2-py3-none-any.whl",
        "scp-0.16.2-py2.py3-none-any.whl",
        "scp-0.16.2-py310-none-any.whl",
        "scp-0.16.2-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "scp-0.16.2-cp313-none-linux_x86_64.whl",
        "scp-0.16.2-cp39-abi3-manylinux_2_34_x86_64.whl",
        "scp-0.16.2-py3-none-manylinux1_x86_64.whl",
        "scp-0.16.2-1-py3-none-any.whl",
    ],
)
def test_a_wheel_that_fits_is_taken(file_name: str, tmp_path: Path) -> None:
    assert read(tmp_path / "conda-lock.yml", broken(wheel(file_name)))


def test_a_dependency_of_a_wheel_may_come_from_conda_under_another_name(tmp_path: Path) -> None:
    def rename(content: Content) -> None:
        entry(content, "scp")["dependencies"]["msgpack"] = "*"
        name, pip = "msgpack-python", entry(content, "pip")
        url = pip["url"].replace("/pip-", f"/{name}-")
        content["package"].append({**pip, "name": name, "url": url})

    assert read(tmp_path / "conda-lock.yml", broken(rename))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "10.1.2.3", "mirror", "a.internal"]
)
def test_plain_http_is_taken_within_the_own_network(host: str) -> None:
    assert list(url_faults(f"http://{host}/channel")) == []


@pytest.mark.parametrize(
    "channel",
    [
        r"C:\conda\channel",
        "C:/conda/channel",
        r"\\server\share",
        "file://server/share",
        "/srv/channel",
    ],
)
def test_a_folder_is_taken_as_a_channel_on_each_platform(channel: str) -> None:
    assert list(url_faults(channel)) == []


def test_a_lock_without_the_platform_says_how_to_add_it() -> None:
    with pytest.raises(CannotError) as caught:
        reader.read(GOOD, "linux-ppc64le", PUBLIC)
    said = "conda-lock.yml has no linux-ppc64le, only linux-64, linux-aarch64, osx-64, osx-arm64"
    assert caught.value.cause.startswith(said)
    assert caught.value.next_step == (
        "add linux-ppc64le under platforms: in environment.yml and run: python -m condaw lock"
    )


@pytest.mark.parametrize(
    ("channels", "reason"),
    [
        ("[defaults]", "is `defaults`, whose terms need a licence: use conda-forge"),
        ("['https://me:secret@a.example/b']", "holds a password, a token"),
        ("['https://a.example/t/secret/b']", "holds a password, a token"),
        ("['http://a.example/b']", "is plain http: use https"),
        (
            "conda-forge: 1",
            "found `channels: conda-forge: 1`, which is not YAML",
        ),
        ("", "line 1: found nothing, expected a list, such as channels: [conda-forge]"),
    ],
)
def test_a_channel_that_no_lock_should_come_from_is_refused(
    channels: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "environment.yml").write_text(f"channels: {channels}\n", encoding="utf-8")
    with pytest.raises(CannotError) as caught:
        environment_yml.channel_urls(Project(tmp_path))
    assert reason in caught.value.cause
    assert "secret" not in caught.value.cause


def test_create_refuses_a_broken_lock_in_two_lines(project: Path, machine: Machine) -> None:
    path = project / "conda-lock.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("sha256: ", "sha256: x"), "utf-8")
    done = machine.condaw(project, "create")
    assert done.returncode == 3
    first, second = done.stderr.splitlines()
    assert first.startswith("condaw: cannot create: conda-lock.yml is not acceptable: line ")
    assert second == (
        "condaw: next: restore it from version control, or make it again: python -m condaw lock"
    )
    assert not (project / ".conda").exists()
