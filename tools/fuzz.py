"""Feed hostile input to everything that reads some, and look for anything but an answer.

    python tools/fuzz.py [--minutes 10] [TARGET...]

Each target takes damaged files, or well-formed ones with wrong things in them, and has to succeed
or to raise the error that its callers turn into a sentence. Anything else is a finding: it is
printed, shrunk, with the input. Targets run in a process of their own, because some findings end
it. The test suite runs the same targets on a few inputs, always the same ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from rattler import Channel

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project}}"
SAMPLE = PROJECT / "src" / "{{cookiecutter.package}}"
GOOD_LOCK = ROOT / "templates" / "conda-lock" / "python-3.13-paramiko-5.yml"
PATIENCE = 60
"""Seconds after which a process that works on one input is said to hang."""
sys.path.insert(0, str(PROJECT))
sys.pycache_prefix = str(ROOT / "build" / "pycache")
set_hypothesis_home_dir(ROOT / "build" / "hypothesis")

from condaw import bundle  # noqa: E402
from condaw.base import console  # noqa: E402
from condaw.base import project as places  # noqa: E402
from condaw.base.errors import CannotError  # noqa: E402
from condaw.environment import (
    activation,
    contents,
    state,
)
from condaw.environment.verify import verify  # noqa: E402
from condaw.lockfile import reader  # noqa: E402
from condaw.network import (
    channels,
    pip_config,
)

Check = Callable[[Path, Any], None]
TARGETS: dict[str, tuple[st.SearchStrategy[Any], Check]] = {}

# -- inputs -------------------------------------------------------------------------------------

NASTY = [
    *("", " ", "\0", "\x1b[31m", "\x9b31m", "\r\n", "\u2028", "\u202e", "\ufeff", "..", "../x"),
    *("/etc/passwd", "C:\\x", "a/../../x", "~", "-x", "$HOME", "%s{0}", "9" * 5000, "1e999"),
    *("http://[", "http://a:b/", "https://me:pw@h/x", "file:///\0", "2024-01-01", "null", "yes"),
    *("<<", "x" * 3000, "\U0001f680", "é", "python", "1.0", "=", "a=b", "[", "{", "'", '"'),
]
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text(st.sampled_from("ab01.-_/\\:@[]{}<>=*&!|\n\r\t\0 "), max_size=12),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 1 << 64, 10**4000, float("nan"), float("inf")]),
    TEXTS,
    st.dates(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TOKENS = [
    *(text.encode() for text in NASTY),
    *(b"\xff", b"\xed\xa0\x80", b"&a ", b"*a", b"!!python/object:os.system ", b"!!binary x"),
    *(b"? ", b": ", b"- " * 50, b"[" * 50, b"{" * 50, b"\n---\n", b"%YAML 9\n", b"\t", b"#"),
    *(b"[tool]\n", b"a.b.c = 1\n", b'"""', b"'''", b"0x", b"1979-05-27T07:32:00Z", b'{"a":'),
]


@st.composite
def damaged(draw: st.DrawFn, *good: bytes) -> bytes:
    """One of `good` with some of it cut, doubled, or replaced."""
    data = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 4, 30, 1000])))
        put = draw(st.sampled_from([*TOKENS, data[start:end] * 2]) | st.binary(max_size=4))
        data = data[:start] + put + data[end:]
    return data


@st.composite
def altered(draw: st.DrawFn, good: Any) -> Any:
    """The tree `good` with one part of it, at any depth, replaced, renamed or left out."""
    if not isinstance(good, (dict, list)) or not good or draw(st.integers(0, 4)) == 0:
        return draw(VALUES)
    keys = list(good) if isinstance(good, dict) else list(range(len(good)))
    key = draw(st.sampled_from(keys))
    copy = good.copy()
    match draw(st.sampled_from(["below", "below", "below", "drop", "rename"])):
        case "drop":
            del copy[key]
        case "rename" if isinstance(copy, dict):
            copy[draw(SCALARS.filter(lambda k: k == k))] = copy.pop(key)
        case _:
            copy[key] = draw(altered(good[key]))
    return copy


def as_json(tree: Any) -> bytes:
    return json.dumps(tree, default=str, skipkeys=True).encode()


def as_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, allow_unicode=True).encode()


def files(good: bytes, tree: Any, write: Callable[[Any], bytes]) -> st.SearchStrategy[bytes]:
    """Both kinds of hostile files: damaged ones, and sound ones with wrong things in them."""
    return damaged(good) | altered(tree).map(write)


# -- what reads them ----------------------------------------------------------------------------


def target(inputs: st.SearchStrategy[Any]) -> Callable[[Check], Check]:
    """Enter a check under its name."""

    def enter(check: Check) -> Check:
        TARGETS[check.__name__] = inputs, check
        return check

    return enter


