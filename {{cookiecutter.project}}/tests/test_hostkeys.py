"""known_hosts as sshd(8) describes it: names, patterns, hashes and markers."""

from pathlib import Path

import pytest

from {{ cookiecutter.package }}.failures import Failure
from {{ cookiecutter.package }}.hostkeys import KnownHosts

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIB5WlZ1tBHqqLrXoiJwHFUgLmZkWhZ2hVnDKe0NkJT5g"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIGVkMjU1MTkAAAAgb3RoZXIga2V5LCBub3QgdGhhdCBv"
ED = "ssh-ed25519"


def verdict(tmp_path: Path, text: str, host: str, port: int = 22, mode: str = "strict") -> str:
    """`ok`, `new`, or the kind of failure, for a host that shows KEY."""
    file = tmp_path / "known_hosts"
    file.write_text(text)
    try:
        trust = KnownHosts((str(file),)).trust(host, port, mode=mode)
        return "new" if trust.judge(ED, KEY) else "ok"
    except Failure as failure:
        return failure.kind


@pytest.mark.parametrize(
    ("names", "host", "port", "expected"),
    [
        ("web", "web", 22, "ok"),
        ("web", "WEB", 22, "ok"),
        ("web,10.0.0.1", "10.0.0.1", 22, "ok"),
        ("web", "web", 2222, "host-key-unknown"),
        ("[web]:2222", "web", 2222, "ok"),
        ("[::1]:2222", "::1", 2222, "ok"),
        ("*.example.com", "a.example.com", 22, "ok"),
        ("*.example.com", "example.com", 22, "host-key-unknown"),
        ("10.0.0.?", "10.0.0.7", 22, "ok"),
        ("10.0.0.?", "10.0.0.77", 22, "host-key-unknown"),
        ("[*.example.com]:2222", "a.example.com", 2222, "ok"),
        ("*.example.com,!b.example.com", "a.example.com", 22, "ok"),
        ("*.example.com,!b.example.com", "b.example.com", 22, "host-key-unknown"),
        ("!b.example.com", "a.example.com", 22, "host-key-unknown"),
        ("a.b", "axb", 22, "host-key-unknown"),
    ],
)
def test_names_and_patterns_match_as_in_openssh(
    tmp_path: Path, names: str, host: str, port: int, expected: str
) -> None:
    assert verdict(tmp_path, f"{names} {ED} {KEY} a comment\n", host, port) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", "host-key-unknown"),
        (f"web {ED} {OTHER}", "host-key-changed"),
        (f"web ssh-rsa {OTHER}", "host-key-changed"),
        (f"web {ED} {OTHER}\nweb {ED} {KEY}", "ok"),
        (f"@revoked * {ED} {KEY}\nweb {ED} {KEY}", "host-key-changed"),
        (f"@revoked web {ED} {OTHER}\nweb {ED} {KEY}", "ok"),
        (f"@cert-authority * {ED} {KEY}", "host-key-unknown"),
        (f"@cert-authority * {ED} {OTHER}\nweb {ED} {KEY}", "ok"),
        (f"# web {ED} {KEY}", "host-key-unknown"),
        (f"@unheard-of web {ED} {KEY}", "host-key-unknown"),
        (f"web {ED}\n|1|bad|hash {ED} {KEY}\n\x00\xff\nweb {ED} {KEY}", "ok"),
    ],
)
def test_markers_and_odd_lines_are_safe(tmp_path: Path, lines: str, expected: str) -> None:
    assert verdict(tmp_path, lines + "\n", "web") == expected


@pytest.mark.parametrize(
    ("lines", "mode", "expected"),
    [
        ("", "accept-new", "new"),
        (f"web {ED} {OTHER}", "accept-new", "host-key-changed"),
        (f"@revoked * {ED} {KEY}", "accept-new", "host-key-changed"),
        (f"@cert-authority * {ED} {OTHER}", "accept-new", "host-key-unknown"),
        ("", "insecure", "ok"),
        (f"web {ED} {OTHER}", "insecure", "ok"),
        (f"@revoked * {ED} {KEY}", "insecure", "host-key-changed"),
    ],
)
def test_modes_loosen_only_what_they_name(
    tmp_path: Path, lines: str, mode: str, expected: str
) -> None:
    assert verdict(tmp_path, lines + "\n", "web", mode=mode) == expected


def test_an_added_key_is_found_and_no_line_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "ssh" / "known_hosts"
    file.parent.mkdir()
    file.write_text(f"web {ED} {OTHER}")  # without a newline at the end
    known = KnownHosts((str(file),))

    known.add(known.trust("new", 22, mode="accept-new").judge(ED, KEY))
    known.add(f"new {ED} {OTHER}\n")  # too late: the first key counts

    assert file.read_text() == f"web {ED} {OTHER}\nnew {ED} {KEY}\n"
    assert known.trust("new", 22).judge(ED, KEY) == ""
