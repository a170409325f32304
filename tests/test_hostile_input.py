"""Whatever a file holds, the answer is a sentence: no traceback, no crash, no endless work.

First, files that hypothesis makes go to everything that reads some: each target has to succeed, or
to raise the error that its callers turn into a sentence. hostile.py says how to run it for long.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from condaw import bundle
from condaw.base import console, errors
from condaw.base.errors import CannotError, redacted
from condaw.base.layout import PYTHON
from condaw.base.project import Project, smoke_commands, table
from condaw.environment import activation, state, verify
from condaw.lockfile import environment_yml, reader
from condaw.lockfile.package import Package
from condaw.network import channels, pip_config
from cookiecutter.environment import StrictEnvironment
from hostile import TEXTS, as_json, as_yaml, damaged, files, one_of
from hypothesis import given
from hypothesis import strategies as st
from machine import ROOT, VERSION, Machine
from rattler import Channel

PROJECT = ROOT / "{{cookiecutter.project}}"
GOOD_LOCK = ROOT / "templates" / "conda-lock" / "python-3.13-paramiko-5.yml"
CHANNELS = [str(Channel("conda-forge").base_url).rstrip("/")]
BEYOND = "a character beyond U+FFFF: \U00020bb7"

Check = Callable[[Path, Any], None]
TARGETS: dict[str, tuple[st.SearchStrategy[Any], Check]] = {}


def target(inputs: st.SearchStrategy[Any]) -> Callable[[Check], Check]:
    """Enter a check, which gets an empty folder and an input, under its name."""

    def enter(check: Check) -> Check:
        TARGETS[check.__name__] = inputs, check
        return check

    return enter


def answered(call: Callable[[], Any]) -> Any:
    """What `call` gives; None when it refuses, with a cause and a next step fit for a terminal."""
    try:
        return call()
    except CannotError as error:
        for text in (error.cause, error.next_step):
            assert text.strip(), "a refusal without words"
            assert console.plain(text).isprintable()
    return None


def put(folder: Path, contents: dict[str, bytes]) -> None:
    """Write files under `folder`."""
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def small_lock() -> Any:
    """A good lock of a few packages of one platform."""
    content = yaml.load(GOOD_LOCK.read_text(encoding="utf-8"), yaml.CSafeLoader)
    found = [e for e in content["package"] if e["platform"] == "linux-64"]
    wanted = ("python", "pip", "scp", "bzip2")
    content["package"] = [{**e, "dependencies": {}} for e in found if e["name"] in wanted]
    return content


@target(files(small_lock(), as_yaml))
def read_lock(folder: Path, data: bytes) -> None:
    put(folder, {"conda-lock.yml": data})
    packages = answered(lambda: reader.read(folder / "conda-lock.yml", "linux-64", CHANNELS))
    for package in packages or ():
        if package.manager == "conda":
            assert package.record().url.startswith(CHANNELS[0])
            assert re.fullmatch(r"[\w.!+~-]+", package.file_name, re.ASCII)


ENVIRONMENT = {
    "name": "demo",
    "channels": ["conda-forge", "https://a.example/c"],
    "platforms": ["linux-64", "osx-arm64"],
    "dependencies": ["python=3.13", "pip", {"pip": ["netmiko==4.8.0"]}],
    "variables": {"A": "b"},
}


@target(files(ENVIRONMENT, as_yaml))
def read_environment_yml(folder: Path, data: bytes) -> None:
    put(folder, {"environment.yml": data})
    for url in answered(lambda: environment_yml.channel_urls(Project(folder))) or ():
        assert re.match(r"(https?|file)://", url), url
    for name, value in (answered(lambda: environment_yml.variables(Project(folder))) or {}).items():
        assert "=" not in name
        assert "\0" not in name + value


PYPROJECT = b"""
[project]
name = "demo"
version = "1"
scripts = { demo = "demo:main" }
[tool.condaw]
smoke = [["python", "--version"], ["demo", "--help"]]
[tool.other]
when = 1979-05-27
"""


@target(damaged(PYPROJECT, b"tool = 3\n", b"[tool]\ncondaw = []\n", b"[project]\nname = 5\n"))
def read_pyproject(folder: Path, data: bytes) -> None:
    put(folder, {"pyproject.toml": data})
    commands = answered(lambda: smoke_commands(Project(folder)))
    assert all("\0" not in part for each in commands or () for part in each)
    answered(lambda: table(Project(folder), "project"))


@target(
    damaged(
        b"condaw 5\n/x/.conda\n1 a\n- b\n2 c\n", b"4", b"null", b'{"prefix": [1]}', b"[" * 100_000
    )
)
def read_stamp(folder: Path, data: bytes) -> None:
    put(folder, {f".conda/{state.MARK}": data, f".conda/{PYTHON}": b""})
    assert state.state(folder)[0] in ("broken", "stale")


VARIABLES = files({"version": 1, "env_vars": {"A": "1", "B": "x"}}, as_json)


@target(one_of({"conda-meta/state": VARIABLES, "etc/conda/env_vars.d/a.json": VARIABLES}))
def read_variables(folder: Path, data: tuple[str, bytes]) -> None:
    put(folder, dict([data]))
    for name, value in (answered(lambda: activation.variables(folder)) or {}).items():
        assert b"\0" not in os.fsencode(name + value)
        assert "=" not in name


RECORD = {
    "name": "bzip2",
    "version": "1",
    "noarch": "python",
    "paths_data": {
        "paths": [
            {"_path": "bin/a", "sha256": "0" * 64, "size_in_bytes": 3},
            {"_path": "site-packages/b"},
        ]
    },
}
ORIGIN = {"url": "file:///x", "dir_info": {"editable": True}}
ROWS = b'a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"b,c.py",md5=x,\na/RECORD,,\n'
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\ntext\n"
MANIFEST = {"mode": 420, "folder": 493, "modes": {"bin/a": 493}, "contents": {"bin/a": "0"}}
MANIFEST |= {"records": {"a": "b"}}
INFO = "lib/python3.13/site-packages/demo-1.0.dist-info"
INSTALLED = {
    "conda-meta/bzip2-1-0.json": (as_json(RECORD), files(RECORD, as_json)),
    f"{INFO}/direct_url.json": (as_json(ORIGIN), files(ORIGIN, as_json)),
    f"{INFO}/RECORD": (ROWS, damaged(ROWS)),
    f"{INFO}/METADATA": (METADATA, damaged(METADATA)),
    "conda-meta/condaw.manifest": (as_json(MANIFEST), files(MANIFEST, as_json)),
    "pyproject.toml": (PYPROJECT, damaged(PYPROJECT)),
}


@target(one_of({path: hostile for path, (_, hostile) in INSTALLED.items()}))
def verify_prefix(folder: Path, data: tuple[str, bytes]) -> None:
    good = {path: content for path, (content, _) in INSTALLED.items()}
    put(folder, {"bin/a": b"abc", **good, **dict([data])})
    where = ("linux-64", "https://a.example/c/linux-64/python-3.13.1-0.conda", "0" * 64, None)
    python = Package("conda", "python", "3.13.1", *where, {}, 1)
    for finding in answered(lambda: verify.compare(Project(folder), folder, [python])) or ():
        assert console.plain(finding.text).isprintable()
        json.dumps(finding.as_dict())


def bundle_of(content: bytes) -> bytes:
    """A bundle that holds `content`, packed as no bundle is, and as one is."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, method in (("a", zipfile.ZIP_STORED), ("b/c", zipfile.ZIP_DEFLATED)):
            archive.writestr(name, content, method)
        archive.writestr("d", content, zipfile.ZIP_LZMA)
    return out.getvalue()


