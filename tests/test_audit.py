"""audit names known vulnerabilities of what is locked, and fails for those that are fixed."""

from __future__ import annotations

import http.server
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, running
from machine import Machine

FIXED, OPEN = "GHSA-r374-rxx8-8654", "GHSA-0000-0000-0000"
ADVISORIES = {FIXED: ("paramiko", [{"fixed": "5.0.0"}]), OPEN: ("rich", [])}


class Osv(http.server.BaseHTTPRequestHandler):
    """A stand-in for OSV: one vulnerability that is fixed upstream, and one that is not."""

    protocol_version = "HTTP/1.1"
    speechless = False

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.answer({"results": [self.known(query["package"]["purl"]) for query in asked]})

    def do_GET(self) -> None:
        if self.speechless:
            self.send_error(500)
            return
        name, events = ADVISORIES[identity := self.path.rpartition("/")[2]]
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, *events]}]
        package = {"name": name, "ecosystem": "PyPI", "purl": f"pkg:pypi/{name}"}
        summary = {"summary": f"{name} believes too much", "modified": "2026-01-01T00:00:00Z"}
        self.answer(
            {"id": identity, **summary, "affected": [{"package": package, "ranges": ranges}]}
        )

    def known(self, purl: str) -> dict[str, Any]:
        found = [i for i, (name, _) in ADVISORIES.items() if purl.startswith(f"pkg:pypi/{name}@")]
        return {"vulns": [{"id": i, "modified": "2026-01-01T00:00:00Z"} for i in found]}

    def answer(self, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def osv() -> Iterator[dict[str, str]]:
    with Server(("127.0.0.1", 0), Osv) as server, running(server):
        yield {"PIXI_SBOM_OSV_URL": f"http://127.0.0.1:{server.server_port}"}


def test_what_is_fixed_upstream_fails_until_it_is_accepted_with_a_reason(
    bake: Callable[..., Path], machine: Machine, osv: dict[str, str]
) -> None:
    project = bake(legacy_ssh="yes", python="3.13")
    done = machine.condaw(project, "audit", **osv)
    assert done.stdout.splitlines() == [
        f"FAIL paramiko 4.0.0: {FIXED}: paramiko believes too much; fixed in 5.0.0",
        f"open rich 15.0.0: {OPEN}: rich believes too much; not fixed yet",
    ], done.stderr
    assert done.returncode == 1
    with (project / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[tool.pixi-sbom]\nignore-vuln = ["{FIXED}:our switches speak nothing else"]\n'
        )
    done = machine.condaw(project, "audit", **osv)
    assert done.returncode == 0, done.stderr
    accepted = done.stdout.splitlines()[0]
    assert accepted.startswith(f"ok   paramiko 4.0.0: {FIXED}: ")
    assert accepted.endswith(": our switches speak nothing else")
    [(asked, locked)] = re.findall(r"(\d+) of (\d+) packages could be asked about", done.stderr)
    assert 25 < int(asked) < int(locked)


def test_an_advisory_that_cannot_be_read_is_not_taken_for_one_without_a_fix(
    bake: Callable[..., Path],
    machine: Machine,
    osv: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Osv, "speechless", True)
    done = machine.condaw(bake(legacy_ssh="yes", python="3.13"), "audit", **osv)
    assert done.returncode == 3
    assert "condaw: cannot audit: cannot fetch the OSV record" in done.stderr


def test_a_database_that_does_not_answer_is_one_sentence(
    bake: Callable[..., Path], machine: Machine
) -> None:
    done = machine.condaw(bake(python="3.13"), "audit", PIXI_SBOM_OSV_URL="http://127.0.0.1:9")
    assert done.returncode == 3
    assert "condaw: cannot audit: cannot query OSV at http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lock_for_one_platform_is_asked_about_too(
    project: Path, machine: Machine, osv: dict[str, str]
) -> None:
    done = machine.condaw(project, "audit", **osv)
    assert f"open rich 15.0.0: {OPEN}" in done.stdout, done.stderr
