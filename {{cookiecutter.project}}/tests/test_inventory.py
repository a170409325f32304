"""Hosts from arguments and inventories; mistakes are told with their line."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from {{ cookiecutter.package }} import ssh_config
from {{ cookiecutter.package }}.failures import UsageError
from {{ cookiecutter.package }}.inventory import parse, read
from {{ cookiecutter.package }}.targets import Target, resolve

needs_ssh = pytest.mark.skipif(not shutil.which("ssh"), reason="paramiko knows less")
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
        with pytest.raises(UsageError, match="expected"):
            parse(text)
    else:
        assert parse(text) == expected


def test_the_example_inventory_has_hosts_and_a_group() -> None:
    assert list(read([], str(EXAMPLE))) == ["web-1", "core-1", "edge-1"]
    assert list(read(["routers"], str(EXAMPLE))) == ["core-1", "edge-1"]
    assert list(read(["web-1", "other"], str(EXAMPLE))) == ["web-1", "other"]
    assert list(read(["all"], str(EXAMPLE))) == ["web-1", "core-1", "edge-1"]


@pytest.mark.parametrize(
    ("name", "text", "line", "expected"),
    [
        ("x.yml", "web:\n  host: web\n  usernme: me\n", 3, "not 'usernme'"),
        ("x.yml", "web:\n  host: web\nall-web:\n  - web\n  - wbe\n", 5, "not 'wbe'"),
        ("x.yml", "web:\n  host: web\n  port: ssh\n", 3, "port"),
        ("x.yml", "a: {host: a}\nweb: 3\n", 2, "settings under"),
        ("x.yml", "- web\n", 1, "expected"),
        ("x.yml", "", 1, "expected"),
        ("x.yml", "web:\n  host: [\n", 3, "YAML"),
        ("x.yml", "web:\n  host: a\nweb:\n  host: b\n", 3, "once, not 'web'"),
        ("x.yml", "web:\n  host: a\n  host: b\n", 3, "once, not 'host'"),
        ("x.yml", "web:\n  host: me@web\n", 2, "host:"),
        ("x.yml", "web:\n  host: web\n  port: 99999\n", 3, "65535"),
        ("x.yml", "? [a]\n: {host: a}\n", 1, "YAML"),
        ("x.yml", "ok: {platform: ios}\nsw: {hostname: 'a; reboot'}\n", 2, "not 'a; reboot'"),
        ("x.yml", "sw: {platform: ios, groups: [none]}\n", 1, "not 'none'"),
        ("x.yml", "sw: {platform: ios, groups: {a: b}}\n", 1, "groups"),
        ("x.json", '{"_meta": {"hostvars": {\n"a": {"ansible_host": "x y"}}}}', 2, "not 'x y'"),
        ("x.yml", "web:\n  host: web\n  conn_timeout: '['\n", 1, "something in it is none"),
    ],
)
def test_a_bad_inventory_gives_file_line_and_what_was_expected(
    tmp_path: Path, name: str, text: str, line: int, expected: str
) -> None:
    file = tmp_path / name
    file.write_text(text)

    with pytest.raises(UsageError) as caught:
        read([], str(file))

    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert expected in str(caught.value)


def test_a_name_is_what_stands_there_whatever_yaml_makes_of_it(tmp_path: Path) -> None:
    names = ["0123", "on", "2024-01-01", "1.10", "12:30"]
    file = tmp_path / "x.yml"
    hosts = "".join(f"{name}:\n  host: h{i}\n  password: 0777\n" for i, name in enumerate(names))
    file.write_text(hosts + "odd:\n" + "".join(f"  - {name}\n" for name in names))

    assert list(read(["odd"], str(file))) == names
    assert {entry["password"] for entry in read([], str(file)).values()} == {"0777"}


def test_netmiko_settings_are_all_right(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_text("sw:\n  ip: 192.0.2.1\n  conn_timeout: 20\n  fast_cli: false\n  port: '22'\n")

    (entry,) = read([], str(file)).values()

    assert entry == {"host": "192.0.2.1", "conn_timeout": 20, "fast_cli": False, "port": 22}


def test_groups_may_be_in_groups_and_in_themselves(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_text("a: {host: a}\nb: {host: b}\nin: [a, out]\nout: [in, b]\n")

    assert list(read(["in"], str(file))) == ["a", "b"]
    assert list(read(["out"], str(file))) == ["b", "a"]


def test_an_inventory_of_nornir_is_read_with_what_hosts_inherit(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(
        "sw1:\n  hostname: 192.0.2.1\n  groups: [access]\n"
        "sw2:\n  groups: [access]\n  username: own\n  platform: cisco_xe\n"
        "rtr:\n  hostname: rtr.example.net\n  connection_options:\n"
        "    netmiko:\n      platform: juniper_junos\n      extras: {conn_timeout: 5}\n"
    )
    (tmp_path / "groups.yaml").write_text(
        "access:\n  groups: [site]\n  platform: ios\nsite:\n  port: 2222\n  username: site\n"
    )
    (tmp_path / "defaults.yaml").write_text("username: everyone\n")

    expected = {
        "sw1": ("192.0.2.1", "cisco_ios", "site", 2222),
        "sw2": ("sw2", "cisco_xe", "own", 2222),
        "rtr": ("rtr.example.net", "juniper_junos", "everyone", None),
    }
    hosts = read([], str(tmp_path / "hosts.yaml"))
    keys = ("host", "device_type", "username", "port")
    assert {n: tuple(map(e.get, keys)) for n, e in hosts.items()} == expected
    assert hosts["rtr"]["conn_timeout"] == 5
    assert list(read(["site"], str(tmp_path / "hosts.yaml"))) == ["sw1", "sw2"]


def test_the_list_of_ansible_inventory_is_read(tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    file.write_text(
        """{
    "_meta": {"hostvars": {
        "sw1": {"ansible_host": "192.0.2.1", "ansible_user": "me", "ansible_port": 2222,
                "ansible_network_os": "cisco.ios.ios", "rack": 7},
        "web": {"ansible_ssh_private_key_file": "~/k"}}},
    "all": {"children": ["ungrouped", "switches", "site"]},
    "site": {"children": ["switches"]},
    "switches": {"hosts": ["sw1"]},
    "ungrouped": {"hosts": ["web", "bare"]}
}"""
    )

    hosts = read([], str(file))

    assert hosts["sw1"] == {
        "host": "192.0.2.1", "username": "me", "port": 2222, "device_type": "cisco_ios"
    }  # fmt: skip
    assert hosts["web"] == {"host": "web", "key_file": "~/k", "device_type": "linux"}
    assert hosts["bare"] == {"device_type": "linux", "host": "bare"}
    assert list(read(["site"], str(file))) == ["sw1"]


def resolved(tmp_path: Path, config: str, entry: dict[str, object], **flags: object) -> Target:
    """The target that an entry becomes under an ssh_config."""
    file = tmp_path / "config"
    file.write_text(config)
    (target,) = resolve({"x": entry}, flags, str(file), str(tmp_path / "known_hosts"))
    return target


@pytest.mark.parametrize("has_ssh", [True, False])
def test_the_host_goes_before_flags_and_flags_before_ssh_config(
    tmp_path: Path, has_ssh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_ssh:
        monkeypatch.setenv("PATH", "")
    config = "Host web\n HostName 192.0.2.7\n User cfg\n Port 2201\n"

    plain = resolved(tmp_path, config, {"host": "web"})
    flags = resolved(tmp_path, config, {"host": "web"}, username="flag", port=2202)
    entry = resolved(tmp_path, config, {"host": "web", "username": "own"}, username="flag")

    assert (plain.host, plain.username, plain.port) == ("192.0.2.7", "cfg", 2201)
    assert (flags.username, flags.port) == ("flag", 2202)
    assert (entry.username, entry.port) == ("own", 2201)


def test_a_jump_host_is_reached_by_ssh_without_questions(tmp_path: Path) -> None:
    target = resolved(tmp_path, "Host web\n ProxyJump a,me@b:2222\n", {"host": "web"})

    assert target.proxy.endswith(" -J a ssh://me@b:2222")
    ipv6 = resolved(tmp_path, "Host web\n ProxyJump me@[2001:db8::1]:22\n", {"host": "web"})
    assert ipv6.proxy.endswith("'ssh://me@[2001:db8::1]:22'")
    assert "BatchMode=yes" in target.proxy
    assert "StrictHostKeyChecking=yes" in target.proxy


@pytest.mark.parametrize("has_ssh", [True, False])
def test_a_broken_ssh_config_is_a_usage_error(
    tmp_path: Path, has_ssh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_ssh:
        monkeypatch.setenv("PATH", "")

    with pytest.raises(UsageError, match="config"):
        resolved(tmp_path, "Host web\n Port many\n", {"host": "web"})


@needs_ssh
def test_ssh_config_means_what_it_means_to_ssh(tmp_path: Path) -> None:
    (tmp_path / "more").write_text(
        "Host web\n HostKeyAlias gold\n ProxyCommand nc -X 5 %h %p\n UserKnownHostsFile ~/a ~/b\n"
    )

    target = resolved(tmp_path, f"Include {tmp_path}/more\n", {"host": "web"})

    assert (target.trust.name, target.proxy) == ("gold", "nc -X 5 web 22")


def test_an_ssh_config_of_a_thousand_hosts_is_read(tmp_path: Path) -> None:
    config = "".join(f"Host h{i}\n Port {1000 + i}\n" for i in range(1000))
    file = tmp_path / "config"
    file.write_text(config)

    found = ssh_config.lookup(["h0", "h999"], str(file))

    assert [found[name]["port"] for name in ("h0", "h999")] == [["1000"], ["1999"]]


def test_passwords_stay_out_of_reprs(tmp_path: Path) -> None:
    target = resolved(tmp_path, "", {"host": "web", "password": 271828})

    assert target.password == "271828"
    assert "271828" not in repr(target)


def test_usage_errors_are_one_line_and_exit_code_2(
    ssh_uptime: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for arguments in (
        [],
        ["a/b"],
        ["u:hunter2@web"],
        ["web", "--key", "missing"],
        ["web", "--known-hosts", "missing"],
        ["web", "-w", "0"],
        ["web", "-t", "nan"],
        ["-i", "missing.yml"],
        ["web", "-f", "missing/out.json"],
        ["web", "-o", "xml"],
    ):
        result = ssh_uptime(*arguments)
        assert result.returncode == 2, arguments
        assert "Traceback" not in result.stderr
        assert "hunter2" not in result.stdout + result.stderr
        assert result.stderr.splitlines()[-1].startswith("ssh-uptime: "), result.stderr