@target(damaged(bundle_of(b"some content")))
def open_bundle(folder: Path, data: bytes) -> None:
    (folder / "a.zip").write_bytes(data)
    (folder / "in").mkdir()
    with (
        patch("tempfile.tempdir", str(folder / "in")),
        pytest.raises(CannotError),
        bundle.opened(Project(folder), folder / "a.zip"),
    ):
        pass
    assert {path.name for path in folder.iterdir()} == {"a.zip", "in"}
    assert not list((folder / "in").iterdir())


CONDARC = {
    "channel_alias": "https://mirror.example/conda",
    "custom_channels": {"conda-forge": "https://me:pw@mirror.example/"},
    "channels": ["conda-forge"],
}


@target(files(CONDARC, as_yaml))
def read_condarc(folder: Path, data: bytes) -> None:
    put(folder, {".condarc": data})
    with patch.dict(os.environ, CONDARC=str(folder / ".condarc")):
        channels.client.cache_clear()
        answered(channels.client)
        answered(lambda: channels.fetched_from(CHANNELS[0]))
    channels.client.cache_clear()


PIP = b"""\
[global]
index-url = https://me:pw@h.example/simple
extra-index-url =
  a
  b
[install]
no-index = true
"""


@target(damaged(PIP))
def read_pip_conf(folder: Path, data: bytes) -> None:
    put(folder, {"pip.conf": data})
    with patch.dict(os.environ, PIP_CONFIG_FILE=str(folder / "pip.conf")):
        env = answered(pip_config.uv_environment) or {}
    assert not [name for name in env if b"\0" in os.fsencode(name + env[name])]


