"""Mirrors and company indexes: what the user has configured already is honoured, without leaks."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import loopback
import pytest
from condaw.network import channels
from loopback import Quiet
from machine import VERSION, Machine
from rattler import Channel

USER, SECRET = "robot", "pa55-w0rd"
PAIR = f"{USER}:{SECRET}"
PUBLIC = str(Channel("conda-forge").base_url).rstrip("/")
# Whether a mirror gives access: one query through condaw's own client.
ASK = """
import sys
from condaw.base import errors, process
from condaw.network import channels
try:
    print(channels.has_python(sys.argv[1:2], sys.argv[2]))
except errors.CannotError as error:
    print(error.cause, file=sys.stderr)
    process.finish(1)
process.finish(0)
"""


def served(folder: Path, prefix: str = "/", pair: str = "") -> AbstractContextManager[str]:
    """`folder` over http on loopback, below `prefix`, for those who know `pair`; gives the URL."""
    wanted = "Basic " + base64.b64encode(pair.encode()).decode()

    class Guarded(Quiet):
        def do_GET(self) -> None:
            if pair and self.headers["Authorization"] != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="mirror"')
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif self.path.startswith(prefix):
                self.path = "/" + self.path.removeprefix(prefix)
                super().do_GET()
            else:
                self.send_error(404)

    return loopback.served(folder, Guarded)


def with_password(url: str) -> str:
    return url.replace("://", f"://{PAIR}@")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def rattler_mirror(home: Path, url: str) -> None:
    write(home / ".rattler" / "config.toml", f'[mirrors]\n"{PUBLIC}" = ["{url}/conda-forge"]\n')


NETRC = f"machine 127.0.0.1 login {USER} password {SECRET}\n"
STORE = json.dumps({"127.0.0.1": {"BasicHTTP": {"username": USER, "password": SECRET}}})
Setup = Callable[[Path, str], dict[str, str]]


def netrc(home: Path, url: str) -> dict[str, str]:
    rattler_mirror(home, url)
    write(home / ".netrc", NETRC)
    return {}


def netrc_elsewhere(home: Path, url: str) -> dict[str, str]:
    rattler_mirror(home, url)
    write(home / "secrets" / "netrc", NETRC)
    return {"NETRC": str(home / "secrets" / "netrc")}


def auth_file(home: Path, url: str) -> dict[str, str]:
    rattler_mirror(home, url)
    write(home / "auth.json", STORE)
    return {"RATTLER_AUTH_FILE": str(home / "auth.json")}


def credential_store(home: Path, url: str) -> dict[str, str]:
    rattler_mirror(home, url)
    write(home / ".rattler" / "credentials.json", STORE)
    return {}


def override_file(home: Path, url: str) -> dict[str, str]:
    rattler_mirror(home, url)
    config = home / ".rattler" / "config.toml"
    option = f'authentication-override-file = "{home}/auth.json"\n'
    write(home / "auth.json", STORE)
    write(config, option + config.read_text(encoding="utf-8"))
    return {}


def channel_alias(home: Path, url: str) -> dict[str, str]:
    write(home / ".condarc", f"channel_alias: {with_password(url)}\n")
    return {}


def channel_alias_with_netrc(home: Path, url: str) -> dict[str, str]:
    write(home / ".conda" / ".condarc", f"channel_alias: {url}/\n")
    write(home / ".netrc", NETRC)
    return {}


def channel_alias_with_variables(home: Path, url: str) -> dict[str, str]:
    alias = url.replace("://", "://${CONDA_USER}:${CONDA_PASS}@")
    write(home / ".condarc", f"channel_alias: {alias}\n")
    return {"CONDA_USER": USER, "CONDA_PASS": SECRET}


def channel_alias_variable(home: Path, url: str) -> dict[str, str]:
    write(home / ".condarc", "channel_alias: http://127.0.0.1:1\n")
    return {"CONDA_CHANNEL_ALIAS": with_password(url)}


def custom_channels(home: Path, url: str) -> dict[str, str]:
    settings = f"channel_alias: http://127.0.0.1:1\ncustom_channels:\n  conda-forge: {url}\n"
    write(home / "conda" / "rc.yml", settings)
    write(home / ".netrc", NETRC)
    return {"CONDARC": str(home / "conda" / "rc.yml")}


WAYS: list[Setup] = [
    netrc,
    netrc_elsewhere,
    auth_file,
    credential_store,
    override_file,
    channel_alias,
    channel_alias_with_netrc,
    channel_alias_with_variables,
    channel_alias_variable,
    custom_channels,
]


@pytest.fixture
def mirror(channel: Path) -> Iterator[str]:
    """The embedded channel as `conda-forge`, for those who know the password."""
    with served(channel, "/conda-forge/", PAIR) as url:
        yield url


def public(project: Path, channel: Path) -> Path:
    """Let environment.yml and lock name the public channel instead of the embedded one."""
    for name in ("environment.yml", "conda-lock.yml"):
        path = project / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(channel.as_uri(), PUBLIC), encoding="utf-8")
    return project


def subdir(project: Path) -> str:
    return (project / "environment.yml").read_text().partition("platforms:\n  - ")[2].split()[0]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.replace("_", " "))
def test_a_mirror_with_a_password_is_reached_by(
    way: Setup, mirror: str, project: Path, machine: Machine
) -> None:
    extra = way(machine.home, mirror)
    done = machine.run(
        sys.executable, "-c", ASK, "conda-forge", subdir(project), cwd=project, **extra
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_a_mirror_without_the_password_is_not_reached(
    mirror: str, project: Path, machine: Machine
) -> None:
    rattler_mirror(machine.home, mirror)
    done = machine.run(sys.executable, "-c", ASK, "conda-forge", subdir(project), cwd=project)
    assert done.returncode == 1 and "401 Unauthorized" in done.stderr


def test_the_password_of_a_mirror_is_not_sent_to_another_port_of_its_host(
    mirror: str, channel: Path, project: Path, machine: Machine
) -> None:
    channel_alias(machine.home, mirror)
    with served(channel, "/conda-forge/", PAIR) as other:
        words = (f"{other}/conda-forge", subdir(project))
        done = machine.run(sys.executable, "-c", ASK, *words, cwd=project)
    assert done.returncode == 1 and "401 Unauthorized" in done.stderr


def test_create_and_lock_fetch_from_the_mirror_and_keep_the_public_urls(
    mirror: str, project: Path, channel: Path, fresh: Machine
) -> None:
    public(project, channel)
    channel_alias(fresh.home, mirror)
    before = (project / "conda-lock.yml").read_bytes()
    done = fresh.condaw(project, "create")
    assert done.returncode == 0, done.stderr
    assert (project / "conda-lock.yml").read_bytes() == before
    records = list((project / ".conda" / "conda-meta").glob("*.json"))
    assert all(json.loads(file.read_text())["url"].startswith(PUBLIC) for file in records)
    texts = [file.read_text() for file in records] + [done.stdout, done.stderr]
    assert not any(SECRET in text for text in texts)
    assert fresh.condaw(project, "verify").returncode == 0
    done = fresh.condaw(project, "lock")
    assert (done.returncode, done.stdout) == (0, "nothing changed\n"), done.stderr
    lock = (project / "conda-lock.yml").read_text()
    assert f"{PUBLIC}/noarch/pluggy-" in lock and mirror not in lock and SECRET not in lock


def test_an_archive_that_the_mirror_has_changed_is_refused(
    project: Path, channel: Path, fresh: Machine, tmp_path: Path
) -> None:
    copy = tmp_path / "mirror"
    shutil.copytree(channel, copy)
    [archive] = copy.glob("noarch/pluggy-*.conda")
    archive.write_bytes(archive.read_bytes() + b"more")
    public(project, channel)
    with served(copy, "/conda-forge/") as url:
        rattler_mirror(fresh.home, url)
        done = fresh.condaw(project, "create")
    assert done.returncode == 3
    assert "pluggy" in done.stderr and "hash mismatch" in done.stderr
    assert not (project / ".conda").exists()


def test_a_wrong_password_is_one_sentence_without_it(
    mirror: str, project: Path, channel: Path, fresh: Machine
) -> None:
    public(project, channel)
    url = mirror.replace("://", f"://{USER}:wr0ng-{SECRET}@")
    write(fresh.home / ".condarc", f"channel_alias: {url}\n")
    for verb in ("create", "lock"):
        done = fresh.condaw(project, verb)
        assert done.returncode == 3
        assert "401" in done.stderr
        assert "wr0ng" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert not (project / ".conda").exists()


def test_a_token_in_the_url_of_a_mirror_is_never_said(
    project: Path, channel: Path, fresh: Machine
) -> None:
    public(project, channel)
    with served(channel, "/t/other/conda-forge/") as url:
        write(fresh.home / ".condarc", f"channel_alias: {url}/t/{SECRET}\n")
        done = fresh.condaw(project, "create")
    assert done.returncode == 3
    assert "404" in done.stderr and "/t/*****/conda-forge/" in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".condarc", "channel_alias: ["),
        (".condarc", "- a list"),
        (".rattler/config.toml", "[mirrors"),
    ],
)
def test_configuration_that_cannot_be_read_is_named(
    file: str, text: str, project: Path, channel: Path, fresh: Machine
) -> None:
    write(fresh.home / file, text)
    done = fresh.condaw(project, "create")
    assert done.returncode == 3
    assert file.split("/")[-1] in done.stderr and "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


# -- .condarc ---------------------------------------------------------------------------------

PLACES = {
    "ROOT/.condarc": {"CONDA_ROOT": "ROOT"},
    "XDG/conda/condarc": {"XDG_CONFIG_HOME": "XDG"},
    ".config/conda/condarc.d/mirror.yml": {},
    ".conda/.condarc": {},
    ".condarc": {},
    "PREFIX/condarc.d/mirror.yaml": {"CONDA_PREFIX": "PREFIX"},
    "own.yml": {"CONDARC": "own.yml"},
}


def test_each_place_of_conda_is_read_a_nearer_one_wins_and_maps_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONDA_ROOT", "CONDA_PREFIX", "XDG_CONFIG_HOME", "CONDARC"):
        monkeypatch.delenv(name, raising=False)
    for number, (place, variables) in enumerate(PLACES.items()):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(tmp_path / value))
        entry = f"custom_channels: {{c{number}: https://{number}.example}}"
        write(tmp_path / place, f"channel_alias: https://{number}.example\n{entry}\n")
        assert channels.mirrors()[channels.PUBLIC] == [f"https://{number}.example/"], place
        assert channels.condarc()["channel_alias"][1] == tmp_path / place
    assert {f"{channels.PUBLIC}c{number}/" for number in range(len(PLACES))} < {*channels.mirrors()}


def test_a_key_that_is_ignored_is_told_once_with_its_file_and_what_to_do(
    locked: Path, machine: Machine
) -> None:
    write(machine.home / ".condarc", "ssl_verify: false\nproxy_servers: {}\nauto_activate: no\n")
    write(machine.home / ".conda" / "condarc.d" / "a.yml", "proxy_servers: {http: http://a:1}\n")
    done = machine.condaw(locked, "doctor")
    told = [line for line in done.stderr.splitlines() if "is ignored" in line]
    home = machine.home
    assert told == [
        f"condaw: proxy_servers in {home}/.conda/condarc.d/a.yml is ignored: set HTTPS_PROXY",
        f"condaw: ssl_verify in {home}/.condarc is ignored: set SSL_CERT_FILE",
    ]


# -- pip's settings ---------------------------------------------------------------------------


def make_wheel(folder: Path, name: str, needs: str = "", version: str = "1.0") -> None:
    """A small wheel on its simple page: all that a company index without JSON API has."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / "files" / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    page = folder / "simple" / name.replace("_", "-") / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    with page.open("a") as out:
        out.write(f'<a href="/files/{path.name}#sha256={digest}">{path.name}</a>\n')


