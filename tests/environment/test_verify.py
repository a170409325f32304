"""The proof finds what was done to an environment, names it, and a repair mends it."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from archives import wheel
from harm import rewrite
from machine import VERSION, Machine

SITE = f"lib/python{VERSION}/site-packages"
RICH = f"{SITE}/rich/console.py"
NETMIKO = f"{SITE}/netmiko/__init__.py"
# Byte-code that Python trusts without a look at the source, as conda-forge's does.
KEYWORD = f"lib/python{VERSION}/__pycache__/keyword.{sys.implementation.cache_tag}.pyc"
POISONED = f"markup.{sys.implementation.cache_tag}.pyc"
# In a small environment: a file of a conda package, one of a wheel, and byte-code.
INICONFIG = f"{SITE}/iniconfig/__init__.py"
TEXTFSM = f"{SITE}/textfsm/__init__.py"
CODE = f"{SITE}/iniconfig/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"
SMALL = (INICONFIG, TEXTFSM, CODE)


Damage = Callable[[Path], str]


def edited(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """Return a damage: another content of the file `name`."""

    def damage(prefix: Path) -> str:
        rewrite(prefix / name, change((prefix / name).read_bytes()))
        return name

    return damage


def removed(name: str) -> Damage:
    """Return a damage: the file `name` is gone."""

    def damage(prefix: Path) -> str:
        (prefix / name).unlink()
        return name

    return damage


def swapped(prefix: Path) -> str:
    one, two = (prefix / SITE / "rich" / name for name in ("box.py", "align.py"))
    first, second = one.read_bytes(), two.read_bytes()
    rewrite(one, second)
    rewrite(two, first)
    return f"{SITE}/rich/box.py"


def added(prefix: Path) -> str:
    (prefix / SITE / "sneaky.py").write_text("import os\n", encoding="utf-8")
    return f"{SITE}/sneaky.py"


def link_redirected(prefix: Path) -> str:
    link = prefix / "bin" / "python"
    link.unlink()
    link.symlink_to(sys.executable)
    return "bin/python"


def link_made_a_file(prefix: Path) -> str:
    link = prefix / "bin" / "python3"
    content = link.resolve().read_bytes()
    link.unlink()
    link.write_bytes(content)
    return "bin/python3"


def link_to_a_copy(prefix: Path) -> str:
    path = prefix / SITE / "rich" / "rule.py"
    twin = prefix.parent / "rule.py"
    shutil.copy(path, twin)
    path.unlink()
    path.symlink_to(twin)
    return f"{SITE}/rich/rule.py"


def mode_changed(prefix: Path) -> str:
    path = prefix / SITE / "rich" / "style.py"
    rewrite(path, path.read_bytes())
    path.chmod(0o777)
    return f"{SITE}/rich/style.py"


def wheel_mode_changed(prefix: Path) -> str:
    (prefix / "bin" / "netmiko-show").chmod(0o644)
    return "bin/netmiko-show"


def file_and_its_record_changed(prefix: Path) -> str:
    """As one who wants to hide it would: the record holds the hash of what is there."""
    name = f"{SITE}/rich/emoji.py"
    rewrite(prefix / name, b"print('gotcha')\n")
    record = next((prefix / "conda-meta").glob("rich-*.json"))
    content = json.loads(record.read_text(encoding="utf-8"))
    entry = next(e for e in content["paths_data"]["paths"] if e["_path"] == name)
    entry |= {"sha256": sha256((prefix / name).read_bytes()).hexdigest(), "size_in_bytes": 16}
    record.write_text(json.dumps(content), encoding="utf-8")
    return f"conda-meta/{record.name}"


def record_of_a_wheel_changed(prefix: Path) -> str:
    record = next((prefix / SITE).glob("textfsm-*.dist-info")) / "RECORD"
    rewrite(record, record.read_bytes() + b"textfsm/extra.py,,\n")
    return record.relative_to(prefix).as_posix()


def record_removed(prefix: Path) -> str:
    next((prefix / "conda-meta").glob("iniconfig-*.json")).unlink()
    return "iniconfig"


def record_of_another_build(prefix: Path) -> str:
    path = next((prefix / "conda-meta").glob("pluggy-*.json"))
    record = {**json.loads(path.read_text(encoding="utf-8")), "build": "other_0"}
    path.write_text(json.dumps(record), encoding="utf-8")
    return "pluggy"


def wheel_of_another_version(prefix: Path) -> str:
    info = next((prefix / SITE).glob("scp-*.dist-info"))
    info.rename(info.with_name("scp-99.dist-info"))
    return "scp"


def project_link_removed(prefix: Path) -> str:
    for path in (prefix / SITE).glob("demo-*.dist-info/*"):
        path.unlink()
    return "demo"


def record_added(prefix: Path) -> str:
    """A second record for python that vouches for what is edited."""
    python = next((prefix / "conda-meta").glob("python-3*.json"))
    record = json.loads(python.read_text(encoding="utf-8"))
    name = f"lib/python{VERSION}/colorsys.py"
    entry = next(e for e in record["paths_data"]["paths"] if e["_path"] == name)
    entry |= {"sha256": sha256(b"evil").hexdigest(), "size_in_bytes": 4}
    rewrite(prefix / name, b"evil")
    (prefix / "conda-meta" / "zz.json").write_text(json.dumps(record), encoding="utf-8")
    return "conda-meta/zz.json"


def dist_info_added(prefix: Path) -> str:
    (prefix / SITE / "sitecustomize.py").touch()
    name = f"{SITE}/TextFSM-2.1.0.dist-info/RECORD"
    (prefix / name).parent.mkdir()
    (prefix / name).write_text("sitecustomize.py,,\n", encoding="utf-8")
    return name


def variables_set(prefix: Path) -> str:
    content = '{"env_vars": {"PYTHONPATH": "/evil"}}'
    (prefix / "conda-meta" / "state").write_text(content, encoding="utf-8")
    return "conda-meta/state"


def variables_of_a_package_added(prefix: Path) -> str:
    file = prefix / "etc" / "conda" / "env_vars.d" / "evil.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}", encoding="utf-8")
    return "etc/conda/env_vars.d/evil.json"


def folder_opened_to_others(prefix: Path) -> str:
    (prefix / SITE / "rich").chmod(0o777)
    return f"{SITE}/rich/"


def given_to_another_user(prefix: Path) -> str:
    path = prefix / SITE / "pluggy" / "__init__.py"
    rewrite(path, path.read_bytes())
    os.chown(path, 4321, 4321)
    return f"{SITE}/pluggy/__init__.py"


def capability_given(prefix: Path) -> str:
    path = prefix / "bin" / "ruff"
    rewrite(path, path.read_bytes())
    path.chmod(0o755)
    # cap_net_bind_service, permitted; see <linux/capability.h>, struct vfs_cap_data.
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000000, 1 << 10, 0, 0, 0))
    return "bin/ruff"


# Each harms something of its own and gives the path or package that the finding has to name.
DAMAGES: list[tuple[str, Damage]] = [
    ("file-changed", edited(RICH, lambda content: content[:-1] + b"#")),
    ("file-changed", edited(f"{SITE}/rich/bar.py", lambda content: content[:100])),
    ("file-changed", edited(NETMIKO, lambda _: b"")),
    ("file-changed", edited("bin/pytest", lambda _: b"#!/bin/sh\n")),
    ("file-changed", edited(KEYWORD, lambda content: content + b"#")),
    ("file-changed", edited(f"{SITE}/rich/__pycache__/{POISONED}", lambda code: code + b"#")),
    ("file-changed", swapped),
    ("file-changed", link_redirected),
    ("file-changed", link_made_a_file),
    ("file-changed", link_to_a_copy),
    ("file-missing", removed(f"{SITE}/rich/tree.py")),
    ("file-missing", removed(f"{SITE}/netmiko/utilities.py")),
    ("file-foreign", added),
    ("file-mode", mode_changed),
    ("file-mode", wheel_mode_changed),
    ("record-changed", file_and_its_record_changed),
    ("record-changed", record_of_a_wheel_changed),
    ("package-missing", record_removed),
    ("package-differs", record_of_another_build),
    ("package-differs", wheel_of_another_version),
    ("project-missing", project_link_removed),
    ("record-changed", record_added),
    ("file-changed", lambda _: f"lib/python{VERSION}/colorsys.py"),  # which that one hides
    ("record-changed", dist_info_added),
    ("record-changed", variables_set),
    ("file-foreign", variables_of_a_package_added),
    ("file-mode", folder_opened_to_others),
]
if sys.platform == "linux" and os.geteuid() == 0:
    DAMAGES += [("file-mode", given_to_another_user), ("file-mode", capability_given)]


def findings(project: Path, machine: Machine) -> list[dict[str, str]]:
    done = machine.condaw(project, "verify", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode == 0) == report["ok"]
    return list(report["findings"])


def test_every_damage_is_found_and_named_and_one_repair_mends_them_all(
    made: Path, machine: Machine
) -> None:
    wanted = {(kind, damage(made / ".conda")) for kind, damage in DAMAGES}
    found = {(f["kind"], f["path"] or f["package"]) for f in findings(made, machine)}
    assert wanted - found == set()
    repaired = machine.condaw(made, "create", "--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert findings(made, machine) == []


def test_a_finding_says_what_to_do(small_made: Path, machine: Machine) -> None:
    rewrite(small_made / ".conda" / INICONFIG, b"")
    done = machine.condaw(small_made, "verify")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"condaw: file-changed: iniconfig: {INICONFIG} is not the file that was installed",
        "condaw: 1 finding; to repair: python -m condaw create --repair",
    ]


def test_a_record_that_conda_has_written_names_the_same_files(
    small_made: Path, machine: Machine
) -> None:
    """conda leaves the paths of a `noarch: python` package as they are in its archive."""
    [path] = (small_made / ".conda" / "conda-meta").glob("iniconfig-*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    for entry in record["paths_data"]["paths"]:
        entry["_path"] = entry["_path"].replace(SITE, "site-packages")
        entry.pop("sha256_in_prefix", None)
    path.write_text(json.dumps(record), encoding="utf-8")
    found = [(f["kind"], f["path"]) for f in findings(small_made, machine)]
    assert found == [("record-changed", f"conda-meta/{path.name}")]


def test_a_day_of_work_leaves_nothing_to_find(made: Path, machine: Machine) -> None:
    for words in (
        ["python", "-c", "import paramiko, netmiko, rich, yaml"],
        ["python", "-m", "compileall", "-q", str(made / "src")],
        ["python", "-OO", "-c", "import netmiko"],
        ["ruff", "check", "--no-cache"],
        ["python", "-m", "pip", "check"],
        ["pytest", "--version"],
    ):
        done = machine.condaw(made, "run", "--", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    kernel = made / ".conda" / "share" / "jupyter" / "kernels" / "demo" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text("{}", encoding="utf-8")
    assert list((made / ".conda" / SITE / "netmiko").rglob("*.opt-2.pyc"))
    assert findings(made, machine) == []
    # pip is refused, and what it has installed by force is found.
    words = ["-m", "pip", "install", "--no-deps", "--no-index"]
    path = wheel(made, "sneaky", {"sneaky.py": b""})
    done = machine.condaw(made, "run", "--", "python", *words, str(path))
    assert done.returncode == 1
    assert "write the package into environment.yml, run `python -m condaw lock`" in done.stderr
    assert findings(made, machine) == []
    words += ["--break-system-packages"]
    done = machine.condaw(made, "run", "--", "python", *words, str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = findings(made, machine)
    assert [(f["kind"], f["package"]) for f in found] == [("package-extra", "sneaky")]


def test_an_edit_in_one_environment_does_not_reach_the_next(
    small: Path, small_locked: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, cache=tmp_path / "cache")  # what is edited is in it, too
    assert machine.condaw(small, "create").returncode == 0
    for name in SMALL:
        with (small / ".conda" / name).open("ab") as out:  # in place: twins in the caches change
            out.write(b"# edited\n")
    other = Path(shutil.copytree(small_locked, tmp_path / "other"))
    done = machine.condaw(other, "create")
    assert done.returncode == 0, done.stderr
    assert findings(other, machine) == []
    # Nor does a mode that was changed.
    for name in SMALL:
        (other / ".conda" / name).chmod(0o666)
    found = {(f["kind"], f["path"]) for f in findings(other, machine)}
    assert found == {("file-mode", name) for name in SMALL}
    assert machine.condaw(other, "create", "--repair").returncode == 0
    assert findings(other, machine) == []
    assert (other / ".conda" / INICONFIG).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("smoke", "words"),
    [
        ([["python", "-c", "import sys; print('no luck'); sys.exit(3)"]], "exit code 3: no luck"),
        ([["no-such-program"]], "No such file"),
    ],
)
def test_a_smoke_command_that_fails_is_a_finding(
    smoke: list[list[str]], words: str, small: Path, machine: Machine
) -> None:
    change_smoke(small, json.dumps(smoke))
    done = machine.condaw(small, "create")
    assert done.returncode == 1
    assert "condaw: smoke-failed: " in done.stderr
    assert words in done.stderr
    assert (small / ".conda").is_dir()
    change_smoke(small, '"ssh-uptime --help"')
    done = machine.condaw(small, "verify")
    assert done.returncode == 3
    assert "smoke in [tool.condaw] of pyproject.toml is not a list of commands" in done.stderr


def change_smoke(project: Path, value: str) -> None:
    pyproject = project / "pyproject.toml"
    lines = pyproject.read_text(encoding="utf-8").splitlines()
    lines = [f"smoke = {value}" if line.startswith("smoke = ") else line for line in lines]
    pyproject.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_another_python_in_its_place_is_found(small_made: Path, machine: Machine) -> None:
    python = small_made / ".conda" / "bin" / f"python{VERSION}"
    rewrite(python, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'.encode())
    python.chmod(0o755)
    kinds = {finding["kind"] for finding in findings(small_made, machine)}
    assert {"file-changed", "python-version"} <= kinds


def test_verify_changes_nothing(shown: Path, machine: Machine) -> None:
    def listing() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.lstat().st_mtime_ns, path.lstat().st_size)
            for path in shown.rglob("*")
            if not path.is_dir() and path.name != ".conda.lock"  # which names who looks
        }

    before = listing()
    assert machine.condaw(shown, "verify").returncode == 0
    assert listing() == before