SIGNS = st.text("@:/?#[]'()%&=,.~+;!")
VISIBLE = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=6)
SECRET = st.tuples(SIGNS | VISIBLE, SIGNS | VISIBLE).map("SECRET".join)


@target(st.tuples(SECRET, SECRET, st.from_regex(r"[A-Za-z_-]{1,9}", fullmatch=True)))
def redact(folder: Path, data: tuple[str, str, str]) -> None:
    """Whatever a password in a URL is made of, or a parameter is called, it is not shown."""
    password, value, name = data
    place = "h.example:8443/a/b"
    for url in (f"https://ada:{password}@{place}?{name}={value}", f"ada:pwSECRET@{place}"):
        for text in (url, f"cannot fetch ({url}): refused", f"1. {url}, 2. {url}"):
            assert "SECRET" not in redacted(text)
    assert errors.without_user(f"http://ada: {password}@{place}") == f"http://{place}"


INVENTORY = {
    "web-1": {"device_type": "linux", "host": "web-1.example.com", "port": 22},
    "core-1": {"host": "192.0.2.1", "username": "me", "password": 1, "key_file": "~/x"},
    "routers": ["core-1"],
}
SSH_CONFIG = b"Host *\n User me\n Port 22\n ProxyJump a,b\n IdentityFile ~/.ssh/id\nMatch host x\n"
KNOWN_HOSTS = b"web ssh-ed25519 AAAA\n|1|a|b ssh-rsa x\n@revoked *,!b x y\n"
HOST_FILES = {
    "hosts.yml": files(INVENTORY, as_yaml),
    "config": damaged(SSH_CONFIG),
    "known_hosts": damaged(KNOWN_HOSTS),
}


def sample(module: str) -> Any:
    """A module of the sample, which is read as a package of a name that no test gives it."""
    folder, name = PROJECT / "src" / "{{cookiecutter.package}}", "hostile_sample"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec
        sys.modules[name] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{name}.{module}")


@target(one_of(HOST_FILES))
def read_inventory(folder: Path, data: tuple[str, bytes]) -> None:
    inventory = sample("inventory")
    good = {"hosts.yml": as_yaml(INVENTORY), "config": SSH_CONFIG}
    put(folder, {"known_hosts": b"", **good, **dict([data])})
    try:
        found = inventory.read([], str(folder / "hosts.yml"))
        targets = sample("targets")
        sample("hostkeys")._read.cache_clear()
        own = (str(folder / "config"), str(folder / "known_hosts"))
        for each in targets.resolve(found, {"password": "secret"}, *own):
            assert isinstance(each.host, str)
            assert "secret" not in repr(each)
    except (sample("failures").UsageError, OSError) as error:
        assert str(error).strip()


GOOD_ANSWERS = {
    "project": "demo",
    "package": "demo",
    "description": "What it does",
    "author": "Ada",
    "channel": "conda-forge",
}
ANY_TEXT = TEXTS | st.text(max_size=8) | st.from_regex(r"https?://[!-~]{0,12}", fullmatch=True)