def answered(call: Callable[[], object]) -> object:
    """What `call` gives; None when it refuses, with a cause and a next step fit for a terminal."""
    try:
        return call()
    except CannotError as error:
        for text in (error.cause, error.next_step):
            assert text.strip(), "a refusal without words"
            assert console.plain(text).isprintable()
    return None


def small_lock() -> tuple[bytes, Any]:
    """A good lock of a few packages of one platform."""
    content = reader.Loader(GOOD_LOCK.read_text(encoding="utf-8")).get_single_data()
    found = [e for e in content["package"] if e["platform"] == "linux-64"]
    wanted = ("python", "pip", "scp", "bzip2")
    content["package"] = [{**e, "dependencies": {}} for e in found if e["name"] in wanted]
    return as_yaml(content), content


LOCK = small_lock()
CHANNELS = [str(Channel("conda-forge").base_url).rstrip("/")]


@target(files(*LOCK, as_yaml))
def read_lock(folder: Path, data: bytes) -> None:
    path = folder / "conda-lock.yml"
    path.write_bytes(data)
    packages = answered(lambda: reader.read(path, "linux-64", CHANNELS))
    for package in packages if isinstance(packages, list) else ():
        if package.manager == "conda":
            assert package.record.url.startswith(CHANNELS[0])
            assert re.fullmatch(r"[\w.!+~-]+", package.file_name, re.ASCII)


ENVIRONMENT = {
    "name": "demo",
    "channels": ["conda-forge", "https://a.example/c"],
    "platforms": ["linux-64", "osx-arm64"],
    "dependencies": ["python=3.13", "pip", {"pip": ["netmiko==4.8.0"]}],
}


@target(files(as_yaml(ENVIRONMENT), ENVIRONMENT, as_yaml))
def read_environment_yml(folder: Path, data: bytes) -> None:
    (folder / "environment.yml").write_bytes(data)
    urls = answered(lambda: reader.channel_urls(places.Project(folder)))
    for url in urls if isinstance(urls, list) else ():
        assert re.match(r"(https?|file)://", url), url


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
    (folder / "pyproject.toml").write_bytes(data)
    project = places.Project(folder)
    commands = answered(lambda: places.smoke_commands(project))
    assert commands is None or all("\0" not in part for each in commands for part in each)  # type: ignore[attr-defined]
    answered(lambda: places.table(project, "project"))


@target(damaged(b"condaw 3\n/x/.conda\n"))
def read_stamp(folder: Path, data: bytes) -> None:
    project = places.Project(folder)
    (project.prefix / state.MARK).parent.mkdir(parents=True, exist_ok=True)
    (project.prefix / state.MARK).write_bytes(data)
    python = places.python_in(project.prefix)
    python.parent.mkdir(exist_ok=True)
    python.touch()
    assert state.state(folder)[0] in ("broken", "stale")


VARIABLES = {"version": 1, "env_vars": {"A": "1", "B": "x"}}


@target(st.tuples(st.booleans(), files(as_json(VARIABLES), VARIABLES, as_json)))
def read_variables(folder: Path, data: tuple[bool, bytes]) -> None:
    for path, here in (("conda-meta/state", data[0]), ("etc/conda/env_vars.d/a.json", not data[0])):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data[1] if here else b"{}")
    env = answered(lambda: activation.variables(folder))
    if isinstance(env, dict):
        for name, value in env.items():
            assert b"\0" not in os.fsencode(name + value)
            assert "=" not in name


PATHS = {"paths": [{"_path": "bin/a", "path_type": "hardlink", "sha256": "0" * 64}]}


@target(files(as_json(PATHS), PATHS, as_json))
def read_paths(folder: Path, data: bytes) -> None:
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info" / "paths.json").write_bytes(data)
    with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
        if not list(contents.faults(folder, contents.listing(folder))):
            for each in json.loads(data)["paths"]:
                inside = os.path.normpath(f"/prefix/{each['_path']}")
                assert inside.startswith("/prefix/"), each


RECORD = {
    "name": "bzip2",
    "version": "1",
    "paths_data": {
        "paths": [{"_path": "bin/a", "sha256": "0" * 64, "size_in_bytes": 3}, {"_path": "b"}]
    },
}
ORIGIN = {"url": "file:///x", "dir_info": {"editable": True}}
ROWS = b'a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"b,c.py",md5=x,\na/RECORD,,\n'
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\ntext\n"
MANIFEST = {"mode": 420, "modes": {"bin/a": 493}, "links": {"b": "c"}, "records": {"a": "b"}}
INSTALLED = {
    "conda-meta/bzip2-1-0.json": files(as_json(RECORD), RECORD, as_json),
    "lib/python3.13/site-packages/demo-1.0.dist-info/direct_url.json": files(
        as_json(ORIGIN), ORIGIN, as_json
    ),
    "lib/python3.13/site-packages/demo-1.0.dist-info/RECORD": damaged(ROWS),
    "lib/python3.13/site-packages/demo-1.0.dist-info/METADATA": damaged(METADATA),
    "conda-meta/condaw.manifest": files(as_json(MANIFEST), MANIFEST, as_json),
    "pyproject.toml": damaged(PYPROJECT),
}
GOOD = (as_json(RECORD), as_json(ORIGIN), ROWS, METADATA, as_json(MANIFEST), PYPROJECT)
GOOD_INSTALLED = dict(zip(INSTALLED, GOOD, strict=True))