@pytest.fixture
def company(tmp_path: Path) -> Iterator[str]:
    """A company index with a password: two packages, simple pages, nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, "acme_tool", "Requires-Dist: acme-base\n")
    make_wheel(folder, "acme_base")
    with served(folder, pair=PAIR) as url:
        yield url


@pytest.fixture
def acme(project: Path, channel: Path) -> Path:
    """A project that needs a package of the company and little else."""
    platform = subdir(project)
    (project / "environment.yml").write_text(
        f"channels: ['{channel.as_uri()}']\nplatforms: [{platform}]\n"
        f"dependencies: [python={VERSION}, {{pip: [acme-tool]}}]\n"
    )
    (project / "conda-lock.yml").unlink()
    (project / "pyproject.toml").unlink()
    return project


def pip_variable(home: Path, url: str) -> dict[str, str]:
    return {"PIP_INDEX_URL": f"{with_password(url)}/simple"}


def pip_file(home: Path, url: str) -> dict[str, str]:
    write(
        home / ".config" / "pip" / "pip.conf",
        f"[global]\nindex-url = {with_password(url)}/simple\n",
    )
    return {}


def pip_file_with_netrc(home: Path, url: str) -> dict[str, str]:
    write(home / ".config" / "pip" / "pip.conf", f"[global]\nindex-url = {url}/simple\n")
    write(home / ".netrc", NETRC)
    return {}


@pytest.mark.parametrize("way", [pip_variable, pip_file, pip_file_with_netrc])
def test_a_company_index_of_simple_pages_serves_to_lock(
    way: Setup, company: str, acme: Path, machine: Machine
) -> None:
    done = machine.condaw(acme, "lock", **way(machine.home, company))
    assert done.returncode == 0, done.stderr
    assert {"+ acme-tool 1.0", "+ acme-base 1.0"} <= {*done.stdout.splitlines()}
    lock = (acme / "conda-lock.yml").read_text()
    assert f"url: {company}/files/acme_tool-1.0-py3-none-any.whl" in lock
    assert not any(SECRET in text for text in (lock, done.stdout, done.stderr))


def test_create_fetches_from_the_company_index_and_a_new_lock_keeps_the_urls_of_the_old(
    company: str, acme: Path, machine: Machine, tmp_path: Path
) -> None:
    machine = replace(machine, extra=pip_file(machine.home, company))
    assert machine.condaw(acme, "lock").returncode == 0
    path = acme / "conda-lock.yml"
    path.write_text(path.read_text().replace(company, "https://files.example"))
    done = machine.condaw(acme, "lock")
    assert (done.returncode, done.stdout) == (0, "nothing changed\n"), done.stderr
    assert "url: https://files.example/files/acme_tool-1.0-py3-none-any.whl" in path.read_text()
    (machine.cache / "pkgs").mkdir(parents=True, exist_ok=True)
    cache = tmp_path / "no wheels"
    cache.mkdir()
    (cache / "pkgs").symlink_to(machine.cache / "pkgs")
    made = replace(machine, cache=cache).condaw(acme, "create")
    assert made.returncode == 0, made.stderr
    assert list((acme / ".conda").rglob("acme_base.py"))
    assert SECRET not in made.stdout + made.stderr


def test_an_index_that_refuses_is_one_sentence_without_the_password(
    company: str, acme: Path, machine: Machine
) -> None:
    url = company.replace("://", f"://{USER}:wr0ng@")
    done = machine.condaw(acme, "lock", PIP_INDEX_URL=f"{url}/simple")
    assert done.returncode == 3
    assert "the pip: entries cannot be solved" in done.stderr
    assert "wr0ng" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def timed(folder: Path, times: dict[str, str]) -> Iterator[str]:
    """An index that says in JSON when its files were uploaded (PEP 700), beside pages in HTML."""
    files = [{"filename": name, "upload-time": time, "url": name} for name, time in times.items()]
    content = json.dumps({"files": files}).encode()

    class Index(Quiet):
        def do_GET(self) -> None:
            if "json" not in self.headers["Accept"]:
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with loopback.served(folder, Index) as url:
        yield url


def test_a_wheel_that_is_too_new_is_not_chosen_unless_it_is_exempt_or_locked_already(
    acme: Path, machine: Machine, tmp_path: Path
) -> None:
    folder, times = tmp_path / "timed", {}
    folder.mkdir()
    for version, month in (("1.0", "01"), ("1.1", "10")):
        make_wheel(folder, "acme_tool", version=version)
        times[f"acme_tool-{version}-py3-none-any.whl"] = f"2026-{month}-01T00:00:00.123456Z"
    limit = "[tool.condaw]\nexclude-newer = 2026-06-01\n"
    exempt = f"{limit}exclude-newer-package = {{ Acme_Tool = false }}\n"
    with timed(folder, times) as url:
        for text, words, wanted in (
            (limit, [], "+ acme-tool 1.0"),
            (exempt, ["--upgrade"], "~ acme-tool 1.0 -> 1.1"),
            (limit, [], "nothing changed"),
            (limit, ["--upgrade"], "~ acme-tool 1.1 -> 1.0"),
        ):
            (acme / "pyproject.toml").write_text(text)
            done = machine.condaw(acme, "lock", *words, PIP_INDEX_URL=f"{url}/simple")
            assert wanted in done.stdout.splitlines(), done.stdout + done.stderr
            assert url not in done.stderr


def test_an_index_that_tells_no_times_is_named_once(
    company: str, acme: Path, machine: Machine
) -> None:
    (acme / "pyproject.toml").write_text('[tool.condaw]\nexclude-newer = "7 days"\n')
    done = machine.condaw(acme, "lock", PIP_INDEX_URL=f"{with_password(company)}/simple")
    assert "+ acme-base 1.0" in done.stdout, done.stderr
    assert done.stderr.count(f"{company}/simple does not say when packages were published") == 1
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///srv/my%20channel/noarch/a.conda", "/srv/my channel/noarch/a.conda"),
        ("file://localhost/srv/channel", "/srv/channel"),
        ("file://server/share/channel", "//server/share/channel"),
    ],
)
def test_a_file_url_names_a_path_and_keeps_its_server(url: str, path: str) -> None:
    assert channels.local_path(url) == Path(path)


def test_what_is_fetched_over_http_is_no_local_path() -> None:
    assert channels.local_path("https://conda.example/noarch/a.conda") is None