@target(st.dictionaries(st.sampled_from(list(GOOD_ANSWERS)), ANY_TEXT, min_size=1, max_size=2))
def give_answers(folder: Path, data: dict[str, str]) -> None:
    """What the template accepts makes files that can be read, with the answers in them."""
    answers = {**GOOD_ANSWERS, **data}
    answers |= {"python": "3.13", "legacy_ssh": "no", "license": "MIT", "environment": "no"}
    answers["sample"] = "ssh-uptime"

    def rendered(path: str) -> str:
        environment = StrictEnvironment(context={"cookiecutter": answers})
        source = (ROOT / path).read_text(encoding="utf-8")
        return str(environment.from_string(source).render(cookiecutter=answers))

    hook: dict[str, Any] = {"__name__": "hook"}
    exec(rendered("hooks/pre_gen_project.py"), hook)
    if dict(hook["problems"]()):
        return
    put(folder, {"pyproject.toml": rendered(f"{PROJECT.name}/pyproject.toml").encode()})
    written = table(Project(folder), "project")
    assert written["name"] == answers["project"]
    assert written["description"] == answers["description"]
    assert written["authors"] == [{"name": answers["author"]}]
    content = yaml.safe_load(rendered(f"{PROJECT.name}/environment.yml"))
    assert content["name"] == answers["project"]
    assert content["channels"] == [answers["channel"].strip()]


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_is_answered(name: str) -> None:
    inputs, check = TARGETS[name]

    @given(inputs)
    def feed(data: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            check(Path(folder), data)

    feed()


def grown(levels: int, join: str) -> str:
    """YAML of some lines in which each name stands for ten of the one before."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels):
        names = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {join.format(names)}")
    return "\n".join(lines) + "\n"


YAML = {
    "aliases that multiply": grown(12, "[{}]").encode(),
    "ten thousand lines, each deeper": b"".join(b" " * n + b"a:\n" for n in range(6_000)),
    "a null character": b"version: 1\0",
    "no UTF-8": b"version: \xff\xfe",
    "UTF-16": "version: 1\n".encode("utf-16"),
    "a number of many digits": b"version: " + b"9" * 10_000,
    "a date that is none": b"version: 2024-13-45",
    "an object of Python": b"!!python/object/apply:os.system [exit 1]",
    "two documents": b"version: 1\n---\nversion: 1\n",
    "an unknown tag": b"version: !x 1",
    "an alias of nothing": b"version: *a",
    "an alias of itself": b"&a [*a]",
    "a list as a key": b"? [a]\n: 1\n",
    "nothing": b"",
    "only a comment": b"# nothing\n",
    "a word": b"lock",
}
READ = """
import sys
from pathlib import Path
from condaw.lockfile import environment_yml, reader
from condaw.base.errors import CannotError
from condaw.base.project import Project
for folder in sys.argv[1:]:
    project = Project(Path(folder))
    for read in (
        lambda: environment_yml.channel_urls(project),
        lambda: reader.read(project.lock_file, "linux-64", []),
    ):
        try:
            print("accepted:", read())
        except CannotError as error:
            print("refused:", error.cause, flush=True)
"""


def test_yaml_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for case, content in YAML.items():
        (tmp_path / case).mkdir()
        for name in ("environment.yml", "conda-lock.yml"):
            (tmp_path / case / name).write_bytes(content)
    # In a process of its own: what is tested here could end this one.
    done = subprocess.run(
        [sys.executable, "-c", READ, *YAML],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT), "PYTHONPYCACHEPREFIX": str(sys.pycache_prefix)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    for case in YAML:
        assert lines.pop(0).startswith("refused: environment.yml"), case
        refusal = lines.pop(0)
        assert refusal.startswith("refused: conda-lock.yml is not acceptable: line "), case
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\r\n"], ids=["a byte-order mark", "CRLF"])
def test_files_as_windows_editors_write_them_are_read(start: bytes, tmp_path: Path) -> None:
    project = Project(tmp_path)
    text = b"channels:\n- conda-forge\n".replace(b"\n", b"\r\n")
    project.environment_yml.write_bytes(start + text)
    assert len(environment_yml.channel_urls(project)) == 1


SMOKE = "smoke in [tool.condaw] of pyproject.toml is not"
SETTINGS = {
    "tool = 3": "tool in pyproject.toml is not a table",
    "[tool]\ncondaw = []": "condaw in pyproject.toml is not a table",
    "[[tool.condaw]]": "condaw in pyproject.toml is not a table",
    "[tool.condaw]\nsmoke = 1979-05-27": SMOKE,
    '[tool.condaw]\nsmoke = [["a\\u0000"]]': SMOKE,
    f"a = {'9' * 10_000}": "pyproject.toml cannot be read: ",
    f"a = {'[' * 100_000}": "pyproject.toml cannot be read: ",
    "a = '\0'": "pyproject.toml cannot be read: ",
}


def test_settings_of_another_shape_are_named(tmp_path: Path) -> None:
    for text, said in SETTINGS.items():
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        with pytest.raises(CannotError) as caught:
            smoke_commands(Project(tmp_path))
        assert caught.value.cause.startswith(said)


def test_a_project_that_is_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(CannotError) as caught:
        table(Project(tmp_path), "project")
    assert caught.value.cause.startswith("pyproject.toml cannot be read")


def test_messages_show_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    console.warn("a\x1b[2Jb\r\nc\x9b31md\u202ee\udcfff" + "x" * 5000)
    said = capsys.readouterr().err
    assert said.startswith(r"condaw: a\x1b[2Jb\r\nc\x9b31md\u202ee\udcfffx")
    assert len(said) < 2200
    assert said.count("\n") == 1


def test_names_in_a_lock_do_not_reach_the_terminal_as_they_are(
    project: Path, machine: Machine
) -> None:
    path = project / "conda-lock.yml"
    text = path.read_text(encoding="utf-8")
    name = json.dumps("bad\x1b]0;owned\x07\nname")
    path.write_text(text.replace("- name: iniconfig\n", f"- name: {name}\n"), encoding="utf-8")
    for verb in ("create", "doctor"):
        done = machine.condaw(project, verb)
        assert r"bad\x1b]0;owned\x07\nname" in done.stderr + done.stdout
        assert not [c for c in done.stderr + done.stdout if not c.isprintable() and c != "\n"]


def test_an_environment_with_strange_records_is_answered_by_every_command(
    small_made: Path, machine: Machine
) -> None:
    meta = small_made / ".conda" / "conda-meta"
    python = small_made / ".conda" / "lib" / f"python{VERSION}"
    (python / "this.py").unlink()
    os.mkfifo(python / "this.py")  # who opens it would wait for a writer
    record = next(meta.glob("iniconfig-*.json"))
    record.write_text('{"name": "iniconfig", "paths_data": {"paths": [{"_path": 5}]}}')
    (meta / "evil-1-0.json").write_text(
        '{"name": "evil", "paths_data": {"paths": [{"_path": "../../x", "size_in_bytes": 1}]}}'
    )
    done = machine.condaw(small_made, "verify", "--json")
    assert done.returncode == 1
    found = {(f["kind"], f["package"]) for f in json.loads(done.stdout)["findings"]}
    assert {("package-extra", "evil"), ("file-missing", "evil")} <= found
    assert {("package-differs", "iniconfig"), ("file-changed", "python")} <= found
    (meta / "state").write_text('{"env_vars": [1]}')
    done = machine.condaw(small_made, "run", "--", "true")
    assert done.returncode == 3
    assert done.stderr.splitlines()[1:] == [
        f"condaw: cannot run: {meta / 'state'} does not hold environment variables as JSON",
        "condaw: next: correct it, or make the environment again: python -m condaw create --repair",
    ]
    assert machine.condaw(small_made, "create", "--repair").returncode == 0
    assert machine.condaw(small_made, "run", "--", "true").returncode == 0


def test_answers_in_any_script_make_a_project_that_can_be_installed(
    machine: Machine, tmp_path: Path
) -> None:
    done = machine.bake(tmp_path, author="\U00020bb7\u7530", description=BEYOND)
    assert done.returncode == 0, done.stdout
    written = table(Project(tmp_path / "ssh-uptime"), "project")
    assert written["authors"] == [{"name": "\U00020bb7\u7530"}]
    assert written["description"] == BEYOND
