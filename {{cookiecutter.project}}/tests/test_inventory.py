"""Hosts from arguments, a hosts file and netmiko's inventory; mistakes are told with their line."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from {{ cookiecutter.package }}.hostkeys import KnownHosts
from {{ cookiecutter.package }}.inventory import UsageError, parse, read, resolve
from {{ cookiecutter.package }}.session import Target

EXAMPLE = Path(__file__).parent.parent / "inventory.yml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", {"host": "web"}),
        ("me@web:2222", {"host": "web", "username": "me", "port": 2222}),
        ("10.0.0.1", {"host": "10.0.0.1"}),
        ("::1", {"host": "::1"}),
        ("me@[fe80::1%eth0]:22", {"host": "fe80::1%eth0", "username": "me", "port": 22}),
        ("user@domain.example@web", None),
        ("web:0", None),
        ("web:99999", None),
        ("web:ssh", None),
        ("-oProxyCommand=x", None),
        ("a b", None),
        ("", None),
    ],
)
def test_a_host_is_read_as_ssh_writes_it(text: str, expected: dict[str, object] | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="is not"):
            parse(text)
    else:
        assert parse(text) == expected


def test_a_hosts_file_has_comments_and_device_types(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("# the core\nroot@web:2222   # a server\n\nsw1 cisco_ios\nsw1 cisco_ios\n")

    assert read([], [str(file)]) == {
        "root@web:2222": {"host": "web", "username": "root", "port": 2222},
        "sw1": {"host": "sw1", "device_type": "cisco_ios"},
    }


def test_the_example_inventory_has_hosts_and_a_group() -> None:
    assert list(read([], [str(EXAMPLE)])) == ["web-1", "core-1", "edge-1"]
    assert list(read(["routers"], [str(EXAMPLE)])) == ["core-1", "edge-1"]
    assert list(read(["web-1", "other"], [str(EXAMPLE)])) == ["web-1", "other"]
    assert list(read(["all"], [str(EXAMPLE)])) == ["web-1", "core-1", "edge-1"]


@pytest.mark.parametrize(
    ("name", "text", "line", "expected"),
    [
        ("hosts", "web\none two three\n", 2, "[user@]host[:port] [device_type]"),
        ("hosts", "a/b\n", 1, "[user@]host[:port] [device_type]"),
        ("x.yml", "web:\n  host: web\n  usernme: me\n", 3, "not 'usernme'"),
        ("x.yml", "web:\n  device_type: linux\n", 1, "host:"),
        ("x.yml", "web:\n  host: web\nall-web:\n  - web\n  - wbe\n", 3, "not 'wbe'"),
        ("x.yml", "web:\n  host: web\n  port: ssh\n", 3, "port"),
        ("x.yml", "web: 3\n", 1, "host:"),
        ("x.yml", "- web\n", 1, "expected"),
        ("x.yml", "", 1, "expected"),
        ("x.yml", "web:\n  host: [\n", 3, "YAML"),
    ],
)
def test_a_bad_inventory_gives_file_line_and_what_was_expected(
    tmp_path: Path, name: str, text: str, line: int, expected: str
) -> None:
    file = tmp_path / name
    file.write_text(text)

    with pytest.raises(UsageError) as caught:
        read([], [str(file)])

    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert expected in str(caught.value)


def resolved(tmp_path: Path, config: str, entry: dict[str, object], **flags: object) -> Target:
    """The target that an entry becomes under an ssh_config."""
    file = tmp_path / "config"
    file.write_text(config)
    known = KnownHosts([str(tmp_path / "known_hosts")], "strict")
    (target,) = resolve({"x": entry}, flags, known, file, lambda *_: None)
    return target


def test_the_host_goes_before_flags_and_flags_before_ssh_config(tmp_path: Path) -> None:
    config = "Host web\n HostName 192.0.2.7\n User cfg\n Port 2201\n"

    plain = resolved(tmp_path, config, {"host": "web"}).settings
    flags = resolved(tmp_path, config, {"host": "web"}, username="flag", port=2202).settings
    entry = resolved(tmp_path, config, {"host": "web", "username": "own"}, username="flag").settings

    assert (plain["host"], plain["username"], plain["port"]) == ("192.0.2.7", "cfg", 2201)
    assert (flags["username"], flags["port"]) == ("flag", 2202)
    assert (entry["username"], entry["port"]) == ("own", 2201)


def test_a_jump_host_is_reached_by_ssh_without_questions(tmp_path: Path) -> None:
    target = resolved(tmp_path, "Host web\n ProxyJump a,me@b:2222\n", {"host": "web"})

    assert target.proxy is not None
    assert target.proxy.endswith("-J a ssh://me@b:2222")
    assert "BatchMode=yes" in target.proxy
    assert "StrictHostKeyChecking=yes" in target.proxy


def test_a_broken_ssh_config_is_a_usage_error(tmp_path: Path) -> None:
    for config in ("Host web\n Port ssh\n", "Host web\n =\n"):
        with pytest.raises(UsageError, match="expected ssh_config"):
            resolved(tmp_path, config, {"host": "web"})


def test_passwords_stay_out_of_reprs(tmp_path: Path) -> None:
    target = resolved(tmp_path, "", {"host": "web", "password": 271828})

    assert target.settings["password"] == "271828"
    assert "271828" not in repr(target)


def test_usage_errors_are_one_line_and_exit_code_2(
    ssh_uptime: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    for arguments in (
        [],
        ["a/b"],
        ["web", "--key", "missing"],
        ["web", "--known-hosts", "missing"],
        ["web", "-w", "0"],
        ["web", "-t", "nan"],
        ["-i", "missing.yml"],
        ["web", "-f", "missing/out.json"],
        ["web", "--accept-new", "--insecure"],
        ["web", "-o", "xml"],
    ):
        result = ssh_uptime(*arguments)
        assert result.returncode == 2, arguments
        assert "Traceback" not in result.stderr
        assert result.stderr.splitlines()[-1].startswith("ssh-uptime: "), result.stderr
