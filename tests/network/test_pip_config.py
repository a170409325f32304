"""What pip trusts is trusted by all that goes out: by real handshakes with a private authority."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import loopback
import pytest
from condaw.base.errors import CannotError
from condaw.network import pip_config
from machine import VERSION, Machine
from test_bundle import for_this_python
from test_channels import make_wheel, subdir, write
from test_probe import Authority

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
WHEEL = "condaw_test_only"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that nobody knows."""
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def server(authority: Authority, channel: Path, tmp_path: Path) -> Iterator[str]:
    """A server with a certificate of the authority: a channel, and an index with one wheel."""
    folder = tmp_path / "server"
    folder.mkdir()
    make_wheel(folder, WHEEL)
    (folder / "channel").symlink_to(channel)
    with loopback.served(folder, tls=authority.context()) as url:
        yield url


@pytest.fixture
def company(project: Path, server: str) -> Path:
    """A project that has all that it needs from this server, and no lock."""
    (project / "environment.yml").write_text(
        f"channels: ['{server}/channel']\nplatforms: [{subdir(project)}]\n"
        f"dependencies: [python={VERSION}, {{pip: [{WHEEL}]}}]\n"
    )
    (project / "conda-lock.yml").unlink()
    (project / "pyproject.toml").unlink()
    return project


def test_an_authority_that_only_pip_conf_names_serves_to_lock_create_doctor_and_bundle(
    company: Path, server: str, authority: Authority, fresh: Machine, tmp_path: Path
) -> None:
    cache = tmp_path / "own cache"
    cache.mkdir()
    machine = replace(fresh, cache=cache)
    conf = machine.home / ".config" / "pip" / "pip.conf"
    write(conf, f"[global]\ncert = {authority.root}\nindex-url = {server}/simple\n")
    for verb in ("lock", "create", "doctor"):
        done = machine.condaw(company, verb)
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"index: {server}/simple answers" in done.stdout
    assert f"channel: {server}/channel/noarch/repodata.json answers" in done.stdout
    assert list((company / ".conda").rglob(f"{WHEEL}.py"))
    # The engine's wheels are where they always are: the system's store is still trusted.
    write(conf, f"[global]\ncert = {authority.root}\nextra-index-url = {server}/simple\n")
    for_this_python(company)
    done = machine.condaw(company, "bundle", str(tmp_path / "demo.bundle"))
    assert done.returncode == 0, done.stderr
    assert not list(machine.temporary.glob("*.pem"))


def test_the_systems_store_serves_to_lock(
    company: Path, server: str, authority: Authority, machine: Machine, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(authority.root, store)
    subprocess.run(["openssl", "rehash", store], check=True)
    # OpenSSL's name for the folder of the system's store.
    done = machine.condaw(
        company, "lock", SSL_CERT_DIR=str(store), PIP_INDEX_URL=f"{server}/simple"
    )
    assert done.returncode == 0, done.stderr


def test_uv_trusts_the_systems_store_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_SYSTEM_CERTS", raising=False)
    assert pip_config.uv_environment()["UV_SYSTEM_CERTS"] == "1"
    monkeypatch.setenv("UV_SYSTEM_CERTS", "0")
    assert pip_config.uv_environment()["UV_SYSTEM_CERTS"] == "0"


def test_a_cert_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "gone.pem"))
    with pytest.raises(CannotError, match=r"gone\.pem.*No such file"):
        pip_config.trust()
