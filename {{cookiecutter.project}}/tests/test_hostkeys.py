"""known_hosts as sshd(8) describes it: names, patterns, hashes and markers."""

from base64 import b64decode
from pathlib import Path

import paramiko
import pytest

from {{ cookiecutter.package }} import hostkeys
from {{ cookiecutter.package }}.failures import Failure

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIB5WlZ1tBHqqLrXoiJwHFUgLmZkWhZ2hVnDKe0NkJT5g"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIGVkMjU1MTkAAAAgb3RoZXIga2V5LCBub3QgdGhhdCBv"
ED = "ssh-ed25519"


SHOWN = paramiko.PKey.from_type_string(ED, b64decode(KEY))


def verdict(tmp_path: Path, text: str, name: str, accept_new: bool = False) -> str:
    """`ok`, or the kind of failure, for a host that shows KEY."""
    file = tmp_path / "known_hosts"
    file.write_text(text)
    try:
        hostkeys.trust((str(file),), name, accept_new).judge(SHOWN)
        return "ok"
    except Failure as failure:
        return failure.kind


@pytest.mark.parametrize(
    ("names", "name", "expected"),
    [
        ("web", "web", "ok"),
        ("web", "WEB", "ok"),
        ("web,10.0.0.1", "10.0.0.1", "ok"),
        ("web", "[web]:2222", "host-key-unknown"),
        ("[web]:2222", "[web]:2222", "ok"),
        ("[::1]:2222", "[::1]:2222", "ok"),
        ("*.example.com", "a.example.com", "ok"),
        ("*.example.com", "example.com", "host-key-unknown"),
        ("10.0.0.?", "10.0.0.7", "ok"),
        ("10.0.0.?", "10.0.0.77", "host-key-unknown"),
        ("[*.example.com]:2222", "[a.example.com]:2222", "ok"),
        ("*.example.com,!b.example.com", "a.example.com", "ok"),
        ("*.example.com,!b.example.com", "b.example.com", "host-key-unknown"),
        ("!b.example.com", "a.example.com", "host-key-unknown"),
        ("a.b", "axb", "host-key-unknown"),
    ],
)
def test_names_and_patterns_match_as_in_openssh(
    tmp_path: Path, names: str, name: str, expected: str
) -> None:
    assert verdict(tmp_path, f"{names} {ED} {KEY} a comment\n", name) == expected


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
    ("lines", "expected"),
    [
        ("", "ok"),
        (f"web {ED} {OTHER}", "host-key-changed"),
        (f"@revoked * {ED} {KEY}", "host-key-changed"),
    ],
)
def test_accept_new_takes_a_first_key_alone(tmp_path: Path, lines: str, expected: str) -> None:
    assert verdict(tmp_path, lines + "\n", "web", accept_new=True) == expected


def test_a_first_key_is_added_once_and_no_line_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "ssh" / "known_hosts"
    file.parent.mkdir()
    file.write_text(f"web {ED} {OTHER}")  # without a newline at the end

    for _ in range(2):
        hostkeys.trust((str(file),), "new", accept_new=True).judge(SHOWN)

    assert file.read_text() == f"web {ED} {OTHER}\nnew {ED} {KEY}\n"
