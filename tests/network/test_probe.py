"""What keeps a server from answering is told in plain words: by real handshakes on loopback."""

from __future__ import annotations

import http.server
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from pathlib import Path

import pytest
from condaw.network import probe
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from loopback import running

NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)


class Authority:
    """Signs certificates; `root` is the file that makes it known."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        root = self._builder(self.key, -DAY, DAY).subject_name(self.name)
        certificate = root.add_extension(constraints, critical=True).sign(self.key, hashes.SHA256())
        self.root = self._write("root.pem", certificate.public_bytes(serialization.Encoding.PEM))

    def context(
        self, host: str = "127.0.0.1", start: timedelta = -DAY, end: timedelta = DAY
    ) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        leaf = self._builder(key, start, end).subject_name(x509.Name([]))
        certificate = leaf.add_extension(names, critical=True).sign(self.key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._write("server.pem", pem))
        return context

    def _builder(
        self, key: ec.EllipticCurvePrivateKey, start: timedelta, end: timedelta
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(self.name, public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(NOW + start).not_valid_after(NOW + end)

    def _write(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return str(self.folder / name)


class Handler(http.server.BaseHTTPRequestHandler):
    status, date, age = 200, 0.0, ""

    def do_GET(self) -> None:
        self.send_response_only(self.status)
        self.send_header("Date", formatdate(time.time() + self.date, usegmt=True))
        if self.age:
            self.send_header("Age", self.age)
        self.end_headers()

    do_CONNECT = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving(context: ssl.SSLContext | None = None, **answers: object) -> Iterator[str]:
    """The address of a server on loopback, until the block ends."""
    handler = type("Answers", (Handler,), answers)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        with running(server):
            yield f"127.0.0.1:{server.server_port}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def known(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that pip's configuration names."""
    monkeypatch.setenv("PIP_CERT", authority.root)
    return authority


def test_a_good_certificate_of_a_known_authority_answers(known: Authority) -> None:
    with serving(known.context()) as address:
        answer = probe.ask(f"https://{address}/")
    assert (answer[0], answer[1]) == (f"https://{address}/ answers", "")


BAD = {
    "expired": ({"start": -2 * DAY, "end": -DAY}, "certificate has expired"),
    "early": ({"start": DAY, "end": 2 * DAY}, "certificate is not yet valid"),
    "of another": ({"host": "127.0.0.2"}, "IP address mismatch"),
}


@pytest.mark.parametrize(("how", "told"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_with_a_certificate_is_told(
    how: dict[str, object], told: str, known: Authority
) -> None:
    with serving(known.context(**how)) as address:  # type: ignore[arg-type]
        answer = probe.ask(f"https://{address}/")
    assert answer[0].startswith("the certificate of 127.0.0.1 is not accepted: ")
    assert told in answer[0]
    assert answer[1]


def test_an_unknown_authority_is_told_with_the_variable_to_set(authority: Authority) -> None:
    with serving(authority.context()) as address:
        answer = probe.ask(f"https://{address}/")
    assert answer[0].startswith("the certificate of 127.0.0.1 is not accepted: unable to get")
    assert "SSL_CERT_FILE" in answer[1]


def test_a_closed_port_a_silent_server_and_an_unknown_name_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(probe, "PATIENCE", 0.2)
        silent = probe.ask(f"https://127.0.0.1:{port}/")
    assert silent[0].startswith("127.0.0.1 does not answer: ")
    assert "timed out" in silent[0]
    assert probe.ask(f"http://127.0.0.1:{port}/")[0].startswith("127.0.0.1 does not answer: ")
    unknown = probe.ask("http://no-such-host.invalid/")
    assert unknown[0] == "the name of no-such-host.invalid cannot be resolved"


def test_a_proxy_that_is_gone_or_wants_a_password_is_named_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(status=407) as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ada:s3cret@{address}")
        wants = probe.ask("https://example.invalid/")
    gone = probe.ask("https://example.invalid/")
    assert wants[0] == f"the proxy {address} asks for a user and a password"
    assert gone[0].startswith(f"the proxy {address} does not answer: ")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as direct:
        assert probe.ask(f"http://{direct}/")[0] == f"http://{direct}/ answers"


@pytest.mark.parametrize(("status", "ok"), [(401, True), (404, True), (503, False)])
def test_only_an_error_of_the_server_is_a_failure(status: int, ok: bool) -> None:
    with serving(status=status) as address:
        answer = probe.ask(f"http://{address}/")
    assert (not answer[1], f"HTTP {status}" in answer[0]) == (ok, True)


def test_a_password_in_a_url_is_neither_sent_nor_shown() -> None:
    with serving() as address:
        answer = probe.ask(f"http://ada:s3cret@{address}/")
    assert answer[0] == f"http://{address}/ answers"