@target(
    st.sampled_from(list(INSTALLED)).flatmap(lambda path: st.tuples(st.just(path), INSTALLED[path]))
)
def verify_prefix(folder: Path, data: tuple[str, bytes]) -> None:
    for path, content in {**GOOD_INSTALLED, data[0]: data[1]}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "a").write_bytes(b"abc")
    project = places.Project(folder)
    where = ("linux-64", "https://a.example/c/linux-64/python-3.13.1-0.conda", "0" * 64, None)
    python = reader.Package("conda", "python", "3.13.1", *where, {}, 1)
    findings = answered(lambda: verify(project, folder, [python]))
    for finding in findings if isinstance(findings, list) else ():
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
    with suppress(OSError, EOFError, ValueError, RuntimeError, *bundle.BROKEN):
        (folder / "in" / "it").mkdir(parents=True)
        bundle._unpack(folder / "a.zip", folder / "in" / "it")
    assert {path.name for path in folder.iterdir()} == {"a.zip", "in"}
    assert {path.name for path in (folder / "in").iterdir()} == {"it"}


CONDARC = {
    "channel_alias": "https://mirror.example/conda",
    "custom_channels": {"conda-forge": "https://me:pw@mirror.example/"},
    "channels": ["conda-forge"],
}


@target(files(as_yaml(CONDARC), CONDARC, as_yaml))
def read_condarc(folder: Path, data: bytes) -> None:
    (folder / ".condarc").write_bytes(data)
    os.environ["CONDARC"] = str(folder / ".condarc")
    channels.client.cache_clear()
    answered(channels.client)
    answered(lambda: channels.fetched_from(CHANNELS[0]))


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
    (folder / "pip.conf").write_bytes(data)
    os.environ["PIP_CONFIG_FILE"] = str(folder / "pip.conf")
    env = answered(pip_config.uv_environment)
    if isinstance(env, dict):
        assert not [name for name in env if b"\0" in os.fsencode(name + env[name])]


INVENTORY = {
    "web-1": {"device_type": "linux", "host": "web-1.example.com", "port": 22},
    "core-1": {"host": "192.0.2.1", "username": "me", "password": 1, "key_file": "~/x"},
    "routers": ["core-1"],
}
HOSTS = b"# all\nroot@web:2222 linux  # one\n\n[::1]:22\nsw1 cisco_ios\n"
SSH_CONFIG = b"Host *\n User me\n Port 22\n ProxyJump a,b\n IdentityFile ~/.ssh/id\nMatch host x\n"
INVENTORIES = st.one_of(
    st.tuples(st.just("hosts.yml"), files(as_yaml(INVENTORY), INVENTORY, as_yaml)),
    st.tuples(st.just("hosts"), damaged(HOSTS)),
    st.tuples(st.just("config"), damaged(SSH_CONFIG)),
    st.tuples(
        st.just("known_hosts"),
        damaged(b"web ssh-ed25519 AAAA\n|1|a|b ssh-rsa x\n@revoked *,!b x y\n"),
    ),
)


@target(INVENTORIES)
def read_inventory(folder: Path, data: tuple[str, bytes]) -> None:
    sample = _sample()
    good = {"hosts.yml": as_yaml(INVENTORY), "hosts": HOSTS, "config": SSH_CONFIG}
    for name, content in {**good, "known_hosts": b"", data[0]: data[1]}.items():
        (folder / name).write_bytes(content)
    try:
        known = sample.hostkeys.KnownHosts([str(folder / "known_hosts")], "strict")
        found = sample.inventory.read([], [str(folder / "hosts.yml"), str(folder / "hosts")])
        config = folder / "config"
        for each in sample.inventory.resolve(found, {}, known, config, lambda *_: "secret"):
            assert isinstance(each.settings["host"], str)
            assert "secret" not in repr(each)
    except (sample.inventory.UsageError, OSError) as error:
        assert str(error).strip()


def _sample() -> Any:
    """The sample as a package of a name that no test gives it; it has no Jinja in it."""
    name = "fuzzed_sample"
    if name not in sys.modules:
        where = [str(SAMPLE)]
        spec = importlib.util.spec_from_file_location(
            name, SAMPLE / "__init__.py", submodule_search_locations=where
        )
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        importlib.import_module(f"{name}.inventory")
        importlib.import_module(f"{name}.hostkeys")
    return sys.modules[name]


ANSWERS = ("project", "package", "description", "author", "channel")
GOOD_ANSWERS = ("demo", "demo", "What it does", "Ada", "conda-forge")
ANY_TEXT = TEXTS | st.text(max_size=8) | st.from_regex(r"https?://[!-~]{0,12}", fullmatch=True)


@target(st.dictionaries(st.sampled_from(ANSWERS), ANY_TEXT, min_size=1, max_size=2))
def give_answers(folder: Path, data: dict[str, str]) -> None:
    """What the template takes makes files that can be read, with the answers in them."""
    answers = dict(zip(ANSWERS, GOOD_ANSWERS, strict=True)) | data
    answers |= {"python": "3.13", "legacy_ssh": "no", "license": "MIT", "environment": "no"}
    hook: dict[str, Any] = {"__name__": "hook"}
    exec(_rendered("hooks/pre_gen_project.py", answers), hook)  # noqa: S102
    if dict(hook["problems"]()):
        return
    (folder / "pyproject.toml").write_text(
        _rendered("{{cookiecutter.project}}/pyproject.toml", answers), encoding="utf-8"
    )
    table = places.table(places.Project(folder), "project")
    assert table["name"] == answers["project"]
    assert table["description"] == answers["description"]
    assert table["authors"] == [{"name": answers["author"]}]
    text = _rendered("{{cookiecutter.project}}/environment.yml", answers)
    content = yaml.safe_load(text)
    assert content["name"] == answers["project"]
    assert content["channels"] == [answers["channel"].strip()]


def _rendered(path: str, answers: dict[str, str]) -> str:
    """A file of the template as cookiecutter renders it."""
    from cookiecutter.environment import StrictEnvironment

    environment = StrictEnvironment(context={"cookiecutter": answers}, keep_trailing_newline=True)
    source = (ROOT / path).read_text(encoding="utf-8")
    return str(environment.from_string(source).render(cookiecutter=answers))


# -- running ------------------------------------------------------------------------------------


def run(name: str, examples: int, *, always_the_same: bool, journal: Path | None = None) -> None:
    """Run a target on so many inputs; raises what a finding raised, on the smallest such input.

    Each input is written to `journal` before it is used: the process may not survive it.
    """
    inputs, check = TARGETS[name]

    @settings(
        max_examples=examples,
        derandomize=always_the_same,
        database=None,
        deadline=None,
        phases=[Phase.generate] if always_the_same else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(inputs)
    def once(data: Any) -> None:
        if journal:
            journal.write_text(repr(data), encoding="utf-8", errors="replace")
        with tempfile.TemporaryDirectory() as folder:
            check(Path(folder), data)

    environment = dict(os.environ)
    try:
        once()
    finally:
        os.environ.clear()
        os.environ.update(environment)


def _child(name: str) -> None:
    """Run a target until killed; a line for each batch without a finding."""
    while True:
        run(name, 50, always_the_same=False, journal=Path(os.environ["FUZZ_JOURNAL"]))
        print(50, flush=True)


def fuzz(name: str, seconds: float, folder: Path) -> tuple[int, str]:
    """How many inputs a target took in that time, and what was found; empty for nothing."""
    journal, output = folder / f"{name}.input", folder / f"{name}.output"
    home = {"HOME": str(folder), "USERPROFILE": str(folder), "TMPDIR": str(folder)}
    env = {**os.environ, **home, "FUZZ_JOURNAL": str(journal)}
    journal.touch()
    with output.open("wb") as out, (folder / f"{name}.error").open("w+b") as err:
        child = subprocess.Popen(
            [sys.executable, __file__, "--child", name], stdout=out, stderr=err, env=env
        )
        end, problem = time.monotonic() + seconds, ""
        while child.poll() is None and time.monotonic() < end:
            time.sleep(1)
            if time.time() - journal.stat().st_mtime > PATIENCE:
                problem = f"it hangs on {journal.read_text(encoding='utf-8')[:2000]}"
                break
        if child.poll() is not None:
            err.seek(0)
            said = err.read().decode(errors="replace")[-4000:]
            problem = f"exit code {child.returncode} on {journal.read_text()[:2000]}\n{said}"
        child.kill()
        child.wait()
    return sum(map(int, output.read_text().split())), problem


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args()
    if options.child:
        _child(options.child)
    names = options.targets or list(TARGETS)
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            count, problem = fuzz(name, options.minutes * 60 / len(names), Path(folder))
            print(f"{name}: {count} inputs, {'a finding:' if problem else 'nothing found'}")
            if problem:
                print(problem)
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
